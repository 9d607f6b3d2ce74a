import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.input_errors import problems

from ssl_video.benchmarks.tables import leaderboard
from ssl_video.contract import Task
from ssl_video.data.dataset import Data
from ssl_video.errors import InputError
from ssl_video.inference.load import load as load_model
from ssl_video.networks import devices, flops
from ssl_video.networks.assemble import assemble
from ssl_video.runs import checkpoint
from ssl_video.runs.folder import METRICS, RESULT, RunFolder, run_folder, stamp
from ssl_video.runs.result import Accuracies, Result
from ssl_video.spec import Spec, build, plain
from ssl_video.training.execution import Execution
from ssl_video.training.preflight import check_precision
from ssl_video.training.run import Plan, RunProgress, Stopped, plan, run
from ssl_video.training.state import Training

ONCE = Execution("cpu", checkpoint_seconds=1e9)
MakePlan = Callable[..., Plan]

# -- identity


def test_equal_runs_share_a_folder(make_plan: MakePlan) -> None:
    name = make_plan(algorithm="fixmatch").name
    assert name.startswith("fixmatch-videos0-per-class-2-seed0-")
    same: list[dict[str, Any]] = [
        {"options": {"threshold": 0.95}},  # the default, spelled out
        {"options": {"weight": 1}},
        {"draw": 0},  # the seed
        {"networks": {"model": {"width": 0.125, "frames": 2}}},
        {"precision": "float32"},  # what auto is on a CPU
    ]
    assert {make_plan(algorithm="fixmatch", **values).name for values in same} == {name}


