"""Runs that read stored features: the same as with clips, and the same again after a stop."""

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssl_video.contract import Batch
from ssl_video.data.features import store
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.pool import Pool
from ssl_video.data.video.container import DecodeError
from ssl_video.data.views.sampling import Stream
from ssl_video.errors import InputError
from ssl_video.features.extract import Extractor
from ssl_video.features.pool import FeaturePool
from ssl_video.networks import flops
from ssl_video.registry import algorithms
from ssl_video.runs import checkpoint
from ssl_video.training.execution import Execution
from ssl_video.training.loop import RunProgress, fit
from ssl_video.training.run import Plan, Stopped, run
from ssl_video.training.state import Training

CPU = torch.device("cpu")
ON_FEATURES = [n for n in algorithms.builtin() if not getattr(algorithms.get(n), "works_on_pixels", False)]


def settings(name: str, weights: str, **values: Any) -> dict[str, Any]:
    roles = getattr(algorithms.get(name), "roles", {})
    network = {"backbone": "tiny3d", "width": 0.125, "weights": weights}
    return {"algorithm": name, "probe": "linear", "networks": dict.fromkeys(roles, network)} | values


def outcome(folder: Path) -> dict[str, Any]:
    return dict(checkpoint.load(folder / checkpoint.FINAL)["algorithm"])


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def views(batch: Batch) -> dict[str, torch.Tensor]:
    return {f"l/{n}": t for n, t in batch.labeled.items()} | {f"u/{n}": t for n, t in batch.unlabeled.items()}


@pytest.mark.parametrize("kind", ["linear", "attentive"])
@pytest.mark.parametrize("name", ["fixmatch", "cmpl", "tcl"])
def test_features_are_those_of_the_clips_but_for_rounding(
    make_training: Callable[..., Training], weights: str, name: str, kind: str
) -> None:
    """A clip's features, computed here from the clips of the same copies."""
    made = make_training(**settings(name, weights, probe=kind), feature_copies=3)
    for step, batch in zip(range(2), made.batches(), strict=False):
        for purpose, shown in (("labeled", batch.labeled), ("unlabeled", batch.unlabeled)):
            pool = made._pool(purpose)
            assert isinstance(pool, FeaturePool)
            copies = _copies(pool, step)
            rows = pool.rows[pool.within_rows(step)]
            draws = [
                (copy, pool._numbers[place])
                for copy, place in zip(copies, pool.within_rows(step), strict=True)
            ]
            clips = pool._draws.made(rows, draws, list(dict.fromkeys(pool.cuts.values())))
            for view, features in shown.items():
                probe = pool.extractors[view].probe
                expected = probe.features(clips[pool.cuts[view]])
                assert features.dtype == torch.float32
                assert features.shape == expected.shape
                assert torch.allclose(features, expected, rtol=2**-10, atol=1e-6)
                assert torch.equal(features, features.half().float())


def test_features_of_motion_and_of_frames_are_stored_apart(
    make_training: Callable[..., Training], weights: str, cache: Path
) -> None:
    given = settings("cmpl", weights)
    same = {"frames": 4, "stride": 1, **given["networks"]["primary"]}
    given["networks"] = {"primary": same, "auxiliary": same | {"input": "motion"}}
    made = make_training(**given, steps=1)
    (batch,) = made.batches()
    frames, motion = (batch.unlabeled[f"weak/{role}"] for role in ("primary", "auxiliary"))
    assert not torch.allclose(frames, motion)
    assert {found.about["input"] for found in store.survey(cache)} == {"frames", "motion"}


def _copies(pool: Pool, step: int) -> list[int]:
    return [Stream(pool.seed, f"copies/{pool.purpose}", step, s).integer(3) for s in range(pool.batch)]


@pytest.mark.parametrize("name", ON_FEATURES)
def test_every_algorithm_on_features_sees_no_clip(
    make_training: Callable[..., Training], weights: str, name: str
) -> None:
    made = make_training(**settings(name, weights), steps=3)
    for batch in made.batches():
        assert {tensor.ndim for tensor in views(batch).values()} == {2}
    fit(made)


