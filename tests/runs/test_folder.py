"""The folder of a run: what can be read of it, finished or not, and what is said where that is damaged."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from helpers.records import record, result, write_into, write_result

from ssl_video.data.dataset import Data
from ssl_video.errors import InputError
from ssl_video.networks.assemble import resolve
from ssl_video.runs import checkpoint, predictions, pseudo_labels
from ssl_video.runs.folder import (
    CHECKPOINT,
    LOG,
    METRICS,
    PARTITION,
    PREDICTIONS,
    PSEUDO_LABELS,
    RESULT,
    SPEC,
    VALIDATION,
    WEIGHTS,
    RunFolder,
    finished_folders,
    open_run,
    run_folder,
    run_folders,
)
from ssl_video.runs.lock import lock_folder
from ssl_video.spec import Spec, build, plain, read_yaml
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, Stopped, plan, run

CPU = torch.device("cpu")
MakePlan = Callable[..., Plan]


@pytest.fixture(scope="module")
def planned(small_spec: Callable[..., Spec], data: Data) -> Plan:
    """A run of two networks that looks at its validation clips after steps 1 and 3."""
    return plan(small_spec(algorithm="cmpl", options={"threshold": 0.4}, validation=1, steps=4), data, CPU)


@pytest.fixture(scope="module")
def finished(planned: Plan, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Its folder. For reading only: the tests of this module share it."""
    folder = run_folder(tmp_path_factory.mktemp("results"), planned.name)
    run(planned, folder.path, Execution("cpu", evaluate_every=2))
    return folder


@pytest.fixture
def begun(tmp_path: Path) -> RunFolder:
    """The folder of a run that has written its specification and nothing else."""
    folder = run_folder(tmp_path, "begun")
    folder.path.mkdir(parents=True)
    folder.write_spec(Spec(algorithm="fixmatch", steps=7))
    return folder


# -- where it is, and how far the run has come


def test_a_folder_knows_its_name_and_its_results_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_folder(tmp_path, "one")
    assert folder.path == tmp_path / "runs" / "one"
    assert (folder.name, folder.results) == ("one", tmp_path)
    assert os.fspath(folder) == str(folder.path)
    assert repr(folder) == f"RunFolder({str(folder.path)!r})"
    monkeypatch.chdir(tmp_path)
    assert RunFolder("runs/one").results == tmp_path


def test_how_far_a_run_has_come(finished: RunFolder, begun: RunFolder, tmp_path: Path) -> None:
    nowhere = RunFolder(tmp_path / "nowhere")
    facts = [
        (each.exists, each.has_checkpoint, each.has_result, each.has_pseudo_labels)
        for each in (nowhere, begun, finished)
    ]
    assert facts == [
        (False, False, False, False),
        (True, False, False, False),
        (True, False, True, True),
    ]
    (begun.path / CHECKPOINT).touch()
    assert begun.has_checkpoint


def test_whether_a_process_is_at_work(begun: RunFolder) -> None:
    """A lock of another machine cannot be seen from here."""
    assert begun.is_running is None
    with lock_folder(begun.path):
        assert begun.is_running is True
    assert begun.is_running is False
    (begun.path / ".machine").write_text("another")
    assert begun.is_running is None


def test_what_the_processes_printed(begun: RunFolder) -> None:
    assert begun.log == ""
    (begun.path / LOG).write_bytes("step 1 – füñf\n".encode() + b"\xff\n")
    assert begun.log == "step 1 – füñf\n\ufffd\n"


# -- the specification


@pytest.mark.parametrize("algorithm", ["cmpl", "plugin"])
def test_a_written_specification_is_the_same_run(
    make_plan: MakePlan, data: Data, plugin: str, tmp_path: Path, algorithm: str
) -> None:
    made = make_plan(
        algorithm=plugin if algorithm == "plugin" else algorithm,
        options={} if algorithm == "plugin" else {"threshold": 0.7},
        seed=3,
        test_crops=3,
    )
    RunFolder(tmp_path).write_spec(made.spec)
    assert RunFolder(tmp_path).spec == build(read_yaml(tmp_path / SPEC))
    again = plan(RunFolder(tmp_path).spec, data, CPU)
    assert plain(again.spec) == plain(made.spec)
    assert (again.name, again.configuration) == (made.name, made.configuration)
    # In the file nothing is left to defaults or to the machine.
    written = yaml.safe_load((tmp_path / SPEC).read_text())
    assert written["precision"] == "float32"
    assert written["options"]
    assert resolve(made.spec, CPU) == made.spec


