"""What a check is, and what comes out of one."""

import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from ssl_video.testing import clips
from ssl_video.testing.subject import Networks, Subject

_WITH: dict[Networks, str] = {
    "plain": "networks without batch norm",
    "batch-norm": "networks with batch norm",
}


class Failed(Exception):
    """A promise that is not kept; the message says what was found."""


class NotApplicable(Exception):
    """A promise that an algorithm does not give; the message says why not."""


@dataclass(frozen=True)
class Check:
    """One promise that every algorithm keeps.

    Attributes:
        name: its name.
        promise: what is promised, in a line.
        why: what it protects from.
        mend: how a failure is usually mended.
        look: raises `Failed` or `NotApplicable`.
        networks: the networks with which it is looked at.
        ways: whether it is looked at with every value of options that are one of several words, too.
    """

    name: str
    promise: str
    why: str
    mend: str
    look: Callable[[Subject], None]
    networks: tuple[Networks, ...]
    ways: bool


@dataclass(frozen=True)
class Result:
    """What came out of a check.

    Attributes:
        check: the check.
        outcome: what came out.
        found: what was found, or why the check does not apply; nothing where all is well.
    """

    check: Check
    outcome: Literal["pass", "fail", "not applicable"]
    found: str = ""

    def __str__(self) -> str:
        """A failure in four lines: name, what was found, why it matters, how it is mended."""
        check = self.check
        return (
            f"{check.name}: {check.promise}\n  found: {self.found}\n  why: {check.why}\n  mend: {check.mend}"
        )


def check(
    name: str, *, mend: str, networks: tuple[Networks, ...] = ("plain", "batch-norm"), ways: bool = False
) -> Callable[[Callable[[Subject], None]], Check]:
    """Decorator that makes a function a check; its docstring says what is promised, and then why."""

    def made(look: Callable[[Subject], None]) -> Check:
        promise, _, why = (look.__doc__ or "").partition("\n\n")
        assert why, f"{name}: the docstring says why"
        return Check(name, " ".join(promise.split()), " ".join(why.split()), mend, look, networks, ways)

    return made


def carry_out(check: Check, subject: Subject) -> Result:
    """Look at an algorithm with each kind of network, and in each way, that the check is for."""
    passed, reason = False, ""
    for chosen in [{}, *subject.ways] if check.ways else [{}]:
        for networks in check.networks:
            where = [_WITH[networks]] if len(check.networks) > 1 else []
            where += [f"{option} {way!r}" for option, way in chosen.items()]
            place = f" ({', '.join(where)})" if where else ""
            try:
                with _undisturbed():
                    check.look(subject.given(networks, chosen))
                passed = True
            except NotApplicable as excuse:
                reason = reason or str(excuse)
            except clips.Undeclared as error:
                reason = f"it reads view {error}, which it does not declare"
            except Failed as failure:
                return Result(check, "fail", f"{failure}{place}")
            except Exception as error:  # noqa: BLE001 - whatever an algorithm raises is what was found
                return Result(check, "fail", f"{raised(error, subject)}{place}")
    return Result(check, "pass") if passed else Result(check, "not applicable", reason)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """One thread, so that sums are always added in the same order; the caller's random numbers stay."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)


def raised(error: Exception, subject: Subject) -> str:
    """An error in a line, with the line of the algorithm's file that it came from, or else of any other."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == inspect.getsourcefile(subject.constructor)]
    last = (own or frames)[-1]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]} ({last.filename}, line {last.lineno})"
