"""Trained weights as safetensors: tensors and text, without code that could run when loaded.

Tensor names start with the part they belong to ("algorithm.model.head.weight", "ema.network.head.weight").
The metadata holds the specification, the classes and the temperatures as JSON, and a checksum, which
safetensors lacks. A tensor of several parts, as of the frozen network that a teacher shares with its student,
is stored once; the metadata "shared" holds its other names.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from ssl_video.errors import InputError
from ssl_video.files import named_in_utf8, parse_json, replacing
from ssl_video.networks.assemble import ALGORITHM, EMA

FORMAT, SHARED = "ssl-video 1", "shared"
_TEXTS, _MAY_LACK = ("spec", "classes", "num_unlabeled"), ("run", "calibration", "plugins")


def save(state: Mapping[str, Any], path: Path) -> None:
    """Write weights, from the same state that `load` returns.

    Args:
        state: "algorithm" and, if there is one, "ema": tensors by name; "spec", "classes", "num_unlabeled"
            and, where there are any, "run" and "calibration": plain values.
        path: the file.

    Raises:
        InputError: the folder cannot be written.
    """
    given = {f"{p}.{name}": tensor for p in (ALGORITHM, EMA) for name, tensor in state.get(p, {}).items()}
    same = _shared(given)
    # Copies, because safetensors does not accept tensors that share memory.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in given.items()
        if name not in same
    }
    keys = *_TEXTS, *(key for key in _MAY_LACK if key in state)
    text = {key: json.dumps(state[key]) for key in keys}
    text |= {SHARED: json.dumps(same)} if same else {}
    content = _sorted(to_bytes(tensors, {"format": FORMAT, **text, "sha256": _checksum(tensors, text)}))
    try:
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise InputError(f"cannot write weights to {path}: {error.strerror or error}") from None


def load(path: Path) -> dict[str, Any]:
    """Read exported weights.

    Raises:
        InputError: no such file, a damaged file, or a file of another program.
    """
    try:
        with named_in_utf8(path) as name, safe_open(name, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a mapping
    except FileNotFoundError:
        raise InputError(f"there is no checkpoint {path}") from None
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is damaged or not a safetensors file: {error}") from None
    format_, checksum = metadata.pop("format", None), metadata.pop("sha256", None)
    if format_ != FORMAT:
        raise InputError(f"{path} was not exported by ssl-video: its format is {format_!r}, not {FORMAT!r}")
    if _checksum(tensors, metadata) != checksum:
        raise InputError(f"{path} is damaged: its checksum is wrong")
    try:
        state: dict[str, Any] = {
            key: parse_json(text) for key, text in metadata.items() if key in (*_TEXTS, *_MAY_LACK)
        }
        same = dict(parse_json(metadata.get(SHARED, "{}")))
        tensors |= {name: tensors[first] for name, first in same.items()}
    except (ValueError, TypeError, LookupError) as error:
        raise InputError(f"{path} was not written by ssl-video: its header is not valid ({error})") from None
    for name, tensor in tensors.items():
        part, _, inner = name.partition(".")
        if part not in (ALGORITHM, EMA):
            raise InputError(f"{path} was not written by ssl-video: it has a tensor {name!r}")
        state.setdefault(part, {})[inner] = tensor
    return state


def _shared(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the names of tensors that are others once more, by the name of the first of the same memory."""
    first, same = dict[tuple[Any, ...], str](), dict[str, str]()
    for name, tensor in tensors.items():
        if tensor.numel():
            place = tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()
            if first.setdefault(place, name) != name:
                same[name] = first[place]
    return same


def _sorted(content: bytes) -> bytes:
    """Sort the metadata of a safetensors file, which otherwise stand in another order each time.

    So equal runs write equal files. The file begins with the length of its header (8 bytes), a JSON object
    that is padded with spaces to a multiple of 8 bytes.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _checksum(tensors: Mapping[str, Tensor], text: Mapping[str, str]) -> str:
    """Return the SHA-256 of names, types, shapes and content."""
    digest = hashlib.sha256(json.dumps(sorted(text.items())).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
