"""`ssl-video suggest` and `ssl_video.suggest`."""

import csv
import shutil
from pathlib import Path

import pytest
from helpers.command_line import Call

import ssl_video as sv

COLUMNS = "path,start,end,label,predicted_label,probability,second_label,second_probability,margin"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "clips.csv").open(newline="") as opened:
        return list(csv.DictReader(opened))


def content(path: str | Path) -> tuple[str, int]:
    """Return the class and the content of a clip: the seventh and eighth of a class are copies."""
    return Path(path).parent.name, int(Path(path).stem) % 6


def new_clips(run: Path, dataset: Path) -> set[str]:
    """Return the training clips without a label in the run that are no copies of clips that have one."""
    parts = sv.open_run(run).partition
    known = {content(name) for name in parts.id[parts.part == "labeled"]}
    return {str(path) for path in (dataset / "train").rglob("*.mp4") if content(path) not in known}


def test_the_run_s_unlabeled_clips(run: Path, dataset: Path, call: Call, tmp_path: Path) -> None:
    """Of 16 training clips four have a label; copies of new ones come last."""
    done = call("suggest", run, "--number", 30, "-o", "todo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, expected = rows(tmp_path / "todo"), new_clips(run, dataset)
    assert done.stdout.startswith(
        f"todo/clips.csv: {len(expected)} clips\nnext:\n  open todo/index.html in a "
    )
    assert (tmp_path / "todo" / "clips.csv").read_text().splitlines()[0] == COLUMNS
    assert {row["path"] for row in found} == expected
    assert len(found) == len(expected)
    # The labeled ones themselves are no unlabeled clips of the run, which could be left out.
    copies = 12 - len(expected)
    assert (f"note: {copies} clip" in done.stderr) == (copies > 0)
    once = len({content(path) for path in expected})
    assert len({content(row["path"]) for row in found[:once]}) == once
    known = sv.load_model(run).predict([row["path"] for row in found])
    assert [row["predicted_label"] for row in found] == known["label"].tolist()
    assert [float(row["margin"]) for row in found] == pytest.approx(known["margin"].tolist(), abs=2e-6)
    assert {row["label"] for row in found} == {""}


def test_margins_are_sorted(run: Path, call: Call, tmp_path: Path) -> None:
    done = call("suggest", run, "--rule", "margin", "--number", 5, "-o", "todo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    margins = [float(row["margin"]) for row in rows(tmp_path / "todo")]
    assert margins == sorted(margins)
    assert len(margins) == 5


@pytest.mark.parametrize("rule", ["badge", "typiclust", "random"])
def test_clips_with_a_label_and_their_copies_are_left_out(
    rule: str, run: Path, dataset: Path, tmp_path: Path
) -> None:
    """The data set itself, a copy of a labeled clip, two copies of a new one, and a broken file."""
    expected = new_clips(run, dataset)
    one = next(path for path in (dataset / "train").rglob("*.mp4") if str(path) not in expected)
    more = tmp_path / "more"
    more.mkdir()
    shutil.copy(one, more / "copy.mp4")
    (more / "broken.mp4").write_text("no video")
    found = sv.suggest(run, [dataset, more], number=30, rule=rule, seed=1)
    assert set(found["path"]) == expected
    assert found.attrs["notes"] == [f"{25 - len(expected)} clips have a label in the run: left out"]
    (error,) = found.attrs["errors"]
    assert error.startswith(f"{more}/broken.mp4: ")
    for name in ("a", "b"):
        shutil.copy(min(expected), more / f"{name}.mp4")
    found = sv.suggest(run, [dataset, more], number=30, rule=rule, seed=1)
    copies = {str(more / f"{name}.mp4") for name in "ab"}
    copies |= {path for path in expected if content(path) == content(min(expected))}
    once = len({content(path) for path in expected})
    assert len(set(found["path"][:once]) & copies) == 1
    assert copies <= set(found["path"])


def test_labels_that_look_wrong(run: Path, dataset: Path, call: Call, tmp_path: Path) -> None:
    """A light clip in the folder of the dark ones."""
    folder = Path(shutil.copytree(dataset, tmp_path / "lab"))
    wrong = (folder / "train/light/5.mp4").rename(folder / "train/dark/8.mp4")
    done = call("suggest", run, "lab", "--check-labels", "-o", "todo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = rows(tmp_path / "todo")
    assert f"{len(found)} of 24 labels look wrong, " in done.stderr
    assert "the network was fine-tuned" in done.stderr
    first = found[0]
    assert (first["path"], first["label"], first["predicted_label"]) == (str(wrong), "dark", "light")
    qualities = [float(row["quality"]) for row in found]
    assert qualities == sorted(qualities)
    assert qualities == pytest.approx([float(row["second_probability"]) for row in found])
    again = call("suggest", run, "lab", "--check-labels", "-o", "todo", cwd=tmp_path)
    assert again.returncode == 2
    assert "clips.csv may have corrected labels: give another folder, or --overwrite" in again.stderr
    again = call("suggest", run, "lab", "--check-labels", "-o", "todo", "--overwrite", cwd=tmp_path)
    assert again.returncode == 0, again.stderr


def test_labels_of_a_manifest_elsewhere(run: Path, dataset: Path, tmp_path: Path) -> None:
    """Its classes may be others than the run's; one clip has another class than all those like it."""
    clips = [
        (path, "night" if path.parent.name == "dark" else "day") for path in sorted(dataset.rglob("*.mp4"))
    ]
    lines = [f"{path},{'day' if number == 3 else label}" for number, (path, label) in enumerate(clips)]
    manifest = tmp_path / "labels.csv"
    manifest.write_text("\n".join(["path,label", *lines]) + "\n")
    found = sv.suggest(run, manifest, check_labels=True, root="/")
    assert found["path"].tolist()[0] == str(clips[3][0])
    assert found.iloc[0][["label", "predicted_label"]].tolist() == ["day", "night"]
    assert found.attrs["classes"] == ["day", "night"]


def test_labels_of_the_run_itself(run: Path, call: Call, tmp_path: Path) -> None:
    """Two clips of each of two classes."""
    done = call("suggest", run, "--check-labels", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "of 4 labels look wrong" in done.stderr


def test_a_table_in_the_terminal(run: Path, dataset: Path, call: Call, tmp_path: Path) -> None:
    manifest = tmp_path / "parts.csv"
    manifest.write_text(f"path,start,end\n{dataset}/test/dark/0.mp4,0,0.5\n{tmp_path}/absent.mp4,,\n")
    model = sv.load_model(run)
    assert model.spec.data == str(dataset)
    shutil.copy(dataset / "train/dark/0.mp4", tmp_path / "new.mp4")
    done = call("suggest", run, manifest, f"{dataset}/test/light/1.mp4#t=0,0.4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "predicted label" in done.stdout
    assert "0.5" in done.stdout
    assert "absent.mp4: " in done.stderr
    assert "1 clip could not be read; all others were used" in done.stderr


def test_data_of_the_run_that_is_gone(run: Path, dataset: Path, tmp_path: Path) -> None:
    model = sv.load_model(run)
    away = model.spec.model_copy(update={"data": str(tmp_path / "gone")})
    moved = sv.Model(away, model.classes, model.assembly, model.device)
    found = sv.suggest(moved, dataset / "test", number=3)
    assert len(found) == 3
    assert "so none is left out" in found.attrs["notes"][0]
    with pytest.raises(sv.InputError, match="gone does not exist"):
        sv.suggest(moved)


def test_mistakes(run: Path, dataset: Path, call: Call, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    for arguments, message in (
        (["--rule", "badger"], "unknown rule 'badger'; did you mean badge"),
        (["--rule", "badge", "--check-labels"], "leave it out to check labels"),
        (["--root", "/"], "root is for manifests whose labels are checked"),
        (["--predictor", "x"], "unknown predictor 'x'"),
        ([broken], "none of the clips can be read"),
        ([dataset / "test"], "every clip has a label in the run"),
        ([dataset / "test" / "dark", "--check-labels"], "no clip has a label|from two classes on|class"),
        (["-o", tmp_path / "absent" / "todo"], "there is no folder"),
    ):
        done = call("suggest", run, *arguments, cwd=tmp_path)
        assert done.returncode == 2, arguments
        assert any(part in done.stderr for part in message.split("|")), done.stderr
    with pytest.raises(sv.InputError, match="number must be at least 1"):
        sv.suggest(run, number=0)


def test_weights_without_their_run_s_folder(run: Path, dataset: Path, tmp_path: Path) -> None:
    """The partition is drawn again; that of the folder stays, whatever is added to the data."""
    weights = Path(shutil.copy(run / "final.safetensors", tmp_path / "weights.safetensors"))
    drawn, stored = (sv.suggest(place, number=30, seed=3) for place in (weights, run))
    assert drawn["path"].tolist() == stored["path"].tolist()
    assert set(drawn["path"]) == new_clips(run, dataset)
