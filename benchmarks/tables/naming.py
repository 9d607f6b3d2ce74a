"""Shortest distinguishing names of a table's rows and columns, and their order."""

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from ssl_video.spec import METHOD, Spec, flat, plain, setting, short_name, without_cell

# If several keys distinguish rows equally well, these are more informative.
_FIRST = ("backbone", "weights")


def labels(methods: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Name methods by the algorithm and the fewest settings that distinguish them.

    Values that most methods of an algorithm share are left out of their names.

    Args:
        methods: finished runs, one of each method.

    Returns:
        A name for each row, for example "cmpl" or "cmpl auxiliary.width=1 steps=200"; and sentences on the
        settings that the names leave out.
    """
    rows = methods.to_dict("records")
    facts = [method_facts(row) for row in rows]
    different = _settings(methods["setting"], facts)
    groups: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault((row["algorithm"], different[row["setting"]]), []).append(number)
    names, notes = [""] * len(rows), list[str]()
    for (algorithm, beside), members in sorted(groups.items()):
        texts, left_out = variants([facts[number] for number in members])
        counts = Counter(texts)
        for number, text in zip(members, texts, strict=True):
            # A plugin whose code has changed has several configurations with the same settings.
            same = rows[number]["configuration"] if counts[text] > 1 else ""
            names[number] = " ".join(part for part in (algorithm, text, same, beside) if part)
        notes += [
            sentence.format(" ".join(part for part in (algorithm, beside) if part)) for sentence in left_out
        ]
    return names, notes + _budgets(names, rows)


def method_names(specs: Mapping[str, Spec]) -> dict[str, str]:
    """Return the names that tables will have for methods that have not run yet, by configuration.

    Args:
        specs: a resolved specification of each configuration.
    """
    rows = [
        {
            **{"algorithm": short_name(spec.algorithm), "configuration": name, "setting": setting(spec)},
            "spec": without_cell(plain(spec)),
        }
        for name, spec in specs.items()
    ]
    return dict(zip(specs, labels(pd.DataFrame(rows))[0], strict=True)) if rows else {}


def _budgets(names: Sequence[str], rows: Sequence[Mapping[Any, Any]]) -> list[str]:
    """Return a sentence for each common budget on the methods' steps, which follow from it."""
    sharing: dict[str, list[str]] = {}
    for name, row in zip(names, rows, strict=True):
        spec = row.get("spec") or {}
        if "match" in spec:
            sharing.setdefault(spec["match"], []).append(f"{name} {spec['steps']:,}")
    return [f"matched by {match}, so steps differ: {', '.join(each)}" for match, each in sharing.items()]


def variants(facts: Sequence[Mapping[str, str]]) -> tuple[list[str], list[str]]:
    """Return each method's distinguishing settings, and sentences on common ones (`{}`: the algorithm)."""
    shown, hidden = _telling(facts)
    short = _short({key for fact in facts for key in fact})
    usual = {key: value for key in shown if (value := _usual([fact.get(key, "none") for fact in facts]))}
    texts = [
        " ".join(
            f"{short[key]}={value}" for key in shown if (value := fact.get(key, "none")) != usual.get(key)
        )
        for fact in facts
    ]
    notes = []
    if usual:
        common = ", ".join(f"{short[key]}={value}" for key, value in usual.items())
        notes.append(f"rows of {{}} that name no other value: {common}")
    if hidden:
        notes.append(f"rows of {{}} also differ in {', '.join(short[key] for key in hidden)}")
    return texts, notes


def _usual(values: Sequence[str]) -> str | None:
    """Return the most frequent value; None if there is only one value, or a tie."""
    (value, count), *others = Counter(values).most_common()
    return value if others and count > others[0][1] else None


def _settings(settings: "pd.Series[str]", facts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return each setting's differences from the others, the method aside; "" if there is only one setting.

    A table may contain rows with different steps or clips, which must not look comparable.
    """
    first = dict(zip(settings[::-1], facts[::-1], strict=True))
    if len(first) < 2:
        return dict.fromkeys(first, "")
    shared = [{k: v for k, v in fact.items() if k.split(".")[0] not in METHOD} for fact in first.values()]
    shown, _ = _telling(shared)
    short = _short({key for fact in shared for key in fact})
    return {
        setting: " ".join(f"{short[key]}={fact.get(key, 'none')}" for key in shown)
        for setting, fact in zip(first, shared, strict=True)
    }


def prefixes(hashes: Collection[str]) -> dict[str, str]:
    """Return hashes truncated to the smallest length, at least 6, at which all differ."""
    length = next(n for n in range(6, 99) if len({text[:n] for text in hashes}) == len(hashes))
    return {text: text[:length] for text in hashes}


def natural(text: str) -> list[Any]:
    """Return a sort key that orders numbers by value: "per-class:4" before "per-class:10"."""
    parts = re.split(r"(\d+(?:\.\d+)?)", str(text))
    return [float(part) if place % 2 else part for place, part in enumerate(parts)]


def method_facts(run: Mapping[Any, Any]) -> dict[str, str]:
    """Return the settings of a run's method: flattened keys and their values as short texts."""
    spec = run.get("spec")
    if spec is None:  # a frame that was read from the CSV
        spec = {key: run[key] for key in ("backbone", "initialisation", "frames", "stride", "size", "steps")}
        spec["options"] = json.loads(run["options"])
    # Steps that follow from a budget are redundant.
    known = {key: value for key, value in spec.items() if key != "steps" or "match" not in spec}
    # The name of a backbone stands for the architecture that its folder describes.
    return {key: _text(value) for key, value in flat(known).items() if ".architecture." not in key}


def _text(value: Any) -> str:
    """Return a value in its shortest readable form."""
    if isinstance(value, str):
        return value.rsplit("/", 1)[-1]
    if isinstance(value, float):
        return f"{value:.12g}"
    return json.dumps(value) if isinstance(value, bool | list | None) else str(value)


def _telling(facts: Sequence[Mapping[str, str]]) -> tuple[list[str], list[str]]:
    """Return the fewest keys (found greedily) that distinguish all `facts`, and the other differing keys."""
    distinct: dict[tuple[str | None, ...], str] = {}
    for key in sorted({key for fact in facts for key in fact}, key=lambda key: (len(key), key)):
        values = tuple(fact.get(key) for fact in facts)
        if len(set(values)) > 1:
            # Resolved specifications repeat the first network's keys: backbone, networks.model.backbone.
            distinct.setdefault((key.rsplit(".", 1)[-1], *values), key)
    differing = list(distinct.values())
    shown: list[str] = []

    def kinds(extra: str) -> int:
        return len({tuple(fact.get(key) for key in [*shown, extra]) for fact in facts})

    apart = 1
    while apart < len(facts):
        best = max(
            differing, key=lambda key: (kinds(key), key.rsplit(".", 1)[-1] in _FIRST, -len(key)), default=""
        )
        if not best or kinds(best) == apart:
            break
        apart = kinds(best)
        shown.append(best)
    return shown, [key for key in differing if key not in shown]


def _short(keys: Collection[str]) -> dict[str, str]:
    """Shorten each dotted key to the fewest trailing parts that distinguish it from all others."""
    short = {}
    for key in keys:
        parts = key.split(".")
        tails = [".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]
        short[key] = next(
            t for t in tails if t == key or not any(k != key and f".{k}".endswith(f".{t}") for k in keys)
        )
    return short