@pytest.mark.parametrize("name", ["mvpl", "mixmatch"])
def test_algorithms_on_pixels_see_clips(
    make_training: Callable[..., Training], weights: str, cache: Path, name: str
) -> None:
    made = make_training(**settings(name, weights), steps=1)
    (batch,) = made.batches()
    assert {tensor.ndim for tensor in views(batch).values()} == {5}
    assert not cache.exists()


def test_a_trained_network_beside_a_frozen_one_sees_clips(
    make_training: Callable[..., Training], weights: str
) -> None:
    """Its clip is that of the same copy: CMPL's networks see one window."""
    given = settings("cmpl", weights)
    given["networks"] = {
        "primary": given["networks"]["primary"],
        "auxiliary": {"probe": "none", "width": 0.125},
    }
    made = make_training(**given, steps=2)
    for batch in made.batches():
        assert batch.unlabeled["strong/primary"].ndim == 2
        assert batch.unlabeled["strong/auxiliary"].shape[1:] == (3, 4, 8, 8)
    fit(made)


def test_a_run_computes_what_another_asked_for(
    make_training: Callable[..., Training], weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of rows that are not its own: with other labels, other clips are unlabeled."""
    one, other = (make_training(**settings("fixmatch", weights), draw=draw) for draw in (0, 1))
    asked = [set(made.partition.unlabeled.tolist()) for made in (one, other)]
    assert asked[0] - asked[1], "else this shows nothing"
    with monkeypatch.context() as patch:
        # It announces its packs and computes none.
        patch.setattr(store.FeatureSet, "_compute", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        for made in (one, other):
            for fill in (made.prepare, lambda made=made: made.features.fill(made.partition.labeled)):
                with pytest.raises(KeyboardInterrupt):
                    fill()
    other.prepare()
    fit(other)


def test_the_operations_of_a_run_are_those_of_its_heads_and_of_each_feature_once(
    make_plan: Callable[..., Plan], weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a run that finds all features. Weak labeled and unlabeled clips are of one set."""
    step, one = 7 * 10**9, 10**9
    monkeypatch.setattr(flops, "count", lambda *_: flops.Operations(1, step))
    monkeypatch.setattr(flops, "of_features", lambda *_: one)
    for seed, copies in ((0, 3), (1, 3), (2, 2)):
        todo = make_plan(**settings("fixmatch", weights), seed=seed, draw=0, feature_copies=copies)
        result = run(todo, tmp_path / f"{seed}-{copies}", Execution("cpu", threads=1))
        labeled, unlabeled = len(todo.partition.labeled), len(todo.partition.unlabeled)
        assert result.training_gflops == 7 * todo.spec.steps + copies * (labeled + 2 * unlabeled)


@pytest.mark.parametrize("network", ["cmpl", "fixmatch"])
def test_threads_change_no_number(
    make_plan: Callable[..., Plan],
    weights: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    network: str,
) -> None:
    """And read each file as often: all copies of a video are read at once."""
    found, read = [], []
    for threads in (0, 3):
        folder = tmp_path / f"{threads}"
        monkeypatch.setattr("ssl_video.features.run.feature_folder", lambda folder=folder: folder)
        todo = make_plan(**settings(network, weights), seed=0, draw=0, test_clips=2)
        execution = Execution("cpu", checkpoint_seconds=1e9, workers=threads)
        made = Training(todo.spec, todo.data, todo.partition, folder, execution)
        todo.data.store.take()
        made.prepare()
        read.append(todo.data.store.take())
        found.append({path.name: path.read_bytes() for path in folder.glob("*/*.f16")})
    assert found[0] == found[1]
    assert len(found[0]) >= 3
    assert sum(read[0]) == sum(read[1]) > 0


def test_runs_share_features(
    make_plan: Callable[..., Plan], weights: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of other seeds, labels, algorithms and heads; not those of other sizes or augmentations."""
    once = Execution("cpu", checkpoint_seconds=1e9)
    run(make_plan(**settings("fixmatch", weights)), tmp_path / "one", once)
    before = {path: path.stat().st_mtime_ns for path in cache.glob("*/*.f16")}
    assert len(list(cache.glob("*/about.json"))) == 3, "weak and strong clips, and those of the test"

    def never(*_: Any) -> Any:
        raise AssertionError("computed again")

    with monkeypatch.context() as patch:
        patch.setattr(Extractor, "_batch", never)
        other = settings("flexmatch", weights, probe="mlp")
        run(make_plan(**other, seed=1, draw=0, steps=4), tmp_path / "two", once)
    assert {path: path.stat().st_mtime_ns for path in cache.glob("*/*.f16")}.items() >= before.items()
    run(make_plan(**settings("fixmatch", weights), augmentation={"flip": 0.0}), tmp_path / "three", once)
    assert len(list(cache.glob("*/about.json"))) == 5


def test_a_stopped_run_ends_as_if_it_had_not_been(
    make_plan: Callable[..., Plan], weights: str, tmp_path: Path, cache: Path
) -> None:
    """Stopped before any feature, in the middle, and with the cache gone afterwards."""
    always = Execution("cpu", checkpoint_seconds=0.0)
    made = make_plan(**settings("freematch", weights), steps=6, ema=0.5)
    run(made, tmp_path / "whole", always)
    for path in cache.iterdir():
        for file in path.iterdir() if path.is_dir() else []:
            file.unlink()
    phases = list[str]()

    def report(progress: RunProgress) -> None:
        phases.append(progress.phase)

    with pytest.raises(Stopped):
        run(made, tmp_path / "parts", always, report, lambda: phases == ["features"])
    assert not (tmp_path / "parts" / checkpoint.CURRENT).exists()
    with pytest.raises(Stopped):
        run(made, tmp_path / "parts", always, report, lambda: phases.count("train") == 3)
    assert 0 < checkpoint.load(tmp_path / "parts" / checkpoint.CURRENT)["step"] < 6
    for file in cache.glob("*/*"):
        file.unlink()
    run(made, tmp_path / "parts", always)
    assert equal(outcome(tmp_path / "parts"), outcome(tmp_path / "whole"))
    names = ("metrics.jsonl",)
    assert all((tmp_path / "parts" / n).read_bytes() == (tmp_path / "whole" / n).read_bytes() for n in names)


def test_networks_see_batches_of_one_size(
    make_training: Callable[..., Training], weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounding depends on the size, and packs end anywhere."""
    made, sizes = make_training(**settings("fixmatch", weights), feature_copies=3), list[int]()
    probe = made.features.extractors["model"].probe
    features = probe.features

    def noted(clip: torch.Tensor) -> torch.Tensor:
        sizes.append(len(clip))
        return features(clip)

    monkeypatch.setattr(probe, "features", noted)
    monkeypatch.setattr(made.features.extractors["model"], "at_once", 8)
    made.prepare()
    assert set(sizes) == {8}
    tested = -(-len(made.partition.test) * made.spec.test_clips // 8)
    assert sizes.count(8) == 3 + 2 * 3 + tested, "18 labeled clips, twice 18 unlabeled ones, the test"


def test_without_copies_clips_are_augmented_anew(
    make_plan: Callable[..., Plan], weights: str, tmp_path: Path, cache: Path
) -> None:
    once = Execution("cpu", checkpoint_seconds=1e9)
    made = make_plan(**settings("fixmatch", weights), feature_copies=0)
    run(made, tmp_path / "clips", once)
    assert not cache.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 16},
        {"fps": 5.0},
        {"precision": "bfloat16"},
        {"frames": 4},
        {"stride": 3},
        {"sampling": "segments"},
    ],
)
def test_other_settings_are_other_features(
    make_training: Callable[..., Training], weights: str, cache: Path, changes: dict[str, Any]
) -> None:
    make_training(**settings("fixmatch", weights)).prepare()
    assert len(store.survey(cache)) == 3
    make_training(**settings("fixmatch", weights), **changes).prepare()
    assert len(store.survey(cache)) == 6


