"""One zip file with the records of finished runs: of each its result, partition and predictions.

Unzipped, it is a results folder. Nothing in an archive is trusted, as it may come from anybody.
"""

import errno
import os
import re
import stat
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ssl_video.errors import DAMAGED_ARRAYS, InputError, counted, left_out, some, unknown
from ssl_video.files import open_regular, read_bytes, replacing
from ssl_video.runs.folder import IN_ARCHIVE, PARTITION, PREDICTIONS, RESULT, RunFolder, run_folder

# The archive of a published table, in the place of the folder `runs`.
FILE = "runs.zip"
_FILES = RESULT, PARTITION, PREDICTIONS
_MEMBER = re.compile(rf"runs/(?P<run>[^/\\:\0]+)/(?:{'|'.join(map(re.escape, _FILES))})")
_LARGEST, _ALL = 2**30, 2**34  # bytes of one file, and of all
_DAY = 1980, 1, 1, 0, 0, 0  # the first that a zip file can name: equal runs give equal archives
_ONE_READ = 2**20


@dataclass(frozen=True)
class Unpacked:
    """The content of an archive.

    Attributes:
        folder: a results folder, which is removed when this process ends.
        left_out: the reason why a member was not unpacked, by its name.
    """

    folder: Path
    left_out: dict[str, str]
    _temporary: "tempfile.TemporaryDirectory[str]" = field(repr=False)

    @property
    def problems(self) -> list[str]:
        """A sentence for each reason, with its members."""
        return left_out({f"{self.folder.name}: {name}": reason for name, reason in self.left_out.items()})


def write(path: Path, runs: Sequence[RunFolder]) -> None:
    """Write the records of finished runs; equal records give equal bytes.

    Raises:
        InputError: a record is absent or damaged; the file cannot be written, is no archive, or holds runs
            that are not among these.
    """
    _check_replaceable(path, {run.name for run in runs})
    contents, problems = dict[str, bytes](), list[str]()
    for run in sorted(runs, key=lambda run: run.name):
        for name in _FILES:
            try:
                _check(run, name)
                contents[f"runs/{run.name}/{name}"] = read_bytes(run.path / name)
            except FileNotFoundError:
                continue  # a run without test clips has no predictions
            except (InputError, OSError) as error:
                problems += getattr(error, "problems", (str(error),))
    if problems:
        raise InputError(*problems)
    try:
        with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
            for name, content in contents.items():
                info = zipfile.ZipInfo(name, _DAY)
                info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
                archive.writestr(info, content, zipfile.ZIP_DEFLATED, 9)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def _check(run: RunFolder, name: str) -> None:
    """Check a file of a run that is to be archived.

    Raises:
        InputError: it is damaged.
    """
    if name == RESULT:
        _ = run.result
    else:
        run.verify(name)


def _check_replaceable(path: Path, names: set[str]) -> None:
    """Check that a file would be replaced only by an archive of all its runs.

    Raises:
        InputError: it would not.
    """
    if not os.path.lexists(path):
        return
    there = {folder.name for folder in (unpack(path).folder / "runs").iterdir()}
    if lost := sorted(there - names):
        raise InputError(
            f"{path} has the records of {counted(len(lost), 'run')} ({some(lost, 3)}) that would be lost: "
            "choose another file, or remove it"
        )


def unpack(path: Path) -> Unpacked:
    """Unpack an archive into a temporary folder, once in a process.

    Raises:
        InputError: it cannot be read, or there is no space.
    """
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
        return _unpack(path.absolute(), (status.st_mtime_ns, status.st_size))
    except zipfile.BadZipFile as error:
        raise InputError(f"{path} is no archive of runs, or was cut off: {error}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be unpacked: {error.strerror or error}") from None


@cache
def _unpack(path: Path, _version: tuple[int, int]) -> Unpacked:
    temporary = tempfile.TemporaryDirectory(prefix="ssl-video-")
    # With the archive's name, as errors name files in it.
    found = Unpacked(Path(temporary.name) / path.name, {}, temporary)
    (found.folder / "runs").mkdir(parents=True)
    (found.folder / IN_ARCHIVE).touch()
    left = _ALL
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            try:
                left -= _take(archive, info, found.folder, left)
            except ValueError as error:
                found.left_out[info.orig_filename] = str(error)
    return found


def _take(archive: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path, left: int) -> int:
    """Unpack one member of an archive, and return its size in bytes.

    Args:
        archive: the archive.
        info: the member.
        folder: the results folder to unpack it into.
        left: bytes that it may have at most.

    Raises:
        OSError: there is no space.
        ValueError: it is none of an archive of runs, or damaged; the message gives the reason.
    """
    name = _MEMBER.fullmatch(info.orig_filename)
    if not name or name["run"] in (".", ".."):
        raise ValueError(f"an archive holds runs/RUN/{{{','.join(_FILES)}}} alone")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ValueError("it is a symbolic link")
    if info.flag_bits & 1:
        raise ValueError("it is encrypted")
    if info.file_size > min(_LARGEST, left):
        raise ValueError(f"it is larger than {_LARGEST:,} bytes, or all files are larger than {_ALL:,}")
    target = folder / info.orig_filename
    try:
        target.parent.mkdir(exist_ok=True)
        file = target.open("xb")
    except FileExistsError:
        raise ValueError("the archive holds it twice") from None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise ValueError("its name is too long") from None
    # zipfile reads no more than the size that was checked.
    with file:
        try:
            with archive.open(info) as source:
                while content := source.read(_ONE_READ):
                    file.write(content)
            return info.file_size
        except DAMAGED_ARRAYS as error:
            target.unlink()
            if isinstance(error, OSError) and error.errno:
                raise
            raise ValueError("it is damaged") from None


def in_archive(path: Path) -> Path:
    """Return the folder of a run: of ARCHIVE/RUN the unpacked one, of any other path the path itself.

    Raises:
        InputError: the archive cannot be read, has no such run, or a file of the run is damaged there.
    """
    if not os.path.isfile(path.parent):
        return path
    unpacked = unpack(path.parent)
    folder = run_folder(unpacked.folder, path.name).path
    own = {name: why for name, why in unpacked.left_out.items() if name.startswith(f"runs/{path.name}/")}
    if own:
        raise InputError(*left_out({f"{path.parent}: {name}": why for name, why in own.items()}))
    if not folder.is_dir():
        known = [folder.name for folder in folder.parent.iterdir()]
        raise InputError(unknown(f"run of {path.parent}", path.name, known))
    return folder
