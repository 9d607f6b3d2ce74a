"""Tables of labels: what can be labeled, time lines, and files that a stopped command continues."""

import contextlib
import errno
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import click
import numpy as np
import pandas as pd
import pytest
import torch
from helpers.numbers import close
from torch import nn

from ssl_video.cli import features, predict
from ssl_video.data import importers
from ssl_video.data.dataset import Data
from ssl_video.data.importers import to_label
from ssl_video.data.video import stream
from ssl_video.data.video.container import DecodeError
from ssl_video.errors import InputError
from ssl_video.inference import label_table
from ssl_video.inference.label_table import COLUMNS, LabelTable, frame
from ssl_video.inference.load import load as load_model
from ssl_video.inference.model import Model
from ssl_video.inference.stretches import Labeled, Merged, cut
from ssl_video.observer import Observer
from ssl_video.runs import predictions
from ssl_video.runs.folder import VALIDATION_PREDICTIONS
from ssl_video.spec import Spec
from ssl_video.training.execution import Execution
from ssl_video.training.run import plan, run

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def model(small_spec: Callable[..., Spec], data: Data, tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("run")
    spec = small_spec(algorithm="supervised", steps=3, learning_rate=0.05, validation=1)
    run(plan(spec, data, CPU), folder, Execution("cpu"))
    return load_model(folder, CPU)


class Green(nn.Module):
    """Says "bow" of dark and "wave" of bright green, with a probability of 0.8."""

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        bright = clips[:, 1].mean((1, 2, 3)) > 0
        likely = torch.tensor([[0.8, 0.15, 0.05], [0.05, 0.15, 0.8]]).log()
        return likely[bright.long()]


@pytest.fixture
def green(model: Model, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr(Model, "predictors", property(lambda _: {"model": Green()}))
    return model


@pytest.fixture
def halves(make_video: Callable[..., Path], tmp_path: Path) -> Path:
    """A recording of 4 s, 10 frames per second: two dark seconds, then two bright ones."""
    path = tmp_path / "halves.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "bgr0"
        for number in range(40):
            image = np.full((16, 16, 3), 40 if number < 20 else 220, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


# -- what can be labeled


def test_every_form_of_clips(data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(data.index.root)
    monkeypatch.chdir(root.parent)
    (tmp_path / "list.txt").write_text(f"{root}/bow/0.mkv\n{root}/bow/1.mkv 3\n{root}/bow/0.mkv\n")
    (root.parent / "some.csv").write_text(
        f"path,start,end\n{root.name}/bow/0.mkv,0.2,0.8\n{root.name}/gone.mkv,,\n"
    )
    found = to_label.clips([root.name, tmp_path / "list.txt", "some.csv", f"{root.name}/bow/2.mkv#f=0,5"])
    paths = [clip.path for clip in found]
    assert len(found) == 18 + 2 + 2 + 1
    assert paths[:2] == [f"{root.name}/bow/0.mkv", f"{root.name}/bow/1.mkv"]
    assert paths[18:] == [
        *(f"{root}/bow/0.mkv", f"{root}/bow/1.mkv", f"{root.name}/bow/0.mkv", f"{root.name}/gone.mkv"),
        f"{root.name}/bow/2.mkv#f=0,5",
    ]
    assert [(clip.start, clip.end) for clip in found[20:]] == [(0.2, 0.8), (None, None), (None, None)]
    assert all(clip.file.startswith(f"{root}/") for clip in found)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no videos found") as error:
        to_label.clips([tmp_path / "empty", "absent.csv"])
    assert "absent.csv does not exist" in str(error.value)


def test_clips_that_cannot_be_read_are_rows(model: Model, data: Data, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("no video")
    good = data.index.paths[0]
    found = model.predict([good, tmp_path / "broken.mp4", f"{good}#t=90,99", good])
    assert found["path"].tolist() == [good, str(tmp_path / "broken.mp4"), good]
    assert found["label"].notna().tolist() == [True, False, False]
    assert found["error"].isna().tolist() == [True, False, False]
    assert found["windows"].tolist() == [2, 0, 0]
    assert (found["start"][2], found["end"][2]) == (90, 99)


def test_threads_and_groups_do_not_change_numbers(model: Model, data: Data) -> None:
    for every in (None, 0.4):
        alone = model.predict(data.index.root, every=every, merge=False, decoders=0)
        pd.testing.assert_frame_equal(
            model.predict(data.index.root, every=every, merge=False, decoders=3), alone
        )
    whole = model.predict(data.index.root)
    single = [model.predict(path)["probability"][0] for path in whole["path"][::5]]
    assert single == [pytest.approx(number, abs=2e-6) for number in whole["probability"][::5]]


def test_an_error_in_a_thread_is_raised(model: Model, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ssl_video.inference.clip_reader.evenly_spaced", fail)
    with pytest.raises(ZeroDivisionError):
        model.predict(data.index.root, decoders=2)


# -- time lines


def test_a_recording_is_labeled_along_its_time(green: Model, halves: Path) -> None:
    (first, second), apart = (
        green.predict(halves, every=0.8).to_dict("records"),
        green.predict(halves, every=0.8, merge=False),
    )
    assert apart["start"].tolist() == [close(n) for n in (0, 0.8, 1.6, 2.4, 3.2)]
    # The stretch from 1.6 to 2.4 has two windows of 3 frames, one of which is dark.
    assert apart["probability"].tolist() == [close(n) for n in (0.8, 0.8, 0.425, 0.8, 0.8)]
    assert (first["label"], first["start"], close(first["end"])) == ("bow", 0, 2.4)
    assert first["probability"] == pytest.approx((0.8 + 0.8 + 0.425) / 3, abs=2e-6)
    assert (first["windows"], second["windows"]) == (6, 4)
    assert (second["label"], close(second["start"]), second["end"]) == ("wave", 2.4, 4)


def test_a_stretch_is_labeled_as_that_part_of_the_file(model: Model, data: Data) -> None:
    path = data.index.paths[5]  # 17 frames, 10 per second
    line = model.predict(path, every=0.5, merge=False)
    parts = [f"{path}#t=0,0.5", f"{path}#t=0.5,1", f"{path}#t=1,1.5", f"{path}#t=1.5,2"]
    expected = model.predict(parts)
    assert line["probability"].tolist() == [pytest.approx(n, abs=2e-6) for n in expected["probability"]]
    assert (line["start"].tolist(), line["end"].tolist()) == ([0, 0.5, 1, 1.5], [0.5, 1, 1.5, 1.7])
    of_frames = model.predict(f"{path}#f=5,15", every=0.5, merge=False)
    assert of_frames["probability"].tolist() == [
        pytest.approx(n, abs=2e-6) for n in expected["probability"][1:3]
    ]
    assert (of_frames["start"].tolist(), of_frames["path"][0]) == ([0.5, 1], f"{path}#f=5,15")


def test_damage_inside_a_recording(green: Model, halves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = stream.frames

    def damaged(*arguments: Any) -> Iterator[stream.Timed]:
        yield from itertools.islice(real(*arguments), 25)
        raise DecodeError("invalid data, after 25 frames")

    monkeypatch.setattr(stream, "frames", damaged)
    rows = green.predict(halves, every=1)
    assert rows["label"].tolist() == ["bow", "wave", None]
    assert (rows["start"].tolist(), rows["end"].tolist()[:2]) == ([0, 2, 2.5], [2, 2.5])
    assert rows["error"][2] == "invalid data, after 25 frames"


def test_merging_weighs_by_length() -> None:
    merged = Merged()
    assert merged.add(Labeled(0, 2, np.array([0.9, 0.1]), 4), 0) is None
    assert merged.add(Labeled(2, 3, np.array([0.6, 0.4]), 4), 0) is None
    one = merged.add(Labeled(3, 5, np.array([0.2, 0.8]), 4), 1)
    assert one is not None
    assert (one.start, one.end, one.windows) == (0, 3, 8)
    assert one.probabilities.tolist() == [close(0.8), close(0.2)]  # (2 * 0.9 + 0.6) / 3
    # After a gap, for which there were no frames, a row of its own.
    assert merged.add(Labeled(6, 8, np.array([0.2, 0.8]), 4), 1) is not None
    rest = merged.rest()
    assert rest is not None
    assert (rest.start, merged.rest()) == (6, None)


def test_stretches_of_uneven_frames() -> None:
    times = [0.0, 0.4, 1.0, 1.9, 5.2, 5.3]
    found = list(cut([(t, np.full((1, 1, 3), n, np.uint8)) for n, t in enumerate(times)], 1.0))
    assert [(s.start, s.end) for s in found] == [(0, 1), (1, 2), (5, 6)]
    assert [len(s.frames) for s in found] == [2, 2, 2]
    assert [s.times for s in found] == [[0, 0.4, 1.0], [1.0, 1.9, 5.2], [5.2, 5.3]]


def test_a_recording_is_read_from_a_time_on(
    halves: Path, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    long = make_video(
        tmp_path / "long.mp4", 29, 32, 32, fps=1, codec="libx264", pixels="yuv420p", options={"g": "5"}
    )
    every = list(stream.frames(long))
    later = list(stream.frames(long, start=17.5))
    assert [seconds for seconds, _ in later] == [float(n) for n in range(18, 29)]
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(later, every[18:], strict=True))
    assert list(stream.frames(long, start=29)) == []


# -- abstention


def test_labels_below_a_probability(model: Model, data: Data) -> None:
    plain = model.predict(data.index.root)
    limit = float(plain["probability"].median()) + 1e-9
    found = model.predict(data.index.root, abstain=limit)
    low = plain["probability"] < limit
    assert 0 < low.sum() < len(low)
    assert (found["label"][low] == "unknown").all()
    assert (found["second_label"][low] == plain["label"][low]).all()
    assert (found["second_probability"][low] == plain["probability"][low]).all()
    assert (found["margin"] == plain["margin"]).all()
    pd.testing.assert_frame_equal(found[~low], plain[~low])
    with pytest.raises(InputError, match="abstain must be a probability between 0 and 1, found 60"):
        model.predict([], abstain=60)


def test_the_expectation_comes_from_the_validation_clips(model: Model) -> None:
    assert model.folder is not None
    known = predictions.read(model.folder, VALIDATION_PREDICTIONS)
    assert len(known.clips) == 3
    limit = float(np.sort(known.confidences["model"][:, 0])[1])
    sure = known.confidences["model"][:, 0] >= limit
    right = known.guesses["model"][:, 0] == known.labels
    assert model.expected(limit) == (3, 2, int((sure & right).sum()))


# -- files


def as_rows(file: Path) -> list[dict[str, Any]]:
    return list(label_table.read(file))


def test_a_table_survives_strange_names(tmp_path: Path) -> None:
    names = ["=1+1.mp4", 'a,"b".mp4', "two\nlines.mp4", "\r.mp4", " x .mp4", "\udcff.mp4"]
    rows = [
        dict.fromkeys(COLUMNS) | {"path": n, "probability": 0.5, "windows": 1, "label": "a"} for n in names
    ]
    for ending in (".csv", ".json", ".arrow"):
        with LabelTable(tmp_path / f"t{ending}", {"model": "m"}) as table:
            table.begin()
            for row in rows:
                table.add(row)
            table.finish()
        assert as_rows(tmp_path / f"t{ending}")[:5] == rows[:5]
    assert as_rows(tmp_path / "t.csv") == rows
    assert frame(json.loads((tmp_path / "t.json").read_text())).equals(frame(rows))
    assert pd.read_feather(tmp_path / "t.arrow")["path"].tolist()[:5] == names[:5]


@pytest.mark.parametrize("every", [None, 0.5])
@pytest.mark.parametrize("ending", [".csv", ".json", ".arrow"])
def test_a_stopped_table_is_continued(
    model: Model, data: Data, tmp_path: Path, ending: str, every: float | None
) -> None:
    expected = model.predict(data.index.root, every=every)
    output, count = tmp_path / f"labels{ending}", itertools.count()

    def stop(_: dict[str, Any]) -> None:
        if next(count) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.label(data.index.root, stop, every=every, output=output)
    log = output if ending == ".csv" else tmp_path / f"labels{ending}.part.csv"
    before = as_rows(log)
    assert len(before) == 7
    with log.open("a") as file:
        file.write('"half of a row,0,')  # as a killed process leaves it
    new = list[dict[str, Any]]()
    summary = model.label(data.index.root, new.append, every=every, output=output)
    assert before + new == as_rows(output)
    assert summary.before == (7 if every is None else summary.before)
    assert sum(summary.labels.values()) == len(expected)
    found = frame(as_rows(output))
    pd.testing.assert_frame_equal(found, expected, atol=2e-6, rtol=0)
    pd.testing.assert_frame_equal(model.predict(data.index.root, every=every, output=output), found)


def test_a_table_of_something_else_is_left_alone(model: Model, data: Data, tmp_path: Path) -> None:
    output, video = tmp_path / "labels.csv", data.index.paths[0]
    output.write_text("my,notes\n")
    with pytest.raises(InputError, match="exists, but is not a table of labels that could be continued"):
        model.predict(video, output=output)
    assert output.read_text() == "my,notes\n"
    model.predict(video, output=output, overwrite=True)
    for changed in ({"every": 1.0}, {"abstain": 0.5}):
        with pytest.raises(InputError, match=r"labels of other settings \((every|abstain) None, now"):
            model.predict(video, output=output, **changed)
    with torch.no_grad():
        next(model.module.parameters()).add_(1)
    try:
        with pytest.raises(InputError, match="labels of another model"):
            model.predict(video, output=output)
    finally:
        with torch.no_grad():
            next(model.module.parameters()).sub_(1)
    with (
        LabelTable(output, {"model": model.digest}, overwrite=True),
        pytest.raises(InputError, match="another command is writing"),
    ):
        model.predict(video, output=output)
    with pytest.raises(InputError, match=r"ends in \.csv, \.json, \.arrow"):
        model.predict(video, output=tmp_path / "labels.xls")


def test_further_clips_are_added(model: Model, data: Data, tmp_path: Path) -> None:
    output = tmp_path / "labels.csv"
    model.predict(data.index.paths[0], output=output)
    found = model.predict([data.index.paths[1], f"{data.index.paths[0]}#t=0,0.5"], output=output)
    assert found["path"].tolist() == [data.index.paths[row] for row in (0, 1, 0)]


@pytest.fixture
def lists(make_video: Callable[..., Path], tmp_path: Path) -> list[Path]:
    """Two lists of the same two names, of recordings of 2 and of 2.9 seconds."""
    for folder, frames in (("a", 20), ("b", 29)):
        (tmp_path / folder).mkdir()
        for name in ("0.mkv", "1.mkv"):
            make_video(tmp_path / folder / name, frames, 16, 16, fps=10)
        (tmp_path / folder / "list.txt").write_text("0.mkv\n1.mkv\n")
    return [tmp_path / folder / "list.txt" for folder in ("a", "b")]


@pytest.mark.parametrize("every", [None, 1.0])
@pytest.mark.parametrize("stop", range(1, 10))
def test_clips_with_the_same_path_in_two_lists(
    model: Model, lists: list[Path], tmp_path: Path, every: float | None, stop: int
) -> None:
    assert_continues(model, lists, tmp_path / "labels.csv", every, stop)


@pytest.mark.parametrize("stop", range(1, 8))
def test_parts_that_overlap(model: Model, halves: Path, tmp_path: Path, stop: int) -> None:
    """Rows 0-1, 1-2, 2-3 of the first, 1-2, 2-3, 3-4 of the second, and 0-1 of the third."""
    parts = [f"{halves}#t=0,3", f"{halves}#t=1,4", f"{halves}#t=0,1"]
    found = assert_continues(model, parts, tmp_path / "labels.csv", 1.0, stop)
    assert found["start"].tolist() == [0, 1, 2, 1, 2, 3, 0]


def assert_continues(
    model: Model, clips: Sequence[str | Path], output: Path, every: float | None, stop: int
) -> pd.DataFrame:
    """Stop after some rows; the same call then makes the others, and once more makes none."""
    whole, count = model.predict(clips, every=every, merge=False), itertools.count(1)

    def stopping(_: dict[str, Any]) -> None:
        if next(count) == stop:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        model.label(clips, stopping, every=every, merge=False, output=output)
    new = list[dict[str, Any]]()
    for _ in range(2):
        model.label(clips, new.append, every=every, merge=False, output=output)
        found = frame(as_rows(output))
        pd.testing.assert_frame_equal(found, whole, atol=2e-6, rtol=0)
    # Of the recording that was stopped, and that may have been complete, the end is looked for again.
    assert len(new) == max(len(whole) - stop, 0)
    return found


def test_one_of_clips_that_look_alike_cannot_be_read_at_first(
    model: Model, lists: list[Path], tmp_path: Path
) -> None:
    whole, output, broken = model.predict(lists), tmp_path / "labels.csv", tmp_path / "a/0.mkv"
    content = broken.read_bytes()
    broken.write_text("no video")
    other = f"{broken}#t=0,1"
    first = model.predict([*lists, other], output=output)
    assert first["error"].notna().tolist() == [True, False, False, False, True]
    broken.write_bytes(content)
    found = model.predict(lists, output=output)
    assert found["error"].notna().sum() == 1, "the row of a clip that is not asked for stays"
    order = found[found["error"].isna()]
    assert order["path"].tolist() == ["1.mkv", "1.mkv", "0.mkv", "0.mkv"]
    key = ["path", "probability"]
    pd.testing.assert_frame_equal(
        order.sort_values(key).reset_index(drop=True), whole.sort_values(key).reset_index(drop=True)
    )
    pd.testing.assert_frame_equal(model.predict(lists, output=output), found)


def test_a_clip_that_is_named_twice_is_labeled_once(
    model: Model, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.index.root)
    name = os.path.relpath(data.index.paths[0], data.index.root)
    found = model.predict([name, data.index.paths[0], f"./{name}", f"{name}#t=0,0.5", f"{name}#t=0,0.50"])
    assert found["path"].tolist() == [name, name]
    assert found["end"].tolist()[1] == 0.5


def test_a_kill_leaves_no_old_rows_with_new_settings(
    model: Model, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "labels.json"
    model.predict(data.index.paths[:2], output=output)
    with LabelTable(output, {"model": "another"}, overwrite=True):
        pass  # killed before the first row
    assert not output.exists()
    with LabelTable(output, {"model": "another"}) as table:
        assert list(table.kept()) == []

    def fail(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(InputError, match=r"cannot write .*labels\.json: Operation not permitted"):
        LabelTable(output, {"model": "a third"}, overwrite=True).__enter__()


def test_a_full_disk_where_a_table_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.FileIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda path, _: io.BufferedRandom(Full(path, "a+")))
    with pytest.raises(InputError, match=r"cannot write .*labels\.csv: No space left"):
        LabelTable(tmp_path / "labels.csv", {"model": "m"}).__enter__()


def test_the_number_of_threads(model: Model) -> None:
    for number in (-1, 1025):
        with pytest.raises(InputError, match=f"decoders must be a number from 0 to 1024, found {number}"):
            model.predict([], decoders=number)
    for command in (predict.command, features.command):
        (option,) = (option for option in command.params if option.name == "decoders")
        assert isinstance(option.type, click.IntRange)
        assert (option.type.min, option.type.max) == (0, 1024)


def test_progress_counts_files_and_seconds(model: Model, data: Data, tmp_path: Path) -> None:

    seen = list[tuple[str, int, int]]()

    class Noted(Observer):
        @contextmanager
        def preparing(self) -> Iterator[Any]:
            yield lambda *report: seen.append(report)

    model.predict(data.index.paths[:2], progress=Noted())
    assert seen == [("labeling", 1, 2), ("labeling", 2, 2)]
    seen.clear()
    model.predict(data.index.paths[:2], every=0.5, progress=Noted())
    assert seen[-1] == ("seconds of video", 2, 2)  # of 1.2 + 1.3
    assert ("labeling", 2, 2) in seen


def test_a_table_is_a_manifest(model: Model, data: Data, tmp_path: Path) -> None:
    output = tmp_path / "labels.csv"
    found = model.predict(data.index.root, every=0.5, merge=False, output=output)
    index = importers.read(output, root=Path("/"), unsplit="test", training=False)
    assert len(index) == len(found)
    assert index.ids[0].endswith("bow/0.mkv#t=0,0.5")


def test_a_recording_continues_at_the_second_that_was_reached(
    green: Model, halves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, output, real = green.predict(halves, every=0.8, merge=False), tmp_path / "line.csv", stream.frames
    starts, new = list[float](), list[dict[str, Any]]()

    def noted(path: str, side: int, start: float, pictures: float) -> Iterator[stream.Timed]:
        starts.append(start)
        return real(path, side, start, pictures)

    def stop(row: dict[str, Any]) -> None:
        if row["start"] > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        green.label(halves, stop, every=0.8, merge=False, output=output)
    monkeypatch.setattr(stream, "frames", noted)
    green.label(halves, new.append, every=0.8, merge=False, output=output)
    assert starts == [close(1.599)]
    assert len(new) == 3
    pd.testing.assert_frame_equal(frame(as_rows(output)), whole)


def test_a_recording_that_is_damaged_where_it_continues(
    green: Model, halves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reached second 1.6, and fails before another stretch is complete."""
    output = tmp_path / "line.csv"

    def stop(row: dict[str, Any]) -> None:
        if row["start"] > 0:
            raise KeyboardInterrupt

    def damaged(*_: Any) -> Iterator[stream.Timed]:
        raise DecodeError("invalid data")
        yield

    with pytest.raises(KeyboardInterrupt):
        green.label(halves, stop, every=0.8, merge=False, output=output)
    monkeypatch.setattr(stream, "frames", damaged)
    found = green.predict(halves, every=0.8, merge=False, output=output)
    assert found["start"].tolist() == [0, close(0.8), close(1.6)]
    assert found["error"][2] == "invalid data"