@pytest.mark.parametrize(
    "values",
    [
        {"algorithm": "pseudolabel"},
        {"options": {"threshold": 0.9}},
        {"seed": 1, "draw": 0},
        {"draw": 1},
        {"protocol": "per-class:1"},
        {"protocol": "percent:30"},
        {"labeled_in_unlabeled": True},
        {"steps": 7},
        {"width": 0.25},
        {"networks": {"model": {"frames": 4}}},
        {"unlabeled_batch": 5},
        {"test_clips": 3},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_different_runs_have_different_folders(make_plan: MakePlan, values: dict[str, Any]) -> None:
    """By the hash at the end: the words before it are for people, and may be cut."""
    other = make_plan(**({"algorithm": "fixmatch"} | values))
    assert other.name[-8:] != make_plan(algorithm="fixmatch").name[-8:]


def test_another_test_part_is_another_run(make_plan: MakePlan, data: Data) -> None:
    """Same labeled clips, but one test clip less."""
    made = make_plan()
    other = dataclasses.replace(data, index=data.index.without(data.index.rows("test")[:1]))
    assert plan(made.spec, other, torch.device("cpu")).name != made.name


def test_where_the_data_lies_is_no_part_of_a_run(make_plan: MakePlan, data: Data) -> None:
    made = make_plan()
    moved = made.spec.model_copy(update={"data": "/elsewhere/videos0", "root": "/mnt"})
    assert plan(moved, data, torch.device("cpu")).name == made.name


def test_a_plugins_code_is_a_part_of_a_run(make_plan: MakePlan, plugin: str) -> None:
    before = make_plan(algorithm=plugin)
    assert before.name.startswith("stateful-videos0")
    file = Path(plugin.rsplit(":", 1)[0])
    code = file.read_text()
    try:
        file.write_text(code + "\n# changed\n")
        assert make_plan(algorithm=plugin).name != before.name
    finally:
        file.write_text(code)
    assert make_plan(algorithm=plugin).name == before.name


def test_a_plugin_backbones_code_is_a_part_of_a_run(make_plan: MakePlan, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    code = (
        "from ssl_video import backbone\n@backbone('planned')\ndef net(num_classes, *, frames, size): ...\n"
    )
    file.write_text(code)
    before = make_plan(backbone=f"{file}:planned", width=1)
    file.write_text(code + "# changed\n")
    assert make_plan(backbone=f"{file}:planned", width=1).name != before.name


def test_the_content_of_weights_is_a_part_of_a_run(make_plan: MakePlan, tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"one")
    before = make_plan(weights=str(file))
    assert before.name != make_plan().name
    assert make_plan(weights=str(file)).name == before.name
    file.write_bytes(b"other")
    assert make_plan(weights=str(file)).name != before.name
    file.unlink()
    with pytest.raises(InputError, match=r"there is no file .*weights\.pt"):
        make_plan(weights=str(file))


# -- result

FIELDS = {
    "checksum": str,
    "format": int, "run": str, "algorithm": str, "options": dict, "backbone": str, "initialisation": str,
    "dataset": str, "dataset_fingerprint": str, "protocol": str, "labeled_in_unlabeled": bool, "draw": int,
    "seed": int, "fingerprint": str, "setting": str, "configuration": str, "labeled": int, "unlabeled": int,
    "without_label": int,
    "test": int, "classes": int, "frames": int, "stride": int, "size": int, "steps": int, "predictor": str,
    "top1": float, "top5": type(None), "mean_class": float, "predictors": dict, "seconds": float,
    "train_seconds": float, "data_wait": float, "test_seconds": float, "clips_seen": int, "parameters": int,
    "parameters_trained": int, "gflops": float, "training_gflops": float,
    "skipped_steps": int, "files": dict, "incomplete": list, "left_out": int, "spec": dict,
    "environment": dict, "finished": str, "validation": float, "validation_accuracies": dict,
    "expected_accuracies": dict, "expected_by_fold": list, "expected_clips": int,
    "temperatures": dict, "frame_cache": dict, "pseudo_labels_used": dict,
}  # fmt: skip


def test_a_result_says_everything(make_plan: MakePlan, tmp_path: Path) -> None:
    made = make_plan(algorithm="cmpl", seed=3, draw=1, options={"threshold": 0.5})
    reports: list[RunProgress] = []
    result = run(made, tmp_path, ONCE, report=reports.append)
    stored = (tmp_path / RESULT).read_bytes()
    assert {name: type(value) for name, value in json.loads(stored).items()} == FIELDS
    assert Result.read(stored) == result
    expected = {
        "run": made.name,
        "algorithm": "cmpl",
        "options": made.spec.options,
        "backbone": "primary=tiny3d*0.125 auxiliary=tiny3d*0.03125",
        "initialisation": "scratch",
        "dataset": "videos0",
        "protocol": "per-class:2",
        "draw": 1,
        "seed": 3,
        "labeled": 6,
        "unlabeled": 6,
        "without_label": 0,
        "test": 6,
        "classes": 3,
        "frames": 2,
        "stride": 2,
        "predictor": "primary",
        "clips_seen": 6 * (3 + 4),
        "left_out": 0,
        "spec": plain(made.spec),
    }
    assert {name: getattr(result, name) for name in expected} == expected
    assert list(result.predictors) == ["primary", "auxiliary"]
    names = ("predictions.npz", "pseudo-labels.npz", "partition.txt", "metrics.jsonl")
    assert result.files == {name: stamp(tmp_path / name) for name in names}
    headline = Accuracies(top1=result.top1, top5=result.top5, mean_class=result.mean_class)
    assert headline == result.predictors["primary"]
    assert result.parameters < result.parameters_trained
    assert result.seconds == pytest.approx(result.train_seconds + result.test_seconds, abs=0.011)
    assert (result.environment.torch, result.environment.processes) == (torch.__version__, 1)
    assert {path.name for path in tmp_path.iterdir()} == {
        "final.safetensors", "metrics.jsonl", "partition.txt", "predictions.npz",
        "pseudo-labels.npz", "result.json", "spec.yaml",
    }  # fmt: skip
    # Training reads 3 + 4 clips a step, the test 2 clips of each of 6 videos.
    assert (reports[-1].phase, reports[-1].done, reports[-1].total) == ("test", 6, 6)
    assert reports[-1].clips == 6 * 7 + 6 * 2


def test_the_label_of_initial_weights(make_plan: MakePlan, tmp_path: Path) -> None:
    first = make_plan(algorithm="cmpl", steps=1)
    run(first, tmp_path / "first", ONCE)
    state = checkpoint.load(tmp_path / "first" / checkpoint.FINAL)["algorithm"]
    primary = {k.removeprefix("primary."): v for k, v in state.items() if k.startswith("primary.")}
    torch.save(primary, tmp_path / "mine.pt")
    result = run(
        make_plan(algorithm="cmpl", steps=1, weights=str(tmp_path / "mine.pt")), tmp_path / "second", ONCE
    )
    assert result.initialisation == "mine.pt scratch"


def test_clips_that_were_left_out_are_listed(make_plan: MakePlan, tmp_path: Path) -> None:
    made = make_plan(steps=1)
    made.data = dataclasses.replace(made.data, broken={"bow/9.mkv": "no video stream"})
    assert run(made, tmp_path, ONCE).left_out == 1
    assert (tmp_path / "left-out.txt").read_text() == "bow/9.mkv\tno video stream\n"


def test_a_folder_that_cannot_be_made(make_plan: MakePlan, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write to .*file/run"):
        run(make_plan(), tmp_path / "file" / "run", ONCE)


DOZEN = """
from torch.nn import functional as F
from ssl_video import Algorithm, LossOutput, algorithm


@algorithm("dozen")
class Dozen(Algorithm):
    '''Takes twelve labeled clips, and no fewer.'''

    def __init__(self, task, model):
        super().__init__()
        self.model = model

    def loss(self, batch, progress):
        if len(batch.labels) != 12:
            raise ValueError(f"expected 12 clips, found {len(batch.labels)}")
        return LossOutput({"labeled": F.cross_entropy(self.model(batch.labeled["weak"]), batch.labels)})
"""


def test_a_run_whose_operations_cannot_be_counted(make_plan: MakePlan, tmp_path: Path) -> None:
    """It is a run like others, and its record one that tables take."""
    (tmp_path / "dozen.py").write_text(DOZEN)
    made, said = make_plan(algorithm=f"{tmp_path}/dozen.py:dozen", labeled_batch=12, steps=1), list[str]()
    result = run(made, run_folder(tmp_path, made.name).path, ONCE, warn=said.append)
    assert math.isnan(result.gflops)
    assert math.isnan(result.training_gflops)
    (sentence,) = said
    assert sentence.endswith("recorded as nan: ValueError: expected 12 clips, found 6")  # of 12 and 4
    frame, problems, _ = leaderboard.read(tmp_path)
    assert not problems
    assert frame["top1"].tolist() == [result.top1]
    assert frame["gflops"].isna().all()


def test_operations_are_counted_before_anything_is_trained(
    make_plan: MakePlan, plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what is wrong there costs nothing; and a run that draws at random trains the same without."""
    made = make_plan(algorithm=plugin, steps=2)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ssl_video.training.run._COUNTED", {})  # of other tests
        patch.setattr(flops, "count", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(made, tmp_path / "interrupted", ONCE)
        assert not (tmp_path / "interrupted" / METRICS).exists()
        patch.setattr(flops, "count", lambda *_: flops.Operations(1, 1))
        run(made, tmp_path / "without", ONCE)
    run(made, tmp_path / "with", ONCE)
    metrics = [(tmp_path / name / METRICS).read_bytes() for name in ("with", "without")]
    assert metrics[0] == metrics[1]
    weights = [checkpoint.load(tmp_path / name / checkpoint.FINAL) for name in ("with", "without")]
    assert all(torch.equal(w, weights[1]["algorithm"][n]) for n, w in weights[0]["algorithm"].items())


# -- a finished run is finished, and no other


def test_an_interrupted_run_has_no_result(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped while it trains, while it tests, after it has written its weights: it goes on from there."""

    class Killed(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise Killed

    def look() -> None:
        assert RunFolder(folder).finished() is None
        assert checkpoint.latest(folder)[0] is not None, "the training would be lost"

    made = make_plan()
    folder = tmp_path / made.name
    with pytest.raises(Stopped):
        run(made, folder, ONCE, stopping=lambda: True)
    look()
    for owner, name in ((Training, "test"), (RunFolder, "write_result")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, kill)
            with pytest.raises(Killed):
                run(made, folder, ONCE)
        look()
    assert (folder / checkpoint.FINAL).exists()
    straight = run(made, tmp_path / "straight", ONCE)
    result = run(made, folder, ONCE)
    assert RunFolder(folder).finished() == result
    assert (result.predictors, result.run) == (straight.predictors, straight.run)


def test_killed_after_the_result_was_written(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost; what resuming needed is left over, and the run is finished."""
    made = make_plan(steps=1)
    folder = tmp_path / made.name

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "clear", kill)
        with pytest.raises(KeyboardInterrupt):
            run(made, folder, ONCE)
    written = RunFolder(folder).finished()
    assert written is not None
    assert run(made, folder, ONCE) == written
    assert not (folder / checkpoint.CURRENT).exists()


def test_a_finished_run_is_not_repeated(make_plan: MakePlan, tmp_path: Path) -> None:
    """As when two processes work on one results folder, and one comes a moment too late."""
    made = make_plan(steps=1)
    folder = tmp_path / made.name
    first = run(made, folder, ONCE)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert run(made, folder, ONCE, stopping=lambda: True) == first
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_bfloat16(make_plan: MakePlan, tmp_path: Path) -> None:
    """A transformer; of padded convolutions, gradients on a CPU would contain uninitialised memory."""
    flat = make_plan(
        algorithm="fixmatch", precision="bfloat16", steps=2, backbone="timesformer_tiny", width=1, size=16
    )
    assert run(flat, tmp_path / "flat", ONCE).spec["precision"] == "bfloat16"
    deep = make_plan(algorithm="cmpl", precision="bfloat16", steps=2)
    assert problems(run, deep, tmp_path / "deep", ONCE) == (
        "precision bfloat16: on a CPU, torch computes wrong gradients of padded convolutions: "
        "use float32, or a GPU",
    )


def test_a_model_in_bfloat16_is_used_in_float32_where_that_is_faster(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = make_plan(
        algorithm="fixmatch", precision="bfloat16", steps=2, backbone="timesformer_tiny", width=1, size=16
    )
    run(flat, tmp_path / "flat", ONCE)
    for supported, precision in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda supported=supported: supported)
        assert load_model(tmp_path / "flat", torch.device("cpu")).inference.precision == precision


def test_slow_convolutions_in_bfloat16_are_refused_on_a_gpu(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssl_video.training.preflight.slow_bfloat16", lambda _: "a T4 is slow")
    made = make_plan(algorithm="supervised")
    slow, algorithm = (
        made.spec.model_copy(update={"precision": "bfloat16"}),
        assemble(made.spec, Task(3, 6)).algorithm,
    )
    with pytest.raises(InputError, match="a T4 is slow"):
        check_precision(slow, algorithm, torch.device("cuda"))
    check_precision(made.spec, algorithm, torch.device("cuda"))


def test_the_printed_specification_can_be_given_back(make_plan: MakePlan, data: Data, tmp_path: Path) -> None:
    """What a result holds is enough to repeat the run."""
    made = make_plan(algorithm="cmpl", networks={"auxiliary": {"width": 0.1}})
    run(made, tmp_path, ONCE)
    stored = Result.read((tmp_path / RESULT).read_bytes())
    spec: Spec = build(stored.spec)
    assert plan(spec, data, torch.device("cpu")).name == stored.run
