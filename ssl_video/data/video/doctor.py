"""Look at every file of a data set once, keep what was found, and sum it up."""

import contextlib
import csv
import hashlib
import io
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ssl_video.data.frames import known
from ssl_video.data.frames.known import Video
from ssl_video.data.index import Index
from ssl_video.data.paths import cache_dir
from ssl_video.data.video.decode import decoder_name
from ssl_video.data.video.examine import TOO_SLOW, Probe, examine, too_slow
from ssl_video.data.video.probe import Facts, probe
from ssl_video.errors import InputError
from ssl_video.files import replacing

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Report:
    """What a look at a data set found.

    Attributes:
        facts: (N,) what each row's file holds.
        looked: how many files were decoded for it; the others were known.
    """

    facts: list[Facts]
    looked: int

    def reasons(self, index: Index) -> dict[str, str]:
        """Reasons by id of the clips that cannot be used."""
        return {index.ids[row]: facts.reason for row, facts in enumerate(self.facts) if facts.reason}

    def copies(self) -> list[list[int]]:
        """Rows that hold the same bytes, for each content that is there more than once."""
        rows = defaultdict(list)
        for row, facts in enumerate(self.facts):
            if facts.content and not facts.reason:
                rows[facts.content].append(row)
        return [group for group in rows.values() if len(group) > 1]


def look(
    source: Path,
    index: Index,
    jobs: int,
    seconds: float,
    *,
    again: bool = False,
    progress: Progress | None = None,
    probe: Probe = probe,
) -> Report:
    """Probe every file that was not probed since it changed.

    What is found is kept as it comes, so that a run that was stopped goes on where it was; and the number
    of frames is noted where the frame store looks for it.

    Args:
        source: the folder, manifest or index file that the index was read from.
        index: the clips; files that are missing or empty are among them.
        jobs: files at a time.
        seconds: time limit of one file.
        again: forget what was found before.
        progress: called with the number of files done and the number to do.
        probe: what to do with a file.

    Raises:
        InputError: the cache folder cannot be written.
    """
    store = _Kept(source)
    stamps = [_stamp(path) for path in index.paths]
    before = {} if again else store.read()
    found: dict[int, Facts] = {}
    for row, name in enumerate(index.ids):
        stamp, facts = before.get(name, ("", None))
        # More time than before may help a file that took too long.
        slow = facts and facts.reason.startswith(TOO_SLOW) and facts.reason != too_slow(seconds)
        if facts and stamp and stamp == stamps[row] and not slow:
            found[row] = facts
    missing = [(row, path) for row, path in enumerate(index.paths) if row not in found]
    folder = cache_dir() / "frames"
    with store.writing(anew=again) as keep:
        tasks = examine(missing, min(jobs, max(len(missing), 1)), seconds, probe) if missing else iter(())
        for done, (row, facts) in enumerate(tasks, 1):
            found[row] = facts
            if stamps[row]:
                keep(index.ids[row], stamps[row], facts)
            if not facts.reason:
                known.note(folder, index.paths[row], Video(facts.content, facts.frames))
            if progress:
                progress(done, len(missing))
    return Report([found[row] for row in range(len(index))], len(missing))


def write_report(path: Path, index: Index, report: Report) -> None:
    """Everything that was found, one row a file, as CSV or, where the name ends so, as JSON.

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
            text = io.StringIO()
            names = ["path", "label", "split", *(field.name for field in fields(Facts))]
            table = csv.DictWriter(text, names, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
            file.write(text.getvalue().encode())
    except OSError as error:
        raise InputError(f"cannot write the report {path}: {error.strerror or error}") from None


class _Kept:
    """What was found in the files of one data set, as lines of JSON in the cache folder."""

    def __init__(self, source: Path) -> None:
        # Another decoder may find something else.
        key = hashlib.sha256(os.fsencode(f"{os.path.abspath(source)}|{decoder_name()}")).hexdigest()[:32]
        self.path = cache_dir() / "doctor" / f"{key}.jsonl"

    def read(self) -> dict[str, tuple[str, Facts]]:
        """By id: the file's stamp, and what was found. A line that was cut off by a kill is left out."""
        found = {}
        with contextlib.suppress(FileNotFoundError), self.path.open(encoding="utf-8") as lines:
            for line in lines:
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    entry = json.loads(line)
                    name, stamp = entry.pop("path"), entry.pop("stamp")
                    found[name] = stamp, Facts(**entry)
        return found

    @contextlib.contextmanager
    def writing(self, anew: bool) -> Iterator[Callable[[str, str, Facts], None]]:
        """A function (id, stamp, facts) that keeps what was found, at once.

        Raises:
            InputError: it cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("wb" if anew else "ab") as file:
                # The line before may have been cut off.
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
    """What changes when a file does: size and time of change; empty where there is no file."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return f"{status.st_size}-{status.st_mtime_ns}"
