"""The specification of a run: its validated keys, from YAML and flags, and the hashes that identify it.

A key has one name everywhere: YAML key = command-line flag = argument = column of the leaderboard.
"""

import copy
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from ssl_video import yaml_files
from ssl_video.errors import InputError, nearest, shortened, unknown
from ssl_video.files import read_bytes
from ssl_video.options import REQUIRED, declared

_CONFIG = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _number(value: Any) -> Any:
    """Return a flag's text as a number: pydantic converts it for a number, but not for a Literal."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _text(value: Any) -> Any:
    """Return a path as a text."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _several(value: Any) -> Any:
    """Return one text or path as a tuple of one, and a list as a tuple of texts."""
    if isinstance(value, str | os.PathLike):
        return (_text(value),)
    return tuple(map(_text, value)) if isinstance(value, list | tuple) else value


_Path = Annotated[str, BeforeValidator(_text)]
# A key that may be given several times.
Several = Annotated[tuple[str, ...], BeforeValidator(_several)]
ProbeKind = Literal["none", "linear", "mlp", "attentive"]
HeadStart = Literal["random", "logistic"]
# What a network sees of its clips.
Input = Literal["frames", "motion"]
# Bound of numbers of frames, clips and folds: far above any use, and safe in 64-bit arithmetic.
LARGEST = 2**24
_DEEPEST = 20  # keys inside each other
# The protocol that depends on the data.
AUTO = "auto"


class NetworkSpec(BaseModel):
    """Settings of one role's network that differ from the algorithm's request."""

    model_config = _CONFIG

    backbone: str | None = Field(None, description="name of the backbone")
    width: float | None = Field(None, gt=0, description="multiplier of the backbone's channels")
    frames: int | None = Field(None, ge=1, le=LARGEST, description="frames per clip")
    stride: int | None = Field(None, ge=1, le=LARGEST, description="distance between frames of a clip")
    weights: str | None = Field(
        None, description="initial weights: a local file, `pretrained` or `imagenet-lite`"
    )
    weights_prefix: str | None = Field(
        None, description="prefix of the network's tensors in the file, if several fit: encoder_q"
    )
    probe: ProbeKind | None = Field(None, description="head on the frozen network; none: train all of it")
    input: Input | None = Field(None, description="frames, or motion: the differences of consecutive frames")
    backbone_learning_rate: float | None = Field(
        None, gt=0, description="multiplier of the learning rate below the head"
    )
    layer_decay: float | None = Field(
        None, gt=0, le=1, description="multiplier of the learning rate from each block to the one before"
    )
    freeze_norm: bool | None = Field(None, description="freeze batch norm")
    head_steps: float | None = Field(
        None, ge=0, lt=1, description="fraction of the steps in which the head alone is trained, before all"
    )
    head_start: HeadStart | None = Field(
        None, description="first weights of the head: random, or logistic regression on the features"
    )
    dropout: float | None = Field(
        None, ge=0, lt=1, description="probability with which an input of the head is dropped"
    )
    architecture: dict[str, Any] | None = Field(
        None, description="configuration of a model of transformers; taken from its config.json"
    )


class AugmentationSpec(BaseModel):
    """Settings of the augmentations that views request by name.

    Operations and cutout are those of `strong`, all others those of `weak` and `strong`.
    """

    model_config = _CONFIG

    flip: float = Field(0.5, ge=0, le=1, description="probability of a flip; 0 if left and right are classes")
    area: float = Field(0.5, gt=0, le=1, description="smallest area of the random crop; 1: the whole frame")
    aspect: float = Field(4 / 3, ge=1, description="largest aspect ratio of the crop; the smallest is 1 / X")
    operations: int = Field(2, ge=0, le=100, description="number of RandAugment operations")
    strength: float = Field(1.0, ge=0, le=1, description="multiplier of the operations' magnitudes")
    cutout: float = Field(0.5, ge=0, le=1, description="largest side of the grey square; 0: none")


