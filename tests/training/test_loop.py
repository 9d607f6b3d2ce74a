"""Training: what is the same for all algorithms, and the loop."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from ssl_video.contract import Batch, Pseudo
from ssl_video.errors import InputError
from ssl_video.runs import checkpoint
from ssl_video.runs.folder import METRICS, UNFINISHED_PSEUDO_LABELS
from ssl_video.training.execution import Execution
from ssl_video.training.loop import RunProgress, Stopped, fit
from ssl_video.training.state import Training

MakeTraining = Callable[..., Training]

# -- what is the same for all algorithms


def test_algorithms_start_from_the_same_weights_and_see_the_same_labeled_clips(
    make_training: MakeTraining,
) -> None:
    """CMPL with an auxiliary clip that spans no more frames than the primary one; see below for more."""
    made = {
        "supervised": make_training(algorithm="supervised"),
        "fixmatch": make_training(algorithm="fixmatch"),
        "pseudolabel": make_training(algorithm="pseudolabel"),
        "cmpl": make_training(algorithm="cmpl", networks={"auxiliary": {"frames": 3, "stride": 1}}),
    }
    firsts = {name: next(iter(run.algorithm.roles)) for name, run in made.items()}
    weights = {name: run.algorithm.get_submodule(firsts[name]).state_dict() for name, run in made.items()}
    batches = {name: list(run.batches()) for name, run in made.items()}
    for name in ("fixmatch", "pseudolabel", "cmpl"):
        assert weights[name].keys() == weights["supervised"].keys()
        assert all(torch.equal(weights[name][key], value) for key, value in weights["supervised"].items())
        for ours, theirs in zip(batches[name], batches["supervised"], strict=True):
            assert torch.equal(ours.labels, theirs.labels)
            view = "primary" if name == "cmpl" else "weak"
            assert torch.equal(ours.labeled[view], theirs.labeled["weak"])
    for ours, theirs in zip(batches["fixmatch"], batches["pseudolabel"], strict=True):
        assert torch.equal(ours.indices, theirs.indices)
        assert torch.equal(ours.unlabeled["weak"], theirs.unlabeled["weak"])
    assert not batches["supervised"][0].unlabeled


def test_cmpl_sees_the_same_videos_in_its_own_windows(
    make_training: MakeTraining, clip_facts: Callable[[torch.Tensor], tuple[list[int], int, int]]
) -> None:
    """Its window is as long as the longer of its clips, so it starts a little earlier on average."""
    supervised, cmpl = make_training(algorithm="supervised"), make_training(algorithm="cmpl")
    for theirs, ours in zip(supervised.batches(), cmpl.batches(), strict=True):
        for number, label in enumerate(theirs.labels.tolist()):
            _, *expected = clip_facts(theirs.labeled["weak"][number])
            primary, *first = clip_facts(ours.labeled["primary"][number])
            auxiliary, *second = clip_facts(ours.labeled["auxiliary"][number])
            assert first == second == expected
            assert expected[0] == label
            assert auxiliary[::2] == primary, "every second frame of the auxiliary's clip"


def test_another_seed_is_another_run(make_training: MakeTraining) -> None:
    """With the same labels, so that the seed alone differs."""
    one, two = make_training(seed=0, draw=0), make_training(seed=1, draw=0)
    assert one.partition.labeled.tolist() == two.partition.labeled.tolist()
    key = next(iter(one.algorithm.state_dict()))
    assert not torch.equal(one.algorithm.state_dict()[key], two.algorithm.state_dict()[key])
    clips = [next(iter(run.batches())).labeled["weak"] for run in (one, two)]
    assert not torch.equal(*clips)


def test_the_networks_of_an_algorithm_start_from_different_weights(make_training: MakeTraining) -> None:
    same = {"width": 0.125, "frames": 2, "stride": 2}
    run = make_training(algorithm="cmpl", networks={"auxiliary": same})
    primary, auxiliary = (run.algorithm.get_submodule(role) for role in ("primary", "auxiliary"))
    (first, *_), (second, *_) = primary.parameters(), auxiliary.parameters()
    assert first.shape == second.shape
    assert not torch.equal(first, second)


def test_unlabeled_batches_have_a_size_of_their_own(make_training: MakeTraining) -> None:
    run = make_training(algorithm="cmpl", labeled_batch=2, unlabeled_batch=5, steps=2)
    for batch in run.batches():
        assert {name: clips.shape for name, clips in batch.labeled.items()} == {
            "primary": (2, 3, 2, 8, 8),
            "auxiliary": (2, 3, 4, 8, 8),
        }
        assert {len(clips) for clips in batch.unlabeled.values()} == {5}
        assert batch.unlabeled["strong/auxiliary"].shape == (5, 3, 4, 8, 8)
        assert batch.indices.shape == (5,)
    assert run.clips_per_step() == 7
    assert make_training(algorithm="supervised", labeled_batch=2, unlabeled_batch=5).clips_per_step() == 2


def test_batches_may_be_larger_than_the_number_of_clips(make_training: MakeTraining) -> None:
    """6 labeled and 6 unlabeled clips: a batch of 15 holds each twice, and some a third time."""
    run = make_training(algorithm="fixmatch", labeled_batch=15, unlabeled_batch=15, steps=2)
    batch = next(iter(run.batches()))
    assert sorted(torch.bincount(batch.indices).tolist()) == [2, 2, 2, 3, 3, 3]
    fit(run)
    assert run.step == 2


def test_unlabeled_clips_that_nobody_reads_need_no_shares(make_training: MakeTraining) -> None:
    run = make_training(algorithm="supervised", labeled_batch=6, unlabeled_batch=4, accumulate=3, steps=1)
    fit(run)
    assert run.step == 1


def test_without_unlabeled_clips(make_training: MakeTraining) -> None:
    """All 12 training clips are labeled."""
    with pytest.raises(InputError, match=r"fixmatch reads unlabeled clips, and per-class:4 leaves none"):
        make_training(algorithm="fixmatch", protocol="per-class:4")
    run = make_training(algorithm="fixmatch", protocol="per-class:4", labeled_in_unlabeled=True, steps=1)
    fit(run)
    fit(make_training(algorithm="supervised", protocol="per-class:4", steps=1))


# -- the loop


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_audit_sees_the_hidden_labels_of_the_right_clips(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    """Of a selector that knows the labels by position, and of one that is off by one class."""
    run = make_training(algorithm="fixmatch", options={"threshold": 0.0}, steps=3, size=8)
    labels = torch.from_numpy(run.labels[run.unlabeled])

    def oracle(off: int) -> Callable[..., object]:
        def select(logits: torch.Tensor, indices: torch.Tensor) -> object:
            return Pseudo((labels[indices] + off) % 3, torch.ones(len(indices)))

        return select

    for off, precision in ((0, 1.0), (1, 0.0)):
        run.algorithm.select.forward = oracle(off)  # type: ignore[union-attr]
        run.step = 0
        run.records.resume([METRICS, UNFINISHED_PSEUDO_LABELS], {})
        fit(run)
        assert [row["precision/model"] for row in metrics(tmp_path)] == [precision] * 3


def test_progress_counts_from_zero_and_after_step_follows_each_step(make_training: MakeTraining) -> None:
    run = make_training(steps=4)
    seen: list[tuple[str, float]] = []
    before = [p.detach().clone() for p in run.algorithm.parameters()]
    loss = run.algorithm.loss

    def spy(batch: Batch, progress: float) -> object:
        seen.append(("loss", progress))
        return loss(batch, progress)

    def after(progress: float) -> None:
        moved = [not torch.equal(a, b) for a, b in zip(before, run.algorithm.parameters(), strict=True)]
        assert any(moved), "called before the optimizer's step"
        seen.append(("after", progress))

    run.algorithm.loss, run.algorithm.after_step = spy, after  # type: ignore[method-assign, assignment]
    fit(run)
    assert seen == [(kind, progress) for progress in (0.0, 0.25, 0.5, 0.75) for kind in ("loss", "after")]


def test_reports(make_training: MakeTraining) -> None:
    seen: list[RunProgress] = []
    fit(make_training(algorithm="fixmatch", steps=41), report=seen.append)
    assert [(r.phase, r.done, r.total, r.clips) for r in seen] == [
        ("train", 20, 41, 140),
        ("train", 40, 41, 280),
        ("train", 41, 41, 287),
    ]


def test_stopping_leaves_a_checkpoint_of_that_step(make_training: MakeTraining, tmp_path: Path) -> None:
    run = make_training(steps=6)
    answers = iter([False, False, True])
    with pytest.raises(Stopped):
        fit(run, stopping=lambda: next(answers))
    assert checkpoint.load(tmp_path / checkpoint.CURRENT)["step"] == 3
    assert len(metrics(tmp_path)) == 3


def test_stopping_while_a_batch_is_waited_for(
    make_training: MakeTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that loads clips may take long, or be stuck."""
    run = make_training(steps=6)
    batches = run.batches

    def slow(waiting: Callable[[], None]) -> Iterator[Batch]:
        for number, batch in enumerate(batches()):
            for _ in range(100 if number == 2 else 0):
                waiting()
            yield batch

    monkeypatch.setattr(run, "batches", slow)
    answers = iter([False] * 10 + [True])
    with pytest.raises(Stopped):
        fit(run, stopping=lambda: next(answers))
    assert checkpoint.load(tmp_path / checkpoint.CURRENT)["step"] == 2
    assert len(metrics(tmp_path)) == 2


