"""Late imports of the libraries behind the backbones, with errors that name the remedy."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ssl_video.errors import InputError


@contextmanager
def importing(package: str) -> Iterator[None]:
    """Turn a failure of `import package` inside the block into an InputError.

    Raises:
        InputError: the package or one it needs is not installed, or is built for another torch.
    """
    with warnings.catch_warnings():
        # From pytorchvideo's own decorators; users cannot avoid it.
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.script", category=FutureWarning)
        try:
            yield
        except ModuleNotFoundError as error:
            # A dotted name is a submodule that another version of an installed package lacks.
            if not error.name or "." in error.name:
                raise InputError(_unusable(package, error)) from error
            raise InputError(
                f"{package} cannot be imported, as {error.name} is not installed: pip install {error.name}"
            ) from error
        # RuntimeError "operator torchvision::nms does not exist": a torchvision built for another torch, for
        # example the CUDA build beside a CPU-only torch. ImportError and OSError: missing or foreign symbols.
        except (ImportError, OSError, RuntimeError) as error:
            raise InputError(_unusable(package, error)) from error


def _unusable(package: str, error: Exception) -> str:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return (
        f"{package} is installed but cannot be imported ({reason}). This is usually a torchvision built for "
        "another torch: reinstall both together from one source, "
        "pip install --upgrade --force-reinstall torch torchvision"
    )
