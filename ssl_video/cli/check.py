"""`ssl-video check`: whether an algorithm keeps the promises that all algorithms give."""

import time
from collections import Counter
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ssl_video.errors import InputError, unknown
from ssl_video.registry import algorithms

if TYPE_CHECKING:
    from ssl_video.testing import Result


@click.command()
@click.argument("algorithm", metavar="NAME|FILE.py[:NAME]", required=False)
@click.option("--only", "only", metavar="CHECK", multiple=True, help="carry out this check; may be repeated")
@click.option("--list", "listed", is_flag=True, help="say what every check is for, and carry out none")
def command(algorithm: str | None, only: tuple[str, ...], listed: bool) -> int:
    """Check an algorithm: what it declares, its loss terms, gradients, teachers, state, and processes.

    NAME is what bench takes as --algo. Every check that fails says what was found, why it matters, and how it
    is usually mended. The status is 1 if any does. It takes some seconds; no data and no GPU are needed.
    """
    if algorithm:
        algorithms.check(algorithm)
    from ssl_video.testing import CHECKS, results  # imports torch, which takes seconds

    console = Console()
    if listed:
        for entry in CHECKS.values():
            console.print(entry.name, style="bold", markup=False, highlight=False)
            console.print(Padding(f"{entry.promise} {entry.why}", (0, 2)), markup=False, highlight=False)
        return 0
    problems = [unknown("check", name, CHECKS) for name in only if name not in CHECKS]
    if algorithm is None:
        problems.append("give the NAME of an algorithm, or FILE.py, or --list")
    if problems or algorithm is None:
        raise InputError(*problems)
    name, began = algorithms.full_name(algorithm), time.monotonic()
    console.print(name, style="bold", markup=False, highlight=False, soft_wrap=True)
    found = []
    for result in results(name, *only):
        found.append(result)
        mark = {"pass": "[green]pass[/green]", "fail": "[red]FAIL[/red]"}.get(result.outcome, "n/a ")
        note = result.found if result.outcome == "not applicable" else ""
        line = (
            f"  {mark}  {result.check.name:<24}[dim]{note}[/dim]"
            if note
            else f"  {mark}  {result.check.name}"
        )
        console.print(line, highlight=False, soft_wrap=True)
    for result in found:
        if result.outcome == "fail":
            _explain(console, result)
    counts = Counter(result.outcome for result in found)
    console.print(
        f"\n{counts['pass']} passed, {counts['fail']} failed, {counts['not applicable']} not applicable, "
        f"in {time.monotonic() - began:.1f} s",
        highlight=False,
    )
    return 1 if counts["fail"] else 0


def _explain(console: Console, result: "Result") -> None:
    """A failure: what is promised, what was found, why it matters, how it is mended."""
    check = result.check
    console.print(f"\n[red]FAIL[/red]  [bold]{check.name}[/bold]", highlight=False)
    table = Table.grid(padding=(0, 2))
    for title, text in (
        ("promise", check.promise), ("found", result.found), ("why", check.why), ("mend", check.mend)
    ):  # fmt: skip
        table.add_row(f"  {title}", Text(text))
    console.print(table, highlight=False)
