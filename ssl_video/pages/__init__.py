"""The pages of the algorithms, docs/algorithms: their docstrings, counted costs, and results.

The functions below are public names of `ssl_video`. Importing this package does not import torch.
"""

from os import PathLike
from pathlib import Path

from ssl_video.registry import algorithms


def describe_algorithm(algorithm: str, results: str | PathLike[str] = "results") -> str:
    """Return an algorithm's source, networks, views, options, costs and results, as Markdown.

    This is the generated part of its page.

    Args:
        algorithm: a name, or "path/to/file.py:name".
        results: the folder of the leaderboards whose numbers are shown, if it exists.

    Raises:
        InputError: there is no such algorithm, or it cannot be built with its default options.
    """
    algorithms.check(algorithm)
    from ssl_video.pages import page  # imports torch, which takes seconds

    return page.generated(algorithm, Path(results))


def write_page(
    algorithm: str, output: str | PathLike[str], results: str | PathLike[str] = "results"
) -> tuple[Path, str]:
    """Write the page of an algorithm, or refresh the generated part of an existing one.

    A new page has places for the words and the picture that only its author can give.

    Args:
        algorithm: a name, or "path/to/file.py:name".
        output: the page to write, or a folder, in which the page is NAME.md.
        results: the folder of the leaderboards whose numbers are shown, if it exists.

    Returns:
        The page, and the outcome in a few words.

    Raises:
        InputError: see `describe_algorithm`; the page is that of another algorithm, or cannot be written.
    """
    algorithms.check(algorithm)
    from ssl_video.pages import page, write  # imports torch, which takes seconds

    target = Path(output) if Path(output).suffix else Path(output) / f"{page.short(algorithm)}.md"
    return target, write.page(algorithm, target, Path(results))


def write_page_index(output: str | PathLike[str]) -> tuple[Path, str]:
    """Write the table of the built-in algorithms, or refresh it in an existing page.

    Args:
        output: the page to write, or a folder, in which the page is README.md.

    Returns:
        The page, and the outcome in a few words.

    Raises:
        InputError: the page holds another text, or cannot be written.
    """
    from ssl_video.pages import write  # imports torch, which takes seconds

    target = Path(output) if Path(output).suffix else Path(output) / "README.md"
    return target, write.index(target)
