"""The command line: one thin file per command, imported when the command is called.

So `ssl-video --help` and commands that need no network never import torch.
"""

import contextlib
import importlib
import os
import signal
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import click

import ssl_video as sv

# By name, the first line of the help; of a group its commands, too.
COMMANDS = {
    "bench": "Compare algorithms over partition protocols and seeds.",
    "train": "Train one run.",
    "evaluate": "Test a run on a data set's test clips.",
    "predict": "Label video files with a run.",
    "features": "Write the features of video files with a run.",
    "suggest": "Suggest which clips to label next, or which labels look wrong.",
    "export": "Write a run's network as an ONNX or .pt2 file.",
    "leaderboard": "Show or export the table of all finished runs.",
    "report": "Write one HTML page of all finished runs.",
    "watch": "Follow runs under way.",
    "doctor": "Check the files of runs and of the caches.",
    "list": "List algorithms, backbones, data sets, protocols, suites and recipes.",
}
GROUPS = {
    "data": (
        "Prepare data: index, doctor, partition, cache, labels, views.",
        {
            "index": "Write an index file of a data set: folders, manifests, published lists.",
            "doctor": "Decode every file of a data set, and quarantine those that cannot be used.",
            "partition": "Make, show and compare partitions: which clips are labeled.",
            "cache": "Decode a data set ahead; show or clear the stored frames.",
            "labels": "Convert labels between tables, Label Studio, FiftyOne and VIA.",
            "views": "Draw every view that an algorithm reads of a video.",
        },
    ),
    "analyze": (
        "Analyze runs: audit, dynamics, compare, speed.",
        {
            "audit": "Show the quality of the pseudo-labels of finished runs.",
            "dynamics": "Test networks on clips slowed, frozen, reversed, shuffled.",
            "compare": "Show the differences between two finished runs.",
            "speed": "Measure the cost of a training step, or of its data.",
        },
    ),
    "algorithm": (
        "Write an algorithm: new, check, page.",
        {
            "new": "Write a starting file for an algorithm.",
            "check": "Check an algorithm against the contract.",
            "page": "Write the page of an algorithm: source, views, options, cost, results.",
        },
    ),
    "backbone": ("Write a backbone: new.", {"new": "Write a starting file for a backbone."}),
}
# By group, the modules of commands that have another name: those with theirs are `data doctor`'s and
# `algorithm new`'s.
MODULES = {"": {"doctor": "storage"}, "backbone": {"new": "new_backbone"}}
INTERRUPTED = 130
_LINES = "\n\t"  # control characters that errors keep
PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: try again later


class _Commands(click.Group):
    """Commands that are imported when they are called.

    Attributes:
        lines: the first line of help of each command that has a module.
        groups: groups of further commands.
        modules: the module of each command that is not called like it.
    """

    lines: Mapping[str, str] = {}
    groups: Mapping[str, tuple[str, Mapping[str, str]]] = {}
    modules: Mapping[str, str] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lines, *self.groups]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in self.groups:
            return _group(name, *self.groups[name])
        if name not in self.lines:
            # A shell that completes half a command wants no complaint.
            return None if ctx.resilient_parsing else ctx.fail(self._unknown(name))
        module = self.modules.get(name, name)
        command: click.Command = importlib.import_module(f"ssl_video.cli.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            texts = {name: text for name, (text, _) in self.groups.items()}
            formatter.write_dl(list((dict(self.lines) | texts).items()))

    def _unknown(self, name: str) -> str:
        """Return a sentence for a command that does not exist, or that is in a group."""
        for group, (_, lines) in self.groups.items():
            if name in lines:
                return f"unknown command {name!r}: it is called `ssl-video {group} {name}`"
        return str(sv.InputError.unknown("command", name, self.list_commands(click.Context(self))))


def _group(name: str, text: str, lines: Mapping[str, str]) -> click.Group:
    made = _Commands(name, help=text, no_args_is_help=True)
    made.lines, made.modules = lines, MODULES.get(name, {})
    return made


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(sv.__version__, prog_name="ssl-video")
def cli() -> None:
    """Semi-supervised learning on video: train and compare algorithms, label videos.

    \b
    A first table, without any data:   ssl-video bench --algo cmpl
    From your own videos to a table:
      ssl-video data doctor VIDEOS     find files that cannot be used
      ssl-video bench --data VIDEOS --algo supervised,fixmatch --protocol per-class:5
      ssl-video report                 one page with everything: report/index.html
      ssl-video predict RUN a.mp4      label further videos
    """


assert isinstance(cli, _Commands)
cli.lines, cli.groups, cli.modules = COMMANDS, GROUPS, MODULES[""]


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave the process: status 0; 1 for failed runs, 2 for wrong input, 130 for Ctrl-C.

    75 after a signal that a scheduler sends before it ends a job: the same command resumes the saved runs.
    """
    sv.stop_on_signals()
    warnings.showwarning = _warn
    # Busy-waiting threads take cores from other processes: with one other busy process, steps of a small
    # network took 158 ms instead of 109. The variable has to be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        status: Any = cli.main(arguments, prog_name="ssl-video", standalone_mode=False)
    except sv.InputError as error:
        from ssl_video.cli.text import written_out  # not at the top: it takes the time of rich

        for problem in error.problems:
            print(f"error: {written_out(problem, keep=_LINES)}", file=sys.stderr)
        status = 2
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption):
            _say_how_options_are_given(error)
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        # One more signal would end Python, which restores the defaults at its end, with another status.
        for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
        # While a command runs, click turns the first into the second.
        preempted = isinstance(error.__cause__ or error, sv.Preempted)
        with contextlib.suppress(OSError):  # the terminal may be closed
            print("stopped", file=sys.stderr)
        status = PREEMPTED if preempted else INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, a pager) has closed it; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status if isinstance(status, int) else 0)


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning in one line, without the line of code that raised it."""
    from ssl_video.cli.text import written_out  # not at the top: it takes the time of rich

    print(f"warning: {written_out(str(message), keep=_LINES)}", file=sys.stderr)


def _say_how_options_are_given(error: click.NoSuchOption) -> None:
    """Print how an algorithm's own options are given, for which commands have no flags."""
    # Options of algorithms are words.
    is_word = error.option_name.startswith("--")
    if is_word and error.ctx and "assignments" in (parameter.name for parameter in error.ctx.command.params):
        key = error.option_name.lstrip("-").replace("-", "_")
        print(f"An option of an algorithm is given as --set options.{key}=VALUE.", file=sys.stderr)
