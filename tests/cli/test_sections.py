"""Sections of the help of commands with many options."""

import importlib
from pathlib import Path

import click
import pytest
from helpers.command_line import Call

from ssl_video.cli.sections import OTHERS, Sectioned


@pytest.mark.parametrize("name", ["train", "bench"])
def test_every_option_is_in_one_section(name: str, call: Call, tmp_path: Path) -> None:
    command = importlib.import_module(f"ssl_video.cli.{name}").command
    assert isinstance(command, Sectioned)
    sections = command.sections(click.Context(command))
    assert ["--help" in one.opts for one in sections[OTHERS]] == [True]
    shown = [one.name for options in sections.values() for one in options]
    every = [one.name for one in command.get_params(click.Context(command)) if isinstance(one, click.Option)]
    assert sorted(map(str, shown)) == sorted(map(str, every))
    text = call(name, "--help", cwd=tmp_path).stdout
    places = [text.index(f"\n{title}:\n") for title in sections]
    assert places == sorted(places)
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.opts[0] in text