def poison(run: Training, step: int, where: str) -> None:
    """Makes the loss, or the weights, not finite at a step."""
    loss, parameter = run.algorithm.loss, next(iter(run.algorithm.parameters()))

    def poisoned(batch: Batch, progress: float) -> object:
        output = loss(batch, progress)
        if run.step == step and where == "loss":
            output.terms["labeled"] = output.terms["labeled"] * float("nan")
        if run.step == step and where == "gradient":
            parameter.register_hook(lambda gradient: gradient * float("inf"))
        return output

    run.algorithm.loss = poisoned  # type: ignore[method-assign, assignment]


def test_a_loss_that_is_not_finite_stops_the_run(make_training: MakeTraining, tmp_path: Path) -> None:
    run = make_training(steps=30)
    answers: Iterator[bool] = iter([False] * 3 + [True])
    with pytest.raises(Stopped):
        fit(run, stopping=lambda: next(answers))
    before = (tmp_path / checkpoint.CURRENT).read_bytes()
    poison(run, 7, "loss")
    with pytest.raises(InputError, match=r"'labeled' was not finite at step 7 of 30 .*learning_rate"):
        fit(run)
    assert (tmp_path / checkpoint.CURRENT).read_bytes() == before
    assert metrics(tmp_path)[7]["loss/labeled"] is None


