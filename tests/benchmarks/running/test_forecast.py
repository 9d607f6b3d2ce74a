"""What a benchmark would do, said before it is started and without its data."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.records import run, write_result

from ssl_video.benchmarks.running import forecast, prepare
from ssl_video.benchmarks.running.forecast import Line
from ssl_video.errors import InputError
from ssl_video.networks import assemble
from ssl_video.spec import Spec, build, plain

CPU = torch.device("cpu")
SMALL = {
    "data": "absent.arrow",
    "frames": 4,
    "size": 16,
    "steps": 10,
    "labeled_batch": 2,
    "unlabeled_batch": 6,
}


def specs(algorithms: tuple[str, ...] = ("supervised", "cmpl"), seeds: int = 2, **more: Any) -> list[Spec]:
    made = [
        build({**SMALL, "algorithm": name, "protocol": protocol, "seed": seed, **more})
        for protocol in ("per-class:1", "per-class:5")
        for name in algorithms
        for seed in range(seeds)
    ]
    return prepare.resolve(made, CPU)


def finish(results: Path, spec: Spec, seconds: float, **changes: Any) -> None:
    """The record of a finished run."""
    facts = run(spec.algorithm, 0.5, spec.seed, protocol=spec.protocol, seconds=seconds)
    facts |= {"configuration": assemble.configured(spec), "spec": plain(spec)} | changes
    write_result(results, **facts | {"run": f"run-{len(list(results.glob('runs/*')))}"})


def absent(specs: list[Spec], results: Path, **arguments: Any) -> list[Line]:
    """The forecast of runs whose data is not here."""
    return forecast.forecast(specs, [None] * len(specs), results, CPU, **arguments)


def test_nothing_is_known_at_first(tmp_path: Path) -> None:
    """Ten steps of 2 labeled clips, and of 2 + 6 where unlabeled ones are read."""
    data, protocols = (str(Path("absent.arrow").absolute()),), ("per-class:1", "per-class:5")
    assert absent(specs(), tmp_path / "none") == [
        Line("supervised", "tiny3d", data, protocols, 4, 0, 10, 20),
        Line("cmpl", "primary=tiny3d auxiliary=tiny3d*0.25", data, protocols, 4, 0, 10, 80),
    ]


def test_a_method_that_is_fitted_at_once_makes_no_steps(tmp_path: Path) -> None:
    """And costs nothing beside the features, which are counted for all runs together."""
    torch.save({}, tmp_path / "weights.pt")
    frozen = {"weights": str(tmp_path / "weights.pt"), "probe": "linear"}
    (line,) = absent(specs(("logistic",), **frozen), tmp_path, measure=True)
    assert (line.steps, line.clips, line.seconds, line.measured) == (0, 0, 0.0, "networks alone")


def test_memory_in_words() -> None:
    line = Line("mine", "tiny3d", (), (), 1, 0, 1, 1)
    words = [replace(line, memory=size).space for size in (None, 2**23, 2**30 - 2**20, 2**30, 33 * 2**29)]
    assert words == ["?", "8 MiB", "1023 MiB", "1.0 GiB", "16.5 GiB"]


def test_finished_runs_are_counted_and_foretell_the_others(tmp_path: Path) -> None:
    """Two of four are finished, in 30 and 50 seconds: 40 for each of the other two."""
    first, second, third, _ = specs(("fixmatch",))
    finish(tmp_path, first, 30)
    finish(tmp_path, third, 50)
    # Other settings and another draw are other runs.
    finish(tmp_path, second, 10, configuration="cother")
    finish(tmp_path, specs(("fixmatch",), draw=7)[1], 40)
    (line,) = absent(specs(("fixmatch",)), tmp_path)
    assert (line.runs, line.finished, line.measured) == (4, 2, "finished runs")
    assert line.seconds == pytest.approx((30 + 50 + 40) / 3)
    assert line.left == pytest.approx(2 * line.seconds)


@pytest.mark.parametrize(
    "change",
    [
        {"data": "other.arrow"},
        {"split": "split2"},
        {"labeled_in_unlabeled": True},
        {"validation": 1},
        {"seed": 1},
        {"draw": 1},
        {"steps": 11},
    ],
)
def test_only_the_very_run_counts_as_finished(change: dict[str, Any], tmp_path: Path) -> None:
    """Of two protocols the first is finished; the same data may have lain elsewhere."""
    moved = {"data": "moved/absent.arrow"}
    finish(tmp_path, specs(("fixmatch",), 1, **moved)[0], 30)
    (line,) = absent(specs(("fixmatch",), 1), tmp_path)
    assert (line.runs, line.finished) == (2, 1)
    (line,) = absent([spec.model_copy(update=change) for spec in specs(("fixmatch",), 1)], tmp_path)
    assert (line.runs, line.finished) == (2, 0)


def test_draws_that_are_the_same_are_one_run(tmp_path: Path) -> None:
    """A column has no draws, but the validation clips cut from it have."""
    (tmp_path / "list.txt").touch()
    for protocol in ("column:known", f"list:{tmp_path}/list.txt"):
        drawn = [{**SMALL, "protocol": protocol, "draw": draw, "seed": 0} for draw in range(3)]
        runs = prepare.resolve([build(values) for values in drawn], CPU)
        finish(tmp_path / protocol[:4], runs[2], 30)
        (line,) = absent(runs, tmp_path / protocol[:4])
        assert (line.runs, line.finished) == (1, 1)
        (line,) = absent([run.model_copy(update={"validation": 1}) for run in runs], tmp_path / protocol[:4])
        assert (line.runs, line.finished) == (3, 0)


def test_where_the_data_is_runs_are_known_by_name(tmp_path: Path) -> None:
    """Whatever else their records say: two of the three are one run, which is finished."""
    runs = specs(("fixmatch",), 3)[:3]
    finish(tmp_path, runs[0], 30)
    (folder,) = (tmp_path / "runs").iterdir()
    (line,) = forecast.forecast(runs, [folder.name, folder.name, "other"], tmp_path, CPU)
    assert (line.runs, line.finished) == (2, 1)


def test_what_never_ran_is_measured(tmp_path: Path) -> None:
    found = absent(specs(("supervised", "cmpl", "mixmatch")), tmp_path, measure=True)
    for line in found:
        assert line.measured == "networks alone"
        assert line.seconds is not None
        assert line.seconds > 0


def test_what_cannot_be_built_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown algorithm"):
        specs(("cmlp",))
    with pytest.raises(InputError, match="halves the number of frames"):
        absent(specs(backbone="c2d_r50", frames=1), tmp_path)


def test_variants_of_one_algorithm_have_names_of_their_own(tmp_path: Path) -> None:
    """As in the table that the runs will end with."""
    same = specs(("cmpl",), networks={"auxiliary": {"width": 1.0}})
    found = absent([*specs(("cmpl",)), *same], tmp_path)
    assert [line.method for line in found] == ["cmpl auxiliary.width=0.25", "cmpl auxiliary.width=1"]


@pytest.mark.parametrize(
    ("chosen", "count"), [("per-class:10", 1), ("all", 1), ("per-class:1", 0), ("column:labeled", 0)]
)
def test_a_protocol_that_the_absent_data_decides(chosen: str, count: int, tmp_path: Path) -> None:
    """Its runs have been either of two."""
    (spec,) = prepare.resolve([build({**SMALL, "algorithm": "fixmatch"})], CPU)
    finish(tmp_path, spec.model_copy(update={"protocol": chosen}), 30)
    (line,) = absent([spec], tmp_path)
    assert (line.runs, line.finished) == (1, count)
    (line,) = absent([spec.model_copy(update={"folds": 5})], tmp_path)
    assert line.finished == 0
