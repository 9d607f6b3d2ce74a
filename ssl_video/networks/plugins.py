"""Code outside the package that a checkpoint names: which one it was trained with, and when it may run.

A checkpoint comes from anybody, and can name any Python file as its algorithm or a backbone. So such code is
imported for it only if the user allows it, and only as it was when the checkpoint was written. Commands in
which the user names the code (`train`, `bench`, `algorithm check`) need no permission, and neither does code
that this process has loaded before: nothing new would run. The hash covers the named file and its local
modules, see `sources.local_modules`, not installed packages.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ssl_video.errors import InputError
from ssl_video.registry import Registry, algorithms
from ssl_video.registry import backbones as backbone_registry
from ssl_video.spec import Spec


def entry(backbone: str) -> str:
    """Return the registered name of a backbone: a file's entry as it is, "timm" of "timm/resnet50"."""
    return backbone if ".py:" in backbone or backbone.endswith(".py") else backbone.partition("/")[0]


def named(spec: Spec) -> Iterator[tuple[Registry, str]]:
    """Yield the algorithm and the backbones that a specification names, with the registry of each."""
    backbones = [spec.backbone, *(network.backbone for network in spec.networks.values())]
    yield algorithms, spec.algorithm
    for name in dict.fromkeys(entry(name) for name in backbones if name):
        yield backbone_registry, name


def recorded(spec: Spec) -> dict[str, str]:
    """Return the hash of the code of each plugin that a specification names, for its checkpoints."""
    found = {name: registry.fingerprint(name) for registry, name in named(spec)}
    return {name: digest for name, digest in found.items() if digest}


def check(spec: Spec, recorded: Any, trust: bool, source: object) -> None:
    """Check that a checkpoint runs no code that the user has not allowed, before anything is imported.

    Args:
        spec: the checkpoint's specification.
        recorded: the hashes that the checkpoint holds, see `recorded`.
        trust: the user allows the code.
        source: the checkpoint, for messages.

    Raises:
        InputError: code is not allowed, was changed, or is not recorded.
    """
    known = recorded if isinstance(recorded, Mapping) else {}
    for registry, name in named(spec):
        if registry.is_loaded(name):
            continue
        file = registry.file(name)
        if file is None:
            continue
        files = " and ".join([str(file), *registry.local_modules(name)])
        what = f"{source} was trained with the {registry.kind} {name}, the code in {files}"
        if not trust:
            raise InputError(
                f"{what}, which would run here with all that it imports: if you trust the checkpoint and "
                "this code, allow it with --trust (trust=True in Python)"
            )
        if name not in known:
            raise InputError(f"{what}, of which it holds no hash: train it again with this version")
        if registry.fingerprint(name) != known[name]:
            raise InputError(
                f"{what}, but it has been changed since, or is another one: restore it as it was"
            )
