"""The demo clips: what they show, and a folder that is whole or absent. Most builds here are of 20 clips."""

import csv
import errno
import itertools
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import av
import numpy as np
import pytest

from ssl_video.data import demo
from ssl_video.data.importers import read
from ssl_video.data.video.decode import decode
from ssl_video.errors import InputError

SHAPES = ("disk", "triangle", "ring", "cross", "stripes")


@pytest.fixture(autouse=True)
def _few_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "CLIPS", 20)
    monkeypatch.setattr(demo, "TRAIN_CLIPS", 10)


def forbidden(*_: object) -> NoReturn:
    raise AssertionError("nothing should be rendered")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# What a clip shows


def test_every_part_has_each_class_equally_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    train = Counter(demo.label(index) for index in range(demo.TRAIN_CLIPS))
    test = Counter(demo.label(index) for index in range(demo.TRAIN_CLIPS, demo.CLIPS))
    names = {f"{shape}-{direction}" for shape in SHAPES for direction in ("horizontal", "vertical")}
    assert train == dict.fromkeys(names, 50)
    assert test == dict.fromkeys(names, 30)


def test_draws_are_philox_numbers() -> None:
    # The first raw numbers of key (1, 3), which numpy promises to keep; they are uniform in [0, 2^64).
    raw = (11741318884869097913, 11426800798646025915)
    drawn = demo._Draws(3).between(2, 4, 2)
    assert drawn.tolist() == pytest.approx([2 + 2 * number / 2**64 for number in raw], abs=1e-12)


def test_pixels_depend_on_the_clips_number_alone() -> None:
    first = demo.render(7)
    state = str(np.random.get_state(legacy=True))  # noqa: NPY002 - the point is that it is left alone
    demo.render(8)
    assert np.array_equal(demo.render(7), first)
    assert str(np.random.get_state(legacy=True)) == state  # noqa: NPY002
    assert first.shape == (demo.FRAMES, demo.SIZE, demo.SIZE, 3)
    assert first.dtype == np.uint8
    # 17 is another clip of the same class.
    assert not np.array_equal(demo.render(17), first)


def test_the_class_says_which_way_the_shape_swings() -> None:
    for index in range(40):
        video = demo.render(index)
        # Only the shape has a channel at full strength: dots reach 0.85 * 255 = 217, the background 90.
        shape = (video.max(-1) > 225).astype(float)
        weight = shape.sum((1, 2))
        assert weight.min() > 20
        y = (shape * np.arange(demo.SIZE)[:, None]).sum((1, 2)) / weight
        x = (shape * np.arange(demo.SIZE)).sum((1, 2)) / weight
        along, across = (x, y) if demo.label(index).endswith("horizontal") else (y, x)
        # 24 frames hold a whole period, so at least 2 * 5 pixels less sampling; the drift is at most 2 * 2.
        assert np.ptp(along) > 8.5
        assert np.ptp(across) < 5.5


@pytest.mark.parametrize(
    ("shape", "x", "y", "distance"),
    [
        ("disk", 0.6, 0.8, 0.0),  # on the circle
        ("disk", 0.0, 0.0, -1.0),
        ("triangle", 0.0, 0.55, 0.0),  # the middle of its lower side
        ("triangle", 0.0, -1.2, 0.05),  # above its tip at 1.1: 0.5 * 1.2 - 0.55
        ("ring", 0.0, 0.5, 0.0),  # its inner circle
        ("ring", 0.0, 0.0, 0.5),
        ("cross", 0.5, 0.5, 0.2),  # between two arms of half-width 0.3
        ("cross", 0.9, 0.1, -0.1),  # in an arm, 0.1 from its end
        ("stripes", 0.0, 0.4, 0.2),  # midway between the edges 0.2 and 0.6
        ("stripes", 0.0, 0.2, 0.0),
        ("stripes", 0.0, 0.8, -0.2),  # the middle of the lowest of three
    ],
)
def test_distance_to_the_edge_of_a_shape(shape: str, x: float, y: float, distance: float) -> None:
    assert demo._SHAPES[shape](np.array(x), np.array(y)) == pytest.approx(distance, abs=1e-9)


def test_shapes_are_their_own_mirror_images_and_differ() -> None:
    y, x = np.mgrid[-1.2:1.2:41j, -1.2:1.2:41j]
    inside = {name: shape(x, y) < 0 for name, shape in demo._SHAPES.items()}
    assert tuple(inside) == SHAPES
    for name, pixels in inside.items():
        assert np.array_equal(demo._SHAPES[name](-x, y) < 0, pixels)
    for one, other in itertools.combinations(SHAPES, 2):
        union = (inside[one] | inside[other]).sum()
        assert (inside[one] & inside[other]).sum() / union < 0.75, (one, other)


# Files


def test_files_hold_the_rendered_frames(tmp_path: Path) -> None:
    manifest = demo.prepare(tmp_path / "set")
    assert manifest == tmp_path / "set" / "manifest.csv"
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == list(demo.CLASSES) * 2
    assert [row["split"] for row in rows] == ["train"] * 10 + ["test"] * 10
    assert rows[13]["path"] == "triangle-vertical/013.mp4"
    for index, row in enumerate(rows):
        rendered = demo.render(index)
        with av.open(str(manifest.parent / row["path"])) as container:
            planes = np.stack([frame.to_ndarray() for frame in container.decode(video=0)])
        # To the last bit: what differs in one in ten clips is another data set.
        assert np.array_equal(planes, demo._yuv420(rendered))
        # What is left is the colour of edges, of which the format keeps a quarter of the pixels: 3.6 of 255
        # on average over 100 clips, 5.1 at most.
        decoded = decode(manifest.parent / row["path"])
        assert decoded.shape == rendered.shape
        assert abs(decoded.astype(int) - rendered).mean() < 7


