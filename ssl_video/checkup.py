"""Check a results folder and the caches: the call behind `ssl-video doctor`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_video.data import checkup as of_caches
from ssl_video.data.damage import Finding
from ssl_video.data.paths import cache_dir
from ssl_video.errors import InputError
from ssl_video.names import Place
from ssl_video.observer import Observer, observer
from ssl_video.runs import checkup as of_run
from ssl_video.runs.folder import all_folders

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Checkup:
    """The state of the stored files of runs and caches.

    Attributes:
        runs: number of folders among those of runs, empty and foreign ones included.
        cached: number of files in the caches.
        findings: the damaged files, runs first.
    """

    runs: int
    cached: int
    findings: Sequence[Finding]

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per damaged file; columns: the attributes of `Finding`."""
        import pandas as pd  # takes half a second

        rows = [finding._asdict() | {"path": str(finding.path)} for finding in self.findings]
        return pd.DataFrame(rows, columns=list(Finding._fields))


def check_storage(
    results: Place | None = "ssl-video-results",
    cache: Place | None = None,
    *,
    progress: bool | Observer | None = None,
) -> Checkup:
    """Read every file of the runs of a results folder and of the caches, and return the damaged ones.

    Nothing is changed. Files are compared with their checksums, so that everything is read once.

    Args:
        results: the results folder; None: only the caches are checked.
        cache: the folder of the caches; None: SSL_VIDEO_CACHE, or the user's cache folder.
        progress: True, False, or an observer; None: shown where there is a terminal or a notebook.

    Raises:
        InputError: this is no results folder, there is no such cache folder, or one cannot be read.
    """
    folder, found = Path(cache) if cache is not None else cache_dir(), list[Finding]()
    if cache is not None and not folder.is_dir():
        raise InputError(f"there is no cache folder {folder}")
    runs = list(all_folders(results)) if results is not None else []
    if results is not None and not runs:
        raise InputError(
            f"{results} is not a results folder: it has no folder of a run in {Path(results) / 'runs'}; "
            "`ssl-video bench` makes one, and `ssl-video data doctor` checks the files of a data set"
        )
    with observer(progress).preparing() as report:
        for done, run in enumerate(runs, 1):
            found += of_run.check(run)
            report("runs", done, len(runs))
        cached, damaged = of_caches.check(folder, report)
    return Checkup(len(runs), cached, tuple(found + damaged))
