"""A comparison laid out by keys that the user names: `--rows algorithm --columns backbone`."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ssl_video.benchmarks.tables.cells import Cell, Column, Comparison
from ssl_video.benchmarks.tables.layout import Grid, Scores, grid
from ssl_video.benchmarks.tables.naming import natural, variants
from ssl_video.errors import InputError, unknown
from ssl_video.spec import METHOD as OF_ALGORITHM

METHOD = ("algorithm", "backbone", "initialisation", "frames", "stride", "size", "steps")
LABELS = ("dataset", "protocol", "labeled")
# What tells columns of one data set and protocol apart.
_MARKS = "labels"


class _Entry(NamedTuple):
    """A cell, and facts of its method and of its labels."""

    cell: Cell
    configuration: str
    method: dict[str, str]
    labels: dict[str, str]

    def values(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Those of some keys."""
        facts = self.method | self.labels
        return tuple(facts.get(key, "none") for key in keys)


class _Place(NamedTuple):
    """A row or a column: the values of its keys, and what else tells it from others."""

    values: tuple[str, ...]
    further: tuple[str, ...]


class _Side(NamedTuple):
    """What makes the rows, or the columns.

    Attributes:
        name: "rows" or "columns".
        keys: by which they are laid out.
        method, labels: whether what no key says of methods, or of labels, belongs to their names.
    """

    name: str
    keys: list[str]
    method: bool
    labels: bool


def pivot(
    comparison: Comparison,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    *,
    costs: bool = False,
    mean_gains: bool = False,
) -> Grid:
    """The cells of a comparison, laid out by keys.

    A key is one of METHOD and LABELS, or any key of the specification such as `options.threshold`. What the
    keys leave open of the methods is added to the names of rows, or of columns where only those have a key of
    methods; likewise for labels, with columns first. What follows from the keys of the other side is told in
    a note.

    Args:
        comparison: the cells.
        rows: keys of the rows; empty: `algorithm`, or data set and protocol where the columns are algorithms.
        columns: keys of the columns; empty: data set and protocol, or `algorithm` where the rows are labels.
        costs: whether to show what they cost, too.
        mean_gains: whether to show mean gains over the columns of each group, too.

    Raises:
        InputError: every key that there is not, or that is given twice; mean gains over columns that are not
            sets of labels, or are of several data sets.
    """
    entries = list(_entries(comparison))
    down, across = _sides(rows, columns)
    _check(entries, [*down.keys, *across.keys])
    if mean_gains and {*across.keys} - {*LABELS}:
        raise InputError(
            f"mean gains are over sets of labels, not over {', '.join(across.keys)}: columns by "
            f"{', '.join(LABELS)} have one"
        )
    lines, notes = _places(entries, down, across)
    heads, more = _places(entries, across, down)
    lines, heads = _apart(entries, lines, heads, down.method)
    cells = dict(zip(zip(lines, heads, strict=True), (entry.cell for entry in entries), strict=True))
    assert len(cells) == len(entries), "two cells in one place"
    baseline = comparison.rows[0].algorithm if comparison.rows and comparison.rows[0].is_baseline else ""
    lines, heads = _ordered(lines, down.keys, baseline), _ordered(heads, across.keys, baseline)
    columns_of_cells = [
        Scores(*_header(head, across.keys), tuple(cells.get((line, head)) for line in lines))
        for head in heads
    ]
    names = tuple(" ".join((*line.values, *line.further)) for line in lines)
    all_notes = [*comparison.notes, *notes, *more]
    corner, further = ", ".join(down.keys), (False,) * len(lines)
    return grid(comparison, corner, names, further, columns_of_cells, all_notes, costs, mean_gains)


def _entries(comparison: Comparison) -> Iterator[_Entry]:
    """Every cell with its facts."""
    networks = any(row.network for row in comparison.rows)
    for row in comparison.rows:
        method = {**row.facts, "algorithm": row.algorithm}
        if networks:
            method["network"] = row.network or "headline"
        for column, cell in zip(comparison.columns, row.cells, strict=True):
            if cell:
                yield _Entry(cell, row.configuration, method, _label_facts(column))


def _label_facts(column: Column) -> dict[str, str]:
    least, most = column.sizes["labeled"]
    facts = {"dataset": column.dataset, "protocol": column.protocol, _MARKS: ", ".join(column.marks)}
    return facts | {"labeled": f"{least}" if least == most else f"{least}-{most}"}


def _sides(rows: Sequence[str], columns: Sequence[str]) -> tuple[_Side, _Side]:
    """Rows and columns, with what is usual for the one that is not given."""
    if not columns:
        columns = ["algorithm"] if rows and {*rows} <= {*LABELS} else ["dataset", "protocol"]
    if not rows:
        rows = ["dataset", "protocol"] if "algorithm" in columns else ["algorithm"]
    method = [bool({*keys} - {*LABELS}) for keys in (rows, columns)]
    labels = [bool({*keys} & {*LABELS}) for keys in (rows, columns)]
    methods_down, labels_down = method[0] or not method[1], labels[0] and not labels[1]
    return (
        _Side("rows", list(rows), methods_down, labels_down),
        _Side("columns", list(columns), not methods_down, not labels_down),
    )


