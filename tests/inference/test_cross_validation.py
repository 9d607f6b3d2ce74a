"""The accuracy to expect of a run on all labels: by hand from a few clips, and from real runs."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.numbers import close
from scipy.special import softmax

import ssl_video as sv
from ssl_video.inference import calibration, cross_validation
from ssl_video.runs import fold_logits
from ssl_video.runs.fold_logits import FoldLogits
from ssl_video.runs.folder import FOLD_LOGITS

TINY: dict[str, Any] = {
    **{"steps": 2, "frames": 4, "stride": 2, "size": 16, "width": 0.5, "test_clips": 2, "backbone": "tiny3d"},
    **{
        "labeled_batch": 4,
        "unlabeled_batch": 4,
        "threads": 1,
        "progress": False,
        "labeled_in_unlabeled": True,
    },
}


def of(labels: list[int], folds: list[int], logits: np.ndarray) -> FoldLogits:
    clips = np.array([f"{number}.mp4" for number in range(len(labels))])
    return FoldLogits(clips, np.array(["a", "b"]), np.array(labels), np.array(folds), {"model": logits})


def test_accuracies_by_hand() -> None:
    """Four clips in two views: the mean probabilities decide, not the mean logits."""
    logits = np.array(
        [
            [[2.0, 0.0], [1.0, 0.0]],
            [[0.0, 3.0], [0.0, 1.0]],
            [[9.0, 0.0], [0.0, 1.0]],  # 0.63 against 0.37: class 0
            [[0.0, 1.0], [0.0, 1.0]],
        ]
    )
    found = of([0, 1, 1, 1], [0, 0, 1, 1], logits)
    assert cross_validation.by_fold(found, "model") == [1.0, 0.5]
    scores = cross_validation.evaluation(found, [])
    assert scores["model"]["top1"] == 0.75
    assert scores["model"]["mean_class"] == close((1 + 2 / 3) / 2)
    assert scores.confusion().to_numpy().tolist() == [[1, 0], [1, 2]]
    third = scores.predictions().iloc[2]
    mean = softmax(logits[2], -1).mean(0)
    assert (third["label"], third["probability"]) == ("a", close(mean[0]))


def test_the_temperature_of_a_fold_is_that_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "_helps", lambda *_: True)
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 60)
    # The networks of the second fold are far too sure.
    sure = np.where(np.arange(60) < 30, 1.0, 8.0)
    wrong = random.random(60) < 0.3
    sign = np.where((labels == 1) ^ wrong, 1.0, -1.0)
    logits = np.stack([np.zeros(60), sign * sure], 1)[:, None]
    folds = np.repeat([0, 1], 30)
    found = of(labels.tolist(), folds.tolist(), logits)
    rows = cross_validation.evaluation(found, ["model"]).predictions()
    for fold in (0, 1):
        by = calibration.temperature(logits[folds != fold], labels[folds != fold])
        assert by is not None
        expected = softmax(logits[folds == fold, 0] / by, -1).max(1)
        assert rows["probability"][folds == fold].to_numpy() == close(expected)
    together = cross_validation.fit(found)
    assert (together.clips, together.folds) == (60, 2)
    assert together.note("model").endswith("on 60 clips of 2 folds")


@pytest.fixture(scope="module")
def trained(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> sv.RunFolder:
    """A run on all labels after three folds, and the runs of these folds beside it."""
    results = tmp_path_factory.mktemp("folds") / "results"
    return sv.train("pseudolabel", data=str(video_folder), folds=3, results=results, **TINY)


def of_folds(run: sv.RunFolder) -> list[sv.RunFolder]:
    runs = [sv.RunFolder(path) for path in (run.results / "runs").iterdir() if path != run.path]
    return sorted(runs, key=lambda one: one.result.draw)


def test_a_run_on_all_labels_has_what_the_folds_found(trained: sv.RunFolder) -> None:
    folds, result = of_folds(trained), trained.result
    assert [one.result.draw for one in folds] == [0, 1, 2]
    assert result.top1 is None
    assert result.labeled == folds[0].result.labeled + folds[0].result.test
    right, clips = 0, list[str]()
    for one, expected in zip(folds, result.expected_by_fold, strict=True):
        assert expected == one.result.top1
        right += round(one.result.top1 * one.result.test)
        clips += one.predictions.clips.tolist()
    assert result.expected_accuracies[result.predictor].top1 == close(right / len(clips))
    assert len(set(clips)) == len(clips) == result.labeled
    (note,) = result.notes
    assert note.startswith(
        f"expected top-1 {100 * right / len(clips):.1f} %, a rough number: of the labeled clips in 3 folds ("
    )
    assert result.expected_clips == result.labeled
    older = result.model_copy(update={"expected_clips": 0})
    assert older.notes == result.notes, "a record without the number"
    part = result.model_copy(update={"expected_clips": 4})
    assert f"a rough number: of 4 of the {result.labeled} labeled clips in 3 folds (" in part.notes[0]
    found = trained.model("cpu").cross_validation()
    assert found is not None
    assert found[result.predictor]["top1"] == result.expected_accuracies[result.predictor].top1
    assert found.clips == result.labeled
    assert trained.model("cpu").expected(0.0, result.predictor) == (result.labeled, result.labeled, right)
    assert folds[0].model("cpu").cross_validation() is None, "a fold alone is no cross-validation"


def test_finished_folds_are_used_again(trained: sv.RunFolder, video_folder: Path, tmp_path: Path) -> None:
    results = shutil.copytree(trained.results, tmp_path / "results")
    shutil.rmtree(results / "runs" / trained.name)
    times = {path: path.stat().st_mtime_ns for path in results.glob("runs/*/result.json")}
    again = sv.train("pseudolabel", data=str(video_folder), folds=3, results=results, **TINY)
    assert again.name == trained.name
    assert again.result.expected_accuracies == trained.result.expected_accuracies
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert (again.path / FOLD_LOGITS).read_bytes() == (trained.path / FOLD_LOGITS).read_bytes()


def test_a_finished_run_gets_the_estimate_of_the_folds_that_were_made_last(
    trained: sv.RunFolder, video_folder: Path, tmp_path: Path
) -> None:
    """The run on all labels is the same for every number of folds, and is not trained again."""

    def train(folds: int) -> sv.RunFolder:
        return sv.train("pseudolabel", data=str(video_folder), folds=folds, results=tmp_path, **TINY)

    alone = train(1)
    finished, weights = alone.result.finished, alone.model("cpu").module.state_dict()
    assert alone.name == trained.name
    assert alone.result.expected_accuracies == {}
    assert "no test clips, so the run has no accuracy" in alone.result.notes[0]
    assert alone.model("cpu").cross_validation() is None
    for folds in (2, 3):
        again = train(folds)
        assert (again.name, again.result.finished) == (trained.name, finished)
        assert len(again.result.expected_by_fold) == folds
        model = again.model("cpu")
        found = model.cross_validation()
        assert found is not None
        assert found[again.result.predictor]["top1"] == again.result.expected_accuracies["model"].top1
        assert model.calibration is not None
        assert model.calibration.folds == folds
        assert all((weights[key] == value).all() for key, value in model.module.state_dict().items())
    assert again.result.expected_accuracies == trained.result.expected_accuracies
    assert (again.path / FOLD_LOGITS).read_bytes() == (trained.path / FOLD_LOGITS).read_bytes()
    before = {path: path.stat().st_mtime_ns for path in again.path.iterdir()}
    train(3)
    assert {path: path.stat().st_mtime_ns for path in again.path.iterdir()} == before


@pytest.mark.parametrize("before", [1, 2], ids=["without an estimate", "with that of other folds"])
@pytest.mark.parametrize("lost", ["result.json", FOLD_LOGITS, "final.safetensors"])
def test_an_estimate_that_was_cut_short_is_completed(
    trained: sv.RunFolder,
    video_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lost: str,
    before: int,
) -> None:
    """A process may be killed between the files; the same command completes them, also the one before."""
    results = shutil.copytree(trained.results, tmp_path / "results")
    given: dict[str, Any] = {"data": str(video_folder), "results": results, **TINY}
    shutil.rmtree(results / "runs" / trained.name)

    write, written = sv.RunFolder.write_result, list[sv.Result]()

    def killed(*given: Any) -> None:
        if lost != "result.json" or written:
            raise KeyboardInterrupt
        written.append(given[1])
        write(*given)  # the first one, without an estimate

    function = {
        "result.json": "ssl_video.inference.cross_validation.RunFolder.write_result",
        FOLD_LOGITS: "ssl_video.inference.cross_validation.fold_logits.write",
        "final.safetensors": "ssl_video.inference.cross_validation.weight_file.save",
    }[lost]
    first = sv.train("pseudolabel", folds=before, **given)
    temperatures = dict(first.model("cpu").temperatures)
    numbers = first.result.expected_accuracies
    with monkeypatch.context() as patch:
        patch.setattr(function, killed)
        with pytest.raises(KeyboardInterrupt):
            sv.train("pseudolabel", folds=3, **given)
    killed_run = sv.open_run(results / "runs" / trained.name)
    assert killed_run.model("cpu").cross_validation() is None, "no mixture of two estimates"
    if before > 1 and lost == FOLD_LOGITS:
        back = sv.train("pseudolabel", folds=before, **given)
        assert (back.result.expected_accuracies, back.model("cpu").temperatures) == (numbers, temperatures)
        assert back.model("cpu").cross_validation() is not None
    again = sv.train("pseudolabel", folds=3, **given)
    assert again.result.expected_accuracies == trained.result.expected_accuracies
    assert again.result.temperatures == trained.result.temperatures
    model = again.model("cpu")
    assert model.cross_validation() is not None
    assert model.temperatures == again.result.temperatures
    (again.path / FOLD_LOGITS).write_bytes(b"PK")
    assert sv.train("pseudolabel", folds=3, **given).model("cpu").cross_validation() is not None


def test_damaged_outputs_of_a_fold_give_no_estimate(
    trained: sv.RunFolder, video_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = shutil.copytree(trained.results, tmp_path / "results")
    shutil.rmtree(results / "runs" / trained.name)
    damaged = results / "runs" / of_folds(trained)[1].name / FOLD_LOGITS
    damaged.write_bytes(b"PK")
    given = TINY | {"progress": True}
    again = sv.train("pseudolabel", data=str(video_folder), folds=3, results=results, **given)
    assert again.name == trained.name
    assert again.result.expected_accuracies == {}
    said = " ".join(capsys.readouterr().err.split())
    assert "the model on all labels gets no estimate from its folds: " in said
    assert f"{FOLD_LOGITS} is damaged" in said


def test_folds_of_unlabeled_and_corrected_clips_are_tested_as_recorded(
    video_folder: Path, tmp_path: Path
) -> None:
    """Labels of unlabeled clips take part in the folds, so `evaluate` needs these clips, too."""
    files = sorted(path for path in video_folder.rglob("*.mkv"))
    labeled, unlabeled = tmp_path / "labeled", tmp_path / "unlabeled"
    for number, file in enumerate(files):
        some = number % 3 == 0
        folder = unlabeled if some else labeled / file.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / f"{number}.mkv")
    added = [f"{unlabeled / f'{n}.mkv'},{file.parent.name}" for n, file in enumerate(files) if n % 6 == 0]
    (tmp_path / "labels.csv").write_text("path,label\n" + "\n".join(added) + "\n")
    given = {"data": str(labeled), "unlabeled": str(unlabeled), "labels": str(tmp_path / "labels.csv")}
    own = {key: value for key, value in TINY.items() if key != "labeled_in_unlabeled"}
    run = sv.train("pseudolabel", **given, folds=3, draw=0, results=tmp_path / "results", **own)
    model = run.model("cpu")
    data = model.open_data(progress=False)
    tested = [data.index.ids[row] for row in data.index.rows("test").tolist()]
    assert sorted(tested) == sorted(run.predictions.clips.tolist())
    assert model.evaluate(data, progress=False)["model"]["top1"] == run.result.top1


def test_with_a_draw_it_is_one_fold(trained: sv.RunFolder, video_folder: Path) -> None:
    given = {"data": str(video_folder), "folds": 3, "draw": 1, "results": trained.results}
    assert sv.train("pseudolabel", **given, **TINY).name == of_folds(trained)[1].name


def test_damaged_outputs(trained: sv.RunFolder, tmp_path: Path) -> None:
    np.savez(tmp_path / FOLD_LOGITS, clips=np.array(["a"]))
    with pytest.raises(sv.InputError, match="damaged: it has no 'classes'"):
        fold_logits.read(tmp_path)


def test_labels_of_the_run_are_not_those_of_other_data(
    trained: sv.RunFolder, video_folder: Path, tmp_path: Path
) -> None:
    """They would be added to the other data set, and could change its labels."""
    other, model = shutil.copytree(video_folder, tmp_path / "other"), trained.model("cpu")
    first = next(path for path in sorted(video_folder.rglob("*")) if path.is_file())
    (tmp_path / "labels.csv").write_text(f"path,label\n{first},{model.classes[-1]}\n")
    corrected = replace(model, spec=model.spec.model_copy(update={"labels": (str(tmp_path / "labels.csv"),)}))
    found = corrected.open_data(other).index
    assert found.fingerprint == model.open_data(other).index.fingerprint
    assert not any("labels.csv" in note for note in found.notes)
