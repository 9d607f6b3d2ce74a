"""Which clips are shown, and how they become films."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import run_files
from helpers.records import draws
from helpers.report_pages import Document, folder, report_data, write
from PIL import Image

from ssl_video.benchmarks.analysis import pair
from ssl_video.benchmarks.report import gallery, run_groups
from ssl_video.benchmarks.report.filmstrips import FRAMES, SIDE, FilmSource, film
from ssl_video.benchmarks.report.gallery import Shown, one_a_class
from ssl_video.data.dataset import read_index
from ssl_video.errors import InputError
from ssl_video.runs.predictions import Predictions
from ssl_video.runs.pseudo_labels import PseudoLabels
from ssl_video.runs.result import Result
from ssl_video.spec import build, plain


def frames(side: int, width: int) -> np.ndarray:
    """Every frame has a grey of its own in its middle square, and black beside it."""
    made = np.zeros((FRAMES, side, width, 3), np.uint8)
    for place in range(FRAMES):
        made[place, :, (width - side) // 2 : (width + side) // 2] = 20 * place
    return made


@pytest.mark.parametrize(("side", "shown"), [(240, SIDE), (SIDE, SIDE), (36, 36)])
def test_a_film_is_the_middle_of_every_frame_side_by_side(side: int, shown: int) -> None:
    made = film(frames(side, 2 * side))
    assert made.side == shown
    strip = np.asarray(Image.open(io.BytesIO(made.data)).convert("L"), np.float64)
    assert strip.shape == (shown, FRAMES * shown)
    for place in range(FRAMES):
        inside = strip[4:-4, place * shown + 4 : (place + 1) * shown - 4]
        assert np.abs(inside - 20 * place).max() < 6
    assert base64.b64decode(made.address.removeprefix("data:image/webp;base64,")) == made.data


def test_one_of_each_class_in_order() -> None:
    clips = [Shown(name, name[0], ()) for name in ("a1", "a2", "b1", "c1", "b2", "d1", "e1")]
    assert [shown.clip for shown in one_a_class(clips, 3)] == ["a1", "b1", "c1"]
    assert [shown.clip for shown in one_a_class(clips[:2], 3)] == ["a1"]


def test_pseudo_labels_that_are_used_most_often() -> None:
    """Class a: v wrong 3 of 3 times, w twice; b: x right 3 times; c: y wrong, not used, z right once."""
    truths, labels = [0, 0, 1, 2, 2], [1, 2, 1, 0, 2]
    made = PseudoLabels(
        clips=np.array(["v", "w", "x", "y", "z"]),
        classes=np.array(["a", "b", "c"]),
        truths=np.array(truths),
        steps=np.repeat(np.arange(3), 5),
        indices=np.tile(np.arange(5), 3),
        labels={"model": np.tile(labels, 3)},
        weights={"model": np.array([1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0], np.float32)},
    )
    wrong, right = gallery.pseudo_labels(made, "model")
    assert wrong.clips == [Shown("v", "a", ("✗ b", "wrong and used 3 of 3 times"))]
    assert right.clips == [
        Shown("x", "b", ("✓ b", "right and used 3 of 3 times")),
        Shown("z", "c", ("✓ c", "right and used 1 of 3 times")),
    ]


def side(network: str, said: Predictions) -> pair.Side:
    return pair.Side("run", network, {}, "p0", said, {})


def test_the_surest_test_clips_that_only_one_has_right() -> None:
    classes = ("a", "b")
    ours = run_files.predictions_of([0, 0, 1, 1], {"model": [0, 0, 0, 1]}, classes, sure=0.7)
    theirs = run_files.predictions_of([0, 0, 1, 1], {"model": [1, 0, 1, 1]}, classes, sure=0.6)
    wins, losses = gallery.tests(pair.Pair(side("model", ours), side("model", theirs)), "cmpl", "supervised")
    assert wins.clips == [Shown("c0", "a", ("✓ cmpl: a 0.70", "✗ supervised: b 0.60"))]
    assert losses.clips == [Shown("c2", "b", ("✗ cmpl: a 0.70", "✓ supervised: b 0.60"))]


def test_the_best_methods_and_their_partners(tmp_path: Path) -> None:
    runs = [
        *draws("supervised", 0.9, 0.9), *draws("supervised", 0.9, setting="sother", configuration="cother"),
        *draws("a", 0.1), *draws("b", 0.2), *draws("c", 0.3), *draws("d", 0.4), *draws("e", 0.5, 0.1),
    ]  # fmt: skip
    found = report_data(write(tmp_path, *runs))
    chosen = gallery.best(found, run_groups.groups(found))
    assert [group.method.split()[0] for group in chosen] == ["d", "c", "e", "b"]
    second = next(group for group in chosen if group.method.startswith("e")).runs[1]
    for run, seed in ((chosen[0].runs[0], 0), (second, 1)):
        other = gallery.partner(found, run)
        assert other
        assert found.run(other)["setting"] == found.run(run)["setting"]
        assert found.run(other)["seed"] == found.run(run)["seed"] == seed


def recorded(tmp_path: Path, data: Path) -> tuple[Path, dict[str, Any]]:
    """A results folder with runs of cmpl and supervised on a folder of videos."""
    spec = build({"data": str(data), "size": 32})
    index = read_index(spec)
    facts = {"dataset": index.name, "dataset_fingerprint": "d" + index.fingerprint, "spec": plain(spec)}
    runs = [*draws("supervised", 0.4, **facts), *draws("cmpl", 0.5, **facts)]
    results = write(tmp_path, *runs)
    clips = np.array([index.ids[row] for row in range(len(index))])
    truths = index.labels.astype(np.int32)
    for run, guesses in zip(runs, (truths, (truths + 1) % 3), strict=True):
        said = run_files.predictions_of(truths.tolist(), {"model": guesses.tolist()}, index.classes)
        run_files.write_lines(folder(results, run), "metrics.jsonl", [{"step": 0}])
        run_files.write_predictions(folder(results, run), Predictions(clips, *list(vars(said).values())[1:]))
    return results, facts


def test_section_with_the_videos_at_hand(tmp_path: Path, video_folder: Path) -> None:
    results, facts = recorded(tmp_path, video_folder)
    section = gallery.section(report_data(results))
    assert section
    document = Document(section.html)
    clips = document.named("div", "film")
    # Supervised has every test clip right and cmpl none: one clip of each of three classes.
    assert [clip["aria-label"].split(": ")[1].split(";")[0] for clip in clips] == ["bow", "jump", "wave"]
    assert len(re.findall(r"\.film\d+\{background-image:url\(data:image/webp", section.html)) == 3
    assert "no clips" not in section.html
    source = FilmSource(facts["spec"], facts["dataset_fingerprint"])
    assert source.film("bow/0.mkv")
    assert source.film("no such clip") is None


def test_section_without_the_videos(tmp_path: Path, video_folder: Path) -> None:
    results, facts = recorded(tmp_path, video_folder)
    with pytest.raises(InputError, match="are not those that the runs used"):
        FilmSource(facts["spec"], "d000000000000")
    gone = facts["spec"] | {"data": str(tmp_path / "gone")}
    with pytest.raises(InputError):
        FilmSource(gone, facts["dataset_fingerprint"])
    for path in (results / "runs").glob("*/result.json"):
        made = Result.read(path.read_bytes())
        path.write_text(made.model_copy(update={"spec": gone}).write())
    section = gallery.section(report_data(results))
    assert section
    assert f"{facts['dataset']}: no clips, " in " ".join(Document(section.html).text)
    assert "film" not in {
        name for a in Document(section.html).named("div") for name in a.get("class", "").split()
    }
