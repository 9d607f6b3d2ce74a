"""Folders in the layout of transformers (config.json, weights, a processor), and models of the hub.

A model of the Hugging Face hub is a folder in the cache of huggingface_hub. A commit identifies its content,
so its weights are downloaded only when a network reads them.
"""

import functools
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl_video.backbones import files
from ssl_video.backbones.libraries import importing
from ssl_video.errors import InputError

_CONFIG = "config.json"
# Of the processors of images and of videos; the last one holds either of them under a key.
_PROCESSORS = ("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json")
_INSIDE = ("image_processor", "video_processor")
# Files of weights, in the order of preference of transformers: whole, or in parts beside an index.
_WEIGHTS = (("model.safetensors", "model-*.safetensors"), ("pytorch_model.bin", "pytorch_model-*.bin"))
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?(@[\w./-]+)?")


@dataclass(frozen=True)
class ModelFolder:
    """A folder that `save_pretrained` wrote.

    Attributes:
        name: the folder, or the id of the hub, as the user gave it.
        path: the folder.
        commit: the commit of a model of the hub; empty for a folder of the user.
    """

    name: str
    path: Path
    commit: str = ""

    def __str__(self) -> str:
        return f"{self.name} (the hub's commit {self.commit[:12]})" if self.commit else str(self.path)

    def config(self) -> dict[str, Any]:
        """Return the content of config.json.

        Raises:
            InputError: it is absent or unreadable.
        """
        found = _read(self.path / _CONFIG)
        if found is None:
            raise InputError(f"{self.path} has no {_CONFIG}: give a folder that save_pretrained wrote")
        return found

    def processor(self) -> dict[str, Any]:
        """Return the settings of the processor of the model's inputs; {} if the folder has none.

        Raises:
            InputError: they are unreadable.
        """
        for name in _PROCESSORS:
            found = _read(self.path / name) or {}
            found = next((found[key] for key in _INSIDE if isinstance(found.get(key), dict)), found)
            if found.keys() & {"image_mean", "do_normalize", "crop_size", "size"}:
                return found
        return {}

    def has_weights(self) -> bool:
        """Return whether there are weights; those of the hub are taken for granted, and not downloaded."""
        return bool(self.commit or self._weights())

    def identity(self) -> str:
        """Return a hash of the configuration, the processor and the weights; of the hub, its commit."""
        if self.commit:
            return f"{self.name}@{self.commit}"
        read = [self.path / name for name in (_CONFIG, *_PROCESSORS) if (self.path / name).is_file()]
        return " ".join(f"{file.name} {files.content(file)}" for file in (*read, *self._weights()))

    def with_weights(self) -> Path:
        """Return the folder after a download of the weights, if they are missing in the cache.

        Raises:
            InputError: they cannot be downloaded.
        """
        for kind in _WEIGHTS if self.commit else ():
            if not self._complete():
                _download(self.name.partition("@")[0], self.commit, kind, show=sys.stderr.isatty())
        return self.path

    def _complete(self) -> bool:
        """Return whether all files of some weights are there."""
        for whole, _ in _WEIGHTS:
            index = _read(self.path / f"{whole}.index.json") or {}
            parts = set(dict(index.get("weight_map", {})).values()) or {whole}
            if all((self.path / part).is_file() for part in parts):
                return True
        return False

    def _weights(self) -> list[Path]:
        """Return the files of weights that transformers would read."""
        kinds = [[file for pattern in kind for file in sorted(self.path.glob(pattern))] for kind in _WEIGHTS]
        return next((kind for kind in kinds if kind), [])


def find(model: str) -> ModelFolder:
    """Find a folder, or else a model of the Hugging Face hub, whose configuration is downloaded.

    Args:
        model: a folder, or an id of the hub, also with a revision: "facebook/dinov2-small@main".

    Raises:
        InputError: no such folder, and no such model of the hub, or none that can be reached.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return ModelFolder(model, path)
    if not _HUB_ID.fullmatch(model):
        raise InputError(f"there is no folder {path}: give a folder that save_pretrained wrote")
    snapshot = _of_hub(model)
    return ModelFolder(model, snapshot, snapshot.name)


@functools.cache
def _of_hub(model: str) -> Path:
    """Return the folder of a model of the hub, the same for the whole process; only a failure is repeated."""
    name, _, revision = model.partition("@")
    return _download(name, revision or None, ["*.json"], show=False)


def _download(name: str, revision: str | None, patterns: Sequence[str], *, show: bool) -> Path:
    """Return the folder in the hub's cache, after a download of the files that are missing there."""
    with importing("huggingface_hub"):
        import huggingface_hub
    try:
        with _bars(show):
            found = huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=list(patterns))
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error.__cause__ or error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"there is no folder {name}, and {name} cannot be downloaded from the Hugging Face hub "
            f"({reason}): give a folder that save_pretrained wrote, transformers/FOLDER; where there is no "
            "network, download the model elsewhere and copy its folder"
        ) from error
    return Path(found)


@contextmanager
def _bars(show: bool) -> Iterator[None]:
    """Hide the progress bars of huggingface_hub, if they are not to be shown."""
    from huggingface_hub import utils

    hide = not show and not utils.are_progress_bars_disabled()
    if hide:
        utils.disable_progress_bars()
    try:
        yield
    finally:
        if hide:
            utils.enable_progress_bars()


def _read(file: Path) -> dict[str, Any] | None:
    """Return the mapping in a JSON file; None if there is no file."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(found, Mapping):
        raise InputError(f"{file} holds a {type(found).__name__}, expected names and values")
    return dict(found)
