"""The pseudo-labels of a run under way: the file that a killed run leaves, and their metrics."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from helpers.numbers import close

from ssl_video.contract import Pseudo
from ssl_video.runs import pseudo_labels
from ssl_video.runs.jsonl import Records
from ssl_video.runs.pseudo_labels import UNFINISHED
from ssl_video.training.distributed import Processes
from ssl_video.training.execution import Execution
from ssl_video.training.pseudo_label_log import PseudoLabelLog, pseudo_label_metrics
from ssl_video.training.recorder import Ratio

ALONE = Processes(Execution("cpu"))

# -- the log


def given(labels: list[int], weights: list[float]) -> Pseudo:
    return Pseudo(torch.tensor(labels), torch.tensor(weights, requires_grad=True))


def note(records: Records, start: int, stop: int) -> None:
    """Steps of two clips each; the auxiliary network begins with the second step."""
    keeper = PseudoLabelLog(records, ALONE)
    for step in range(start, stop):
        pseudo = {"primary": given([step % 2, 1], [1.0, 0.12345])}
        if step:
            pseudo["auxiliary"] = given([0, step % 2], [0.0, 1.0])
        keeper.note(step, torch.tensor([step % 3, 2]), pseudo)
    keeper.flush()


def test_a_line_holds_a_batch(tmp_path: Path) -> None:
    note(Records(tmp_path), 0, 2)
    first, second = [json.loads(line) for line in (tmp_path / UNFINISHED).read_text().splitlines()]
    assert first == {
        "step": 0,
        "indices": [0, 2],
        "networks": {"primary": {"labels": [0, 1], "weights": [1.0, 0.1235]}},
    }
    assert list(second["networks"]) == ["primary", "auxiliary"]
    assert second["networks"]["auxiliary"] == {"labels": [0, 1], "weights": [0.0, 1.0]}


def test_a_resumed_file_is_the_uninterrupted_one(tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    straight.mkdir()
    killed.mkdir()
    note(Records(straight), 0, 6)
    before, after = Records(killed), Records(killed)
    note(before, 0, 2)
    marks = before.state()
    note(before, 2, 4)
    # Killed in the middle of a line, and the checkpoint is of step 2.
    with (killed / UNFINISHED).open("a") as file:
        file.write('{"step": 4, "posi')
    after.resume([UNFINISHED], marks)
    note(after, 2, 6)
    assert (killed / UNFINISHED).read_bytes() == (straight / UNFINISHED).read_bytes()


def test_what_is_logged_becomes_the_arrays_of_a_finished_run(tmp_path: Path) -> None:
    """Where a network gave no label, none is used."""
    note(Records(tmp_path), 0, 2)
    pseudo_labels.write(tmp_path, ["a", "b", "c"], ["run", "jump"], np.array([1, 0, 1]))
    made = pseudo_labels.read(tmp_path)
    assert made.steps.tolist() == [0, 0, 1, 1]
    assert made.indices.tolist() == [0, 2, 1, 2]
    assert made.labels["primary"].tolist() == [0, 1, 1, 1]
    assert made.weights["primary"].tolist() == close([1, 0.1235, 1, 0.1235])
    assert made.labels["auxiliary"].tolist() == [-1, -1, 0, 1]
    assert made.weights["auxiliary"].tolist() == [0, 0, 0, 1]


def test_a_method_without_pseudo_labels_has_no_file(tmp_path: Path) -> None:
    keeper = PseudoLabelLog(Records(tmp_path), ALONE)
    keeper.note(0, torch.tensor([0, 1]), {})
    keeper.flush()
    assert list(tmp_path.iterdir()) == []


# -- metrics of a batch


def values(found: dict[str, Ratio]) -> dict[str, float]:
    return {name: float(torch.as_tensor(above) / below) for name, (above, below) in found.items()}


HIDDEN = torch.tensor([0, 1, 2, 1])


def test_metrics_by_hand() -> None:
    """Weights 1, 0, 0.5, 0.5 on right, wrong, right, wrong labels.

    Coverage: 3 of 4 are used. Precision: (1 + 0.5) / (1 + 0.5 + 0.5) = 0.75.
    """
    pseudo = Pseudo(torch.tensor([0, 0, 2, 2]), torch.tensor([1.0, 0.0, 0.5, 0.5]))
    found = pseudo_label_metrics({"model": pseudo}, HIDDEN)
    assert values(found) == {"coverage/model": 0.75, "precision/model": 0.75}


def test_parts_of_a_batch_add_up() -> None:
    """3 clips and 1 clip: their coverages 2 / 3 and 1 do not average to 3 / 4, nor 1 / 1.5 and 0 to 1 / 2."""
    label, weight = torch.tensor([0, 0, 2, 2]), torch.tensor([1.0, 0.0, 0.5, 0.5])
    first = pseudo_label_metrics({"model": Pseudo(label[:3], weight[:3])}, HIDDEN[:3])
    second = pseudo_label_metrics({"model": Pseudo(label[3:], weight[3:])}, HIDDEN[3:])
    assert values({name: first[name].plus(second[name]) for name in first}) == {
        "coverage/model": 0.75,
        "precision/model": 0.75,
    }


def test_each_network_by_itself() -> None:
    """The second network uses one label, a wrong one."""
    found = pseudo_label_metrics(
        {
            "primary": Pseudo(HIDDEN, torch.ones(4)),
            "auxiliary": Pseudo(torch.tensor([1, 1, 1, 1]), torch.tensor([1.0, 0, 0, 0])),
        },
        HIDDEN,
    )
    assert values(found) == {
        "coverage/primary": 1,
        "precision/primary": 1,
        "coverage/auxiliary": 0.25,
        "precision/auxiliary": 0,
    }


def test_precision_of_no_label_is_unknown() -> None:
    found = pseudo_label_metrics({"model": Pseudo(HIDDEN, torch.zeros(4))}, HIDDEN)
    assert values(found)["coverage/model"] == 0
    assert math.isnan(values(found)["precision/model"])


def test_metrics_of_no_pseudo_labels() -> None:
    assert pseudo_label_metrics({}, torch.empty(0)) == {}


def test_no_gradient_is_kept() -> None:
    weight = torch.ones(4, requires_grad=True)
    assert not pseudo_label_metrics({"model": Pseudo(HIDDEN, weight)}, HIDDEN)[
        "precision/model"
    ].above.requires_grad
    assert not pseudo_label_metrics({"model": Pseudo(HIDDEN, weight)}, HIDDEN)[
        "precision/model"
    ].below.requires_grad  # type: ignore[union-attr]


def test_clips_without_a_label_are_in_no_precision() -> None:
    """Weights 1, 0.5, 0.5; the first clip has no label, so that precision is 0.5 / (0.5 + 0.5)."""
    pseudo = Pseudo(torch.tensor([0, 1, 1]), torch.tensor([1.0, 0.5, 0.5]))
    found = pseudo_label_metrics({"model": pseudo}, torch.tensor([-1, 1, 2]))
    assert values(found) == {"coverage/model": 1.0, "precision/model": 0.5}
