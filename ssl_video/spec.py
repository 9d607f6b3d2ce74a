"""What a run is: one flat, validated specification, from YAML and flags, and its identity.

A key has one name everywhere: YAML key = command-line flag = argument = column of the leaderboard.
"""

import copy
import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from ssl_video.errors import InputError, nearest, unknown

_CONFIG = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _number(value: Any) -> Any:
    """A flag's text as a number: pydantic converts it for a number, but not for a choice of numbers."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class NetworkSpec(BaseModel):
    """One role's network, where it differs from what the algorithm asks for."""

    model_config = _CONFIG

    backbone: str | None = Field(None, description="name of the backbone")
    width: float | None = Field(None, gt=0, description="multiplier of the backbone's channels")
    frames: int | None = Field(None, ge=1, description="frames per clip")
    stride: int | None = Field(None, ge=1, description="distance between frames of a clip")
    weights: str | None = Field(
        None, description="initial weights: a local file, `pretrained` or `imagenet-lite`"
    )


class Spec(BaseModel):
    """Everything that decides the numbers of a run."""

    model_config = _CONFIG

    algorithm: str = Field("supervised", description="name, entry point, or path/to/file.py:name")
    options: dict[str, Any] = Field({}, description="the algorithm's own hyper-parameters")
    backbone: str = Field("tiny3d", description="backbone of every network that has none of its own")
    width: float = Field(1.0, gt=0, description="multiplier of the backbone's channels")
    weights: str | None = Field(
        None,
        description="initial weights of the first network: a local file, `pretrained` or `imagenet-lite`",
    )
    networks: dict[str, NetworkSpec] = Field({}, description="settings of single networks, by role")

    data: str = Field(
        "demo", description="'demo', a folder of class folders, a manifest (CSV), or an index file"
    )
    root: str | None = Field(None, description="folder that the manifest's paths start from")
    split: str = Field("split", description="manifest column that says train or test")
    protocol: str = Field("per-class:10", description="which training clips are labeled")
    draw: int | None = Field(None, ge=0, description="which random draw of labels; default: the seed")
    labeled_in_unlabeled: bool = Field(False, description="also use the labeled clips as unlabeled ones")
    validation: float = Field(
        0.0, ge=0, description="labeled clips kept for validation: a share below 1, or a number per class"
    )
    lists: str | None = Field(None, description="folder with the lists that published protocols need")

    frames: int = Field(8, ge=1, description="frames per clip")
    stride: int = Field(4, ge=1, description="distance between frames of a clip, in frames of the file")
    size: int = Field(64, ge=8, description="side of the square crop, in pixels")
    frame_format: Literal["raw", "jpeg"] = Field(
        "raw",
        description="how frames are kept: raw; jpeg takes a tenth of the disk and changes pixels slightly",
    )

    steps: int = Field(400, ge=1, description="optimizer steps")
    match: str | None = Field(
        None,
        pattern=r"^(clips|forwards|seconds):\d+(\.\d+)?$",
        description="what compared methods have as much of, in place of steps; set by a benchmark",
    )
    labeled_batch: int = Field(8, ge=1, description="labeled clips per step")
    unlabeled_batch: int = Field(16, ge=1, description="unlabeled clips per step")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="optimizer")
    learning_rate: float = Field(0.003, gt=0, description="peak learning rate")
    weight_decay: float = Field(0.01, ge=0, description="weight decay of matrices and kernels")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd")
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the steps with rising learning rate")
    clip_norm: float = Field(5.0, ge=0, description="largest gradient norm per network; 0: not clipped")
    accumulate: int = Field(1, ge=1, description="parts that a step's batch is passed through networks in")
    batch_norm: Literal["local", "sync"] = Field(
        "local", description="statistics over the clips of one process, or of all (GPU only)"
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="decay of a moving average of the weights, tested as `ema`; 0: none"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="arithmetic of the networks; auto: float32 on CPU, bfloat16 on GPU"
    )

    test_clips: int = Field(4, ge=1, description="clips per test video, evenly spaced")
    test_crops: Annotated[Literal[1, 3], BeforeValidator(_number)] = Field(
        1, description="crops per test clip along its longer side"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="seed of initial weights, batches and augmentation")

    @property
    def label_draw(self) -> int:
        """The draw of labels: `draw`, or the seed where none is given."""
        return self.seed if self.draw is None else self.draw


# What distinguishes runs inside one row of a table, and what stands in the table's columns.
CELL = (
    *("data", "root", "split"),
    *("protocol", "draw", "seed", "labeled_in_unlabeled", "validation", "lists"),
)
# What rows that are compared with each other may differ in.
METHOD = ("algorithm", "options", "networks", "unlabeled_batch")
# What an option without an annotation may be, where its default alone would say too little.
_LOOSE: dict[type, Any] = {int: int | float, type(None): Any, type: Any}


def build(values: Mapping[str, Any]) -> Spec:
    """A specification from plain values.

    Raises:
        InputError: every unknown key (with the nearest known ones) and every value of a wrong type.
    """
    try:
        return Spec.model_validate(dict(values))
    except ValidationError as error:
        raise InputError(*_sentences(error)) from None


