"""Files of the features of clips: float16 arrays by what determines them, within a size limit.

    <set>/about.json     what determines the numbers of the set; its time is that of the last use
    <set>/used           locked by the processes that use the set, for as long as they live
    <set>/<pack>.items   the items of a pack, a line each; locked by the process that computes them
    <set>/<pack>.f16     their features, once all of them are computed, with checksums; see `pack`

A set is named by a digest of `about.json`, and a pack by one of its items. What is not as it was written is
removed, with a warning once, and computed again.

An item is a clip: its video's content, and the number of the copy that was drawn from it. Items that a set
lacks make new packs. Processes that need the same items share the work: each takes packs that no living
process is computing. A process that is killed loses one pack. One that lacks videos of a pack makes other
packs of the rest, and shares these with those that lack the same videos. When the limit is reached, the
sets that no process uses are removed, the least recently used first.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ssl_video.data.damage import DamagedError, OutdatedError
from ssl_video.data.features import pack
from ssl_video.data.features.pack import TYPE, Pack
from ssl_video.data.progress import CountProgress
from ssl_video.errors import InputError
from ssl_video.files import open_regular, read_bytes, replacing

# (content of the video, number of the copy)
Item = tuple[str, int]
# Yields the features of some items. It is closed if their set cannot store them.
Compute = Callable[[Sequence[Item]], Generator[np.ndarray, None, None]]

ABOUT, _USED, ITEMS, ARRAY = "about.json", "used", ".items", ".f16"
# Packs of new items: this many, as far as their sizes stay within the bounds.
_PACKS, _SMALLEST, _LARGEST = 32, 32, 256
_POLL = 0.2  # seconds between looks at the packs that other processes compute


class SetFiles(NamedTuple):
    """A stored set.

    Attributes:
        folder: its folder.
        about: what determines its numbers.
        items: number of its stored items.
        size: their size in bytes.
        claimed: size with the items that are still to be computed, in bytes.
        used: time of the last use in seconds since 1970.
    """

    folder: Path
    about: dict[str, Any]
    items: int
    size: int
    claimed: int
    used: float


class FeatureSet:
    """The stored features of one network for one kind of clip.

    Args:
        folder: the folder of all sets.
        about: what determines the numbers, as values for JSON.
        shape: shape of an item's features.
        limit: largest size of all sets in bytes.

    Raises:
        InputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], shape: tuple[int, ...], limit: int) -> None:
        text = json.dumps({**about, "shape": list(shape)}, sort_keys=True, indent=1)
        self.all, self.shape, self.limit = folder, shape, limit
        self.folder = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
        self._bytes = _bytes(shape)
        self._packs: list[str] = []
        self._where: dict[Item, tuple[int, int]] = {}
        self._open: dict[int, Pack] = {}
        self._told = False
        try:
            self._claim = _claimed(self.folder)
            if not (self.folder / ABOUT).exists() or read_bytes(self.folder / ABOUT) != text.encode():
                with replacing(self.folder / ABOUT) as file:
                    file.write(text.encode())
            os.utime(self.folder / ABOUT)
        except OSError as error:
            raise _unwritable(folder, error) from None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for another process: the one that made the set protects it from removal."""
        return {**self.__dict__, "_claim": None, "_open": {}}

    def fill(
        self,
        items: Sequence[Item],
        compute: Compute,
        progress: CountProgress | None = None,
        has: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Compute and store the features of the items that the set lacks.

        Args:
            items: the items.
            compute: yields the features of some items, one array of shape `shape` after the other. They may
                be items of other processes.
            has: whether `compute` has the video of a content. Those of other data sets it may lack.
            progress: called before each pack that is checked or computed, and at the end, with the number of
                items that are known to be stored, and of all. If it raises an error, the stored packs stay.

        Raises:
            InputError: there is no room, or the folder cannot be written.
        """
        items = list(dict.fromkeys(items))
        try:
            with _locked(self.folder / "packs"):
                self._look()
                self._add([item for item in items if item not in self._where])
            self._check_all(Counter(self._where[item][0] for item in items), progress)
            waiting = self._unstored(items)
            while waiting:
                if progress:
                    progress(len(items) - waiting.total(), len(items))
                found = next((number for number in waiting if self._compute(number, compute, has)), None)
                if found is not None:
                    del waiting[found]
                elif (free := next((n for n in waiting if self._is_left(n, has)), None)) is not None:
                    self._repack([item for item in items if self._where[item][0] == free], has)
                    waiting = self._unstored(items)
                else:
                    time.sleep(_POLL)
            if progress:
                progress(len(items), len(items))
        except OSError as error:
            raise _unwritable(self.all, error) from None

    def places(self, items: Sequence[Item]) -> np.ndarray:
        """Return the places of stored items, (len(items), 2), as `read` takes them."""
        return np.array([self._where[item] for item in items], np.int64).reshape(-1, 2)

    def read(self, places: np.ndarray) -> np.ndarray:
        """Return features by place, float16 (len(places), *shape).

        Raises:
            InputError: they were damaged after `fill` had checked them.
        """
        found = np.empty((len(places), *self.shape), TYPE)
        for target, (number, slot) in zip(found, places.tolist(), strict=True):
            try:
                target[...] = self._pack(number).read(slot)
            except (DamagedError, OSError) as error:
                raise InputError(
                    f"the stored features {self._path(number, ARRAY)} were damaged or removed while they "
                    f"were used ({error}): run the command again, which checks all and recomputes these"
                ) from None
        return found

    def _look(self) -> None:
        """Read the items of all packs that were added since the last look."""
        for path in sorted(self.folder.glob(f"*{ITEMS}")):
            if path.stem not in self._packs:
                found = read_items(path)
                if found is None:
                    self._warn(path, "its items are not those that it is named by")
                    path.unlink()
                    continue
                for slot, item in enumerate(found):
                    self._where.setdefault(item, (len(self._packs), slot))
                self._packs.append(path.stem)

    def _check_all(self, items: Counter[int], progress: CountProgress | None) -> None:
        """Remove the features of stored packs that are not as they were written; `items`: numbers by pack."""
        whole = 0
        for number, count in items.items():
            if self._path(number, ARRAY).exists():
                if progress:
                    progress(whole, items.total())
                self._check(number)
                whole += count if self._path(number, ARRAY).exists() else 0

    def _check(self, number: int) -> None:
        """Remove the features of a pack if they are not as they were written."""
        with contextlib.suppress(FileNotFoundError):
            try:
                self._pack(number).check()
                return
            except DamagedError as error:
                if not isinstance(error, OutdatedError):
                    self._warn(self._path(number, ARRAY), str(error))
            self._open.pop(number, None)
            with open_regular(self._path(number, ITEMS), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                try:  # once more, as another process may have computed them meanwhile
                    self._pack(number).check()
                except DamagedError:
                    self._open.pop(number, None)
                    self._path(number, ARRAY).unlink()

    def _warn(self, path: Path, reason: str) -> None:
        """Say once that stored features are damaged."""
        if not self._told:
            warnings.warn(
                f"the stored features {path} are damaged ({reason}): they are removed and computed again, "
                "and so are others that are; if there are many, check the disk",
                RuntimeWarning,
                stacklevel=4,
            )
            self._told = True

    def _unstored(self, items: Sequence[Item]) -> Counter[int]:
        """Return the packs of items that are not computed yet, with their numbers of these items."""
        of_pack = Counter(sorted(self._where[item][0] for item in items))
        return Counter({n: count for n, count in of_pack.items() if not self._path(n, ARRAY).exists()})

    def _add(self, items: Sequence[Item]) -> None:
        """Make packs of items, if there is room for them."""
        if not items:
            return
        _make_room(self.all, self.limit, len(items) * self._bytes)
        size = min(max(-(-len(items) // _PACKS), _SMALLEST), _LARGEST)
        for start in range(0, len(items), size):
            lines = "".join(f"{content} {copy}\n" for content, copy in items[start : start + size]).encode()
            path = self.folder / (_name(lines) + ITEMS)
            if path.exists():
                continue  # a process that computes it has locked this very file
            with replacing(path) as file:
                file.write(lines)
        self._look()

    def _repack(self, items: Sequence[Item], has: Callable[[str], bool]) -> None:
        """Move items of a pack that nobody computes to other packs, which are made if there are none."""
        with _locked(self.folder / "packs"):
            self._look()
            left = self._moved(set(items), range(len(self._packs)), has)
            known = len(self._packs)
            # In one order, so that processes that lack the same videos make the same packs.
            self._add(sorted(left))
            self._moved(left, range(known, len(self._packs)), has)

    def _moved(self, items: set[Item], numbers: Iterable[int], has: Callable[[str], bool]) -> set[Item]:
        """Look items up in some packs, as far as these are not left; return the items that are in none."""
        for number in numbers:
            places = {item: (number, slot) for slot, item in enumerate(self._items(number)) if item in items}
            if places and not self._is_left(number, has):
                self._where |= places
                items = items - places.keys()
        return items

    def _is_left(self, number: int, has: Callable[[str], bool]) -> bool:
        """Return whether a pack is not stored, no process computes it, and this one lacks its videos."""
        if all(has(content) for content, _ in self._items(number)):
            return False
        with open_regular(self._path(number, ITEMS), "r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return not self._path(number, ARRAY).exists()

    def _items(self, number: int) -> list[Item]:
        """Return the items of a pack.

        Raises:
            InputError: they were damaged since they were looked up.
        """
        found = read_items(self._path(number, ITEMS))
        if found is None:
            raise InputError(
                f"{self._path(number, ITEMS)} was damaged while it was used: run the command again, which "
                "rebuilds it"
            )
        return found

    def _compute(
        self,
        number: int,
        compute: Compute,
        has: Callable[[str], bool],
    ) -> bool:
        """Compute a pack unless another process does, or has to; return whether it is stored."""
        with open_regular(self._path(number, ITEMS), "r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return self._path(number, ARRAY).exists()
            if not self._path(number, ARRAY).exists():
                for rest in self.folder.glob(f".{self._packs[number]}{ARRAY}.*"):
                    rest.unlink()  # of a process that was killed
                found = self._items(number)
                if not all(has(content) for content, _ in found):
                    return False
                with (
                    replacing(self._path(number, ARRAY)) as target,
                    contextlib.closing(compute(found)) as features,
                ):
                    made = pack.write(target, map(self._half, features), self._names(number))
                    assert made == len(found), "there are other features than items"
        return True

    def _pack(self, number: int) -> Pack:
        if number not in self._open:
            count = len(self._items(number))
            self._open[number] = Pack(self._path(number, ARRAY), self.shape, count, self._names(number))
        return self._open[number]

    def _names(self, number: int) -> tuple[str, str]:
        return self.folder.name, self._packs[number]

    def _half(self, features: np.ndarray) -> np.ndarray:
        """Return features as they are stored.

        Raises:
            InputError: a number is too large, or is none.
        """
        assert features.shape == self.shape, "an item has other features"
        if not (np.abs(features) <= np.finfo(TYPE).max).all():
            raise InputError(
                "a frozen network gives features that are not finite, or too large to be stored in 16 bits: "
                "give --feature-copies 0 to compute features as they are needed"
            )
        return np.ascontiguousarray(features, TYPE)

    def _path(self, number: int, ending: str) -> Path:
        return self.folder / (self._packs[number] + ending)


def survey(folder: Path) -> list[SetFiles]:
    """Return the stored sets, the most recently used first."""
    found = []
    for path in folder.glob(f"*/{ABOUT}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            about, used = json.loads(read_bytes(path)), path.stat().st_mtime
            each, packs = _bytes(about["shape"]), list(path.parent.glob(f"*{ITEMS}"))
            counts = {pack: read_bytes(pack).count(b"\n") for pack in packs}
            items = sum(count for pack, count in counts.items() if pack.with_suffix(ARRAY).exists())
            claimed = sum(counts.values()) * each
            found.append(SetFiles(path.parent, about, items, items * each, claimed, used))
    return sorted(found, key=lambda found: -found.used)


def clear(folder: Path) -> list[SetFiles]:
    """Remove every set that no living process uses, and return them."""
    return [found for found in survey(folder) if _remove(found.folder)]


def _make_room(folder: Path, limit: int, size: int) -> None:
    """Remove unused sets, the least recently used first, until there is room.

    Raises:
        InputError: there is not enough.
    """
    with _locked(folder / ".lock"):
        stored = survey(folder)
        # Also what other runs are about to compute.
        total = sum(found.claimed for found in stored)
        while stored and total + size > limit:
            last = stored.pop()
            total -= last.claimed if _remove(last.folder) else 0
        if total + size > limit:
            raise InputError(
                f"the features take {size / 2**30:.2g} GiB, and the cache {folder} has room for "
                f"{max(limit - total, 0) / 2**30:.2g} GiB: raise --cache-gib, give fewer --feature-copies, "
                "or --feature-copies 0 to compute features as they are needed"
            )


def _remove(folder: Path) -> bool:
    """Remove a set, unless a living process uses it; return whether it is removed."""
    with contextlib.suppress(OSError), open_regular(folder / _USED, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
        return True
    return False


def _claimed(folder: Path) -> BinaryIO:
    """Create a set's folder if needed, and return the locked file that protects it from removal."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            file = open_regular(folder / _USED, "ab")
            fcntl.flock(file, fcntl.LOCK_SH)
            if os.path.exists(folder / _USED) and os.path.samestat(
                os.fstat(file.fileno()), os.stat(folder / _USED)
            ):
                return file
            file.close()  # the set was removed in between


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open_regular(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_items(path: Path) -> list[Item] | None:
    """Return the items of a pack's file; None: they are not those that it is named by."""
    content = read_bytes(path)
    if _name(content) != path.stem:
        return None
    lines = (line.rpartition(" ") for line in content.decode().splitlines())
    return [(video, int(copy)) for video, _, copy in lines]


def _name(lines: bytes) -> str:
    return hashlib.sha256(lines).hexdigest()[:16]


def _bytes(shape: Sequence[int]) -> int:
    """Return the size of an item in bytes."""
    return int(np.prod(shape)) * TYPE.itemsize


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"cannot write the feature cache {folder}: {error.strerror or error}; set SSL_VIDEO_CACHE to another "
        "folder, or give --feature-copies 0 to compute features as they are needed"
    )
