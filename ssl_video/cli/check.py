"""`ssl-video algorithm check`: check that an algorithm meets the contract."""

import time
from collections import Counter

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

import ssl_video as sv
from ssl_video.cli.text import Table


@click.command()
@click.argument("algorithm", metavar="NAME|FILE.py[:NAME]", required=False)
@click.option("--only", "only", metavar="CHECK", multiple=True, help="run this check; may be repeated")
@click.option(
    "--style/--no-style",
    default=None,
    help="also check the form that algorithms of the zoo have: docstrings, names of terms  [for those alone]",
)
@click.option("--list", "listed", is_flag=True, help="describe every check without running any")
def command(algorithm: str | None, only: tuple[str, ...], style: bool | None, listed: bool) -> int:
    """Check an algorithm: its declarations, loss terms, gradients, teachers, state, and processes.

    NAME is given as for bench --algo. A failed check reports the finding, the reason, and the usual fix.
    The status is 1 if any check fails. It takes some seconds; no data and no GPU are needed.
    """
    # A wrong name is reported before torch is imported, which takes seconds.
    name = sv.find_algorithm(algorithm) if algorithm else None
    console, began = Console(), time.monotonic()
    if listed:
        for entry in sv.testing.CHECKS.values():
            console.print(entry.name, style="bold", markup=False, highlight=False)
            console.print(Padding(f"{entry.promise} {entry.reason}", (0, 2)), markup=False, highlight=False)
        return 0
    checks = sv.testing.CHECKS
    problems = [str(sv.InputError.unknown("check", one, checks)) for one in only if one not in checks]
    if name is None:
        problems.append("give the NAME of an algorithm, or FILE.py, or --list")
    if problems or name is None:
        raise sv.InputError(*problems)
    console.print(name, style="bold", markup=False, highlight=False, soft_wrap=True)
    found = []
    for result in sv.testing.results(name, *only, style=style):
        found.append(result)
        mark = {"pass": "[green]pass[/green]", "fail": "[red]FAIL[/red]"}.get(result.outcome, "n/a ")
        note = {"not applicable": result.found, "waived": f"waived: {result.found}"}.get(result.outcome, "")
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
    waived = f"{counts['waived']} waived, " if counts["waived"] else ""
    console.print(
        f"\n{counts['pass']} passed, {counts['fail']} failed, {counts['not applicable']} not applicable, "
        f"{waived}in {time.monotonic() - began:.1f} s",
        highlight=False,
    )
    return 1 if counts["fail"] else 0


def _explain(console: Console, result: "sv.testing.CheckResult") -> None:
    """Print a failure: the requirement, the finding, the reason, and the usual fix."""
    check = result.check
    console.print(f"\n[red]FAIL[/red]  [bold]{check.name}[/bold]", highlight=False)
    table = Table.grid(padding=(0, 2))
    for title, text in (
        ("promise", check.promise), ("found", result.found), ("reason", check.reason), ("fix", check.fix)
    ):  # fmt: skip
        table.add_row(f"  {title}", Text(text))
    console.print(table, highlight=False)
