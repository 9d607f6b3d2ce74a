"""Write a trained network as a file that other programs run: ONNX, or torch's own `.pt2`."""

import errno
import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ssl_video.data import dataset
from ssl_video.data.views import augment
from ssl_video.errors import InputError
from ssl_video.files import replacing
from ssl_video.inference.evaluate import evaluating
from ssl_video.inference.from_frames import FromFrames
from ssl_video.networks.memory_format import PointwiseConv3d, TemporalConv3d

if TYPE_CHECKING:
    from ssl_video.inference.model import Model

FORMAT = "ssl-video 1"
TOLERANCE = 1e-4
ONNX, PT2 = ".onnx", ".pt2"
_EXTRA = "pip install 'ssl-video[onnx]'"
_ABOUT = "ssl-video.json"  # the metadata in a .pt2 file
_LARGEST = 2**31 - 1  # bytes of a message of protobuf, which an ONNX file is


class Exported(NamedTuple):
    """A file that was written.

    Attributes:
        path: the file.
        about: its metadata.
        difference: largest difference of a probability between file and network on trial clips; None: the
            file was not tried, because ONNX Runtime is not installed.
    """

    path: Path
    about: dict[str, Any]
    difference: float | None


# A function from frames, uint8 (N, T, H, W, 3), to probabilities (N, classes).
Function = Callable[[np.ndarray], np.ndarray]


def export(model: "Model", path: Path, predictor: str) -> Exported:
    """Write a network as a file, and compare the file with the network on random clips of two sizes.

    Args:
        model: the trained networks.
        path: the file, `.onnx` or `.pt2`.
        predictor: name of the network.

    Raises:
        InputError: another ending, a package is missing, the network cannot be exported, the file gives other
            probabilities than the network or cannot be loaded and run, or it cannot be written. No file is
            left then.
    """
    if path.suffix not in (ONNX, PT2):
        raise InputError(f"{path}: an exported network is a {ONNX} or a {PT2} file")
    if path.suffix == ONNX and not (util.find_spec("onnxscript") and util.find_spec("onnx")):
        raise InputError(f"{path}: ONNX files need the packages onnx and onnxscript: {_EXTRA}")
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}")
    about, network = describe(model, predictor), model.predictors[predictor]
    temperature = model.temperatures.get(predictor, 1.0)
    with _portable(network, model.device), torch.no_grad():
        clips = [_random_clips(2, about, wider) for wider in (4 / 3, 1)]
        expected = [_probabilities(network, frames, model.spec.size, temperature) for frames in clips]
        whole = FromFrames(network, model.spec.size, temperature).eval()
        try:
            with _reasons(f"backbone {about['backbone']} cannot be exported as {path.suffix}"):
                content = _content(_traced(whole, torch.from_numpy(clips[0])), path.suffix, about)
            with replacing(path) as file:
                file.write(content)
                with _reasons(
                    f"backbone {about['backbone']}: the {path.suffix} file cannot be loaded and run"
                ):
                    function = _opened(content, path.suffix)
                    difference = _difference(function, clips, expected, about["backbone"])
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
    return Exported(path, about, difference)


def describe(model: "Model", predictor: str) -> dict[str, Any]:
    """Return the metadata of a network's file, plain values that its use elsewhere needs."""
    spec, shape = model.spec, model.assembly.shape_for(predictor)
    role = spec.networks.get(predictor) or next(iter(spec.networks.values()))
    return {
        "format": FORMAT,
        "input": "uint8 (N, T, H, W, 3): RGB frames, any height and width",
        "output": "float32 (N, classes): probabilities",
        "classes": model.classes,
        "frames": shape.frames,
        "stride": shape.stride,
        "sampling": spec.sampling,
        "fps": spec.fps,
        "size": spec.size,
        "short_side": dataset.short_side(spec.size),
        "test_clips": spec.test_clips,
        "test_crops": spec.test_crops,
        "predictor": predictor,
        "temperature": model.temperatures.get(predictor),
        "backbone": role.backbone,
        "probe": role.probe,
        "algorithm": spec.algorithm,
        "run": model.folder.absolute().name if model.folder else None,
        "steps": spec.steps if model.step is None else model.step,
        "version": metadata.version("ssl-video"),
    }


