"""The folder of a run: the names of its files, and their readers.

Only `load_model` imports torch.
"""

import contextlib
import itertools
import os
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ssl_video import yaml_files
from ssl_video.errors import InputError
from ssl_video.files import read_bytes, replace_text
from ssl_video.runs import jsonl, lock
from ssl_video.runs.result import Result
from ssl_video.spec import Spec, build, plain, read_yaml

if TYPE_CHECKING:
    from ssl_video.inference.export import Exported
    from ssl_video.inference.model import Model
    from ssl_video.runs.predictions import Predictions
    from ssl_video.runs.pseudo_labels import PseudoLabels

SPEC, PARTITION, LEFT_OUT, LOG = "spec.yaml", "partition.txt", "left-out.txt", "log.txt"
METRICS, VALIDATION, RESULT = "metrics.jsonl", "validation.jsonl", "result.json"
TRACKERS = "trackers.json"
PREDICTIONS, PSEUDO_LABELS, DYNAMICS = "predictions.npz", "pseudo-labels.npz", "dynamics.json"
VALIDATION_PREDICTIONS, FOLD_LOGITS = "validation-predictions.npz", "fold-logits.npz"
UNFINISHED_PSEUDO_LABELS = "pseudo-labels.jsonl"
CHECKPOINT, PREVIOUS_CHECKPOINT, NEXT_CHECKPOINT = (
    "checkpoint.pt",
    "checkpoint-previous.pt",
    "checkpoint-next.pt",
)
WEIGHTS = "final.safetensors"
ARRAYS = PREDICTIONS, VALIDATION_PREDICTIONS, FOLD_LOGITS, PSEUDO_LABELS
# The files that a finished run leaves beside its result, and that a repeated run writes again.
_OF_RESULT = (*ARRAYS, METRICS, VALIDATION, DYNAMICS, WEIGHTS)
_RUNS, _ASIDE = "runs", "damaged"
# Beside the runs of an unpacked archive, which has some files of each.
IN_ARCHIVE = "unpacked-archive"
_BACK = "remove the run's folder and run it again to have it back"
_LARGEST = 2**26  # bytes of a result; usual ones have some thousands


