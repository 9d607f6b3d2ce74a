"""Filter finished runs by conditions such as `backbone=tiny3d,slow_r50` or `steps>=1000`."""

import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from ssl_video.errors import InputError, unknown
from ssl_video.runs.result import COLUMNS
from ssl_video.spec import flat

_FORM = re.compile(r"\s*([\w.]+)\s*(!=|>=|<=|=)\s*(.*\S)\s*")
_EXAMPLE = "expected KEY=VALUE[,VALUE], KEY!=VALUE, KEY>=NUMBER or KEY<=NUMBER, for example seed=0,1"


class Condition(NamedTuple):
    """A condition on a run's value of a key.

    Attributes:
        key: a column of the leaderboard, or a key of the specification such as `options.threshold`.
        sign: "=": one of the values; "!=": none of them; ">=" or "<=": compared with the only value.
        values: as texts; with "=" and "!=", * matches any characters and ? any single one.
    """

    key: str
    sign: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key}{self.sign}{','.join(self.values)}"


def parse(texts: Iterable[str]) -> list[Condition]:
    """Parse a user's conditions.

    Raises:
        InputError: names every invalid condition.
    """
    found, problems = [], []
    for text in texts:
        match = _FORM.fullmatch(text)
        values = tuple(value for value in map(str.strip, match[3].split(",")) if value) if match else ()
        if match and (len(values) == 1 or (values and match[2] in ("=", "!="))):
            found.append(Condition(match[1], match[2], values))
        else:
            problems.append(f"--where {text}: {_EXAMPLE}")
    if problems:
        raise InputError(*problems)
    return found


def select(frame: pd.DataFrame, conditions: Sequence[Condition], keep: str = "") -> pd.DataFrame:
    """Return the runs that meet all conditions.

    Args:
        frame: finished runs, from `leaderboard.read`.
        conditions: preferably without repetitions.
        keep: an algorithm or configuration that `algorithm=` never removes: the baseline.

    Raises:
        InputError: names every key and value that no finished run has, and every value that is not a number
            but should be one; or no run meets all conditions.
    """
    met = pd.Series(True, frame.index)
    problems = list[str]()
    for condition in conditions:
        try:
            good = _met(frame, condition)
        except InputError as error:
            problems += error.problems
            continue
        if (condition.key, condition.sign) == ("algorithm", "="):
            good |= (frame["algorithm"] == keep) | (frame["configuration"] == keep)
        met &= good
    if problems:
        raise InputError(*problems)
    if len(frame) and not met.any():
        raise InputError(f"no finished run has {' and '.join(map(str, conditions))}")
    return frame[met]


def _met(frame: pd.DataFrame, condition: Condition) -> "pd.Series[bool]":
    """Return for each run whether it meets a condition."""
    key, sign, values = condition
    column = _column(frame, key)
    numeric = pd.api.types.is_numeric_dtype(column)
    if sign in (">=", "<="):
        if not numeric:
            raise InputError(f"--where {condition}: {key} is not a number; use = or !=")
        bound = _number(values[0], condition)
        return column >= bound if sign == ">=" else column <= bound
    known = column.dropna().unique().tolist()
    chosen, problems = list[Any](), list[str]()
    for value in values:
        if numeric:
            number = _number(value, condition)
            same = [other for other in known if other == number]
        else:
            same = [other for other in known if other == value] or fnmatch.filter(known, value)
        chosen += same
        if not same:
            shown = (f"{other:g}" if numeric else other for other in known)
            problems.append(unknown(f"{key} among the finished runs", value, shown))
    if problems:
        raise InputError(*problems)
    return column.isin(chosen) == (sign == "=")


def _column(frame: pd.DataFrame, key: str) -> "pd.Series[Any]":
    """Return the runs' values of a key, as numbers if all of them are, otherwise as texts.

    Raises:
        InputError: no run has this key.
    """
    if key in COLUMNS:
        column = frame[key]
    else:
        # Runs of one configuration share a specification.
        specs = {id(spec): flat(spec) for spec in frame.get("spec", ())}
        if not any(key in spec for spec in specs.values()):
            further = sorted({name for spec in specs.values() for name in spec} - set(COLUMNS))
            raise InputError(unknown("key of a run", key, [*COLUMNS, *further]))
        column = pd.Series([specs[id(spec)].get(key) for spec in frame["spec"]], frame.index)
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column
    # In YAML's spelling: true, not True.
    return column.map(lambda value: str(value).lower() if isinstance(value, bool) else str(value))


def _number(text: str, condition: Condition) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"--where {condition}: {condition.key} is a number, but {text!r} is not one"
        ) from None
