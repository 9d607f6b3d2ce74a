"""Limits of networks on their clips, checked before any clip is decoded."""

from ssl_video.errors import InputError

__all__ = ["check_clip", "scaled"]


def check_clip(
    name: str,
    frames: int,
    size: int,
    why: str,
    *,
    at_least: tuple[int, int] = (1, 1),
    multiples_of: tuple[int, int] = (1, 1),
) -> None:
    """Check that a network can take a clip (3, frames, size, size).

    Args:
        name: the network's, for the message.
        frames: number of frames.
        size: height and width in pixels.
        why: the network's property that sets the limits, as the start of a sentence.
        at_least: the least number of frames, and the least size.
        multiples_of: numbers that frames and size must be multiples of.

    Raises:
        InputError: the network cannot take this number of frames, or this size.
    """
    problems = []
    for what, value, least, step in zip(
        ("frames", "size"), (frames, size), at_least, multiples_of, strict=True
    ):
        if value < least:
            problems.append(f"{name}: {why}, so {what} must be at least {least}, not {value}")
        if value % step:
            below = value - value % step
            near = f"{below} or {below + step}" if below else str(step)
            problems.append(f"{name}: {why}, so {what} must be a multiple of {step}, not {value}: try {near}")
    if problems:
        raise InputError(*problems)


def scaled(channels: int, width: float) -> int:
    """Return a network's first number of channels, a multiple of 8, times its width.

    Multiples of 1/8 keep all numbers of channels integer, even if they are divided among heads of attention,
    or if SlowFast's fast pathway has an eighth of them.

    Raises:
        InputError: a width that is not a multiple of 1/8.
    """
    assert channels % 8 == 0
    if 8 * width % 1:
        raise InputError(f"width {width:g}: this network takes multiples of 1/8, such as 0.25 or 0.5")
    return int(channels * width)
