"""Examine every file of a data set once, store the findings, and summarize them."""

import contextlib
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ssl_video import csv_cells
from ssl_video.data.frames import video_facts
from ssl_video.data.frames.timeline import duration
from ssl_video.data.frames.video_facts import VideoFacts
from ssl_video.data.index import Index
from ssl_video.data.paths import cache_dir
from ssl_video.data.progress import CountProgress
from ssl_video.data.segments import file_of
from ssl_video.data.video.container import DecodeError, decoder_name
from ssl_video.data.video.examine import TOO_SLOW, Probe, examine
from ssl_video.data.video.probe import Facts, probe
from ssl_video.errors import InputError
from ssl_video.files import open_regular, replacing


@dataclass(frozen=True)
class DoctorReport:
    """Findings about the files of a data set.

    Attributes:
        facts: (N,) facts about each row's file.
        looked: number of files decoded for it; the others were known.
    """

    facts: list[Facts]
    looked: int

    def reasons(self, index: Index) -> dict[str, str]:
        """Return the reason for each clip that cannot be used, by id."""
        return {index.ids[row]: facts.reason for row, facts in enumerate(self.facts) if facts.reason}

    def copies(self, index: Index) -> list[list[int]]:
        """Return groups of rows with identical files, for each content that several files have.

        The segments of one file are no copies of each other: it is in the group by its first row.
        """
        rows = defaultdict[str, list[int]](list)
        for row in _first_rows([file_of(name) for name in index.ids]).values():
            facts = self.facts[row]
            if facts.content and not facts.reason:
                rows[facts.content].append(row)
        return [group for group in rows.values() if len(group) > 1]


def look(
    source: Path,
    index: Index,
    decoders: int,
    seconds: float,
    *,
    again: bool = False,
    progress: CountProgress | None = None,
    probe: Probe = probe,
) -> DoctorReport:
    """Probe every file that was not probed since it changed.

    Findings are stored immediately, so a stopped run resumes where it was. The number of frames is recorded
    for the frame store.

    Args:
        source: the folder, manifest or index file that the index was read from.
        index: the clips, including those whose files are missing or empty.
        decoders: number of files probed at a time.
        seconds: time limit of one file.
        again: ignore earlier findings.
        progress: called with the number of files done and the total.
        probe: function that examines one file.

    Raises:
        InputError: the cache folder cannot be written.
    """
    store = _Kept(source)
    # The segments of a file are the clips of several rows; the file is examined once.
    files = [file_of(path) for path in index.paths]
    stamps = {path: _stamp(path) for path in files}
    before = {} if again else store.read()
    found: dict[str, Facts] = {}
    for path, name in zip(files, index.ids, strict=True):
        stamp, facts = before.get(file_of(name), ("", None))
        # A file that took too long may succeed with a higher limit, or on a machine that has less to do.
        slow = facts and facts.reason.startswith(TOO_SLOW)
        if facts and stamp and stamp == stamps[path] and not slow:
            found[path] = facts
    missing = [(row, path) for path, row in _first_rows(files).items() if path not in found]
    folder = cache_dir() / "frames"
    with store.writing(replace=again) as keep:
        tasks = examine(missing, min(decoders, max(len(missing), 1)), seconds, probe) if missing else iter(())
        for done, (row, facts) in enumerate(tasks, 1):
            path = files[row]
            found[path] = facts
            if stamps[path]:
                keep(file_of(index.ids[row]), stamps[path], facts)
            if not facts.reason:
                with contextlib.suppress(DecodeError):  # it may be gone by now
                    stated = 0.0 if os.path.isdir(path) else duration(path)
                    video_facts.note(folder, path, VideoFacts(facts.content, facts.frames, stated))
            if progress:
                progress(done, len(missing))
    return DoctorReport([found[path] for path in files], len(missing))


def _first_rows(files: Sequence[str]) -> dict[str, int]:
    """Return the first row of each file."""
    found = dict[str, int]()
    for row, path in enumerate(files):
        found.setdefault(path, row)
    return found


def write_report(path: Path, index: Index, report: DoctorReport) -> None:
    """Write all findings, one row per file, as CSV, or as JSON if the name ends with .json.

    Raises:
        InputError: the file cannot be written.
    """
    rows = [
        {"path": index.ids[row], "label": index.label[row], "split": index.splits[row], **asdict(facts)}
        for row, facts in enumerate(report.facts)
    ]
    try:
        with replacing(path) as file:
            if path.suffix == ".json":
                file.write(json.dumps(rows, indent=1, ensure_ascii=False).encode())
                return
            names = ["path", "label", "split", *(field.name for field in fields(Facts))]
            cells = ([row[name] for name in names] for row in map(csv_cells.mark_row, rows))
            file.write("".join(map(csv_cells.line, [names, *cells])).encode())
    except OSError as error:
        raise InputError(f"cannot write the report {path}: {error.strerror or error}") from None


class _Kept:
    """Stored findings about the files of one data set, as lines of JSON in the cache folder."""

    def __init__(self, source: Path) -> None:
        # Another decoder may have other findings.
        key = hashlib.sha256(os.fsencode(f"{os.path.abspath(source)}|{decoder_name()}")).hexdigest()[:32]
        self.path = cache_dir() / "doctor" / f"{key}.jsonl"

    def read(self) -> dict[str, tuple[str, Facts]]:
        """Return each file's stamp and facts, by id. Lines truncated by a kill are skipped."""
        found = {}
        with contextlib.suppress(OSError), open_regular(self.path) as lines:
            for line in lines:
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    entry = json.loads(line)
                    name, stamp = entry.pop("path"), entry.pop("stamp")
                    found[name] = stamp, Facts(**entry)
        return found

    @contextlib.contextmanager
    def writing(self, replace: bool) -> Iterator[Callable[[str, str, Facts], None]]:
        """Yield a function (id, stamp, facts) that stores findings immediately.

        Raises:
            InputError: the findings cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open_regular(self.path, "ab") as file:
                if replace:
                    file.truncate(0)
                    file.seek(0)
                # The previous line may be truncated.
                file.write(b"\n" if file.tell() else b"")

                def keep(name: str, stamp: str, facts: Facts) -> None:
                    entry = {"path": name, "stamp": stamp, **asdict(facts)}
                    file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
                    file.flush()

                yield keep
        except OSError as error:
            raise InputError(
                f"cannot write {self.path}: {error.strerror or error}; set SSL_VIDEO_CACHE to another folder"
            ) from None


def _stamp(path: str) -> str:
    """Return a stamp that changes with a file: size and modification time; empty if there is no file."""
    try:
        return "-".join(map(str, video_facts.stamp(path)))
    except OSError:
        return ""
