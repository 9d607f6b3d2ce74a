"""The frozen networks of an algorithm whose features are read in place of clips."""

from collections.abc import Callable, Collection, Mapping

from ssl_video.backbones.probe import Probe
from ssl_video.contract import Algorithm, View
from ssl_video.spec import NetworkSpec, Spec

# With the same values, two frozen networks give the same features.
_KEYS = ("backbone", "width", "frames", "weights", "weights_prefix", "input", "architecture")


def readers(
    spec: Spec, algorithm: Algorithm, same: Callable[[str, str], bool] | None = None
) -> dict[str, Probe]:
    """Return the networks whose features a run stores, by role; {}: it reads clips.

    Args:
        spec: the resolved specification.
        algorithm: its algorithm.
        same: whether the networks of two roles give the same features; None: as their settings say.
    """
    if algorithm.works_on_pixels or not spec.feature_copies:
        return {}
    networks = {role: algorithm.get_submodule(role) for role in spec.networks}
    found = {role: network for role, network in networks.items() if isinstance(network, Probe)}
    named = {view.network for view in (*algorithm.labeled.values(), *algorithm.unlabeled.values())}
    first = next(iter(networks))
    # A role that no view names reads the first role's views, so it needs the same features.
    shared = [role for role in networks if role != first and role not in named]
    alike = same or (lambda one, other: _alike(spec, one, other))
    if any((first in found) != (role in found) for role in shared):
        return {}
    return found if all(alike(first, role) for role in shared if role in found) else {}


def of_views(views: Mapping[str, View], roles: Collection[str], first: str) -> dict[str, str]:
    """Return the role whose features stand in place of each view; the other views are clips.

    Args:
        views: the views.
        roles: the roles of `readers`.
        first: the algorithm's first role, which reads views that name none.
    """
    found = {name: view.network or first for name, view in views.items()}
    return {name: role for name, role in found.items() if role in roles}


def _alike(spec: Spec, one: str, other: str) -> bool:
    """Return whether two frozen networks have settings that give the same features."""
    if spec.partial_weights:
        return False  # tensors that a file lacks depend on the role
    mine, theirs = spec.networks[one], spec.networks[other]
    return settings(mine) == settings(theirs)


def settings(network: NetworkSpec) -> tuple[object, ...]:
    """Return the settings of a frozen network that decide on its features."""
    return *(getattr(network, key) for key in _KEYS), network.probe == "attentive"
