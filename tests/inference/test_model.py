import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.numbers import close
from PIL import Image

from ssl_video.data.columns import Category
from ssl_video.data.dataset import Data, load
from ssl_video.data.index import PARTS, Index
from ssl_video.data.video.decode import decode
from ssl_video.errors import InputError
from ssl_video.inference import evaluation
from ssl_video.inference.load import load as load_model
from ssl_video.runs import checkpoint, weight_file
from ssl_video.runs.result import Result
from ssl_video.spec import Spec
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, Stopped, plan, run

CPU = torch.device("cpu")
MakePlan = Callable[..., Plan]


@pytest.fixture(scope="session")
def finished(
    small_spec: Callable[..., Spec], data: Data, plugin: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, Result]]:
    """`finished(algorithm)`: the folder and result of a run, trained once."""
    made: dict[str, tuple[Path, Result]] = {}

    def train(algorithm: str) -> tuple[Path, Result]:
        if algorithm not in made:
            name = plugin if algorithm == "plugin" else algorithm
            folder = tmp_path_factory.mktemp(algorithm)
            made[algorithm] = (
                folder,
                run(
                    plan(small_spec(algorithm=name, steps=3, test_crops=3, learning_rate=0.05), data, CPU),
                    folder,
                    Execution("cpu"),
                ),
            )
        return made[algorithm]

    return train


Finished = Callable[[str], tuple[Path, Result]]


@pytest.mark.parametrize("algorithm", ["supervised", "cmpl", "plugin"])
def test_a_checkpoint_scores_as_its_run_did(finished: Finished, data: Data, algorithm: str) -> None:
    folder, result = finished(algorithm)
    for path in (folder, folder / checkpoint.FINAL):
        model = load_model(path, CPU, trust=algorithm == "plugin")
        assert model.evaluate(data) == result.model_dump()["predictors"]
        assert (model.step, model.notes) == (None, ())


def test_options_get_their_types_back(finished: Finished) -> None:
    """A checkpoint holds plain values; the plugin's option is a pair, which is a list there."""
    folder, _ = finished("plugin")
    assert checkpoint.load(folder / checkpoint.FINAL)["spec"]["options"]["span"] == [0.0, 1.0]
    assert load_model(folder, CPU, trust=True).assembly.algorithm.span == (0.0, 1.0)


def only(index: Index, classes: tuple[str, ...], names: dict[str, str] | None = None) -> Index:
    """The clips of some classes, under other names if given."""
    rows = np.flatnonzero([index.classes[label] in classes for label in index.labels])
    old = [index.classes[label] for label in index.labels[rows]]
    new = [(names or {}).get(name, name) for name in old]
    splits = Category(index.splits.codes[rows], index.splits.names)
    return dataclasses.replace(index, ids=index.ids[rows], label=Category.of(new), splits=splits)


