"""The literature's numbers as data: complete, in range, in known words, and none twice."""

import dataclasses
import io
import json

import pandas as pd
import pytest
from helpers.records import compare, draws, shown_table

from ssl_video.benchmarks.tables import published
from ssl_video.benchmarks.tables.exports import to_csv, to_json, to_latex, to_markdown
from ssl_video.benchmarks.tables.table_content import TableContent, lay_out

FRAME = published.read()
WORDS = {
    "initialisation": {"scratch", "ImageNet", "ImageNet teacher", "VLM teacher", "not stated"},
    "modality": {"RGB", "RGB+gradient", "RGB+flow+gradient", "not stated"},
    "dataset": set(published.CLASSES) | {"finediving"},
    "protocol": {f"{fraction}%" for fraction in (1, 5, 10, 20, 40, 50, 60)},
    "certainty": {"stated", "quoted"},
}


def test_columns() -> None:
    assert list(FRAME) == list(published.COLUMNS)
    assert len(FRAME) > 400


def test_every_row_is_complete() -> None:
    texts = FRAME.drop(columns=["value", "deviation", "note"])
    assert not texts.map(lambda text: text != text.strip() or not text).any().any()


@pytest.mark.parametrize("column", WORDS)
def test_words_are_known(column: str) -> None:
    assert set(FRAME[column]) <= WORDS[column]


def test_every_source_says_where_it_is() -> None:
    assert set(FRAME["source"]) == set(published.SOURCES)


# The columns of each source's table.
TABLES = {
    "ActNetFormer, Table 1": {"ucf101": (1, 10), "kinetics400": (1, 10), "hmdb51": (40, 50, 60)},
    "CMPL, abstract": {"ucf101": (1,), "kinetics400": (1,)},
    "FinePseudo, coarse-grained table": {"kinetics400": (1, 5, 10), "mini-ssv2": (1, 5, 10)},
    "FinePseudo, fine-grained table": dict.fromkeys(
        ("diving48", "finegym99", "finegym288", "finediving"), (5, 10, 20)
    ),
    "LEViL, Table I": {"ucf101": (1, 10), "hmdb51": (40, 50)},
    "SVFormer, README": {"ucf101": (1, 10), "kinetics400": (1, 10), "hmdb51": (40, 50, 60)},
    "SeFAR, Table 1": dict.fromkeys(("finegym99", "finegym288", "finediving"), (5, 10)),
    "SeFAR, Table 2": {"ucf101": (1, 5, 10), "hmdb51": (40, 50)},
    "TCL, poster": {"kinetics400": (1, 5), "mini-ssv2": (1, 5, 10), "jester": (1, 5, 10)},
}


@pytest.mark.parametrize("source", published.SOURCES)
def test_numbers_are_of_columns_that_their_source_has(source: str) -> None:
    rows = FRAME[FRAME["source"] == source]
    has = {(dataset, f"{share}%") for dataset, shares in TABLES[source].items() for share in shares}
    assert set(rows[["dataset", "protocol"]].itertuples(index=False, name=None)) == has


def test_values_are_percentages_and_deviations_smaller() -> None:
    assert FRAME["value"].between(1, 99).all()
    known = FRAME["deviation"].dropna()
    assert len(known) == 9 * (3 + 2 + 3 + 3)  # TCL's poster alone: nine rows in each of its tables
    assert known.between(0.01, 5).all()
    assert set(FRAME.loc[known.index, "source"]) == {"TCL, poster"}


def test_no_number_stands_twice() -> None:
    keys = ["method", "backbone", "initialisation", "modality", "dataset", "protocol", "source", "note"]
    assert not FRAME.duplicated(keys).any()


def test_more_labels_never_hurt_in_one_row() -> None:
    """A value in the wrong column would show as a fall, as it does for no published row."""
    keys = ["method", "backbone", "initialisation", "modality", "dataset", "source", "note"]
    fractions = FRAME["protocol"].str.rstrip("%").astype(int)
    for key, group in FRAME.assign(fraction=fractions).sort_values("fraction").groupby(keys):
        assert group["value"].is_monotonic_increasing, key


@pytest.mark.parametrize(
    ("method", "backbone", "dataset", "protocol", "value", "source"),
    [
        ("cmpl", "3D-R50", "ucf101", "1%", 25.1, "CMPL, abstract"),
        ("cmpl", "3D-R50", "kinetics400", "10%", 58.4, "FinePseudo, coarse-grained table"),
        ("fixmatch", "TSM-R18", "mini-ssv2", "10%", 33.38, "TCL, poster"),
        ("ltg", "3D-R18", "hmdb51", "60%", 49.7, "ActNetFormer, Table 1"),
        ("fixmatch", "SlowFast-R50", "kinetics400", "10%", 49.4, "ActNetFormer, Table 1"),
        ("sefar", "ViT-B", "finegym288", "10%", 48.1, "SeFAR, Table 1"),
        ("timebalance", "R(2+1)D-18", "finediving", "20%", 67.5, "FinePseudo, fine-grained table"),
        ("svformer", "ViT-B", "ucf101", "10%", 86.7, "SVFormer, README"),
        ("svformer", "ViT-B", "ucf101", "10%", 84.6, "SeFAR, Table 2"),
        ("timebalance", "3D-R50", "hmdb51", "50%", 53.9, "SeFAR, Table 2"),
    ],
)
def test_numbers_that_are_known_by_heart(
    method: str, backbone: str, dataset: str, protocol: str, value: float, source: str
) -> None:
    wanted = {
        "method": method,
        "backbone": backbone,
        "dataset": dataset,
        "protocol": protocol,
        "source": source,
    }
    found = FRAME
    for column, word in wanted.items():
        found = found[found[column] == word]
    assert found["value"].tolist() == [value]