class Spec(BaseModel):
    """All settings that determine the numbers of a run."""

    model_config = _CONFIG

    algorithm: str = Field("supervised", description="name, entry point, or path/to/file.py:name")
    options: dict[str, Any] = Field({}, description="the algorithm's own hyper-parameters")
    backbone: str = Field("tiny3d", description="backbone of every network without one of its own")
    width: float = Field(1.0, gt=0, description="multiplier of the backbone's channels")
    weights: str | None = Field(
        None,
        description="initial weights of the first network: a local file, `pretrained` or `imagenet-lite`",
    )
    weights_prefix: str | None = Field(
        None, description="prefix of the network's tensors in the file, if several fit: encoder_q"
    )
    partial_weights: bool = Field(
        False, description="load the tensors that fit, and leave the others at their initial values"
    )
    probe: ProbeKind = Field(
        "none",
        description="freeze the networks and train a head on their features: linear, mlp (one hidden layer), "
        "or attentive (a query that attends to places and frames)",
    )
    input: Input = Field(
        "frames", description="input of the networks: frames, or motion: differences of consecutive frames"
    )
    feature_copies: int = Field(
        8,
        ge=0,
        le=10**4,
        description="augmented copies of a clip whose features a probe stores and trains on; 0: augment "
        "again at every use",
    )
    backbone_learning_rate: float = Field(
        1.0,
        gt=0,
        description="multiplier of the learning rate below the head (classifier) of networks with weights",
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="multiplier of the learning rate from each block to the one before, in networks "
        "with weights",
    )
    freeze_norm: bool = Field(
        False, description="freeze batch norm of networks with weights: running averages, scales and shifts"
    )
    head_steps: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="fraction of the steps in which only the head of networks with weights is trained, "
        "before all of it (LP-FT)",
    )
    head_start: HeadStart = Field(
        "random",
        description="first weights of the head of networks with weights: random, or logistic, those of a "
        "logistic regression on the features of the labeled clips (LP-FT)",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="dropout probability in front of the classifier of every network",
    )
    networks: dict[str, NetworkSpec] = Field({}, description="settings of individual networks, by role")

    data: _Path = Field(
        "demo", description="'demo', a folder of class folders, a manifest (CSV), or an index file"
    )
    root: _Path | None = Field(None, description="folder that the manifest's paths start from")
    split: str = Field("split", description="manifest column that holds train or test")
    unlabeled: Several = Field(
        (), description="more unlabeled clips: a folder, manifest, list, index file or video; repeatable"
    )
    labels: Several = Field(
        (),
        description="file with columns path and label that adds to or corrects the labels of the data, "
        "such as clips.csv of ssl-video suggest; repeatable",
    )
    segment: float = Field(
        10.0,
        ge=0,
        description="count an unlabeled recording as clips of this many seconds, if it is at least "
        "twice as long; 0: as one clip",
    )
    keep_classes: Several = Field(
        (),
        description="treat these words as names of classes, where they otherwise mean no label: "
        "unlabeled, unknown, none, -1, ?; repeatable",
    )
    folds: int = Field(
        0,
        ge=0,
        le=LARGEST,
        description="K-fold cross-validation on the labeled clips, of which the draw is the test fold; "
        "1: train on all of them; 0: off",
    )
    protocol: str = Field(
        AUTO,
        description="rule by which the labeled training clips are chosen; auto: all if the data has "
        "unlabeled clips or folds, else per-class:10",
    )
    draw: int | None = Field(
        None, ge=0, lt=2**63, description="number of the random draw of labels; default: the seed"
    )
    labeled_in_unlabeled: bool = Field(False, description="also use the labeled clips as unlabeled ones")
    validation: float = Field(
        0.0, ge=0, description="labeled clips for validation: a fraction below 1, or a number per class"
    )
    lists: _Path | None = Field(None, description="folder with the lists that published protocols need")

    frames: int = Field(8, ge=1, le=LARGEST, description="frames per clip")
    stride: int = Field(
        4, ge=1, le=LARGEST, description="distance between frames of a clip, in frames of the file"
    )
    fps: float | None = Field(
        None,
        gt=0,
        description="sample this many frames per second, by time stamps, instead of by stride; for folders "
        "of pictures, their frame rate",
    )
    sampling: Literal["dense", "segments"] = Field(
        "dense",
        description="frames of a clip: dense, a window of frames `stride` apart; segments, one frame from "
        "each of T equal parts of the video (TSN)",
    )
    size: int = Field(64, ge=8, le=4096, description="side of the square crop, in pixels")
    frame_format: Literal["raw", "jpeg"] = Field(
        "raw",
        description="storage of frames: raw, or jpeg, a tenth of the size with slightly different pixels",
    )
    augmentation: AugmentationSpec = Field(
        AugmentationSpec(), description="crop, flip, RandAugment and cutout of the training clips"
    )

    steps: int = Field(400, ge=1, le=10**12, description="optimizer steps")
    match: str | None = Field(
        None,
        pattern=r"^(clips|forwards|seconds):\d+(\.\d+)?$",
        description="budget that compared methods share in place of steps; set by a benchmark",
    )
    labeled_batch: int = Field(8, ge=1, le=LARGEST, description="labeled clips per step")
    balance: bool = Field(False, description="draw every labeled batch evenly over the classes")
    unlabeled_batch: int = Field(16, ge=1, le=LARGEST, description="unlabeled clips per step")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="optimizer")
    learning_rate: float = Field(0.003, gt=0, description="peak learning rate")
    weight_decay: float = Field(0.01, ge=0, description="weight decay of matrices and kernels")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd")
    warmup: float = Field(0.05, ge=0, lt=1, description="fraction of the steps with rising learning rate")
    clip_norm: float = Field(5.0, ge=0, description="maximum gradient norm per network; 0: no clipping")
    accumulate: int = Field(
        1, ge=1, le=LARGEST, description="number of micro-batches per optimizer step (gradient accumulation)"
    )
    batch_norm: Literal["local", "sync"] = Field(
        "local", description="statistics over the clips of one process, or of all (GPU only)"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="fraction of a label that is spread evenly over all classes; 0: none"
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="decay of a moving average of the weights, tested as `ema`; 0: none"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="compute dtype; auto: float32 on CPU, bfloat16 on GPU"
    )

    test_clips: int = Field(4, ge=1, le=10**4, description="clips per test video, evenly spaced")
    test_crops: Annotated[Literal[1, 3], BeforeValidator(_number)] = Field(
        1, description="crops per test clip along its longer side"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="seed of initial weights, batches and augmentation")

    @staticmethod
    def parse(
        texts: Iterable[str], flag: str = "--set", example: str = "options.threshold=0.9"
    ) -> dict[str, Any]:
        """Return keys and values of `key=value` texts, see `parse_assignments`."""
        return parse_assignments(texts, flag, example)

    @property
    def label_draw(self) -> int:
        """The draw of labels: `draw`, or the seed by default."""
        return self.seed if self.draw is None else self.draw


