"""Which runs are put together."""

from pathlib import Path

from helpers.records import draws, run
from helpers.report_pages import Document, report_data, write

from ssl_video.benchmarks.report.run_groups import Group, groups, render_groups


def test_runs_of_one_method_and_protocol(tmp_path: Path) -> None:
    """Two protocols; one run is repeated later, and one has other labels than the rest for its draw."""
    ten = {"protocol": "per-class:10", "labeled": 100, "unlabeled": 500}
    runs = [
        *draws("supervised", 0.4, 0.5), *draws("cmpl", 0.5, 0.6), *draws("cmpl", 0.7, **ten),
        run("cmpl", 0.9, seed=1, run="again", finished="2026-11-22T00:00:00Z"),
        run("cmpl", 0.9, seed=2, draw=1, run="other", fingerprint="p999999999999"),
    ]  # fmt: skip
    found = groups(report_data(write(tmp_path, *runs)))
    names = [
        (group.method, group.labels, [name.split("-per-class")[0] for name in group.runs]) for group in found
    ]
    assert names == [
        ("supervised", "demo per-class:4", ["supervised-0-csupervised", "supervised-1-csupervised"]),
        ("cmpl", "demo per-class:4", ["cmpl-0-ccmpl", "cmpl-1-ccmpl", "other"]),
        ("cmpl", "demo per-class:10", ["cmpl-0-ccmpl"]),
    ]


def test_what_is_drawn(tmp_path: Path) -> None:
    runs = [*draws("supervised", 0.4), *draws("a", 0.4), *draws("b", 0.4), *draws("b", 0.4, protocol="x<y")]
    found = report_data(write(tmp_path, *runs))

    def draw(group: Group) -> str:
        return "" if group.method == "a" else f"<i>{group.method}</i>"

    document = Document(render_groups(found, draw))
    assert document.text == ["demo per-class:4", "supervised", "b", "demo x<y", "b"]
    assert ["open" in details for details in document.named("details")] == [True, False]
    few = Document(render_groups(found, draw, most=1))
    assert few.text[:2] == ["demo per-class:4", "supervised"]
    assert "Not shown: 3 more" in few.text[2]
    assert render_groups(found, lambda _: "") == ""
