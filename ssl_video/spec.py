"""What a run is: one flat, validated specification, from YAML and flags, and its identity.

A key has one name everywhere: YAML key = command-line flag = argument = column of the leaderboard.
"""

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ssl_video.errors import InputError, unknown


class NetworkSpec(BaseModel):
    """One role's network, where it differs from what the algorithm asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str | None = Field(None, description="name of the backbone")
    width: float | None = Field(None, gt=0, description="multiplier of the backbone's channels")
    frames: int | None = Field(None, ge=1, description="frames per clip")
    stride: int | None = Field(None, ge=1, description="distance between frames of a clip")
    weights: str | None = Field(None, description="local file of initial weights")


class Spec(BaseModel):
    """Everything that decides the numbers of a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    algorithm: str = Field("supervised", description="name, entry point, or path/to/file.py:name")
    options: dict[str, Any] = Field({}, description="the algorithm's own hyper-parameters")
    backbone: str = Field("tiny3d", description="backbone of every network that has none of its own")
    width: float = Field(1.0, gt=0, description="multiplier of the backbone's channels")
    weights: str | None = Field(None, description="local file of initial weights for the first network")
    networks: dict[str, NetworkSpec] = Field({}, description="settings of single networks, by role")

    data: str = Field("demo", description="'demo', a folder of class folders, or a manifest CSV")
    root: str | None = Field(None, description="folder that the manifest's paths start from")
    split: str = Field("split", description="manifest column that says train or test")
    protocol: str = Field("per-class:10", description="which training clips are labeled")
    draw: int | None = Field(None, ge=0, description="which random draw of labels; default: the seed")
    labeled_in_unlabeled: bool = Field(False, description="also use the labeled clips as unlabeled ones")

    frames: int = Field(8, ge=1, description="frames per clip")
    stride: int = Field(4, ge=1, description="distance between frames of a clip, in frames of the file")
    size: int = Field(64, ge=8, description="side of the square crop, in pixels")

    steps: int = Field(400, ge=1, description="optimizer steps")
    labeled_batch: int = Field(8, ge=1, description="labeled clips per step")
    unlabeled_batch: int = Field(16, ge=1, description="unlabeled clips per step")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="optimizer")
    learning_rate: float = Field(0.003, gt=0, description="peak learning rate")
    weight_decay: float = Field(0.01, ge=0, description="weight decay of matrices and kernels")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd")
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the steps with rising learning rate")
    clip_norm: float = Field(5.0, ge=0, description="largest gradient norm per network; 0: not clipped")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="arithmetic of the networks; auto: float32 on CPU, bfloat16 on GPU"
    )

    test_clips: int = Field(4, ge=1, description="clips per test video, evenly spaced")
    test_crops: Literal[1, 3] = Field(1, description="crops per test clip along its longer side")
    seed: int = Field(0, ge=0, description="seed of initial weights, batches and augmentation")

    @property
    def label_draw(self) -> int:
        """The draw of labels: `draw`, or the seed where none is given."""
        return self.seed if self.draw is None else self.draw


# What distinguishes runs inside one row of a table, and what stands in the table's columns.
_CELL = ("data", "root", "split", "protocol", "draw", "seed", "labeled_in_unlabeled")
# What rows that are compared with each other may differ in.
_METHOD = ("algorithm", "options", "networks", "unlabeled_batch")


def build(values: Mapping[str, Any]) -> Spec:
    """A specification from plain values.

    Raises:
        InputError: every unknown key (with the nearest known ones) and every value of a wrong type.
    """
    try:
        return Spec.model_validate(dict(values))
    except ValidationError as error:
        raise InputError(*_sentences(error, Spec.model_fields)) from None


def check_options(owner: str, constructor: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """An algorithm's options, validated against the keyword-only arguments of its constructor.

    Raises:
        InputError: unknown options and values of a wrong type.
    """
    hints = get_type_hints(constructor.__init__)
    fields: dict[str, Any] = {
        name: (hints.get(name, type(parameter.default)), parameter.default)
        for name, parameter in inspect.signature(constructor).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    schema = create_model("Options", __config__=ConfigDict(extra="forbid"), **fields)
    try:
        return schema.model_validate(dict(options)).model_dump()
    except ValidationError as error:
        raise InputError(*(f"{owner}: {s}" for s in _sentences(error, fields, "option"))) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping from a YAML file.

    Raises:
        InputError: no such file, not YAML, or not a mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {str(error).splitlines()[0]}{_place(error)}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected 'key: value' lines, found {type(values).__name__}")
    return values


def override(values: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Values with `key=value` or `outer.inner=value` assignments applied; values are read as YAML.

    Raises:
        InputError: an assignment without '=', or into something that is not a mapping.
    """
    result: dict[str, Any] = json.loads(json.dumps(values))
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise InputError(
                f"--set {assignment}: expected key=value, for example --set options.threshold=0.9"
            )
        *outer, last = key.strip().split(".")
        target = result
        for part in outer:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise InputError(f"--set {assignment}: {part!r} holds a value, not further keys")
        target[last] = yaml.safe_load(value)
    return result


def plain(spec: Spec) -> dict[str, Any]:
    """The specification as plain values, without what was left open."""
    return spec.model_dump(exclude_none=True)


def setting(spec: Spec) -> str:
    """Hash of what rows compared with each other share: everything but the method and the cell."""
    return "s" + digest({k: v for k, v in plain(spec).items() if k not in _CELL + _METHOD})


def configuration(spec: Spec, source: str = "") -> str:
    """Hash of everything but data, protocol, draw and seed; `source` is a plugin's code."""
    return "c" + digest([{k: v for k, v in plain(spec).items() if k not in _CELL}, source])


def digest(value: Any) -> str:
    """Eight hex digits that identify a plain value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def _sentences(error: ValidationError, known: Iterable[str], kind: str = "key") -> list[str]:
    """One sentence per problem that pydantic found."""
    sentences = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            outer, _, last = place.rpartition(".")
            inside = NetworkSpec.model_fields if outer.startswith("networks") else known
            sentences.append(unknown(kind, last, inside) + (f" (in {outer})" if outer else ""))
        else:
            message = problem["msg"].removeprefix("Value error, ")
            sentences.append(f"{place}: {message[0].lower()}{message[1:]}, found {problem['input']!r}")
    return sentences


def _place(error: Exception) -> str:
    """Where in the file a YAML error is."""
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
