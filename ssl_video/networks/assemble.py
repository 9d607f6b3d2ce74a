"""Build an algorithm and its networks from a specification."""

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ssl_video import Teacher, backbones
from ssl_video.backbones import pretrained
from ssl_video.backbones.probe import Probe
from ssl_video.backbones.transformers import ModelSettings
from ssl_video.backbones.weights import WeightReport
from ssl_video.contract import Algorithm, Network, Task
from ssl_video.data.importers import absolute, predictions
from ssl_video.data.pool import requests
from ssl_video.data.views.augment import RECIPES
from ssl_video.data.views.sampling import ClipShape
from ssl_video.errors import InputError, unknown
from ssl_video.networks import devices, fine_tuning
from ssl_video.networks.fine_tuning import FineTuning
from ssl_video.networks.plugins import named
from ssl_video.registry import algorithms
from ssl_video.registry import backbones as backbone_registry
from ssl_video.spec import NetworkSpec, Spec, check_options, configuration

ALGORITHM, EMA = "algorithm", "ema"  # the parts of an assembly


@dataclass(frozen=True)
class Assembly:
    """An algorithm, and the clip shape of each of its networks, the first role first.

    Attributes:
        average: the moving average of the first role's network, if the specification asks for one.
        fine_tuned: the networks that are trained otherwise below their heads.
    """

    algorithm: Algorithm
    shapes: dict[str, ClipShape]
    average: Teacher | None = None
    fine_tuned: tuple[FineTuning, ...] = ()

    def shape_for(self, predictor: str) -> ClipShape:
        """Return the shape of a predictor's clips: its role's, or the first role's."""
        return self.shapes.get(predictor, next(iter(self.shapes.values())))

    def parts(self) -> list[nn.Module]:
        """Return all modules with weights."""
        return [self.algorithm, self.average] if self.average else [self.algorithm]

    def predictors(self) -> dict[str, nn.Module]:
        """Return the algorithm's predictors, and the average as "ema"; the first is the headline."""
        predictors = self.algorithm.predictors()
        return predictors | {EMA: self.average} if self.average else predictors

    def begin(self, step: int) -> bool:
        """Set modes and trained parameters for a step, see `FineTuning.begin`.

        The algorithm has to be in training mode.

        Returns:
            Whether other parameters are trained than before.
        """
        changed = [network.begin(step) for network in self.fine_tuned]
        return any(changed)

    def after_step(self) -> None:
        """Update the average after an optimizer step."""
        if self.average:
            self.average.update(self.algorithm.get_submodule(next(iter(self.shapes))))

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return all weights and buffers, by part."""
        states = {ALGORITHM: self.algorithm.state_dict()}
        return states | {EMA: self.average.state_dict()} if self.average else states

    def load(self, state: Mapping[str, Any]) -> None:
        """Load weights and buffers that `state` returned.

        Raises:
            RuntimeError: the weights do not fit.
            KeyError: a part is absent.
        """
        self.algorithm.load_state_dict(state[ALGORITHM])
        if self.average:
            self.average.load_state_dict(state[EMA])


def resolve(spec: Spec, device: torch.device) -> Spec:
    """Fill in all values of a specification that its algorithm and the device determine.

    All of the algorithm's options and networks are spelled out; the run-wide backbone and clip are those
    of the first network. The network of an algorithm that is fitted at once has a linear probe.

    Raises:
        InputError: every problem with names, options and networks, at once.
    """
    constructor = _constructor(spec)
    problems: list[str] = []
    options = spec.options
    try:
        options = check_options(spec.algorithm, constructor, spec.options)
    except InputError as error:
        problems += error.problems
    if (option := constructor.predictions_from) and option not in options:
        problems.append(f"{spec.algorithm}.predictions_from names {option!r}, which is none of its options")
    roles = dict(constructor.roles)
    problems += [unknown(f"network of {spec.algorithm}", r, roles) for r in spec.networks if r not in roles]
    networks = {}
    for number, (role, request) in enumerate(roles.items()):
        try:
            spec, networks[role] = _network(spec, role, request, first=number == 0)
        except InputError as error:
            problems += error.problems
    common = next(iter(networks.values())).probe if networks else None
    if constructor.at_once:
        # The run's own stays as given: a setting that is shared with the methods it is compared with.
        common = common if spec.probe == "none" else spec.probe
        frozen = {role for role, network in networks.items() if network.probe != "none"}
        networks |= {role: networks[role].model_copy(update={"probe": "linear"}) for role in frozen}
    if len(networks) == len(roles):
        problems += fine_tuning.unused(spec, networks)
    if problems:
        raise InputError(*dict.fromkeys(problems))
    main = next(iter(networks.values())).model_dump(exclude={"architecture"}) | {"probe": common}
    precision = spec.precision
    if precision == "auto":
        precision = devices.automatic_precision(device)
    names = {"algorithm": algorithms.full_name(spec.algorithm)}
    return spec.model_copy(
        update={**main, **names, "options": options, "networks": networks, "precision": precision}
    )


def assemble(
    spec: Spec, task: Task, *, trained: bool = False, modules: Mapping[str, nn.Module] | None = None
) -> Assembly:
    """Build a resolved specification's networks and algorithm.

    Args:
        spec: a resolved specification.
        task: the problem.
        trained: whether the weights will come from a checkpoint, so that no initial weights are read.
        modules: the caller's own networks by role, used in place of backbones.

    Raises:
        InputError: every backbone that cannot be built, weights that do not fit, and weights of other
            classes for a network that is not trained.
    """
    networks, loaded = _networks(spec, task, trained, modules or {})
    make: Callable[..., Algorithm] = _constructor(spec)
    algorithm = make(task, **networks, **spec.options)
    algorithm.label_smoothing = spec.label_smoothing
    problems = [
        f"networks.{role}.weights: {spec.algorithm} does not train this network, so it has to know the "
        f"classes; {loaded[role]}"
        for role in algorithm.frozen
        if role in loaded and (loaded[role].classes or (spec.partial_weights and loaded[role].partial))
    ]
    problems += [
        f"networks.{role}.probe: {spec.algorithm} does not train this network, so the head of a probe would "
        f"stay random: --set networks.{role}.probe=none"
        for role in algorithm.frozen
        if isinstance(networks[role], Probe)
    ]
    tuned = list[FineTuning]()
    for role, network in spec.networks.items():
        if fine_tuning.has(network) and role not in algorithm.frozen:
            with _placed(problems, role, spec):
                tuned.append(FineTuning(networks[role], network, spec, task.num_classes))
    if problems:
        raise InputError(*problems)
    shapes = {role: _shape(network) for role, network in spec.networks.items()}
    if spec.ema and EMA in algorithm.predictors():
        raise InputError(f"{spec.algorithm} has a predictor {EMA!r} of its own: leave out --ema")
    average = Teacher(algorithm.get_submodule(next(iter(shapes))), spec.ema) if spec.ema else None
    return Assembly(algorithm, shapes, average, tuple(tuned))


def check(spec: Spec, num_classes: int, known: dict[str, Probe] | None = None) -> Algorithm:
    """Build everything without memory or weights, to report errors before any decoding.

    Args:
        spec: a resolved specification.
        num_classes: number of classes.
        known: the frozen networks of specifications that were checked before, which are not built again;
            those of this one are added.

    Returns:
        The algorithm, on torch's meta device.

    Raises:
        InputError: see `assemble`; weights that do not exist, or none for a network that is not
            trained; a view with an unknown augmentation or network, or a frame rate that its network's clip
            does not have.
    """
    problems = list[str]()
    for role, network in spec.networks.items():
        try:
            if network.weights:
                pretrained.find(network.weights, str(network.backbone))
        except InputError as error:
            problems += [f"networks.{role}.weights: {problem}" for problem in error.problems]
    try:
        with torch.device("meta"):
            task, known = Task(num_classes, 1), {} if known is None else known
            keys = {role: f"{network!r} {spec.size} {num_classes}" for role, network in spec.networks.items()}
            # A copy shares the frozen network, whose trial passes take most of the time.
            copies = {role: copy.deepcopy(known[key]) for role, key in keys.items() if key in known}
            networks, _ = _networks(spec, task, True, copies)
            new = {keys[role]: n for role, n in networks.items() if isinstance(n, Probe)}
            known |= copy.deepcopy(new)
            assembly = assemble(spec, task, trained=True, modules=networks)
        algorithm, shapes = assembly.algorithm, assembly.shapes
        problems += [
            f"{spec.algorithm} does not train its network {role!r}: give its weights, "
            f"--set networks.{role}.weights=FILE"
            for role in algorithm.frozen
            if not spec.networks[role].weights
        ]
        for name, view in (*algorithm.labeled.items(), *algorithm.unlabeled.items()):
            where = f"in view {name!r} of {spec.algorithm}"
            if view.augmentation not in RECIPES:
                problems.append(unknown(f"augmentation {where}", view.augmentation, RECIPES))
            if view.network is not None and view.network not in algorithm.roles:
                problems.append(unknown(f"network {where}", view.network, algorithm.roles))
                continue
            try:
                requests({name: view}, shapes)
            except InputError as error:
                problems += [f"view {name!r} of {spec.algorithm}: {problem}" for problem in error.problems]
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(*problems)
    return algorithm


def configured(spec: Spec) -> str:
    """Return the configuration hash of a resolved specification, see `spec.configuration`.

    Plugins' code, weights and predictions count with their content; of predictions, where they are does not.

    Raises:
        InputError: weights or predictions that cannot be read.
    """
    option = _constructor(spec).predictions_from
    here = spec.model_copy(update={"options": {**spec.options, option: ""}}) if option else spec
    return configuration(here, _source(spec))


def _source(spec: Spec) -> str:
    """Return the parts of a run's identity beside `spec`: plugins' code, hashes of weights and tables."""
    networks = spec.networks.values()
    code = [registry.code(name) for registry, name in named(spec)]
    code = [text for text in dict.fromkeys(code) if text]
    weights = [pretrained.find(n.weights, str(n.backbone)).identity() for n in networks if n.weights]
    option = _constructor(spec).predictions_from
    files = [predictions.identity(str(spec.options[option]))] if option else []
    return "\0".join(code + weights + files)


def with_absolute_predictions(spec: Spec) -> Spec:
    """Return a resolved specification whose file of predictions, if it has one, has an absolute path."""
    option = _constructor(spec).predictions_from
    if not option or not spec.options[option]:
        return spec
    return spec.model_copy(update={"options": {**spec.options, option: str(absolute(spec.options[option]))}})


def label(spec: Spec) -> str:
    """Return a label of the networks: "slow_r50", or "primary=slow_r50 auxiliary=slow_r50*0.25".

    A probe is named behind its backbone: "slow_r50 (linear probe)"; so is motion: "slow_r50 (motion)".
    """
    words = {role: _words(network) for role, network in spec.networks.items()}
    if len(words) == 1:
        return next(iter(words.values()))
    return " ".join(f"{role}={word}" for role, word in words.items())


def _words(network: NetworkSpec) -> str:
    name = f"{network.backbone}*{network.width:g}" if network.width != 1 else str(network.backbone)
    more = ["motion"] if network.input == "motion" else []
    more += [f"{network.probe} probe"] if network.probe and network.probe != "none" else []
    return f"{name} ({', '.join(more)})" if more else name


def _network(spec: Spec, role: str, request: Network, first: bool) -> tuple[Spec, NetworkSpec]:
    """Resolve one role's network: the user's values, else the algorithm's request relative to the run.

    Returns:
        The specification, with the clip of the first network's own model if the user set none; the network.
    """
    given = spec.networks.get(role, NetworkSpec())
    probe = given.probe or spec.probe
    # A frozen network needs weights: those of the run, unless the method's own backbone is given some.
    requested = request.backbone if probe == "none" or given.weights else None
    name = backbone_registry.full_name(given.backbone or requested or spec.backbone)
    backbones.find(name)
    # A known architecture is that of a resolved specification, whose folder may be gone.
    own = None if given.architecture else backbones.find_settings(name)
    if own and first:
        spec = _with_clip(spec, own, request.rate)
    stride = given.stride
    if stride is None:
        if spec.stride % request.rate:
            raise InputError(
                f"{spec.algorithm}'s network {role!r} takes {request.rate} times the run's frame rate, and "
                f"stride {spec.stride} cannot be divided by {request.rate}: choose another stride, or set "
                f"networks.{role}.stride and networks.{role}.frames"
            )
        stride = spec.stride // request.rate
    # The run's weights fit a frozen network if it is the same one.
    same = first or (probe != "none" and name == backbone_registry.full_name(spec.backbone))
    weights = given.weights or (spec.weights if same else None)
    if own and own.has_weights:
        weights = weights or pretrained.PRETRAINED
    # A prefix belongs to the file that it was given with.
    prefix = given.weights_prefix or (spec.weights_prefix if first or (same and not given.weights) else None)
    if prefix and not weights:
        raise InputError(
            f"weights_prefix {prefix!r} chooses a part of a file, and the network {role!r} of "
            f"{spec.algorithm} has no weights: give them as well, or leave weights_prefix out"
        )
    if probe != "none" and not weights:
        raise InputError(
            f"a probe freezes the network {role!r} of {spec.algorithm}, which has no weights, so its "
            f"features would be random: give them, --weights or --set networks.{role}.weights=FILE, or train "
            f"all of it, --set networks.{role}.probe=none"
        )
    network = NetworkSpec(
        backbone=name,
        # Weights exist at full width, and a frozen network costs no training.
        width=given.width or spec.width * (request.width if probe == "none" else 1),
        frames=given.frames or spec.frames * request.rate,
        stride=stride,
        weights=weights,
        weights_prefix=prefix,
        probe=probe,
        input=given.input or spec.input,
        dropout=spec.dropout if given.dropout is None else given.dropout,
        **fine_tuning.resolve(spec, role, given, probe=probe, weights=bool(weights)),
        architecture=given.architecture or (own.architecture if own else None),
    )
    return spec, network


def _with_clip(spec: Spec, own: ModelSettings, rate: int) -> Spec:
    """Return a specification with the frames and the size of a model, where the user set none."""
    clip = {"frames": own.frames and max(1, own.frames // rate), "size": own.size}
    unset = {key: value for key, value in clip.items() if value and key not in spec.model_fields_set}
    return spec.model_copy(update=unset)


@contextmanager
def _placed(problems: list[str], role: str, spec: Spec) -> Iterator[None]:
    """Collect a network's problems, with the key that changes it: the user may be unaware of a second one."""
    try:
        yield
    except InputError as error:
        place = f"networks.{role}: " if len(spec.networks) > 1 else ""
        problems += [place + problem for problem in error.problems]


