"""The type of a check, its result, and how to run one."""

import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ssl_video.contract import LossOutput
from ssl_video.testing import clips
from ssl_video.testing.subject import Networks, Subject, unlabeled_terms

_WITH: dict[Networks, str] = {
    "plain": "networks without batch norm",
    "batch-norm": "networks with batch norm",
}


class Failed(Exception):
    """Raised by a check that an algorithm fails; the message is the finding."""


class NotApplicable(Exception):
    """Raised by a check that does not apply to an algorithm; the message is the reason."""


def named_unlabeled(output: LossOutput) -> dict[str, Tensor]:
    """Return the terms of unlabeled clips.

    Raises:
        NotApplicable: no term has such a name.
    """
    found = unlabeled_terms(output)
    if not found:
        raise NotApplicable("no term is called unlabeled or unlabeled_...: name those of unlabeled clips so")
    return found


@dataclass(frozen=True)
class Check:
    """One requirement of the contract.

    Attributes:
        name: its name.
        promise: the requirement, in a line.
        reason: the mistakes that it prevents.
        fix: the usual fix of a failure.
        look: raises `Failed` or `NotApplicable`.
        networks: the kinds of networks to check with.
        ways: whether to check with every value of `Literal` options, too.
        style: whether it is about the form that methods of the zoo have, and not about behaviour.
    """

    name: str
    promise: str
    reason: str
    fix: str
    look: Callable[[Subject], None]
    networks: tuple[Networks, ...]
    ways: bool
    style: bool = False


@dataclass(frozen=True)
class CheckResult:
    """The result of a check.

    Attributes:
        check: the check.
        outcome: pass, fail, not applicable, or waived: it fails, and the algorithm's `waived` says why.
        found: the finding, or the reason why the check does not apply or is waived; "" for a pass.
    """

    check: Check
    outcome: Literal["pass", "fail", "not applicable", "waived"]
    found: str = ""

    def __str__(self) -> str:
        """Return a failure in four lines: name and promise, finding, reason, usual fix."""
        check = self.check
        lines = ("found", self.found), ("reason", check.reason), ("fix", check.fix)
        return "\n  ".join([f"{check.name}: {check.promise}", *(f"{name}: {text}" for name, text in lines)])


def check(
    name: str,
    *,
    promise: str,
    reason: str,
    fix: str,
    networks: tuple[Networks, ...] = ("plain", "batch-norm"),
    ways: bool = False,
    style: bool = False,
) -> Callable[[Callable[[Subject], None]], Check]:
    """Turn a function that raises `Failed` or `NotApplicable` into a check; for arguments see `Check`."""

    def made(look: Callable[[Subject], None]) -> Check:
        return Check(name, promise, reason, fix, look, networks, ways, style)

    return made


def carry_out(check: Check, subject: Subject) -> CheckResult:
    """Carry out a check; a failure that the algorithm waives is no failure."""
    result = _carry_out(check, subject)
    reason = subject.constructor.waived.get(check.name)
    return replace(result, outcome="waived", found=reason) if reason and result.outcome == "fail" else result


def _carry_out(check: Check, subject: Subject) -> CheckResult:
    """Check an algorithm with each kind of network and each way of its options that the check asks for."""
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
                return CheckResult(check, "fail", f"{failure}{place}")
            except Exception as error:  # noqa: BLE001 - any error of an algorithm is a finding
                return CheckResult(check, "fail", f"{raised(error, subject)}{place}")
    return CheckResult(check, "pass") if passed else CheckResult(check, "not applicable", reason)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Use one thread, so that sums always have the same order, and preserve the caller's random state."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)


def raised(error: Exception, subject: Subject) -> str:
    """Return an error as one line, with its source line in the algorithm's file, or else in any file."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == inspect.getsourcefile(subject.constructor)]
    last = (own or frames)[-1]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]} ({last.filename}, line {last.lineno})"
