"""Contract checks for algorithms, both built-in and third-party.

from ssl_video.testing import check_algorithm

def test_my_method():
    check_algorithm(MyMethod)  # or "my_method.py:my-method", or a name
"""

from collections.abc import Iterator

from ssl_video.contract import Algorithm
from ssl_video.errors import InputError, unknown
from ssl_video.testing.check import Check, CheckResult, carry_out
from ssl_video.testing.checks import declaration, device, features, learning, options, pseudo, state, terms
from ssl_video.testing.subject import subject

__all__ = ["CHECKS", "Check", "CheckResult", "ContractError", "check_algorithm", "results"]

CHECKS: dict[str, Check] = {
    entry.name: entry
    for module in (declaration, terms, pseudo, learning, state, features, device, options)
    for entry in vars(module).values()
    if isinstance(entry, Check)
}
"""Every check of the contract, by name."""

# If one of these fails, all later checks would fail for the same reason.
_FIRST = ("constructor", "loss-runs")


class ContractError(AssertionError):
    """Raised for an algorithm that breaks the contract.

    Attributes:
        failures: results of the failed checks.
    """

    def __init__(self, name: str, failures: list[CheckResult], checks: int) -> None:
        super().__init__(
            "\n\n".join([f"{name} fails {len(failures)} of {checks} checks", *map(str, failures)])
        )
        self.failures = failures


def results(
    algorithm: str | type[Algorithm], *checks: str, style: bool | None = None
) -> Iterator[CheckResult]:
    """Run checks one after the other and yield their results.

    Args:
        algorithm: a name, `path/to/file.py:name`, or a class.
        checks: names from `CHECKS`; none: all checks.
        style: whether checks of the form are among all checks; None: for the methods of the zoo alone.

    Raises:
        InputError: there is no such check or algorithm, or it is not a subclass of `Algorithm`.
    """
    problems = [unknown("check", name, CHECKS) for name in checks if name not in CHECKS]
    if problems:
        raise InputError(*problems)
    examined, missing = subject(algorithm), ""
    if style is None:
        style = examined.constructor.__module__.startswith("ssl_video.algorithms.")
    for name in checks or [name for name, check in CHECKS.items() if style or not check.style]:
        if missing:
            yield CheckResult(CHECKS[name], "not applicable", f"{missing} comes first")
            continue
        result = carry_out(CHECKS[name], examined)
        if name in _FIRST and result.outcome == "fail":
            missing = name
        yield result


def check_algorithm(algorithm: str | type[Algorithm], *checks: str, style: bool | None = None) -> None:
    """Run checks and report all failures together.

    The checks use small 3D networks, with and without batch norm, and random clips on the CPU. They take a
    few seconds.

    Args:
        algorithm: a name, `path/to/file.py:name`, or a class.
        checks: names from `CHECKS`; none: all checks.
        style: whether checks of the form (docstrings, names of terms) are among all checks; None: for the
            methods of the zoo alone.

    Raises:
        ContractError: holds every failure: the finding, the reason, and the usual fix.
        InputError: there is no such algorithm, or it is not a subclass of `Algorithm`.
    """
    made = list(results(algorithm, *checks, style=style))
    failures = [result for result in made if result.outcome == "fail"]
    if failures:
        raise ContractError(subject(algorithm).name, failures, len(made))
