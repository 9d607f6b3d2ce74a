"""Results from Python: selections, baselines by the names of rows, and tables in every form."""

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.records import draws

import ssl_video as sv
from ssl_video.benchmarks.tables import leaderboard

OTHER = {"configuration": "cother", "options": '{"threshold":0.8}'}
USUAL = {"options": '{"threshold":0.95}'}


def runs(*records: dict[str, Any]) -> sv.Results:
    return sv.Results(Path("results"), pd.DataFrame(records))


@pytest.fixture
def several() -> sv.Results:
    """Two settings of FixMatch on one backbone, and one of them on another backbone."""
    elsewhere = {"backbone": "slow_r50", "setting": "s11111111"}
    return runs(
        *draws("supervised", 0.4, 0.5),
        *draws("fixmatch", 0.5, 0.6, **USUAL),
        *draws("fixmatch", 0.6, 0.7, **OTHER),
        *draws("fixmatch", 0.7, 0.8, **USUAL, **elsewhere, **{"configuration": "cslow"}),
    )


def baseline(table: sv.ResultTable) -> str:
    (name,) = table.to_frame()["baseline"].unique()
    return str(name)


def test_a_baseline_by_the_name_of_its_row(several: sv.Results) -> None:
    """By every name that a table shows, in the whole table and in a selection of it."""
    for selected in (several, several.select("backbone=tiny3d")):
        names = set(selected.compare().to_frame()["method"]) - {"supervised"}
        assert len(names) == (2 if selected is not several else 3)
        for name in names:
            table = several.select(*([] if selected is several else ["backbone=tiny3d"]), baseline=name)
            compared = table.compare(name).to_frame()
            assert baseline(table.compare(name)) in compared["method"].tolist()
            own = compared[compared["configuration"] == table.configuration(name)]
            assert own["gain"].isna().all()
            assert compared["gain"].notna().any() or name.endswith("cslow")


def test_the_baseline_stays_when_other_algorithms_are_selected(several: sv.Results) -> None:
    kept = several.select("backbone=tiny3d", algorithm=["supervised"], baseline="cother")
    assert sorted(kept.frame["configuration"].unique()) == ["cother", "csupervised"]


def test_a_baseline_that_no_row_has(several: sv.Results) -> None:
    near = r"unknown baseline 'fixmatch threshold=0\.81'; did you mean fixmatch thr"
    with pytest.raises(sv.InputError, match=near):
        several.select("backbone=tiny3d").compare("fixmatch threshold=0.81")
    with pytest.raises(sv.InputError, match=r"unknown baseline 'nonsense'; known: fixmatch, supervised$"):
        several.compare("nonsense")


def test_without_a_run_of_supervised_there_are_no_gains() -> None:
    table = runs(*draws("fixmatch", 0.5, 0.6)).compare()
    assert table.to_frame()["gain"].isna().all()
    assert "no gains: no finished run of supervised is among these" in table.notes


def test_a_table_in_every_form(several: sv.Results) -> None:
    table = several.only([name for name in several.frame["run"] if "slow" not in name]).compare()
    assert str(table) == table.to_text()
    assert not any(line.endswith(" ") for line in table.to_text().splitlines())
    assert table.to_markdown() == table._repr_markdown_()
    assert "+10.0" in table.to_markdown()
    assert r"\toprule" in table.to_latex()
    assert pd.read_json(io.StringIO(table.to_json()), typ="series")["caption"] == table.caption
    frame = table.to_frame()
    assert frame["mean"].tolist() == pytest.approx([0.45, 0.65, 0.55])
    assert len(table.to_csv().splitlines()) == 1 + len(frame)


def test_a_note_where_runs_were_computed_differently() -> None:
    made = draws("supervised", 0.4, 0.5)
    made[1] |= {"threads": 8}
    (note,) = (note for note in runs(*made).compare().notes if "differ in" in note)
    assert note == "demo per-class:4: runs differ in threads 1, 8, which changes numbers"
    assert not [n for n in runs(*draws("supervised", 0.4, 0.5)).compare().notes if "differ in" in n]


def test_reading_writes_nothing(tmp_path: Path) -> None:
    """Of a folder with runs and of a published table; only `write` does, and not over the latter."""
    (tmp_path / "runs").mkdir()
    assert len(sv.read_results(tmp_path)) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    frame = pd.DataFrame(draws("supervised", 0.4, 0.5))[list(leaderboard.COLUMNS)]
    frame.to_csv(tmp_path / "leaderboard.csv", index=False)
    before = (tmp_path / "leaderboard.csv").read_bytes()
    published = sv.read_results(tmp_path)
    assert published.is_published
    assert published.compare().to_frame()["n"].tolist() == [2]
    with pytest.raises(sv.InputError, match="so it would be lost"):
        published.write()
    assert (tmp_path / "leaderboard.csv").read_bytes() == before


def test_numbers_of_papers() -> None:
    found = sv.published_results(dataset=["ucf101"], algorithm=["cmpl"]).to_frame()
    assert set(found["origin"]) == {"published"}
    assert set(found["dataset"]) == {"ucf101"}


def test_runs_that_tested_other_networks_are_told() -> None:
    """The headline of a method may be another one in a later version."""
    made = [*draws("supervised", 0.4, 0.5), *draws("svformer", 0.6, 0.5)]
    made[2] |= {"predictor": "teacher"}
    assert [note for note in runs(*made).compare().notes if "network" in note] == [
        "svformer: some runs are of the network model, others of teacher"
    ]