def test_a_specification_that_cannot_be_read(begun: RunFolder, tmp_path: Path) -> None:
    for text, message in (
        ("steps: [", r"spec\.yaml is not valid YAML"),
        ("stepz: 3\n", "unknown key 'stepz'; did you mean steps"),
        ("steps: many\n", "steps: .*found 'many'"),
        ("", "found nothing"),
    ):
        (begun.path / SPEC).write_text(text)
        with pytest.raises(InputError, match=message):
            begun.spec  # noqa: B018
    with pytest.raises(InputError, match=r"cannot read .*nowhere/spec\.yaml"):
        RunFolder(tmp_path / "nowhere").spec  # noqa: B018


def test_a_large_specification_is_read_back_or_refused_before_it_is_written(begun: RunFolder) -> None:
    """Files of users have at most 1 MiB, and 1000 references."""
    names = [f"class {number} {'x' * 400}" for number in range(1500)]
    spec = Spec(algorithm="fixmatch", steps=7, options={"a": names, "b": names, "c": [[1]] * 2000})
    begun.write_spec(spec)
    assert (begun.path / SPEC).stat().st_size > 2**20
    assert begun.spec.options == spec.options
    before = (begun.path / SPEC).read_bytes()
    with pytest.raises(InputError, match=r"cannot be kept in .*spec\.yaml: it has about .* characters, more"):
        begun.write_spec(Spec(algorithm="fixmatch", options={"a": "x" * 2**25}))
    assert (begun.path / SPEC).read_bytes() == before


# -- records of its steps


def test_metrics_of_every_step(finished: RunFolder) -> None:
    metrics = finished.metrics
    assert metrics["step"].tolist() == [0, 1, 2, 3]
    assert {"learning_rate", "loss/labeled/primary", "coverage/primary"} <= set(metrics.columns)
    assert metrics.filter(like="loss/").map(np.isfinite).all(axis=None)
    lines = (finished.path / METRICS).read_text().splitlines()
    assert metrics["learning_rate"].tolist() == [json.loads(line)["learning_rate"] for line in lines]


def test_metrics_of_a_run_under_way(begun: RunFolder) -> None:
    """Lines that are complete; what was not finite is NaN."""
    assert begun.metrics.empty
    (begun.path / METRICS).write_text('{"step": 0, "loss": 1.5}\n{"step": 1, "loss": null}\n{"step": 2, "lo')
    metrics = RunFolder(begun.path).metrics
    assert metrics["step"].tolist() == [0, 1]
    assert metrics["loss"].isna().tolist() == [False, True]


def test_validation_has_a_row_for_each_predictor_and_look(finished: RunFolder) -> None:
    found = finished.validation
    assert list(found.columns) == ["step", "predictor", "top1", "top5", "mean_class"]
    assert found[["step", "predictor"]].to_numpy().tolist() == [
        *([1, "primary"], [1, "auxiliary"]),
        *([3, "primary"], [3, "auxiliary"]),
    ]
    last = found[found["step"] == 3].set_index("predictor").drop(columns="step")
    measured = finished.result.validation_accuracies
    assert last.to_dict("index") == {name: scores.model_dump() for name, scores in measured.items()}


def test_validation_of_a_run_without_looks(begun: RunFolder) -> None:
    assert begun.validation.empty
    assert list(begun.validation.columns) == ["step", "predictor", "top1", "top5", "mean_class"]


@pytest.mark.parametrize("content", [b'{"step": 0}\n{"st\n{"step": 2}\n', b"\xff\n"])
def test_damaged_lines(begun: RunFolder, content: bytes) -> None:
    for name, read in ((METRICS, lambda run: run.metrics), (VALIDATION, lambda run: run.validation)):
        (begun.path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"begun/{name} is damaged: "):
            read(begun)


# -- clips, predictions, pseudo-labels


def test_partition_names_the_clips_that_are_no_ordinary_ones(finished: RunFolder, planned: Plan) -> None:
    found = finished.partition
    assert list(found.columns) == ["id", "label", "part"]
    index, own = planned.data.index, planned.partition
    for part, rows in (("labeled", own.labeled), ("validation", own.validation)):
        named = found[found["part"] == part]
        assert sorted(named["id"]) == sorted(str(index.ids[row]) for row in rows.tolist())
    assert (found["label"] == [clip.split("/")[0] for clip in found["id"]]).all()
    assert len(found) == len(own.labeled) + len(own.validation)


