"""The result of a finished run: the only schema of its record and of the leaderboard's columns."""

import json
import zlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ssl_video.data.index import INSTEAD_OF_TEST
from ssl_video.errors import shortened
from ssl_video.files import parse_json
from ssl_video.spec import sentences

FORMAT: Literal[2] = 2
_FEW = 100  # clips, below which an accuracy is known to ten points at best
_CHECKSUM = "checksum"
_STRICT = ConfigDict(extra="ignore", frozen=True, strict=True)


class Accuracies(BaseModel):
    """Accuracies of one network, as fractions in [0, 1]; with five classes or fewer there is no top5."""

    model_config = _STRICT

    top1: float = Field(ge=0, le=1)
    top5: float | None = Field(ge=0, le=1)
    mean_class: float = Field(ge=0, le=1)


class Environment(BaseModel):
    """The machine and the library versions of a run."""

    model_config = _STRICT

    ssl_video: str
    torch: str = Field(description="version of torch")
    python: str
    system: str
    device: str = Field(description="CPU or GPU that the run was computed on")
    threads: int = Field(description="CPU threads of each process: another number rounds sums differently")
    processes: int = Field(description="processes that shared the run")
    decoder: str


class Result(BaseModel):
    """The record of a finished run.

    A field with a description is a column of leaderboard.csv; see `COLUMNS`. Without a test part `test` is 0,
    the accuracies are None, and `predictors` is empty.
    """

    model_config = _STRICT

    format: Literal[2] = FORMAT
    run: str = Field(description="name of the run's folder")
    algorithm: str = Field(description="name of the algorithm")
    options: dict[str, Any] = Field(description="the algorithm's own hyper-parameters, as JSON")
    backbone: str = Field(
        description="its networks: a backbone, or role=backbone for several, *width where narrowed"
    )
    initialisation: str = Field(description="where the initial weights come from; scratch: random")
    setting: str = Field(
        pattern="^s", description="hash of what comparable runs share: network, clip, steps, optimizer, test"
    )
    configuration: str = Field(
        pattern="^c", description="hash of the whole specification except data, protocol, draw and seed"
    )
    frames: int = Field(description="frames per clip")
    stride: int = Field(description="distance between frames of a clip, in frames of the file")
    size: int = Field(description="side of the square crop, in pixels")
    steps: int = Field(description="optimizer steps")
    dataset: str = Field(description="name of the data set")
    dataset_fingerprint: str = Field(pattern="^d", description="hash of the data set's clips and labels")
    protocol: str = Field(description="rule by which the labeled clips are chosen")
    labeled_in_unlabeled: bool = Field(
        description="whether the labeled clips are also used as unlabeled ones"
    )
    validation: FiniteFloat = Field(
        description="labeled clips kept for validation: a fraction below 1, or a number per class; 0: none"
    )
    draw: int = Field(description="number of the random draw of labels")
    seed: int = Field(description="seed of initial weights, batches and augmentation")
    fingerprint: str = Field(
        pattern="^p", description="hash of the exact partition: which clips are labeled, unlabeled and test"
    )
    labeled: int = Field(description="labeled training clips")
    unlabeled: int = Field(description="unlabeled training clips")
    without_label: int = Field(0, description="those of them that have no label at all; others' are hidden")
    test: int = Field(description="test clips")
    classes: int = Field(description="classes")
    predictor: str = Field(description="the network whose accuracies these are")
    top1: float | None = Field(
        ge=0,
        le=1,
        description="fraction of test clips whose class is the first guess, in [0, 1]; empty: no test clip",
    )
    top5: float | None = Field(
        ge=0,
        le=1,
        description="fraction of test clips whose class is among the first five guesses, in [0, 1]; empty: "
        "five classes or fewer",
    )
    mean_class: float | None = Field(
        ge=0,
        le=1,
        description="mean over classes of the fraction of their test clips guessed right, in [0, 1]",
    )
    predictors: dict[str, Accuracies]
    validation_accuracies: dict[str, Accuracies]
    # Of a run on all labels, by a cross-validation with the same settings: of each predictor over all folds,
    # and of the headline in each fold; and the clips that were tested. A class of one source video has none.
    expected_accuracies: dict[str, Accuracies] = Field(default_factory=dict)
    expected_by_fold: list[FiniteFloat] = Field(default_factory=list)
    expected_clips: int = 0
    # Absent from records of versions that fitted none.
    temperatures: dict[str, FiniteFloat] = Field(default_factory=dict)
    seconds: FiniteFloat = Field(description="duration of training and evaluation, in seconds")
    train_seconds: FiniteFloat
    # Older versions did not measure it.
    data_wait: FiniteFloat = Field(
        default=0.0, description="fraction of the training in which it waited for clips, in [0, 1]"
    )
    test_seconds: FiniteFloat
    clips_seen: int = Field(
        description="videos read in training; one that several networks or views see counts once"
    )
    parameters: int = Field(description="parameters of the predictor")
    parameters_trained: int = Field(description="parameters of all trained networks")
    gflops: float = Field(description="10^9 multiply-adds of the predictor for one test clip and crop")
    training_gflops: float = Field(
        description="10^9 multiply-adds of the whole training, forward and backward"
    )
    skipped_steps: int
    # Of records and arrays beside this one: size in bytes and CRC-32. Older versions kept none.
    files: dict[str, str] = Field(default_factory=dict)
    # Records that were damaged while the run was under way, so that they lack steps.
    incomplete: list[str] = Field(default_factory=list)
    pseudo_labels_used: dict[str, float]
    frame_cache: dict[str, float]
    left_out: int
    spec: dict[str, Any]
    environment: Environment
    finished: str = Field(description="when the run ended, UTC")

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a reader of the result should know: why there is no accuracy, and how to get one."""
        lost = ", ".join(self.incomplete)
        sentence = (
            f"lines of {lost} were lost while the run was under way: no number is made from them, and the "
            "weights and accuracies do not depend on them"
        )
        return (*((sentence,) if lost else ()), *self._without_accuracy)

    @property
    def _without_accuracy(self) -> tuple[str, ...]:
        if self.top1 is not None:
            return ()
        if self.expected_by_fold:
            expected, folds = self.expected_accuracies[self.predictor], self.expected_by_fold
            # Records of versions that did not count the tested clips have 0.
            clips = self.expected_clips or self.labeled
            rough = ", a rough number" if clips < _FEW else ""
            tested = "the" if clips == self.labeled else f"{clips} of the {self.labeled}"
            span = f"{100 * min(folds):.1f} to {100 * max(folds):.1f} %"
            return (
                f"expected top-1 {100 * expected.top1:.1f} %{rough}: of {tested} labeled clips in "
                f"{len(folds)} folds ({span}); evaluate shows the classes",
            )
        kept = [f"{name} {100 * scores.top1:.1f} %" for name, scores in self.validation_accuracies.items()]
        measured = [f"top-1 on its validation clips: {', '.join(kept)}"] if kept else []
        return f"no test clips, so the run has no accuracy: {INSTEAD_OF_TEST}", *measured

    @classmethod
    def read(cls, content: bytes | str) -> "Result":
        """Read a record.

        Raises:
            ValueError: the content is not the record of a finished run; the message gives the reason.
        """
        try:
            values = parse_json(content)
        except ValueError as error:
            raise ValueError(f"not valid JSON, perhaps truncated ({error})") from None
        if not isinstance(values, dict):
            raise ValueError(f"expected an object, found {type(values).__name__}")
        if values.get("format", 1) != FORMAT:
            raise ValueError(
                f"its format is {shortened(values.get('format', 1))}, this version of ssl-video reads format "
                f"{FORMAT}"
            )
        # Numbers of tables have 64 bits.
        if huge := [key for key, value in values.items() if isinstance(value, int) and abs(value) >= 2**63]:
            raise ValueError(f"{', '.join(huge)}: a number of more than 18 digits")
        checksum = values.pop(_CHECKSUM, None)
        # Older versions wrote none, and no checksums of files either.
        if (checksum is not None or values.get("files")) and checksum != _checksum(values):
            raise ValueError("its checksum is wrong, so it was damaged or edited")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ValueError("; ".join(sentences(error))) from None

    def write(self) -> str:
        """Return the record as JSON with a checksum, which `read` reads."""
        # Not by pydantic, which writes no NaN: operations that cannot be counted are NaN.
        values = self.model_dump()
        return json.dumps(values | {_CHECKSUM: _checksum(values)}, indent=1) + "\n"


def _checksum(values: dict[str, Any]) -> str:
    """Return the CRC-32 of a record's values, however they are laid out."""
    return f"{zlib.crc32(json.dumps(json.loads(json.dumps(values)), sort_keys=True).encode()):08x}"


