"""Signals that ask a program to save its runs and end."""

import os
import signal
from collections.abc import Iterator

import pytest

import ssl_video as sv
from ssl_video.signals import STOPPING, stopping


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP"])
def test_a_program_that_is_asked_to_end(name: str) -> None:
    """Also by a terminal that is closed: up to a minute of a run was lost."""
    number = signal.Signals[name]
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    sv.stop_on_signals()
    assert number in stopping()
    with pytest.raises(sv.Preempted):
        os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)  # once is enough


def test_nohup_is_respected() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sv.stop_on_signals()
    os.kill(os.getpid(), signal.SIGHUP)
    assert signal.SIGHUP not in stopping()
    assert signal.SIGTERM in stopping()
