"""Checks of what every algorithm promises, for the zoo's own methods and for anybody's.

from ssl_video.testing import check_algorithm

def test_my_method():
    check_algorithm(MyMethod)  # or "my_method.py:my-method", or a name
"""

from collections.abc import Iterator

from ssl_video.contract import Algorithm
from ssl_video.testing.check import Check, Result, carry_out
from ssl_video.testing.checks import declaration, learning, options, pseudo, state, terms
from ssl_video.testing.subject import subject

__all__ = ["CHECKS", "Check", "ContractError", "Result", "check_algorithm", "results"]

CHECKS: dict[str, Check] = {
    entry.name: entry
    for module in (declaration, terms, pseudo, learning, state, options)
    for entry in vars(module).values()
    if isinstance(entry, Check)
}

# Without these, all that comes after them would fail for the same reason.
_FIRST = ("constructor", "loss-runs")


class ContractError(AssertionError):
    """An algorithm breaks promises of the contract.

    Attributes:
        failures: what came out of every check that failed.
    """

    def __init__(self, name: str, failures: list[Result]) -> None:
        super().__init__(
            "\n\n".join([f"{name} fails {len(failures)} of {len(CHECKS)} checks", *map(str, failures)])
        )
        self.failures = failures


def results(algorithm: str | type[Algorithm], *checks: str) -> Iterator[Result]:
    """Carry out the checks of these names, or all, one after the other.

    Args:
        algorithm: a name, `path/to/file.py:name`, or a class.
        checks: names from `CHECKS`.

    Raises:
        InputError: there is no such algorithm, or it is not a subclass of `Algorithm`.
    """
    examined, missing = subject(algorithm), ""
    for name in checks or CHECKS:
        if missing:
            yield Result(CHECKS[name], "not applicable", f"{missing} comes first")
            continue
        result = carry_out(CHECKS[name], examined)
        if name in _FIRST and result.outcome == "fail":
            missing = name
        yield result


def check_algorithm(algorithm: str | type[Algorithm], *checks: str) -> None:
    """Carry out the checks of these names, or all, and complain of all that fail together.

    Small 3D networks, with and without batch norm, and random clips on the CPU; a few seconds.

    Args:
        algorithm: a name, `path/to/file.py:name`, or a class.
        checks: names from `CHECKS`.

    Raises:
        ContractError: with every failure: what was found, why it matters, how it is usually mended.
        InputError: there is no such algorithm, or it is not a subclass of `Algorithm`.
    """
    failures = [result for result in results(algorithm, *checks) if result.outcome == "fail"]
    if failures:
        raise ContractError(subject(algorithm).name, failures)
