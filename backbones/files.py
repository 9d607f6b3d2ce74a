"""Weights from a local file: tensors by name, without any code that loading could run."""

import functools
import hashlib
import json
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssl_video.backbones.libraries import importing
from ssl_video.errors import DAMAGED, InputError, some, unknown

_SAFETENSORS = ".safetensors"
_NESTED = ("state_dict", "model_state", "model")


def read(weights: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a file by name.

    Args:
        weights: a state dict as .safetensors or saved by torch, bare or under one of the keys "state_dict",
            "model_state", "model"; or a run's final.safetensors or checkpoint.pt. If a run has several
            networks, `FILE#network` selects one.

    Raises:
        InputError: no such file, a file that does not hold only tensors, or a network that it lacks.
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
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise InputError(f"weights {path}: not a readable safetensors file ({error})") from error


def _spec(file: Any) -> Any:
    """Return the specification that a run writes into the header of its weights."""
    try:
        return json.loads((file.metadata() or {}).get("spec", "null"))
    except json.JSONDecodeError:
        return None  # written by another program


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Read tensors, and the roles of the networks if a run wrote them."""
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, _roles(_spec(file))  # noqa: SIM118


def _read_torch(path: Path) -> tuple[Any, list[str]]:
    """Read a file saved by torch, and the roles of the networks if a run wrote it."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"weights {path}: refused, as it holds objects other than tensors, and loading those can run any "
            "code (or it is damaged); save only the tensors, torch.save(model.state_dict(), path)"
        ) from error
    except DAMAGED as error:
        reason = f"{type(error).__name__}: {str(error).split('. ')[0]}"
        raise InputError(f"weights {path}: unreadable, damaged or not from torch.save ({reason})") from error
    if not isinstance(saved, Mapping):
        raise InputError(f"weights {path}: holds a {type(saved).__name__}, expected tensors by name")
    roles = _roles(saved.get("spec"))
    if roles:
        parts = {part: saved[part] for part in ("algorithm", "ema") if part in saved}
        return {f"{part}.{n}": tensor for part, state in parts.items() for n, tensor in state.items()}, roles
    nested = (saved[key] for key in _NESTED if isinstance(saved.get(key), Mapping))
    return next(nested, saved), []


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
    """Check that the content of a file is tensors by name, and return it."""
    if not content:
        raise InputError(f"weights {path}: empty, expected tensors by name")
    strays = [
        str(n) for n, value in content.items() if not (isinstance(n, str) and isinstance(value, Tensor))
    ]
    if strays:
        raise InputError(
            f"weights {path}: {len(strays)} entries other than tensors by name ({some(strays, 3)}); expected "
            f"a state dict, bare or under one of the keys {', '.join(_NESTED)}"
        )
    return dict(content)