@pytest.mark.parametrize("step", [1, 5])
def test_weights_that_are_not_finite_are_not_saved(
    make_training: MakeTraining, tmp_path: Path, step: int
) -> None:
    """The loss of step 5, the last one, is fine, and its gradient is not: no later loss would tell."""
    run = make_training(steps=6)
    poison(run, step, "gradient")
    with pytest.raises(InputError, match="not finite"):
        fit(run)
    assert not (tmp_path / checkpoint.CURRENT).exists()


def test_checkpoints_are_written_as_often_as_asked(make_training: MakeTraining, tmp_path: Path) -> None:
    run = make_training(steps=5)
    saved: list[int] = []
    run.save = lambda: saved.append(run.step)  # type: ignore[method-assign]
    fit(run)
    assert saved == [5]
    run.step = 0
    saved.clear()
    run.execution = Execution("cpu", checkpoint_seconds=0.0)
    fit(run)
    assert saved == [1, 2, 3, 4, 5]


def test_a_checkpoint_of_other_networks_is_not_gone_on_with(
    make_training: MakeTraining,
) -> None:
    run = make_training(steps=2)
    run.save()
    other = make_training(steps=2, width=0.25)
    other.name = run.name  # of a library whose new version has other networks
    with pytest.raises(InputError, match="has different networks"):
        other.resume()
