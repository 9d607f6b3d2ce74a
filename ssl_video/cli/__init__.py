"""The command line: one thin file a command, loaded when the command is called.

So `ssl-video --help` and commands that need no network never import torch.
"""

import importlib
import os
import signal
import sys
import warnings
from typing import Any

import click

import ssl_video
from ssl_video.errors import InputError, unknown
from ssl_video.signals import PREEMPTION, Preempted

_COMMANDS = {
    "index": "Write an index file of a data set: folders, manifests, published lists.",
    "bench": "Compare algorithms over partition protocols and seeds.",
    "train": "Train one run.",
    "evaluate": "Test a checkpoint on a dataset.",
    "predict": "Label video files with a checkpoint.",
    "watch": "Follow runs under way.",
    "leaderboard": "Show or export the table of all finished runs.",
    "report": "Write one HTML page of all finished runs.",
    "compare": "Show what differs between two finished runs.",
    "audit": "Show what the pseudo-labels of finished runs were worth.",
    "dynamics": "Test networks on clips slowed, frozen, reversed, shuffled.",
    "doctor": "Look at every file of a data set, and quarantine what cannot be used.",
    "cache": "Decode a data set ahead; show or clear what is stored.",
    "views": "Draw what every view of an algorithm sees of a video.",
    "speed": "Measure what a training step or the data costs.",
    "split": "Make, show and compare partitions: which clips are labeled.",
    "new": "Write a starting file for an algorithm or a backbone of your own.",
    "page": "Write the page of an algorithm: source, views, options, cost, results.",
    "check": "Check that an algorithm keeps the promises all algorithms give.",
    "list": "List algorithms, backbones, datasets, protocols and suites.",
}
INTERRUPTED = 130
PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: try again later


class _Commands(click.Group):
    """Commands by name, imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            # A shell that completes half a command wants no complaint.
            return None if ctx.resilient_parsing else ctx.fail(unknown("command", name, _COMMANDS))
        module = importlib.import_module(f"ssl_video.cli.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(ssl_video.__version__, prog_name="ssl-video")
def cli() -> None:
    """Semi-supervised learning on video: train, compare, and rank algorithms.

    Start with:  ssl-video bench --algo cmpl
    """


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave the process: status 0; 1 for failed runs, 2 for wrong input, 130 for Ctrl-C.

    75 after a signal by which schedulers announce the end: runs are saved, and the same command goes on.
    """
    for number in PREEMPTION:
        signal.signal(number, _interrupt)
    warnings.showwarning = _warn
    # Threads that wait in a loop take the cores from whoever has work: with one other busy process, steps of
    # a small network took 158 ms instead of 109. It has to stand before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        status: Any = cli.main(arguments, prog_name="ssl-video", standalone_mode=False)
    except InputError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        status = 2
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption):
            _say_how_options_are_given(error)
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        # Where a command runs, click has turned the first into the second.
        preempted = isinstance(error.__cause__ or error, Preempted)
        print("stopped", file=sys.stderr)
        status = PREEMPTED if preempted else INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output (head, a pager) has enough; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status if isinstance(status, int) else 0)


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as one line, without the line of code that gave it."""
    print(f"warning: {message}", file=sys.stderr)


def _say_how_options_are_given(error: click.NoSuchOption) -> None:
    """Algorithms have options of their own, which no flag of a command can know: say how these are given."""
    if error.ctx and "assignments" in (parameter.name for parameter in error.ctx.command.params):
        key = error.option_name.lstrip("-").replace("-", "_")
        print(f"An option of an algorithm is given as --set options.{key}=VALUE.", file=sys.stderr)


def _interrupt(number: int, _: Any) -> None:
    # Some senders (timeout, schedulers) signal the process and then its group: once is enough.
    signal.signal(number, signal.SIG_IGN)
    raise Preempted
