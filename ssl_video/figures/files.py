"""Writing of charts as files: the ending of the name decides."""

from pathlib import Path

from ssl_video.errors import InputError
from ssl_video.figures import pdf
from ssl_video.files import replacing

ENDINGS = (".svg", ".pdf")


def check(path: Path) -> None:
    """Check that the kind of file can be written here.

    Raises:
        InputError: it is a .pdf, and the library or a font is absent.
    """
    lacking = pdf.missing() if path.suffix == ".pdf" else ""
    if lacking:
        raise InputError(f"{path}: {lacking}; or give a name that ends in .svg")


def write(path: Path, svg: str) -> str:
    """Write a drawing of `paper` as .svg or .pdf, in one step, and return the characters it cannot show.

    Raises:
        InputError: the file cannot be written, or see `check`.
    """
    check(path)
    content, strange = pdf.drawn(svg) if path.suffix == ".pdf" else (svg.encode(), "")
    try:
        with replacing(path, durable=False) as file:
            file.write(content)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
    return strange


def unshown(strange: str) -> str:
    """Return a sentence on the characters that .pdf files cannot show; "" if there are none."""
    if not strange:
        return ""
    letters = ", ".join(f"{one if one.isprintable() else ''} U+{ord(one):04X}".strip() for one in strange[:8])
    more = f" and {len(strange) - 8} more" if len(strange) > 8 else ""
    return (
        f"? stands for {letters}{more} in .pdf files: no font here has them, or their script joins letters; "
        "install a font such as Noto Sans, or use the .svg"
    )
