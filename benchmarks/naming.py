"""Shortest names that tell the rows and columns of a table apart, and their order."""

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from ssl_video.spec import METHOD, flat


def labels(methods: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Names for methods: the algorithm and, where several share it, the fewest keys that tell them apart.

    Args:
        methods: finished runs, one of each method.

    Returns:
        A name for each row, for example "cmpl" or "fixmatch steps=200"; and a sentence for each algorithm
        whose methods differ in more than their names say.
    """
    names, notes = methods["algorithm"].tolist(), []
    shared: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        shared.setdefault(name, []).append(row)
    for algorithm, rows in sorted((name, rows) for name, rows in shared.items() if len(rows) > 1):
        facts = [_facts(methods.iloc[row]) for row in rows]
        shown, hidden = _telling(facts)
        short = _short({key for fact in facts for key in fact})
        texts = [" ".join(f"{short[key]}={fact.get(key, 'none')}" for key in shown) for fact in facts]
        counts = Counter(texts)
        for row, text in zip(rows, texts, strict=True):
            # A plugin whose code was changed has other configurations with the same keys.
            same = methods["configuration"].iloc[row] if counts[text] > 1 else ""
            names[row] = " ".join(part for part in (algorithm, text, same) if part)
        if hidden:
            notes.append(f"rows of {algorithm} also differ in {', '.join(short[key] for key in hidden)}")
    return _with_settings(names, methods), notes


def _with_settings(names: list[str], methods: pd.DataFrame) -> list[str]:
    """Names that also say what is not the same for all rows, beside the method, where something is not.

    Rows with other steps or clips stand in one table, and nobody may take them for comparable.
    """
    settings = methods.drop_duplicates("setting")
    if len(settings) < 2:
        return names
    facts = [
        {key: value for key, value in _facts(row).items() if key.split(".")[0] not in METHOD}
        for _, row in settings.iterrows()
    ]
    shown, _ = _telling(facts)
    short = _short({key for fact in facts for key in fact})
    marks = {
        setting: [f"{short[key]}={fact.get(key, 'none')}" for key in shown]
        for setting, fact in zip(settings["setting"], facts, strict=True)
    }
    return [
        " ".join([name, *(mark for mark in marks[setting] if mark not in name.split())])
        for name, setting in zip(names, methods["setting"], strict=True)
    ]


def prefixes(hashes: Collection[str]) -> dict[str, str]:
    """Hashes cut to the length, at least 6, at which all are still different."""
    length = next(n for n in range(6, 99) if len({text[:n] for text in hashes}) == len(hashes))
    return {text: text[:length] for text in hashes}


def natural(text: str) -> list[Any]:
    """Sorting key with numbers by their value: "per-class:4" before "per-class:10"."""
    parts = re.split(r"(\d+(?:\.\d+)?)", str(text))
    return [float(part) if place % 2 else part for place, part in enumerate(parts)]


def _facts(run: "pd.Series[Any]") -> dict[str, str]:
    """What may tell a method from others: flattened keys and their values as short texts."""
    spec = run.get("spec")
    if spec is None:  # a frame that was read from the CSV
        spec = {key: run[key] for key in ("backbone", "initialisation", "frames", "stride", "size", "steps")}
        spec["options"] = json.loads(run["options"])
    return {key: _text(value) for key, value in flat(spec).items()}


def _text(value: Any) -> str:
    """A value in its shortest readable form."""
    if isinstance(value, str):
        return value.rsplit("/", 1)[-1]
    if isinstance(value, float):
        return f"{value:.12g}"
    return json.dumps(value) if isinstance(value, bool | list | None) else str(value)


def _telling(facts: Sequence[Mapping[str, str]]) -> tuple[list[str], list[str]]:
    """The fewest keys, found greedily, that tell all of `facts` apart, and the others that differ."""
    distinct: dict[tuple[str | None, ...], str] = {}
    for key in sorted({key for fact in facts for key in fact}, key=lambda key: (len(key), key)):
        values = tuple(fact.get(key) for fact in facts)
        if len(set(values)) > 1:
            # Resolved specifications repeat the first network's keys: backbone, networks.model.backbone.
            distinct.setdefault((key.rsplit(".", 1)[-1], *values), key)
    differing = list(distinct.values())
    shown: list[str] = []

    def told(extra: str) -> int:
        return len({tuple(fact.get(key) for key in [*shown, extra]) for fact in facts})

    apart = 1
    while apart < len(facts):
        best = max(differing, key=lambda key: (told(key), -len(key)), default="")
        if not best or told(best) == apart:
            break
        apart = told(best)
        shown.append(best)
    return shown, [key for key in differing if key not in shown]


def _short(keys: Collection[str]) -> dict[str, str]:
    """Each dotted key without the outer parts that it needs not to differ from all others."""
    short = {}
    for key in keys:
        parts = key.split(".")
        tails = [".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]
        short[key] = next(
            t for t in tails if t == key or not any(k != key and f".{k}".endswith(f".{t}") for k in keys)
        )
    return short
