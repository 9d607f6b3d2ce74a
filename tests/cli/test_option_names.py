"""The name of an option means one thing: in all commands it has one kind of value, and one sentence."""

import re
from collections import defaultdict
from collections.abc import Iterator

import click

from ssl_video.cli import cli

# Options whose sentence differs between commands, with the reason.
DIFFER = {
    "--algo": "train and others take one algorithm, bench compares several, and tables select from several",
    "--backbone": "bench compares several",
    "--data": "bench compares several",
    "--protocol": "bench compares several, and tables select from several",
    "--output": "the file or folder to write, of which each command has its own form",
    "--seed": "the seed of everything that is random: training where a run is trained, a choice elsewhere",
}
Found = dict[str, dict[str, click.Option]]


def commands(command: click.Command, names: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that is no group, by its full name."""
    context = click.Context(command)
    if not isinstance(command, click.Group):
        yield " ".join(names), command
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner
        yield from commands(inner, (*names, name))


def options() -> Found:
    """Return the options of all commands: by the first name of the option, then by command."""
    found: Found = defaultdict(dict)
    for name, command in commands(cli):
        for option in command.params:
            if isinstance(option, click.Option):
                long = next(text for text in option.opts if text.startswith("--"))
                found[long][name] = option
    return found


def kind(option: click.Option) -> str:
    """Return "flag", "number" or "text"; keys of a specification are numbers by what stands for them."""
    if option.is_flag:
        return "flag"
    ranges = (click.IntRange, click.FloatRange, click.types.IntParamType, click.types.FloatParamType)
    return "number" if isinstance(option.type, ranges) or option.metavar in ("N", "X") else "text"


def sentence(option: click.Option) -> str:
    """Return the help without the default, which differs."""
    return re.sub(r"\s+\[.*\]$", "", option.help or "")


def test_commands_of_groups_are_found() -> None:
    assert {"train", "data partition make", "analyze speed step"} <= {name for name, _ in commands(cli)}


def test_a_name_has_one_kind_of_value() -> None:
    kinds = {
        long: {command: kind(option) for command, option in found.items()}
        for long, found in options().items()
    }
    assert {long: found for long, found in kinds.items() if len(set(found.values())) > 1} == {}


def test_a_name_has_one_sentence() -> None:
    several = {
        long: found
        for long, found in options().items()
        if len({sentence(option) for option in found.values()}) > 1
    }
    assert {
        long: {command: sentence(option) for command, option in found.items()}
        for long, found in several.items()
        if long not in DIFFER
    } == {}
    assert not set(DIFFER) - set(several), "they have one sentence, and need no reason"


def test_every_option_has_a_sentence() -> None:
    assert not [
        (command, long)
        for long, found in options().items()
        for command, option in found.items()
        if not sentence(option)
    ]
