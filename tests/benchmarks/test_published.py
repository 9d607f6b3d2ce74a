"""The literature's numbers as data: complete, in range, in known words, and none twice."""

import pytest

from ssl_video.benchmarks import published

FRAME = published.read()
WORDS = {
    "initialisation": {"scratch", "ImageNet", "ImageNet teacher", "VLM teacher", "not stated"},
    "modality": {"RGB", "RGB+gradient", "RGB+flow+gradient", "not stated"},
    "dataset": {"ucf101", "hmdb51", "kinetics400", "mini-ssv2", "diving48"},
    "protocol": {f"{share}%" for share in (1, 5, 10, 20, 40, 50, 60)},
    "certainty": {"stated", "quoted"},
}


def test_columns() -> None:
    assert list(FRAME) == list(published.COLUMNS)
    assert len(FRAME) > 200


def test_every_row_is_complete() -> None:
    texts = FRAME.drop(columns=["value", "deviation", "note"])
    assert not texts.map(lambda text: text != text.strip() or not text).any().any()


@pytest.mark.parametrize("column", WORDS)
def test_words_are_known(column: str) -> None:
    assert set(FRAME[column]) <= WORDS[column]


def test_every_source_says_where_it_is() -> None:
    assert set(FRAME["source"]) == set(published.SOURCES)


def test_values_are_percentages_and_deviations_smaller() -> None:
    assert FRAME["value"].between(1, 99).all()
    known = FRAME["deviation"].dropna()
    assert len(known) == 45  # TCL's poster alone: nine rows of five
    assert known.between(0.01, 2).all()
    assert set(FRAME.loc[known.index, "source"]) == {"TCL, poster"}


def test_no_number_stands_twice() -> None:
    keys = ["method", "backbone", "initialisation", "modality", "dataset", "protocol", "source", "note"]
    assert not FRAME.duplicated(keys).any()


def test_more_labels_never_hurt_in_one_row() -> None:
    """A value in the wrong column would show as a fall, as it does for no published row."""
    keys = ["method", "backbone", "initialisation", "modality", "dataset", "source", "note"]
    shares = FRAME["protocol"].str.rstrip("%").astype(int)
    for key, group in FRAME.assign(share=shares).sort_values("share").groupby(keys):
        assert group["value"].is_monotonic_increasing, key


@pytest.mark.parametrize(
    ("method", "backbone", "dataset", "protocol", "value", "source"),
    [
        ("cmpl", "3D-R50", "ucf101", "1%", 25.1, "CMPL, abstract"),
        ("cmpl", "3D-R50", "kinetics400", "10%", 58.4, "FinePseudo, coarse-grained table"),
        ("fixmatch", "TSM-R18", "mini-ssv2", "10%", 33.38, "TCL, poster"),
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