@contextmanager
def _portable(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Put a network on the CPU, without training and with torch's own convolutions; restore it afterwards."""
    kinds = {module: type(module) for module in network.modules()}
    ours = [module for module, kind in kinds.items() if kind in (PointwiseConv3d, TemporalConv3d)]
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        for module in ours:
            module.__class__ = nn.Conv3d
        # Otherwise a loaded file computes gradients.
        network.requires_grad_(False).cpu()
        with evaluating([network]):
            yield
    finally:
        for module in ours:
            module.__class__ = kinds[module]
        network.to(device)
        for parameter in trained:
            parameter.requires_grad_(True)


def _random_clips(number: int, about: Mapping[str, Any], wider: float) -> np.ndarray:
    """Return random clips of the short side that frames have at decoding, (N, T, H, W, 3)."""
    side = about["short_side"]
    shape = number, about["frames"], side, round(side * wider), 3
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _probabilities(network: nn.Module, clips: np.ndarray, size: int, temperature: float) -> np.ndarray:
    """Return a network's probabilities of clips that are cut and normalised as those of a test."""
    height, width = clips.shape[2:4]
    transforms = [augment.centre(height, width, 0.5)] * len(clips)
    scores = (network(augment.apply(list(clips), transforms, size)) / temperature).softmax(-1)
    return np.asarray(scores.numpy())


def _traced(whole: nn.Module, frames: Tensor) -> torch.export.ExportedProgram:
    """Return the operations of a network, for any number of clips and any height and width of frames."""
    dim = torch.export.Dim
    free = {0: dim("clips"), 2: dim("height"), 3: dim("width")}
    return torch.export.export(whole, (frames,), dynamic_shapes={"frames": free})


def _content(program: torch.export.ExportedProgram, kind: str, about: Mapping[str, Any]) -> bytes:
    """Return the content of a file."""
    if kind == PT2:
        target = io.BytesIO()
        torch.export.save(program, target, extra_files={_ABOUT: json.dumps(about, indent=1)})
        return target.getvalue()
    made: Any = torch.onnx.export(
        program, dynamo=True, verbose=False, input_names=["frames"], output_names=["probabilities"]
    )
    proto = made.model_proto
    for key, value in about.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    if proto.ByteSize() > _LARGEST:
        raise InputError(f"backbone {about['backbone']} does not fit into an ONNX file, which ends at 2 GiB")
    return bytes(proto.SerializeToString())


def _opened(content: bytes, kind: str) -> Function | None:
    """Return the function of a file, as another program would load it; None: without ONNX Runtime."""
    if kind == PT2:
        module = torch.export.load(io.BytesIO(content)).module()
        return lambda frames: np.asarray(module(torch.from_numpy(frames)).numpy())
    if not util.find_spec("onnxruntime"):
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda frames: np.asarray(session.run(None, {"frames": frames})[0])


def _difference(
    function: Function | None, clips: Sequence[np.ndarray], expected: Sequence[np.ndarray], backbone: str
) -> float | None:
    """Return the largest difference of a file's probabilities, all clips at once and one alone.

    Raises:
        InputError: it is too large.
    """
    if function is None:
        return None
    pairs = [(function(frames), known) for frames, known in zip(clips, expected, strict=True)]
    pairs.append((function(clips[0][:1]), expected[0][:1]))
    largest = max(float(np.abs(found - known).max()) for found, known in pairs)
    if not largest <= TOLERANCE:
        raise InputError(
            f"backbone {backbone}: the exported network gives other probabilities than the run's, by up to "
            f"{largest:.2g}: no file was written"
        )
    return largest


@contextmanager
def _reasons(failure: str) -> Iterator[None]:
    """Turn an error of an exporter or of the file into a sentence, and keep warnings from the user.

    A full disk is no error of theirs.
    """
    try:
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(f"{failure}: {_first_line(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Raise the level of the exporters' loggers, whose messages are for their authors."""
    import logging

    loggers = [logging.getLogger(name) for name in ("torch", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    """Return the first line of the innermost error that says something."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
