"""What a benchmark would do, said before it is started and without its data."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from finished_runs import run

from ssl_video.benchmarks.running import forecast, prepare
from ssl_video.benchmarks.running.forecast import Line
from ssl_video.engine import assemble
from ssl_video.errors import InputError
from ssl_video.spec import Spec, build, configuration

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
    facts |= {"configuration": configuration(spec, assemble.source(spec)), "options": {}} | changes
    facts |= {"predictors": {"model": {"top1": 0.5}}, "run": f"{spec.algorithm}-{spec.protocol}-{spec.seed}"}
    folder = results / "runs" / facts["run"]
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(facts))


def test_nothing_is_known_at_first(tmp_path: Path) -> None:
    """Ten steps of 2 labeled clips, and of 2 + 6 where unlabeled ones are read."""
    data, protocols = (str(Path("absent.arrow").absolute()),), ("per-class:1", "per-class:5")
    assert forecast.forecast(specs(), tmp_path / "none", CPU) == [
        Line("supervised", "tiny3d", data, protocols, 4, 0, 10, 20),
        Line("cmpl", "primary=tiny3d auxiliary=tiny3d*0.25", data, protocols, 4, 0, 10, 80),
    ]


def test_finished_runs_are_counted_and_foretell_the_others(tmp_path: Path) -> None:
    """Two of four are finished, in 30 and 50 seconds: 40 for each of the other two."""
    first, second, third, _ = specs(("fixmatch",))
    finish(tmp_path, first, 30)
    finish(tmp_path, third, 50)
    # Another seed, other settings and another draw are other runs.
    finish(tmp_path, specs(("fixmatch",), 3)[2], 10, configuration="cother")
    finish(tmp_path, second, 40, draw=7)
    (line,) = forecast.forecast(specs(("fixmatch",)), tmp_path, CPU)
    assert (line.runs, line.finished, line.measured) == (4, 2, "finished runs")
    assert line.seconds == pytest.approx((30 + 50 + 40) / 3)
    assert line.left == pytest.approx(2 * line.seconds)


def test_what_never_ran_is_measured(tmp_path: Path) -> None:
    found = forecast.forecast(specs(("supervised", "cmpl", "mixmatch")), tmp_path, CPU, measure=True)
    for line in found:
        assert line.measured == "networks alone"
        assert line.seconds is not None
        assert line.seconds > 0


def test_what_cannot_be_built_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown algorithm"):
        specs(("cmlp",))
    with pytest.raises(InputError, match="halves the number of frames"):
        forecast.forecast(specs(backbone="c2d_r50", frames=1), tmp_path, CPU)


def test_variants_of_one_algorithm_have_names_of_their_own(tmp_path: Path) -> None:
    """As in the table that the runs will end with."""
    same = specs(("cmpl",), networks={"auxiliary": {"width": 1.0}})
    found = forecast.forecast([*specs(("cmpl",)), *same], tmp_path, CPU)
    assert [line.method for line in found] == ["cmpl auxiliary.width=0.25", "cmpl auxiliary.width=1"]
