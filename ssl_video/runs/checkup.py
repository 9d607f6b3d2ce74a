"""Check the files of a run's folder, without changing any: what is damaged, and the consequence."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ssl_video.data.damage import Finding
from ssl_video.data.partitions import partition_file
from ssl_video.errors import InputError
from ssl_video.files import parse_json, read_bytes
from ssl_video.runs import fold_logits, identity, predictions, pseudo_labels
from ssl_video.runs.folder import (
    CHECKPOINT,
    DYNAMICS,
    FOLD_LOGITS,
    METRICS,
    PARTITION,
    PREDICTIONS,
    PREVIOUS_CHECKPOINT,
    PSEUDO_LABELS,
    RESULT,
    SPEC,
    TRACKERS,
    VALIDATION,
    VALIDATION_PREDICTIONS,
    WEIGHTS,
    RunFolder,
)
from ssl_video.runs.jsonl import Mark, checksum
from ssl_video.runs.result import Result
from ssl_video.spec import build, plain

_REPEATED = "the run is left out of tables; its command trains it again, and keeps these files aside"
_RESUMED = "the run is left out of tables; its command resumes from the checkpoint"
_REFUSED = "it is refused by all that reads it; remove the run's folder and run it again to have it back"
_REWRITTEN = "it is written again when the command of the run is repeated"
_COPIED = (
    "tables and models use the copies in the result and the weights; train and watch cannot use this one"
)
# Of a finished run by an older version, whose result has no checksums, they are read to find damage.
_READERS: dict[str, Callable[[Path], object]] = {
    METRICS: lambda file: RunFolder(file.parent).metrics,
    VALIDATION: lambda file: RunFolder(file.parent).validation,
    PARTITION: lambda file: RunFolder(file.parent).partition,
    PREDICTIONS: lambda file: predictions.read(file.parent),
    VALIDATION_PREDICTIONS: lambda file: predictions.read(file.parent, VALIDATION_PREDICTIONS),
    PSEUDO_LABELS: lambda file: pseudo_labels.read(file.parent),
    FOLD_LOGITS: lambda file: fold_logits.read(file.parent),
}
_OPTIONAL = {
    DYNAMICS: "ssl-video analyze dynamics RUN --again rebuilds it",
    TRACKERS: "trackers begin a new run when this one resumes",
}


def check(run: RunFolder) -> Iterator[Finding]:
    """Yield the damaged files of a run's folder; nothing is changed.

    A folder of which the run has not written its specification yet is none of a run.
    """
    try:
        os.listdir(run.path)
    except OSError as error:
        yield Finding(run.path, _reason(error), "the run is left out of tables until it can be read")
        return
    if not (run.exists or run.has_result):
        if run.has_checkpoint or (run.path / WEIGHTS).exists():
            yield Finding(
                run.path / SPEC, "it is missing", f"this is no run's folder to any command; {_REWRITTEN}"
            )
        return
    result = None
    if run.has_result:
        try:
            result = run.read_result()
            if run.in_results and result.run != run.name:
                raise ValueError(f"it is of the run {result.run}")
        except (OSError, ValueError) as error:
            remedy = _RESUMED if run.has_checkpoint else _REPEATED
            yield Finding(run.path / RESULT, _reason(error), remedy)
            if not run.has_checkpoint:
                return  # the other files are described by it
            result = None
    yield from _specification(run, result)
    yield from _finished(run, result) if result else _unfinished(run)
    for name, remedy in _OPTIONAL.items():
        yield from _told(run, name, remedy, lambda file: parse_json(read_bytes(file)))


def _specification(run: RunFolder, result: Result | None) -> Iterator[Finding]:
    try:
        found = run.spec
        if result and not identity.same_settings(plain(found), plain(build(dict(result.spec)))):
            raise InputError("it is not the specification in the result")
    except InputError as error:
        yield Finding(run.path / SPEC, _reason(error), _COPIED if result else _REWRITTEN)


def _finished(run: RunFolder, result: Result) -> Iterator[Finding]:
    """Check the files that a result describes."""
    for name, read in _READERS.items():
        if name in result.files or (run.path / name).exists():
            yield from _told(run, name, _REFUSED, read, absent=True)
    if (run.path / WEIGHTS).exists():
        yield from _told(run, WEIGHTS, _REFUSED, lambda file: _weights(file, run))
    else:
        yield Finding(run.path / WEIGHTS, "it is missing", _REFUSED)


def _unfinished(run: RunFolder) -> Iterator[Finding]:
    """Check checkpoints and the records that go with the one that the run resumes from."""
    yield from _told(run, PARTITION, _REWRITTEN, partition_file.read)
    usable, damaged = dict[str, Any](), list[tuple[Path, str]]()
    for name in (CHECKPOINT, PREVIOUS_CHECKPOINT):
        file = run.path / name
        if file.exists():
            try:
                found = _weights(file, run)
                usable = usable or found
            except InputError as error:
                damaged.append((file, _reason(error)))
    remedy = "the run resumes from the other checkpoint" if usable else "the run starts from scratch"
    yield from (Finding(file, reason, remedy) for file, reason in damaged)
    for name, mark in (usable.get("records") or {}).items():
        size, expected, *_ = Mark(*mark)
        try:
            whole = checksum(run.path / name, size) == (size, expected)
            reason = "it was changed or removed since the run wrote it"
        except OSError as error:
            whole, reason = False, _reason(error)
        if not whole:
            yield Finding(
                run.path / name,
                reason,
                "the record restarts empty when the run resumes, and the file is kept aside",
            )


def _weights(file: Path, run: RunFolder) -> dict[str, Any]:
    """Return a checkpoint of a run.

    Raises:
        InputError: it is damaged, or of another run.
    """
    from ssl_video.runs import checkpoint  # imports torch, which takes seconds

    state = checkpoint.load(file)
    if (run.has_result and run.finished()) or run.exists:
        try:
            fault = identity.foreign(state, run)
        except InputError:
            fault = ""  # the specification cannot be read, which is reported
        if fault:
            raise InputError(f"it {fault}")
    return state


def _told(
    run: RunFolder, name: str, remedy: str, read: Callable[[Path], object], *, absent: bool = False
) -> Iterator[Finding]:
    """Yield a finding if a file cannot be read; `absent`: also if there is none."""
    file = run.path / name
    if not (absent or file.exists()):
        return
    try:
        read(file)
    except (InputError, OSError, ValueError) as error:
        yield Finding(file, _reason(error), remedy)


def _reason(error: Exception) -> str:
    """Return the message of an error in one line."""
    text = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return text.splitlines()[0]