# Keys that distinguish the runs of one row of a table: its columns, and the repetitions in a cell.
CELL = (
    *("data", "root", "split", "unlabeled", "labels", "segment", "keep_classes", "folds"),
    *("protocol", "draw", "seed", "labeled_in_unlabeled", "validation", "lists"),
)
# Keys in which compared rows may differ.
METHOD = ("algorithm", "options", "networks", "unlabeled_batch")
# Keys, with their defaults, of networks that start from weights and are trained: what is below the head.
FINE_TUNING: dict[str, Any] = {
    key: Spec.model_fields[key].default
    for key in ("backbone_learning_rate", "layer_decay", "freeze_norm", "head_steps", "head_start")
}
# Types of an option without an annotation, where the type of its default alone would be too narrow.
_LOOSE: dict[type, Any] = {int: int | float, type(None): Any, type: Any}


def build(values: Mapping[str, Any]) -> Spec:
    """Build a specification from plain values.

    Raises:
        InputError: every unknown key (with the nearest known ones) and every value of a wrong type.
    """
    try:
        return Spec.model_validate(dict(values))
    except ValidationError as error:
        raise InputError(*sentences(error)) from None


def check_options(owner: str, constructor: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Validate options of an algorithm against those that its class declares.

    Returns:
        Every option with its value, converted to its annotated type. Without an annotation, the type of the
        default applies: an integer allows any number, and None allows any value.

    Raises:
        InputError: all unknown options and values of a wrong type; an option without a value.
    """
    known = declared(constructor)
    problems = [unknown("option", name, known) for name in options if name not in known]
    values = dict[str, Any]()
    for name, (default, annotation) in known.items():
        if name not in options and default is REQUIRED:
            problems.append(f"option {name!r} has no default: give a value")
            continue
        typed = annotation is not None and not isinstance(annotation, str)
        kind = annotation if typed else _LOOSE.get(type(default), type(default))
        schema = TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
        try:
            # Converts the default, too: 1 and 1.0 would otherwise be different runs.
            values[name] = schema.validate_python(options.get(name, default))
        except ValidationError as error:
            problems += sentences(error, name)
    if problems:
        raise InputError(*(f"{owner}: {problem}" for problem in problems))
    return values


def read_yaml(path: Path, *, own: bool = False) -> dict[str, Any]:
    """Read a mapping from a YAML file.

    Args:
        path: the file.
        own: whether this program wrote it; it may then be larger.

    Raises:
        InputError: no such file, not YAML, a key given twice, or not a mapping.
    """
    try:
        limit = yaml_files.OWN_LARGEST if own else yaml_files.LARGEST
        values = yaml_files.parse(read_bytes(path, limit).decode("utf-8"), own=own)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        found = "nothing" if values is None else f"a {type(values).__name__}"
        raise InputError(f"{path}: expected 'key: value' lines, found {found}")
    return values


def parse_assignments(
    texts: Iterable[str], flag: str = "--set", example: str = "options.threshold=0.9"
) -> dict[str, Any]:
    """Return the keys and values of `key=value` texts; values are read as YAML.

    Args:
        texts: for example "options.threshold=0.9".
        flag: the flag that gave them, for messages.
        example: an example, for messages.

    Raises:
        InputError: a text without "=", or a value that is not YAML.
    """
    values = dict[str, Any]()
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{flag} {text[:100]}: expected key=value, for example {flag} {example}")
        try:
            values[key.strip()] = yaml_files.parse(value)
        except ValueError as error:
            raise InputError(f"{flag} {text[:100]}: the value is not valid YAML: {error}") from None
    return values


def override(values: Mapping[str, Any], assignments: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with assignments applied.

    Args:
        values: nested values.
        assignments: values by key; dots separate the keys of an inner value: {"options.threshold": 0.9}.

    Raises:
        InputError: an assignment into a value that holds no further keys.
    """
    result = copy.deepcopy(dict(values))
    for key, value in assignments.items():
        *outer, last = key.split(".")
        if len(outer) > _DEEPEST:
            raise InputError(f"--set {key[:100]}: too many dots")
        target = result
        for part in outer:
            # The value of an empty key, as in the line "options:", is None.
            target[part] = {} if target.get(part) is None else target[part]
            target = target[part]
            if not isinstance(target, dict):
                raise InputError(f"--set {key}: {part!r} holds a value, not further keys")
        target[last] = value
    return result


def plain(spec: Spec) -> dict[str, Any]:
    """Return the specification as values for YAML and JSON, without keys that are None."""
    return spec.model_dump(mode="json", exclude_none=True)


def flat(values: Mapping[str, Any], outer: str = "") -> dict[str, Any]:
    """Return nested values by the dotted keys that `override` takes: {"a": {"b": 1}} -> {"a.b": 1}."""
    found = dict[str, Any]()
    for key, value in values.items():
        found |= flat(value, f"{outer}{key}.") if isinstance(value, Mapping) else {f"{outer}{key}": value}
    return found


def setting(spec: Spec) -> str:
    """Return a hash of the keys that compared rows share: all but those of the method and the cell.

    Methods that are matched by another budget share that budget in place of their steps.
    """
    own = (*CELL, *METHOD, "steps") if spec.match else CELL + METHOD
    return "s" + digest({k: v for k, v in plain(spec).items() if k not in own})


def configuration(spec: Spec, source: str = "") -> str:
    """Return a hash of everything but data, protocol, draw and seed; `source` is a plugin's code."""
    return "c" + digest([without_cell(plain(spec)), source])


def without_cell(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification's plain values without data, protocol, draw and seed, which runs repeat over."""
    return {key: value for key, value in values.items() if key not in CELL}


def short_name(algorithm: str) -> str:
    """Return an algorithm's name without its file."""
    return algorithm.rsplit(":", 1)[-1]


def digest(value: Any) -> str:
    """Return eight hex digits that identify a plain value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def sentences(error: ValidationError, *inside: str) -> list[str]:
    """Return a sentence for each problem that pydantic found; `inside` is the validated key."""
    found = []
    for problem in error.errors():
        place = ".".join(str(part) for part in (*inside, *problem["loc"]))
        if problem["type"] == "extra_forbidden":
            outer, _, last = place.rpartition(".")
            known = NetworkSpec.model_fields if outer.startswith("networks") else Spec.model_fields
            more = f" (in {outer})" if outer else ""
            if not outer and not nearest(last, known):
                more = f"; an option of an algorithm is called options.{last[:100]} here"
            found.append(unknown("key", last, known) + more)
        elif problem["type"] == "missing":
            found.append(f"{place} is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            found.append(f"{place}: {message[0].lower()}{message[1:]}, found {shortened(problem['input'])}")
    return found