def test_unaugmented_clips_do_not_depend_on_the_strength(
    make_training: Callable[..., Training], weights: str, cache: Path
) -> None:
    for strength in (1.0, 0.5):
        made = make_training(**settings("fixmatch", weights), augmentation={"strength": strength})
        made.prepare()
    views = sorted(found.about["view"]["augmentation"] for found in store.survey(cache))
    assert views == ["strong", "strong", "test", "weak"]


def test_other_weights_are_other_features(
    make_training: Callable[..., Training], weights: str, tmp_path: Path, cache: Path
) -> None:
    """Also those that a file lacks: they have random values, by the seed and the role."""
    tensors = torch.load(weights)
    torch.save({name: 2 * tensor for name, tensor in tensors.items()}, tmp_path / "twice.pt")
    torch.save({n: t for n, t in tensors.items() if n != "1.0.weight"}, tmp_path / "part.pt")
    for file, more, expected in (
        (weights, {}, 1),
        (weights, {"seed": 1}, 1),
        (str(tmp_path / "twice.pt"), {}, 2),
        (str(tmp_path / "part.pt"), {"partial_weights": True}, 3),
        (str(tmp_path / "part.pt"), {"partial_weights": True, "seed": 1}, 4),
    ):
        made = make_training(**settings("supervised", file), **more)
        made.prepare()
        assert len({found.about["weights"] for found in store.survey(cache)}) == expected
    both = make_training(**settings("cmpl", str(tmp_path / "part.pt")), partial_weights=True)
    primary, auxiliary = (both.features.extractors[role].about for role in ("primary", "auxiliary"))
    assert primary["weights"] != auxiliary["weights"]