def test_planes_of_plain_colours() -> None:
    # BT.601: white is 16 + 219; of red, 16 + 65.481, 128 - 37.797 and 128 + 112. A block of half red and half
    # black has half the colour.
    colours = {(255, 255, 255): (235, 128, 128), (0, 0, 0): (16, 128, 128), (255, 0, 0): (81, 90, 240)}
    for colour, (y, u, v) in colours.items():
        planes = demo._yuv420(np.full((1, 2, 4, 3), colour, np.uint8))
        assert planes.tolist() == [[[y] * 4, [y] * 4, [u, u, v, v]]]
    half = np.zeros((1, 2, 2, 3), np.uint8)
    half[0, 0] = 255, 0, 0
    assert demo._yuv420(half).tolist() == [[[81, 81], [16, 16], [109, 184]]]


def test_the_manifest_is_one_that_the_project_reads(tmp_path: Path) -> None:
    index = read(demo.prepare(tmp_path / "set"))
    assert index.classes == tuple(sorted(demo.CLASSES))
    assert Counter(index.splits.tolist()) == {"train": 10, "test": 10}
    assert index.notes == ()


# A folder that is whole or absent


def test_the_second_call_renders_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = demo.prepare(tmp_path / "set")
    monkeypatch.setattr(demo, "render", forbidden)
    assert demo.prepare(tmp_path / "set", forbidden) == manifest


def test_the_folder_is_one_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_VIDEO_CACHE", str(tmp_path / "deep" / "cache"))
    manifest = demo.prepare()
    assert manifest == tmp_path / "deep" / "cache" / f"demo-{demo.VERSION}" / "manifest.csv"
    assert manifest.is_file()


def test_progress_counts_every_clip(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    demo.prepare(tmp_path / "set", lambda done, total: calls.append((done, total)))
    assert calls == [(done, 20) for done in range(1, 21)]


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.prepare(tmp_path / "set", interrupt)
    assert left_in(tmp_path) == []


def test_a_killed_build_is_swept_up_later_and_a_running_one_left_alone(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from ssl_video.data import demo\n"
        "demo.prepare(pathlib.Path(sys.argv[1]), lambda done, total: done == 3 and os._exit(9))"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "set")])
    assert killed.returncode == 9
    (half,) = tmp_path.iterdir()
    assert half.name.startswith(".set-building-")
    assert len(list(half.rglob("*.mp4"))) == 3
    os.utime(half, (0, 0))
    running = tmp_path / ".set-building-now"
    running.mkdir()
    assert demo.prepare(tmp_path / "set").is_file()
    assert left_in(tmp_path) == [running.name, "set"]


def test_two_builds_at_once(tmp_path: Path) -> None:
    """The second starts and finishes while the first is at its third clip."""
    inner: list[Path] = []

    def compete(done: int, total: int) -> None:
        if done == 3:
            inner.append(demo.prepare(tmp_path / "set"))

    assert [demo.prepare(tmp_path / "set", compete)] == inner
    assert left_in(tmp_path) == ["set"]
    assert len(list((tmp_path / "set").rglob("*.mp4"))) == 20


def test_another_build_finishes_between_two_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo.prepare(tmp_path / "set")
    answers = iter([False])
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: next(answers, None) is None and is_file(path))
    assert demo.prepare(tmp_path / "set") == tmp_path / "set" / "manifest.csv"
    assert left_in(tmp_path) == ["set"]


# Errors


def test_a_folder_with_something_else_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "render", forbidden)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"set has no manifest\.csv.*remove it or choose another"):
        demo.prepare(tmp_path / "set")
    assert left_in(tmp_path / "set") == ["thesis.txt"]


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"written to .*file.set: File exists \(.*file\); free space there"):
        demo.prepare(tmp_path / "file" / "set")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = Path.write_bytes, itertools.count()

    def fill(path: Path, data: bytes) -> int:
        if next(written) == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(
        InputError, match=r"cannot be written to .*set: No space left on device; free space there"
    ):
        demo.prepare(tmp_path / "set")
    assert left_in(tmp_path) == []


def test_pyav_without_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = av.open

    class Container:
        """PyAV's own, asked for an encoder that no build has."""

        def __init__(self, *args: Any, **options: Any) -> None:
            self.real = opened(*args, **options)

        def __enter__(self) -> "Container":
            return self

        def __exit__(self, *_: object) -> None:
            self.real.close()

        def add_stream(self, codec: str, rate: int) -> Any:
            return self.real.add_stream(f"no-{codec}", rate=rate)

    monkeypatch.setattr(av, "open", Container)
    with pytest.raises(InputError, match=r"no libx264.*pip install --force-reinstall --only-binary av av"):
        demo.prepare(tmp_path / "set")
    assert left_in(tmp_path) == []


def test_importing_it_imports_no_torch() -> None:
    code = "import sys; import ssl_video.data.demo; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