_ENVIRONMENT = ("device", "threads", "processes", "torch")


def _columns() -> dict[str, str]:
    own = {name: field.description for name, field in Result.model_fields.items() if field.description}
    made_with = {name: str(Environment.model_fields[name].description) for name in _ENVIRONMENT}
    columns = {name: own[name] for name in _FIRST} | own | made_with
    return {name: columns[name] for name in (*(n for n in columns if n not in _LAST), *_LAST)}


# The first and the last columns; those between have the order of the schema.
_FIRST = (
    *("algorithm", "backbone", "initialisation", "dataset", "protocol", "fingerprint", "draw", "seed"),
    *("labeled", "unlabeled", "without_label", "test", "classes"),
)
_LAST = (
    *("options", "labeled_in_unlabeled", "validation", "dataset_fingerprint", "setting", "configuration"),
    *(*_ENVIRONMENT, "finished", "run"),
)
# Columns of leaderboard.csv with their descriptions.
COLUMNS = _columns()
# Their types in a table: "int64", "float64", "bool" or "text".
_NUMPY: dict[Any, str] = {int: "int64", float: "float64", float | None: "float64", bool: "bool"}
COLUMN_TYPES = {
    name: _NUMPY.get((Result.model_fields | Environment.model_fields)[name].annotation, "text")
    for name in COLUMNS
}


def row(result: Result) -> dict[str, Any]:
    """Return the columns of a result by name."""
    values = result.model_dump(include={*COLUMNS, "environment"})
    environment = values.pop("environment")
    return {name: values[name] if name in values else environment[name] for name in COLUMNS}