def test_as_many_copies_as_asked_for(make_training: Callable[..., Training], weights: str) -> None:
    def seen(copies: int) -> set[int]:
        """The numbers of different features that clips show in many steps."""
        found = dict[int, set[bytes]]()
        made = make_training(**settings("fixmatch", weights), steps=40, feature_copies=copies)
        for batch in made.batches():
            for clip, features in zip(batch.indices.tolist(), batch.unlabeled["strong"], strict=True):
                found.setdefault(clip, set()).add(features.numpy().tobytes())
        return {len(each) for each in found.values()}

    assert seen(1) == {1}
    assert max(seen(3)) == 3


def test_a_loading_process_reads_features_without_a_network(
    make_training: Callable[..., Training], weights: str
) -> None:
    given = settings("cmpl", weights)
    given["networks"]["auxiliary"] = {"probe": "none", "width": 0.125}
    made = make_training(**given)
    made.prepare()
    pool = made._pool("unlabeled")
    sent = pickle.loads(pickle.dumps(pool))
    assert not sent.extractors
    assert equal(sent.clips(0), pool.clips(0))
    assert pool.bytes == sum(tensor.nbytes for tensor in pool.clips(0).values())


def test_a_test_video_that_cannot_be_decoded_is_named(
    make_training: Callable[..., Training], weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_training(**settings("supervised", weights))
    row = int(made.partition.test[0])
    read = FrameStore.read

    def broken(self: FrameStore, which: int, indices: np.ndarray) -> np.ndarray:
        if which == row:
            raise DecodeError("torn")
        return read(self, which, indices)

    monkeypatch.setattr(FrameStore, "read", broken)
    with pytest.raises(InputError, match=f"{re.escape(made.data.store.paths[row])}: torn"):
        made.prepare()


def test_test_scores_are_those_of_the_clips_but_for_rounding(
    make_training: Callable[..., Training], weights: str, cache: Path
) -> None:
    made = make_training(**settings("meanteacher", weights), ema=0.5, learning_rate=0.1)
    fit(made)
    rows = made.partition.test
    stored = made._probabilities(rows)
    assert any(found.about["view"]["augmentation"] == "test" for found in store.survey(cache))
    made.features.extractors.clear()
    computed = made._probabilities(rows)
    assert list(computed) == ["teacher", "model", "ema"]
    for name, scores in computed.items():
        assert np.allclose(stored[name], scores, atol=1e-3), name
        assert not np.array_equal(stored[name], scores), "they were rounded"