def check_options(owner: str, constructor: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """An algorithm's options, validated against the keyword-only arguments of its constructor.

    Returns:
        Every option with its value, converted to its annotated type. Without an annotation, the default's
        type counts, where a whole number allows any number and None allows anything.

    Raises:
        InputError: all unknown options and values of a wrong type; an option without a value.
    """
    try:
        hints = get_type_hints(constructor.__init__, include_extras=True)
    except NameError:
        # Annotations that only a type checker can resolve.
        hints = {}
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(constructor).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    problems = [unknown("option", name, defaults) for name in options if name not in defaults]
    values = dict[str, Any]()
    for name, default in defaults.items():
        if name not in options and default is inspect.Parameter.empty:
            problems.append(f"option {name!r} has no default: give a value")
            continue
        kind = hints.get(name, _LOOSE.get(type(default), type(default)))
        schema = TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
        try:
            # The default is converted, too: 1 and 1.0 would otherwise be different runs.
            values[name] = schema.validate_python(options.get(name, default))
        except ValidationError as error:
            problems += _sentences(error, name)
    if problems:
        raise InputError(*(f"{owner}: {problem}" for problem in problems))
    return values


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, which would let the second of two equal keys win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys differ."""
        found = set[str]()
        for key, _ in node.value:
            # "<<" takes over another mapping's keys, which may be given again.
            if isinstance(key, yaml.ScalarNode) and not key.tag.endswith(":merge"):
                if key.value in found:
                    problem = f"{key.value} is given twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                found.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping from a YAML file.

    Raises:
        InputError: no such file, not YAML, a key given twice, or not a mapping.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {_reason(error)}") from None
    if not isinstance(values, dict):
        found = "nothing" if values is None else f"a {type(values).__name__}"
        raise InputError(f"{path}: expected 'key: value' lines, found {found}")
    return values


def override(
    values: Mapping[str, Any],
    assignments: Iterable[str],
    flag: str = "--set",
    example: str = "options.threshold=0.9",
) -> dict[str, Any]:
    """Values with `key=value` or `outer.inner=value` assignments applied; values are read as YAML.

    `flag` is what they were given as, and `example` what could have been.

    Raises:
        InputError: an assignment without '=', of what is not YAML, or into something that is not a mapping.
    """
    result = copy.deepcopy(dict(values))
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise InputError(f"{flag} {assignment}: expected key=value, for example {flag} {example}")
        *outer, last = key.strip().split(".")
        target = result
        for part in outer:
            # A key with nothing behind it, as in the line "options:", is None.
            target[part] = {} if target.get(part) is None else target[part]
            target = target[part]
            if not isinstance(target, dict):
                raise InputError(f"{flag} {assignment}: {part!r} holds a value, not further keys")
        try:
            target[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"{flag} {assignment}: the value is not valid YAML: {_reason(error)}") from None
    return result


def plain(spec: Spec) -> dict[str, Any]:
    """The specification as values that YAML and JSON can hold, without what was left open."""
    return spec.model_dump(mode="json", exclude_none=True)


def flat(values: Mapping[str, Any], outer: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}, the keys that `override` takes."""
    found = dict[str, Any]()
    for key, value in values.items():
        found |= flat(value, f"{outer}{key}.") if isinstance(value, Mapping) else {f"{outer}{key}": value}
    return found


def setting(spec: Spec) -> str:
    """Hash of what rows compared with each other share: everything but the method and the cell.

    Where methods are matched by something else than their steps, that is what they share.
    """
    own = (*CELL, *METHOD, "steps") if spec.match else CELL + METHOD
    return "s" + digest({k: v for k, v in plain(spec).items() if k not in own})


def configuration(spec: Spec, source: str = "") -> str:
    """Hash of everything but data, protocol, draw and seed; `source` is a plugin's code."""
    return "c" + digest([without_cell(plain(spec)), source])


def without_cell(values: Mapping[str, Any]) -> dict[str, Any]:
    """A specification's plain values but for data, protocol, draw and seed: what is repeated over these."""
    return {key: value for key, value in values.items() if key not in CELL}


def short_name(algorithm: str) -> str:
    """An algorithm's name without the file it comes from."""
    return algorithm.rsplit(":", 1)[-1]


def digest(value: Any) -> str:
    """Eight hex digits that identify a plain value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def _sentences(error: ValidationError, *inside: str) -> list[str]:
    """One sentence per problem that pydantic found; `inside` names what was validated, if not all."""
    sentences = []
    for problem in error.errors():
        place = ".".join(str(part) for part in (*inside, *problem["loc"]))
        if problem["type"] == "extra_forbidden":
            outer, _, last = place.rpartition(".")
            known = NetworkSpec.model_fields if outer.startswith("networks") else Spec.model_fields
            more = f" (in {outer})" if outer else ""
            if not outer and not nearest(last, known):
                more = f"; an option of an algorithm is called options.{last} here"
            sentences.append(unknown("key", last, known) + more)
        else:
            message = problem["msg"].removeprefix("Value error, ")
            sentences.append(f"{place}: {message[0].lower()}{message[1:]}, found {problem['input']!r}")
    return sentences


def _reason(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    """What is wrong with a text that is not YAML, and where."""
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    mark = getattr(error, "problem_mark", None)
    return f"{reason}, line {mark.line + 1}, column {mark.column + 1}" if mark else reason
