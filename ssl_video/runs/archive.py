"""One zip file with the records of finished runs: of each its result, partition and predictions.

Unzipped, it is a results folder. Nothing in an archive is trusted, as it may come from anybody.
"""

import errno
import os
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ssl_video.errors import DAMAGED_ARRAYS, InputError, counted, left_out, some, unknown
from ssl_video.files import is_utf8, open_regular, read_bytes, replacing
from ssl_video.runs.folder import IN_ARCHIVE, PARTITION, PREDICTIONS, RESULT, RunFolder, run_folder
from ssl_video.runs.npz import RATIO

# The archive of a published table, in the place of the folder `runs`.
FILE = "runs.zip"
_FILES = RESULT, PARTITION, PREDICTIONS
_MEMBER = re.compile(rf"runs/(?P<run>[^/\\:\0]+)/(?:{'|'.join(map(re.escape, _FILES))})")
# Bytes of one file and of all, and the number of files: temporary folders are often in memory.
_LARGEST, _ALL, _MOST = 2**28, 2**30, 300_000
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
        InputError: a record is absent, damaged, or none that `unpack` would take; the file cannot be written,
            or holds anything else than records of these runs.
    """
    _check_replaceable(path, {run.name for run in runs})
    problems = list[str]()
    try:
        with replacing(path) as file:
            with zipfile.ZipFile(file, "w") as archive:
                for name, content in _records(runs, problems):
                    info = zipfile.ZipInfo(name, _DAY)
                    info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
                    archive.writestr(info, content, zipfile.ZIP_DEFLATED, 9)
            if problems:
                raise InputError(*problems)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def _records(runs: Sequence[RunFolder], problems: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an archive: names and contents.

    Args:
        runs: the runs.
        problems: sentences about files that cannot be used are added here.

    Raises:
        InputError: they are too many, or too large together.
    """
    number, left = 0, _ALL
    for run in sorted(runs, key=lambda run: run.name):
        for name in _FILES:
            try:
                _check(run, name)
                content = read_bytes(run.path / name, _LARGEST)
            except FileNotFoundError:
                continue  # a run without test clips has no predictions
            except (InputError, OSError) as error:
                problems += getattr(error, "problems", (str(error),))
                continue
            number, left = number + 1, left - len(content)
            if number > _MOST or left < 0:
                raise InputError(
                    f"an archive has at most {_MOST:,} files and {_ALL:,} bytes, and "
                    f"{counted(len(runs), 'run', 'have')} more: select fewer"
                )
            yield f"runs/{run.name}/{name}", content


def _check(run: RunFolder, name: str) -> None:
    """Check a file of a run that is to be archived.

    Raises:
        InputError: it is damaged, or the run has a name that an archive cannot have.
    """
    if not _MEMBER.fullmatch(f"runs/{run.name}/{name}") or not is_utf8(run.name):
        raise InputError(f"{run.path} has a name that an archive cannot have: rename it")
    if name == RESULT:
        _ = run.result
    else:
        run.verify(name)


def _check_replaceable(path: Path, names: set[str]) -> None:
    """Check that a file is an archive, and would be replaced only by one of all its runs.

    Raises:
        InputError: it would not.
    """
    if not os.path.lexists(path):
        return
    unpacked = unpack(path)
    if others := sorted(unpacked.left_out):
        raise InputError(
            f"{path} holds {counted(len(others), 'file')} ({some(others, 3)}) other than records of runs, "
            "which would be lost: choose another file, or remove it"
        )
    there = {folder.name for folder in (unpacked.folder / "runs").iterdir()}
    if lost := sorted(there - names):
        raise InputError(
            f"{path} has the records of {counted(len(lost), 'run')} ({some(lost, 3)}) that would be lost: "
            "choose another file, or remove it"
        )


def unpack(path: Path) -> Unpacked:
    """Unpack an archive into a temporary folder, once in a process.

    Raises:
        InputError: it cannot be read or has too many files, or there is no space.
    """
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
        return _unpack(path.absolute(), (status.st_mtime_ns, status.st_size))
    except OSError as error:
        raise InputError(f"{path} cannot be unpacked: {error.strerror or error}") from None
    except DAMAGED_ARRAYS as error:
        raise InputError(f"{path} is no archive of runs, or was cut off: {error}") from None


@cache
def _unpack(path: Path, _version: tuple[int, int]) -> Unpacked:
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        if len(members) > _MOST:
            raise InputError(f"{path} holds {len(members):,} files: an archive of runs has {_MOST:,} at most")
        temporary = tempfile.TemporaryDirectory(prefix="ssl-video-")
        # With the archive's name, as errors name files in it.
        found = Unpacked(Path(temporary.name) / path.name, {}, temporary)
        (found.folder / "runs").mkdir(parents=True)
        (found.folder / IN_ARCHIVE).touch()
        left = _ALL
        for info in members:
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
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # zipfile takes memory without a limit for other kinds.
        raise ValueError("it is compressed in another way than by deflate")
    if info.file_size > RATIO * (info.compress_size + 1):
        raise ValueError("it is damaged")
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
