"""Weights from a local file: tensors by name, without any code that loading could run."""

import functools
import hashlib
import json
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssl_video.backbones.libraries import importing
from ssl_video.backbones.prefixes import NESTED
from ssl_video.errors import DAMAGED, InputError, some, unknown
from ssl_video.files import named_in_utf8

_SAFETENSORS = ".safetensors"
# Objects that training scripts save beside the tensors: the best accuracy as a number of numpy, the random
# state, the arguments, folders. NumPy 1 and 2 have other names for the same functions.
_BESIDE_TENSORS = {
    "numpy": ("dtype", "ndarray"),
    "numpy.core.multiarray": ("scalar", "_reconstruct"),
    "numpy._core.multiarray": ("scalar", "_reconstruct"),
    "argparse": ("Namespace",),
    "pathlib": ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"),
    "pathlib._local": ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"),
    "datetime": ("datetime", "date", "time", "timedelta", "timezone"),
}


class _Nothing:
    """Stands for an object that is not read: nothing of its own class is called."""

    def __new__(cls, *_: Any) -> "_Nothing":
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


# torch finds the stand-in for a class by these two names.
_HARMLESS = tuple(
    type(name, (_Nothing,), {"__module__": module})
    for module, names in _BESIDE_TENSORS.items()
    for name in names
)


def read(weights: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a file by name; dots join the names of nested mappings: "state_dict.conv1.weight".

    Args:
        weights: tensors by name, as .safetensors or saved by torch, perhaps nested and beside other values,
            which are left out; or a run's final.safetensors or checkpoint.pt. If a run has several networks,
            `FILE#network` selects one.

    Raises:
        InputError: no such file, a file without tensors or with objects that could run code, or a network
            that it lacks.
    """
    check(weights)
    path, chosen = _split(weights)
    content, roles = _read_safetensors(path) if path.suffix == _SAFETENSORS else _read_torch(path)
    tensors = _tensors(path, content)
    lead = _lead(path, tensors, roles, chosen)
    return {name.removeprefix(lead): tensor for name, tensor in tensors.items() if name.startswith(lead)}


def check(weights: str | Path) -> None:
    """Check that a file exists and, if its header shows it, that one of its networks is selected.

    Raises:
        InputError: the file does not exist, or the selection is missing or wrong.
    """
    path, chosen = _split(weights)
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    if path.suffix == _SAFETENSORS:
        with _opened(path) as file:
            _lead(path, file.keys(), _roles(_spec(file)), chosen)


def content(weights: str | Path) -> str:
    """Return the SHA-256 of a file, with the name of the selected network.

    Raises:
        InputError: the file cannot be read.
    """
    path, chosen = _split(weights)
    try:
        status = path.stat()
        return _hash(path, status.st_size, status.st_mtime_ns) + (f"#{chosen}" if chosen else "")
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror}") from None


def _split(weights: str | Path) -> tuple[Path, str]:
    """Split into the file and the selected network. An existing file with a # in its name has priority."""
    path = Path(weights).expanduser()
    name, mark, chosen = str(path).rpartition("#")
    return (path, "") if path.exists() or not mark else (Path(name), chosen)


@functools.lru_cache(maxsize=64)
def _hash(path: Path, size: int, changed: int) -> str:
    """Hash a file; its size and modification time only serve as keys of the cache."""
    with path.open("rb") as file:
        # hashlib.file_digest needs Python 3.11.
        state = hashlib.sha256()
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file, of which only the header is read at first."""
    with importing("safetensors"):
        from safetensors import SafetensorError, safe_open
    try:
        with named_in_utf8(path) as name, safe_open(name, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise InputError(f"weights {path}: not a readable safetensors file ({error})") from error


def _spec(file: Any) -> Any:
    """Return the specification that a run writes into the header of its weights."""
    return _metadata(file, "spec")


def _metadata(file: Any, key: str) -> Any:
    """Return a value that a run writes into the header of its weights; None if there is none."""
    try:
        return json.loads((file.metadata() or {}).get(key, "null"))
    except json.JSONDecodeError:
        return None  # written by another program


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Read tensors, and the roles of the networks if a run wrote them."""
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a mapping
        # Names of a tensor that a run stored once for several networks, see `ssl_video.runs.weight_file`.
        roles = _roles(_spec(file))
        same = _metadata(file, "shared") if roles else None
        return tensors | {name: tensors[first] for name, first in (same or {}).items()}, roles


def _read_torch(path: Path) -> tuple[Any, list[str]]:
    """Read a file saved by torch, and the roles of the networks if a run wrote it."""
    try:
        with torch.serialization.safe_globals(list(_HARMLESS)):
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise InputError(
            f"weights {path}: refused, as it holds objects other than tensors"
            f"{f' ({named[1]})' if named else ''}, and loading those can run any "
            "code (or it is damaged); save only the tensors, torch.save(model.state_dict(), path)"
        ) from error
    except DAMAGED as error:
        reason = f"{type(error).__name__}: {str(error).split('. ')[0]}"
        raise InputError(f"weights {path}: unreadable, damaged or not from torch.save ({reason})") from error
    if not isinstance(saved, Mapping):
        raise InputError(f"weights {path}: holds a {type(saved).__name__}, expected tensors by name")
    roles = _roles(saved.get("spec"))
    return ({part: saved[part] for part in ("algorithm", "ema") if part in saved} if roles else saved), roles


def _roles(spec: Any) -> list[str]:
    """Return the roles of the networks in a run's specification."""
    networks = spec.get("networks") if isinstance(spec, Mapping) else None
    return [str(role) for role in networks] if isinstance(networks, Mapping) else []


def _lead(path: Path, names: Iterable[str], roles: list[str], chosen: str) -> str:
    """Return the prefix of one network's tensor names: a role, an average in the algorithm, or "ema"."""
    if chosen and not roles:
        raise InputError(f"weights {path}: holds one network: leave out #{chosen}")
    leads = {role: f"algorithm.{role}." for role in roles}
    for name in names if roles else ():
        part, holder, inner = [*name.split("."), "", ""][:3]
        if (part, holder) == ("ema", "network"):
            leads["ema"] = "ema.network."
        elif holder not in roles and inner == "network":
            leads[holder] = f"algorithm.{holder}.network."
    if chosen and chosen not in leads:
        raise InputError(f"weights {path}: {unknown('network', chosen, leads)}")
    if not chosen and len(leads) > 1:
        choices = ", ".join(f"{path}#{name}" for name in leads)
        raise InputError(f"weights {path}: holds {len(leads)} networks, choose one: {choices}")
    return leads[chosen or roles[0]] if roles else ""


def _tensors(path: Path, content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Return the tensors of a file by name, and check that there are any."""
    if not content:
        raise InputError(f"weights {path}: empty, expected tensors by name")
    tensors = _flat(content)
    if not tensors:
        raise InputError(
            f"weights {path}: {len(content)} entries other than tensors by name "
            f"({some([str(key) for key in content], 3)}); expected a state dict, bare or under a key such as "
            f"{', '.join(NESTED)}"
        )
    return tensors


def _flat(content: Mapping[Any, Any], lead: str = "") -> dict[str, Tensor]:
    """Return the tensors of nested mappings by joined names; optimizers number theirs, so they have none."""
    found = dict[str, Tensor]()
    for name, value in content.items():
        if isinstance(name, str) and isinstance(value, Mapping):
            found |= _flat(value, f"{lead}{name}.")
        elif isinstance(name, str) and isinstance(value, Tensor):
            found[lead + name] = value
    return found