class RunFolder:
    """The folder of one run, finished or under way.

    Args:
        path: the folder, which need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """The name of the folder, which identifies the run."""
        return self.path.name

    @property
    def results(self) -> Path:
        """The results folder that the run is in."""
        return self.path.absolute().parent.parent

    @property
    def in_results(self) -> bool:
        """True if the folder is one of a results folder, so that its name is the run's."""
        return self.path.absolute().parent.name == _RUNS

    @property
    def exists(self) -> bool:
        """True if this is the folder of a run that has begun."""
        return os.path.isfile(self.path / SPEC)

    @property
    def is_running(self) -> bool | None:
        """True while a process of this machine carries out the run; None if another machine did last."""
        return lock.is_locked(self.path)

    @property
    def has_checkpoint(self) -> bool:
        """True if the run was stopped and can be resumed."""
        return any(os.path.exists(self.path / name) for name in (CHECKPOINT, PREVIOUS_CHECKPOINT))

    @property
    def has_result(self) -> bool:
        """True if there is a result, even a damaged one."""
        return os.path.exists(self.path / RESULT)

    def finished(self, run: str = "") -> Result | None:
        """Return the result; None if the run is unfinished or its result cannot be read.

        Args:
            run: the identity that the result must have; empty: any, as a folder may have been renamed.
        """
        try:
            result = self.read_result()
        except (OSError, ValueError):
            return None
        return result if run in ("", result.run) else None

    def set_aside(self, run: str, resumes: Callable[[], bool]) -> str:
        """Move a result that is damaged or of another run away, so that a new one replaces no file.

        The files that it describes are moved with it, unless the run resumes, which writes them again. If the
        process is killed meanwhile, the next one moves the rest.

        Args:
            run: the run's identity.
            resumes: returns whether the run has a checkpoint that can be used.

        Returns:
            A sentence about it; empty: there is nothing to move.
        """
        if not self.has_result or self.finished(run):
            return ""
        from_checkpoint = self.has_checkpoint and resumes()
        kept = next(path for path in self._asides() if not os.path.lexists(path / RESULT))
        kept.mkdir(exist_ok=True)
        # The result is the last, as it tells that there is something to move.
        for name in (RESULT,) if from_checkpoint else (*_OF_RESULT, RESULT):
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.path / name, kept / name)
        again = "resumes from its checkpoint" if from_checkpoint else "is trained again"
        file = self.path / RESULT
        return f"{file} is damaged or belongs to another run: it is kept in {kept}, and the run {again}"

    def _asides(self) -> Iterator[Path]:
        """Yield folders for files that are set aside: damaged, damaged-1, ..."""
        yield self.path / _ASIDE
        for number in itertools.count(1):
            yield self.path / f"{_ASIDE}-{number}"

    def read_result(self) -> Result:
        """Read the result.

        Raises:
            OSError: there is none, or it cannot be read.
            ValueError: it is damaged, or of another format; the message gives the reason.
        """
        return Result.read(read_bytes(self.path / RESULT, _LARGEST))

    @property
    def result(self) -> Result:
        """The result of the finished run.

        Raises:
            InputError: the run is not finished, this is no run's folder, or the result is damaged.
        """
        file = self.path / RESULT
        if os.path.isdir(self.path / _RUNS):
            raise InputError(
                f"{self.path} is a results folder: give the folders of runs, {self.path / _RUNS}/*"
            )
        try:
            return self.read_result()
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(
                f"{self.path} is not the folder of a finished run: it holds no {RESULT}"
            ) from None
        except (OSError, ValueError) as error:
            error = getattr(error, "strerror", None) or error
            raise InputError(f"{file} cannot be used: {error}; rerun the command of the run") from None

    @property
    def spec(self) -> Spec:
        """The resolved specification.

        Raises:
            InputError: there is none, or it is damaged.
        """
        values = read_yaml(self.path / SPEC, own=True)
        try:
            return build(values)
        except InputError as error:
            raise InputError(*(f"{self.path / SPEC}: {problem}" for problem in error.problems)) from None

    @property
    def spec_file(self) -> Path:
        """The file of the specification, which `ssl-video train` and `config` of `train` read."""
        return self.path / SPEC

    @property
    def metrics(self) -> pd.DataFrame:
        """Losses, pseudo-label metrics and learning rate, one row per step.

        Raises:
            InputError: the file is damaged.
        """
        return pd.DataFrame(self.lines(METRICS))

    @property
    def validation(self) -> pd.DataFrame:
        """Accuracies on the validation clips: columns step, predictor, top1, top5 and mean_class.

        Raises:
            InputError: the file is damaged.
        """
        rows = [
            {"step": line["step"], "predictor": name, **scores}
            for line in self.lines(VALIDATION)
            for name, scores in line.items()
            if name != "step"
        ]
        return pd.DataFrame(rows, columns=["step", "predictor", "top1", "top5", "mean_class"])

    @cached_property
    def predictions(self) -> "Predictions":
        """The likeliest classes of every test clip, by predictor.

        Raises:
            InputError: the run is not finished or has no test clips, or the file is damaged.
        """
        from ssl_video.runs import predictions

        return predictions.read(self.path)

    @cached_property
    def pseudo_labels(self) -> "PseudoLabels":
        """Every pseudo-label of the run.

        Raises:
            InputError: its algorithm produces none, the run is not finished, or the file is damaged.
        """
        from ssl_video.runs import pseudo_labels

        return pseudo_labels.read(self.path)

    @property
    def has_pseudo_labels(self) -> bool:
        """True if the run's pseudo-labels are stored; also if its result lists a file that was removed."""
        result = self.finished()
        return os.path.exists(self.path / PSEUDO_LABELS) or bool(result and PSEUDO_LABELS in result.files)

    @cached_property
    def partition(self) -> pd.DataFrame:
        """The labeled, validation and unused clips: columns id, label and part.

        Raises:
            InputError: the file is absent, or was changed.
        """
        from ssl_video.data.partitions import partition_file

        self.verify(PARTITION)
        try:
            content = partition_file.read(self.path / PARTITION)
        except OSError as error:
            raise InputError(f"cannot read {self.path / PARTITION}: {error.strerror}") from None
        rows = range(len(content.paths))
        columns = (content.paths, content.labels, content.parts)
        values = ([str(column[row]) for row in rows] for column in columns)
        return pd.DataFrame(dict(zip(("id", "label", "part"), values, strict=True)))

    @property
    def log(self) -> str:
        """The text that the run's processes have printed, warnings and errors included."""
        try:
            return read_bytes(self.path / LOG).decode(errors="replace")
        except OSError:
            return ""

    def model(self, device: str = "auto", *, trust: bool = False) -> "Model":
        """Load the trained networks; while the run is under way, those of its last checkpoint.

        Args:
            device: "auto", "cpu", "cuda" or "cuda:1".
            trust: see `load_model`.

        Raises:
            InputError: there are none, they are damaged, their code is not allowed to run, or there is no
                such device.
        """
        return load_model(self.path, device, trust=trust)

    def export(
        self, path: str | os.PathLike[str], predictor: str | None = None, *, trust: bool = False
    ) -> "Exported":
        """Write a trained network as an `.onnx` or `.pt2` file, see `Model.export`.

        Raises:
            InputError: see `model` and `Model.export`.
        """
        return self.model("cpu", trust=trust).export(path, predictor)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return the objects of a JSON-lines file; while it is being written, the complete lines.

        Raises:
            InputError: the file is damaged.
        """
        self.verify(name)
        return jsonl.read(self.path / name)

    def verify(self, name: str) -> None:
        """Check that a file is as the finished run wrote it, and absent only if the run wrote none.

        Unfinished runs and those of older versions have no checksums.

        Raises:
            InputError: it was removed or changed, or is of another run.
        """
        file, result = self.path / name, self.finished()
        if not result or not result.files:
            return
        expected = result.files.get(name)
        archived = os.path.exists(self.results / IN_ARCHIVE)
        again = "the archive was edited" if archived else _BACK
        try:
            found = stamp(file) if os.path.lexists(file) else None
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror or error}") from None
        if expected and found is None:
            if archived:
                raise InputError(f"{file} is not in the archive, which has few of a run's files")
            raise InputError(f"{file} was removed: {RESULT} lists it; {again}")
        # With other ends of lines, as some version control systems write them, a partition is the same.
        if found != expected and not (name == PARTITION and expected == stamp(file, lines=True)):
            raise InputError(
                f"{file} is damaged or of another run: its checksum is not the one in {RESULT}; {again}"
            )

    def write_spec(self, spec: Spec) -> None:
        """Write the resolved specification, in the form that `ssl-video train` reads.

        Raises:
            InputError: it is too large to be read again.
        """
        try:
            text = yaml_files.write(plain(spec))
        except ValueError as error:
            raise InputError(f"the specification cannot be kept in {self.path / SPEC}: {error}") from None
        replace_text(self.path / SPEC, text)

    def write_result(self, result: Result) -> None:
        """Write the result, which marks the run as finished."""
        replace_text(self.path / RESULT, result.write())


def stamp(file: Path, *, lines: bool = False) -> str:
    """Return the size of a file in bytes and its CRC-32, as text.

    Args:
        file: the file.
        lines: count and sum it as if its lines ended with "\\n" alone.
    """
    if lines:
        content = read_bytes(file).replace(b"\r\n", b"\n")
        return f"{len(content)} {zlib.crc32(content):08x}"
    size, checksum = jsonl.checksum(file)
    return f"{size} {checksum:08x}"


def run_folder(results: str | os.PathLike[str], name: str) -> RunFolder:
    """Return the folder of the run with this name in a results folder."""
    return RunFolder(Path(results) / _RUNS / name)


def run_folders(results: str | os.PathLike[str]) -> Iterator[RunFolder]:
    """Return the folders of all runs of a results folder that have begun, by name."""
    return _folders(results, SPEC)


def finished_folders(results: str | os.PathLike[str]) -> Iterator[RunFolder]:
    """Return the folders of all runs of a results folder that have a result, by name."""
    return _folders(results, RESULT)


def all_folders(results: str | os.PathLike[str]) -> Iterator[RunFolder]:
    """Return all folders among those of the runs of a results folder, by name, whatever they hold."""
    return _folders(results, "")


def _folders(results: str | os.PathLike[str], file: str) -> Iterator[RunFolder]:
    """Yield the folders that hold a file, by name, and those of which that cannot be known.

    The latter, such as another user's, are reported when they are read.

    Args:
        results: the results folder.
        file: name of the file; empty: the folder itself.

    Raises:
        InputError: the folder of all runs cannot be read.
    """
    runs = Path(results) / _RUNS
    try:
        names = sorted(os.listdir(runs))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise InputError(f"cannot read {runs}: {error.strerror or error}") from None
    for name in names:
        try:
            os.stat(os.path.join(runs, name, file))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            pass
        yield RunFolder(runs / name)


def open_run(path: str | os.PathLike[str]) -> RunFolder:
    """Open the folder of a run.

    Args:
        path: the folder, RESULTS/runs/NAME.

    Raises:
        InputError: this is not the folder of a run.
    """
    folder = RunFolder(path)
    if folder.exists:
        return folder
    if os.path.isdir(folder.path / _RUNS):
        inside = next(iter(run_folders(path)), None)
        raise InputError(
            f"{path} is a results folder: give the folder of one run"
            + (f", such as {inside.path}" if inside else "")
        )
    raise InputError(f"{path} is not the folder of a run: it holds no {SPEC}")


def load_model(path: str | os.PathLike[str], device: str = "auto", *, trust: bool = False) -> "Model":
    """Load the trained networks of a run.

    Args:
        path: a run's folder, from which the final or else the newest checkpoint is loaded; or a checkpoint.
        device: "auto", "cpu", "cuda" or "cuda:1".
        trust: allow that the code of an algorithm or backbone that is not part of this package is run (a
            Python file that the checkpoint names, or an installed plugin), if its hash is the one that the
            checkpoint holds. Code that this process has imported before needs no permission.

    Raises:
        InputError: there is no checkpoint, it is damaged, its code is not allowed to run or was changed, or
            there is no such device.
    """
    if not Path(path).exists():
        raise InputError(f"there is no checkpoint {path}")
    from ssl_video.inference.load import load  # imports torch, which takes seconds
    from ssl_video.networks.devices import choose_device

    return load(Path(path), choose_device(device), trust)