def _networks(
    spec: Spec, task: Task, trained: bool, modules: Mapping[str, nn.Module]
) -> tuple[dict[str, nn.Module], dict[str, WeightReport]]:
    """Build every role's network, and return them with the reports on initial weights."""
    networks, loaded, problems = dict[str, nn.Module](), dict[str, WeightReport](), list[str]()
    for number, (role, network) in enumerate(spec.networks.items()):
        if role in modules:
            networks[role] = modules[role]
            continue
        assert network.backbone is not None
        assert network.width is not None
        assert network.frames is not None
        # Every network starts from its own seed, so the first one starts the same for all algorithms.
        torch.manual_seed(spec.seed + 1_000_003 * number)
        with _placed(problems, role, spec):
            networks[role] = backbones.create(
                network.backbone,
                task.num_classes,
                width=network.width,
                frames=network.frames,
                size=spec.size,
                weights=None if trained else network.weights,
                partial=spec.partial_weights,
                prefix=network.weights_prefix,
                probe=None if network.probe == "none" else network.probe,
                motion=network.input == "motion",
                architecture=network.architecture,
                loaded=functools.partial(loaded.__setitem__, role),
            )
            if network.dropout:
                fine_tuning.add_dropout(networks[role], network.dropout, task.num_classes, network.backbone)
    if problems:
        raise InputError(*problems)
    return networks, loaded


def _constructor(spec: Spec) -> type[Algorithm]:
    """Return the class of a specification's algorithm."""
    entry: Any = algorithms.get(spec.algorithm)
    if not (inspect.isclass(entry) and issubclass(entry, Algorithm)):
        raise InputError(f"{spec.algorithm} is not a subclass of ssl_video.Algorithm")
    return entry


def _shape(network: NetworkSpec) -> ClipShape:
    assert network.frames is not None
    assert network.stride is not None
    return ClipShape(network.frames, network.stride)