def test_a_partition_that_is_not_there_or_was_changed(finished: RunFolder, begun: RunFolder) -> None:
    with pytest.raises(InputError, match=r"cannot read .*begun/partition\.txt: No such file"):
        begun.partition  # noqa: B018
    text = (finished.path / PARTITION).read_text()
    (begun.path / PARTITION).write_text(text.replace("labeled\n", "unused\n", 1))
    with pytest.raises(InputError, match=r"partition\.txt was changed"):
        begun.partition  # noqa: B018


def test_predictions_and_pseudo_labels(finished: RunFolder) -> None:
    said, given = predictions.read(finished.path), pseudo_labels.read(finished.path)
    assert list(finished.predictions.guesses) == ["primary", "auxiliary"]
    assert finished.predictions.clips.tolist() == said.clips.tolist()
    assert finished.pseudo_labels.steps.tolist() == given.steps.tolist()
    assert set(finished.pseudo_labels.labels) == {"primary", "auxiliary"}
    assert finished.predictions is finished.predictions, "large files are read once"


def test_predictions_and_pseudo_labels_that_are_not_there_or_damaged(begun: RunFolder) -> None:
    with pytest.raises(InputError, match=r"no .*predictions\.npz: the run is not finished"):
        begun.predictions  # noqa: B018
    with pytest.raises(InputError, match=r"no .*pseudo-labels\.npz: its algorithm produces none, or"):
        begun.pseudo_labels  # noqa: B018
    for name in (PREDICTIONS, PSEUDO_LABELS):
        (begun.path / name).write_bytes(b"PK")
    for read in (lambda: begun.predictions, lambda: begun.pseudo_labels):
        with pytest.raises(InputError, match="is damaged"):
            read()


def test_a_file_that_the_result_lists_cannot_be_absent(finished: RunFolder, tmp_path: Path) -> None:
    """Or it would be as if the run had none."""
    reads: dict[str, Callable[[RunFolder], object]] = {
        METRICS: lambda run: run.metrics,
        VALIDATION: lambda run: run.validation,
        PARTITION: lambda run: run.partition,
        PREDICTIONS: lambda run: run.predictions,
        PSEUDO_LABELS: lambda run: run.pseudo_labels,
    }
    for name, read in reads.items():
        folder = RunFolder(shutil.copytree(finished.path, tmp_path / name))
        assert name in folder.result.files
        (folder.path / name).unlink()
        with pytest.raises(InputError, match=rf"/{name} was removed: result\.json lists it; remove the run"):
            read(folder)
        assert folder.has_pseudo_labels