def test_methods_that_are_here_have_their_names_of_here() -> None:
    from ssl_video.registry import algorithms

    ours = {name.lower().replace("-", "") for name in algorithms.builtin()}
    assert {name for name in set(FRAME["method"]) if name.lower().replace("-", "") in ours} <= set(ours)
    assert "cmpl" in set(FRAME["method"])


# UCF-101's first split has 9,537 training clips: 10 a class are 1,010 or 10.6 %, called 10 % by the papers.
_UCF101 = {
    "dataset": "ucf101",
    "classes": 101,
    "labeled": 1010,
    "unlabeled": 8527,
    "protocol": "per-class:10",
}


def beside(**changes: object) -> TableContent:
    """Two methods of ours, with what was published."""
    facts = _UCF101 | changes
    comparison = compare(*draws("supervised", 0.4, 0.5, **facts), *draws("cmpl", 0.5, 0.7, **facts))
    return dataclasses.replace(lay_out(comparison), published=published.beside(comparison.columns))


def fractions(content: TableContent) -> set[tuple[str, str]]:
    assert content.published is not None
    return set(content.published.frame[["dataset", "protocol"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {("ucf101", "10%")}),
        ({"labeled": 101, "unlabeled": 9436}, {("ucf101", "1%")}),  # 1.06 %
        ({"labeled": 300, "unlabeled": 9237}, set()),  # 3.1 %
        ({"classes": 5}, set()),  # a part of the data set under its name
        ({"dataset": "demo"}, set()),
        # All 9,537 are unlabeled, too: 954 of 9,537 are 10.0 %, but 9.1 % of the sum.
        ({"labeled": 954, "unlabeled": 9537, "labeled_in_unlabeled": True}, {("ucf101", "10%")}),
        ({"labeled": 1400, "unlabeled": 2170, "dataset": "hmdb51", "classes": 51}, {("hmdb51", "40%")}),
    ],
)
def test_what_stands_beside_a_column(changes: dict[str, object], found: set[tuple[str, str]]) -> None:
    content = beside(**changes)
    assert fractions(content) == found
    assert content.published is not None
    assert bool(found) == (published.CAVEAT in content.published.notes)


def test_published_numbers_change_nothing_of_ours() -> None:
    content = beside()
    alone = dataclasses.replace(content, published=None)
    assert to_markdown(content).startswith(to_markdown(alone))
    assert to_latex(content).startswith(to_latex(alone))
    ours = pd.read_csv(io.StringIO(to_csv(content))).query("origin == 'ours'")
    pd.testing.assert_frame_equal(ours, pd.read_csv(io.StringIO(to_csv(alone))), check_dtype=False)
    assert json.loads(to_json(content))["cells"] == json.loads(to_json(alone))["cells"]


def test_every_form_marks_what_is_published() -> None:
    content = beside()
    assert content.published is not None
    note = "here ucf101 per-class:10 has 1,010 of 9,537 training clips labeled (10.6 %)"
    for text in (to_markdown(content), to_latex(content), "\n".join(shown_table(content, 200))):
        assert "not measured here" in text
        assert note in text
    lines = [line.split() for line in shown_table(content, 200)]
    assert ["cmpl", "3D-R18", "scratch", "RGB", "LEViL,", "Table", "I,", "quoted", "67.6"] in lines
    assert r"cmpl & 3D-R18 & scratch & RGB & LEViL, Table I, quoted & 67.6 \\" in to_latex(content)
    line = next(
        line
        for line in to_markdown(content).splitlines()
        if "| LEViL, Table I, quoted" in line and "cmpl" in line
    )
    assert [cell.strip() for cell in line.strip("|").split("|")][-1] == "67.6"
    theirs = pd.read_csv(io.StringIO(to_csv(content))).query("origin == 'published'")
    assert len(theirs) == len(content.published.frame)
    assert theirs[["half_width", "n", "gain", "wins", "p", "configuration"]].isna().all().all()
    cmpl = theirs.query("method == 'cmpl' and backbone == '3D-R18'").iloc[0]
    assert cmpl[["protocol", "mean", "initialisation", "modality", "certainty"]].tolist() == [
        "10%", 0.676, "scratch", "RGB", "quoted",
    ]  # fmt: skip
    records = json.loads(to_json(content))["published"]
    assert {record["protocol"] for record in records} == {"10%"}
    assert "NaN" not in to_json(content)


def test_alone_in_tables_of_each_data_set() -> None:
    made = published.alone(["mini-ssv2", "hmdb51"], ["tcl", "svformer", "fixmatch"])
    assert [block.dataset for block in made.blocks] == ["hmdb51", "mini-ssv2"]
    block = made.blocks[1]
    assert [column[0] for column in block.words] == ["method", "backbone", "weights", "input", "source"]
    assert [column[0] for column in block.numbers] == ["1%", "5%", "10%"]
    assert {len(column) for column in (*block.words, *block.numbers)} == {len(block.words[0])}
    # Rows that differ in their remark alone have its number.
    marked = [
        name
        for name, backbone in zip(block.words[0], block.words[1], strict=True)
        if name.startswith("tcl [") and backbone == "TSM-R18"
    ]
    assert len(marked) == len(set(marked)) == 2
    number = marked[0].split("[")[1].rstrip("]")
    assert f"[{number}] with pseudo-label fine-tuning" in made.notes
    place = block.words[0].index("tcl")
    assert [column[place] for column in block.numbers] == ["7.79 ± 0.57", "29.81 ± 0.77", "38.61 ± 0.91"]
    assert len(published.alone().frame) == len(FRAME)