def test_classes_are_matched_by_name(
    finished: Finished, data: Data, small_spec: Callable[..., Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a dataset without the first class, where the others have other numbers."""
    folder, _ = finished("cmpl")
    model = load_model(folder, CPU)
    part = only(data.index, ("jump", "wave"))
    assert part.classes == ("jump", "wave")
    store = load(small_spec()).store
    other = Data(part, type(store)(part.paths, store.short_side), {})
    seen: list[np.ndarray] = []

    def spy(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        seen.append(labels)
        return {"top1": 0.0}

    monkeypatch.setattr(evaluation, "accuracy", spy)
    model.evaluate(other)
    test = [clip.split("/")[0] for clip in part.ids[part.rows("test")]]
    assert [model.classes[label] for label in seen[0]] == test
    assert set(test) == {"jump", "wave"}


def test_classes_that_the_checkpoint_does_not_know(finished: Finished, data: Data) -> None:
    model = load_model(finished("cmpl")[0], CPU)
    renamed = only(data.index, data.index.classes, {"wave": "throw"})
    with pytest.raises(InputError, match=r"has 3 classes, .* has 3; 1 class is not .*: throw$"):
        model.evaluate(dataclasses.replace(data, index=renamed))


def test_a_dataset_without_test_clips(finished: Finished, data: Data) -> None:
    index = dataclasses.replace(data.index, splits=Category.of(["train"] * len(data.index), PARTS))
    with pytest.raises(InputError, match="has no test clip"):
        load_model(finished("cmpl")[0], CPU).evaluate(dataclasses.replace(data, index=index))


# -- checkpoints that cannot be used


def test_a_folder_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"holds no checkpoint \(neither final\.safetensors nor checkpoint\.pt\)"
    ):
        load_model(tmp_path, CPU)
    with pytest.raises(InputError, match="there is no checkpoint"):
        load_model(tmp_path / "absent.pt", CPU)


def test_a_damaged_checkpoint(finished: Finished, tmp_path: Path) -> None:
    content = (finished("cmpl")[0] / checkpoint.FINAL).read_bytes()
    (tmp_path / checkpoint.FINAL).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"final\.safetensors is damaged"):
        load_model(tmp_path, CPU)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"networks": {"primary": {"width": 0.25, "frames": 2, "stride": 2}}}, "does not fit the networks"),
        ({"algorithm": "supervised", "networks": {}, "options": {}}, "does not fit the networks"),
        ({"algorithm": "nosuch"}, "unknown algorithm 'nosuch'"),
        ({"backbone": "nosuch", "networks": {}}, "unknown backbone 'nosuch'"),
        ({"options": {"thresold": 1}}, "unknown option 'thresold'; did you mean threshold"),
        ({"stepz": 3}, "unknown key 'stepz'"),
    ],
    ids=str,
)
def test_a_checkpoint_that_does_not_fit_its_specification(
    finished: Finished, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    state = checkpoint.load(finished("cmpl")[0] / checkpoint.FINAL)
    weight_file.save(state | {"spec": state["spec"] | change}, tmp_path / "changed.safetensors")
    with pytest.raises(InputError, match=message):
        load_model(tmp_path / "changed.safetensors", CPU)


def test_a_checkpoint_of_another_number_of_classes(finished: Finished, tmp_path: Path) -> None:
    state = checkpoint.load(finished("cmpl")[0] / checkpoint.FINAL)
    weight_file.save(state | {"classes": ["a", "b"]}, tmp_path / "changed.safetensors")
    with pytest.raises(InputError, match="does not fit the networks"):
        load_model(tmp_path / "changed.safetensors", CPU)


def test_a_run_that_is_under_way(make_plan: MakePlan, tmp_path: Path) -> None:
    """Its newest checkpoint that can be read, also where a save was killed half-way."""
    answers = iter([False, False, True])
    with pytest.raises(Stopped):
        run(make_plan(), tmp_path, Execution("cpu", checkpoint_seconds=0), stopping=lambda: next(answers))
    weights = [
        checkpoint.load(tmp_path / name)["algorithm"] for name in (checkpoint.CURRENT, checkpoint.PREVIOUS)
    ]

    def loaded() -> dict[str, Any]:
        return load_model(tmp_path, CPU).assembly.algorithm.state_dict()

    name = next(iter(weights[0]))
    assert torch.equal(loaded()[name], weights[0][name])
    (tmp_path / checkpoint.CURRENT).unlink()
    assert torch.equal(loaded()[name], weights[1][name])
    assert not torch.equal(weights[0][name], weights[1][name])
    model = load_model(tmp_path, CPU)
    done = checkpoint.load(tmp_path / checkpoint.PREVIOUS)["step"]
    assert (model.step, done < model.spec.steps) == (done, True)
    found = f"{done} of {model.spec.steps} steps"
    assert model.notes == (f"the run is not finished: these are its networks after {found}",)
    (tmp_path / checkpoint.PREVIOUS).write_bytes(b"")
    with pytest.raises(InputError, match=r"checkpoint-previous\.pt is damaged"):
        load_model(tmp_path, CPU)


# -- labels for files


def test_files_are_labeled_as_in_the_test(finished: Finished, data: Data, tmp_path: Path) -> None:
    model = load_model(finished("cmpl")[0], CPU)
    rows = data.index.rows("test")
    files = [Path(data.index.paths[row]) for row in rows]
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    found, reasons = model.probabilities([files[0], broken, tmp_path / "absent.mp4", *files[1:]])
    assert list(found) == files
    assert set(reasons) == {broken, tmp_path / "absent.mp4"}
    assert all(reasons.values())
    right = [
        scores.argmax() == data.index.labels[row] for scores, row in zip(found.values(), rows, strict=True)
    ]
    assert np.mean(right) == finished("cmpl")[1].top1
    assert all(scores.shape == (3,) and scores.sum() == close(1) for scores in found.values())


def test_parts_of_files_and_folders_of_pictures(finished: Finished, data: Data, tmp_path: Path) -> None:
    model = load_model(finished("cmpl")[0], CPU)
    file = Path(data.index.paths[0])
    folder = tmp_path / "clip"
    folder.mkdir()
    for number, frame in enumerate(decode(file)):
        Image.fromarray(frame).save(folder / f"{number}.png")
    found = model.predict([file, folder, f"{file}#f=0,99", f"{file}#f=0,2", f"{file}#t=99"])
    assert found["probability"].tolist()[:3] == [close(found["probability"][0])] * 3
    assert found["probability"][3] != close(found["probability"][0])
    assert found["error"][4].startswith("the clip begins at 99 s and has no frame; the video has ")


def test_another_predictor_labels_by_name(finished: Finished, data: Data) -> None:
    model = load_model(finished("cmpl")[0], CPU)
    file = Path(data.index.paths[0])
    headline, primary, auxiliary = (
        model.probabilities([file], name)[0][file] for name in (None, "primary", "auxiliary")
    )
    assert np.array_equal(headline, primary)
    assert not np.array_equal(headline, auxiliary)
    with pytest.raises(InputError, match="unknown predictor 'auxilary'; did you mean auxiliary"):
        model.probabilities([file], "auxilary")


def test_a_table_of_labels(finished: Finished, data: Data, tmp_path: Path) -> None:
    """One row a file in the order given, with the reason in place of a label where it cannot be read."""
    model = load_model(finished("cmpl")[0], CPU)
    files = [Path(data.index.paths[row]) for row in data.index.rows("test")[:2]]
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    found = model.predict([str(files[1]), broken, files[0]])
    columns = ["label", "probability", "second_label", "second_probability"]
    assert list(found.columns) == ["path", "start", "end", *columns, "margin", "windows", "error"]
    assert found["path"].tolist() == [str(files[1]), str(broken), str(files[0])]
    scores, reasons = model.probabilities([*files, broken])
    for row, file in ((0, files[1]), (2, files[0])):
        first, second = scores[file].argsort()[::-1][:2]
        assert found.loc[row, columns].tolist() == [
            *(model.classes[first], close(scores[file][first])),
            *(model.classes[second], close(scores[file][second])),
        ]
    assert found["error"].isna().tolist() == [True, False, True]
    assert found["error"][1] == reasons[broken]
    assert found.loc[1, columns].isna().all()
    assert model.predict([]).empty


def test_a_table_of_another_predictor(finished: Finished, data: Data) -> None:
    model = load_model(finished("cmpl")[0], CPU)
    file = data.index.paths[0]
    headline, primary, auxiliary = (
        model.predict([file], predictor=name)["probability"][0] for name in (None, "primary", "auxiliary")
    )
    assert headline == primary != auxiliary
    with pytest.raises(InputError, match="unknown predictor 'auxilary'; did you mean auxiliary"):
        model.predict([file], predictor="auxilary")


def test_the_network_of_inference_is_the_first_predictor(finished: Finished) -> None:
    for algorithm, names in (("cmpl", ["primary", "auxiliary"]), ("plugin", ["teacher", "student", "other"])):
        model = load_model(finished(algorithm)[0], CPU, trust=True)
        assert list(model.predictors) == names
        assert model.module is model.predictors[names[0]]
        assert model.module.eval()(torch.zeros(2, 3, 2, 8, 8)).shape == (2, 3)


def test_a_loaded_network_is_in_evaluation_mode(finished: Finished) -> None:
    """A call changes no batch-norm statistics."""
    model = load_model(finished("cmpl")[0], CPU)
    assert not any(module.training for network in model.predictors.values() for module in network.modules())