def test_ends_of_lines_of_a_partition_do_not_matter(finished: RunFolder, tmp_path: Path) -> None:
    """Some version control systems write others; of a record they are damage."""
    folder = RunFolder(shutil.copytree(finished.path, tmp_path / "copy"))
    for name in (PARTITION, METRICS):
        file = folder.path / name
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(folder.partition, finished.partition)
    with pytest.raises(InputError, match="is damaged or of another run"):
        folder.metrics  # noqa: B018


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(finished: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder(shutil.copytree(finished.path, tmp_path / "copy"))
    reads: dict[str, Callable[[RunFolder], object]] = {
        METRICS: lambda run: run.metrics,
        PARTITION: lambda run: run.partition,
        PREDICTIONS: lambda run: run.predictions,
        WEIGHTS: lambda run: run.model("cpu"),
        CHECKPOINT: lambda run: checkpoint.load(run.path / CHECKPOINT),
    }
    for name, read in reads.items():
        (folder.path / name).unlink(missing_ok=True)
        os.mkfifo(folder.path / name)
        with pytest.raises(InputError, match=f"{name} .*not a file: a folder, a pipe or a device"):
            read(folder)


# -- networks


def test_the_networks_of_a_finished_run_and_of_one_under_way(
    finished: RunFolder, planned: Plan, tmp_path: Path
) -> None:
    weights = checkpoint.load(finished.path / WEIGHTS)["algorithm"]
    loaded = finished.model("cpu")
    assert loaded.device == CPU
    assert all(
        torch.equal(value, weights[key]) for key, value in loaded.assembly.state()["algorithm"].items()
    )
    under_way = run_folder(tmp_path, planned.name)
    with pytest.raises(InputError, match="there is no checkpoint"):
        under_way.model("cpu")
    with pytest.raises(Stopped):
        run(planned, under_way.path, Execution("cpu"), stopping=lambda: True)
    assert under_way.has_checkpoint
    assert under_way.model("cpu").classes == list(planned.data.index.classes)
    # Where the newest checkpoint is damaged, that the older one is used is not kept back.
    shutil.copy(under_way.path / CHECKPOINT, under_way.path / "checkpoint-previous.pt")
    (under_way.path / CHECKPOINT).write_bytes(b"PK")
    with pytest.warns(RuntimeWarning, match=r"checkpoint\.pt is damaged .*; the one before is used"):
        assert under_way.model("cpu").classes == list(planned.data.index.classes)
    with pytest.raises(InputError, match="cuda:99"):
        finished.model("cuda:99")


# -- the result


def test_a_result_exists_whole_or_not_at_all(tmp_path: Path) -> None:
    folder, made = RunFolder(tmp_path / "one"), result(run="one")
    folder.path.mkdir()
    assert folder.finished() is None
    folder.write_result(made)
    assert folder.finished() == folder.result == folder.read_result() == made
    for damaged in ('{"top1": ', "[]", "3", "", '{"run": "one"}', made.write()[:-3]):
        (folder.path / RESULT).write_text(damaged)
        assert folder.finished() is None
        assert folder.has_result
        with pytest.raises(ValueError, match=r"."):
            folder.read_result()


def test_a_folder_may_be_reached_in_any_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name in the result is that of the folder, whatever a link to it is called."""
    place = write_into(tmp_path / "one")
    (tmp_path / "link").symlink_to(place)
    assert RunFolder(tmp_path / "link").result.run == "one"
    monkeypatch.chdir(place)
    assert RunFolder(".").result.run == "one"


def test_a_result_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    place = write_into(tmp_path / "runs" / "one")

    def told(folder: Path) -> str:
        with pytest.raises(InputError) as caught:
            RunFolder(folder).result  # noqa: B018
        return str(caught.value)

    assert told(tmp_path) == f"{tmp_path} is a results folder: give the folders of runs, {tmp_path}/runs/*"
    for missing in (tmp_path / "nowhere", place / RESULT):
        assert told(missing) == f"{missing} is not the folder of a finished run: it holds no result.json"
    # A folder may be renamed: only a table, which has both, leaves a copy out.
    assert RunFolder(write_into(tmp_path / "runs" / "copy", run="one")).result.run == "one"
    old = record(run="one")
    del old["format"]
    for content, reason in (
        (json.dumps(record(run="one", top1=7)), "top1: input should be less than or equal to 1, found 7"),
        ("{", "not valid JSON, perhaps truncated"),
        (json.dumps(old), "its format is 1, this version of ssl-video reads format 2"),
    ):
        (place / RESULT).write_text(content)
        assert told(place).startswith(f"{place}/result.json cannot be used: {reason}")
        assert told(place).endswith("; rerun the command of the run")


# -- many of them


def test_the_folders_of_a_results_folder(tmp_path: Path) -> None:
    """By name: those that have begun have a specification, those that are finished a result."""
    for name in ("b", "a", "c"):
        place = write_result(tmp_path, run=name)
        (place / SPEC).write_text("steps: 4\n")
    (tmp_path / "runs" / "a" / RESULT).unlink()
    (tmp_path / "runs" / "c" / SPEC).unlink()
    (tmp_path / "runs" / "empty").mkdir()
    (tmp_path / "runs" / "file").touch()
    assert [folder.name for folder in run_folders(tmp_path)] == ["a", "b"]
    assert [folder.name for folder in finished_folders(str(tmp_path))] == ["b", "c"]
    assert list(run_folders(tmp_path / "nowhere")) == list(finished_folders(tmp_path / "nowhere")) == []


def test_opening_a_folder(finished: RunFolder) -> None:
    opened = open_run(str(finished.path))
    assert opened.path == finished.path
    pd.testing.assert_frame_equal(opened.metrics, finished.metrics)


def test_what_is_no_folder_of_a_run(begun: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_run(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} is a results folder: give the folder of one run, such as {begun.path}"
    )
    (begun.path / SPEC).unlink()
    with pytest.raises(InputError, match=r"is a results folder: give the folder of one run$"):
        open_run(tmp_path)
    for other in (begun.path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=rf"{other} is not the folder of a run: it holds no spec\.yaml"):
            open_run(other)