def _check(entries: Sequence[_Entry], keys: Sequence[str]) -> None:
    known = {*METHOD, *LABELS, *(key for entry in entries for key in entry.method)}
    problems = [
        unknown("key of rows and columns", key, known) for key in dict.fromkeys(keys) if key not in known
    ]
    problems += [f"{key} is given twice for rows and columns" for key, n in Counter(keys).items() if n > 1]
    if problems:
        raise InputError(*problems)


def _places(entries: Sequence[_Entry], side: _Side, other: _Side) -> tuple[list[_Place], list[str]]:
    """The place of each entry on a side, and sentences on what the places' names leave out."""
    following = _following(entries, side, other)
    taken = [*side.keys, *other.keys, *following]
    groups = defaultdict[tuple[str, ...], list[int]](list)
    for number, entry in enumerate(entries):
        groups[entry.values(side.keys)].append(number)
    places, notes = [_Place((), ())] * len(entries), list[str]()
    for values, numbers in groups.items():
        members = [entries[number] for number in numbers]
        names = _labels(members, taken) if side.labels else [()] * len(members)
        if side.method:
            texts, sentences = _methods(members, taken)
            names = [(*name, text) if text else name for name, text in zip(names, texts, strict=True)]
            notes += [
                sentence.format(" ".join(values)).replace("rows", side.name, 1) for sentence in sentences
            ]
        for number, name in zip(numbers, names, strict=True):
            places[number] = _Place(values, name)
    told = [key for key, tell in following.items() if tell]
    if told:
        notes.append(f"{other.name} also differ in {', '.join(told)}")
    return places, notes


def _labels(entries: Sequence[_Entry], taken: Sequence[str]) -> list[tuple[str, ...]]:
    """For each entry the data set, protocol and marks that are not the same for all of them."""
    keys = [key for key in ("dataset", "protocol", _MARKS) if key not in taken]
    different = [key for key in keys if len({entry.labels[key] for entry in entries}) > 1]
    return [tuple(text for text in entry.values(different) if text) for entry in entries]


def _methods(entries: Sequence[_Entry], taken: Sequence[str]) -> tuple[list[str], list[str]]:
    """For each entry what tells its method from the others', and sentences on what that leaves out."""
    rest = [{key: value for key, value in entry.method.items() if key not in taken} for entry in entries]
    different = [dict(facts) for facts in dict.fromkeys(tuple(sorted(facts.items())) for facts in rest)]
    texts, sentences = variants(different)
    return [texts[different.index(facts)] for facts in rest], sentences


def _following(entries: Sequence[_Entry], side: _Side, other: _Side) -> dict[str, bool]:
    """Facts that follow from the other side's keys, and whether the reader has to be told.

    Each backbone has a clip size of its own, say: the size then does not split the row of an algorithm.
    """
    found = dict[str, bool]()
    kinds = [
        ({key for entry in entries for key in entry.method}, side.method and bool({*other.keys} - {*LABELS})),
        ({key for entry in entries for key in entry.labels}, side.labels and bool({*other.keys} & {*LABELS})),
    ]
    for key in (key for keys, possible in kinds if possible for key in keys - {*side.keys, *other.keys}):
        values = defaultdict[tuple[str, ...], set[str]](set)
        within = defaultdict[tuple[str, ...], set[str]](set)
        for entry in entries:
            (value,) = entry.values([key])
            values[entry.values([*side.keys, *other.keys])].add(value)
            within[entry.values(side.keys)].add(value)
        if all(len(some) == 1 for some in values.values()):
            own = "algorithm" in other.keys and key.split(".")[0] in OF_ALGORITHM
            told = own or _repeats(entries, key)
            found[key] = not told and any(len(some) > 1 for some in within.values())
    return dict(sorted(found.items()))


def _repeats(entries: Sequence[_Entry], key: str) -> bool:
    """Whether a network's key, where there is one, has the value of the key that holds for all networks."""
    _, dot, last = key.rpartition(".")
    return bool(dot) and all(entry.method.get(key) in (None, entry.method.get(last)) for entry in entries)


def _apart(
    entries: Sequence[_Entry], lines: list[_Place], heads: list[_Place], down: bool
) -> tuple[list[_Place], list[_Place]]:
    """Places that are still shared, as by two versions of a plugin, with the configuration in their names."""
    taken = Counter(zip(lines, heads, strict=True))
    crowded = {
        (line if down else head) for line, head in zip(lines, heads, strict=True) if taken[line, head] > 1
    }

    def named(places: list[_Place]) -> list[_Place]:
        return [
            place._replace(further=(*place.further, entry.configuration)) if place in crowded else place
            for place, entry in zip(places, entries, strict=True)
        ]

    return (named(lines), heads) if down else (lines, named(heads))


def _ordered(places: Sequence[_Place], keys: Sequence[str], baseline: str) -> list[_Place]:
    """Each place once: by the values of the keys, the baseline's algorithm first."""

    def order(place: _Place) -> list[object]:
        values = zip(keys, place.values, strict=True)
        return [
            *((key != "algorithm" or value != baseline, natural(value)) for key, value in values),
            place.further,
        ]

    return sorted(dict.fromkeys(places), key=order)


def _header(place: _Place, keys: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """What stands above a column and its neighbours, and the column's own lines."""
    group, lines = (place.values[0], place.values[1:]) if len(keys) > 1 else (keys[0], place.values)
    return group, (*lines, *place.further)
