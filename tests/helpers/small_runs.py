"""Fixtures of runs that take a fraction of a second: 18 videos of 3 classes, clips of 2 frames and 8 pixels.

A folder's conftest.py imports them by name.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.networks import one_backbone

from ssl_video.data.dataset import Data, load
from ssl_video.spec import Spec, build
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, plan
from ssl_video.training.state import Training

__all__ = ["data", "make_plan", "make_training", "plugin", "small_spec", "teacher_table"]

CPU = torch.device("cpu")
SMALL = {
    "width": 0.125,
    "protocol": "per-class:2",
    "frames": 2,
    "stride": 2,
    "size": 8,
    "steps": 6,
    "labeled_batch": 3,
    "unlabeled_batch": 4,
    "test_clips": 2,
}

# Everything that a checkpoint has to carry: dropout draws from torch's generator, the teacher lags behind,
# the buffer counts, and the second network is trained, too.
PLUGIN = '''
import torch
from torch import nn
from torch.nn import functional as F

from ssl_video import Algorithm, LossOutput, Network, Pseudo, Teacher, View, algorithm


@algorithm("stateful")
class Stateful(Algorithm):
    """Dropout, a teacher, a counter and two networks."""

    roles = {"student": Network(), "other": Network(width=0.5)}
    labeled = {"weak": View("weak"), "strong": View("strong")}
    unlabeled = {"weak": View("weak"), "own": View("strong", window="own")}

    def __init__(self, task, student, other, *, decay: float = 0.5, span: tuple[float, float] = (0.0, 1.0)):
        super().__init__()
        self.student, self.other = student, other
        self.teacher = Teacher(student, decay)
        self.dropout = nn.Dropout(0.5)
        self.span = span
        self.register_buffer("seen", torch.zeros(task.num_unlabeled))

    def loss(self, batch, progress):
        self.seen[batch.indices] += 1
        target = self.teacher(batch.unlabeled["weak"])
        confidence, label = target.softmax(-1).max(-1)
        weight = (confidence >= self.span[0]).float() * self.span[1]
        noise = torch.rand(len(weight), device=weight.device)
        return LossOutput(
            {
                "labeled": F.cross_entropy(self.dropout(self.student(batch.labeled["weak"])), batch.labels),
                "labeled/other": F.cross_entropy(self.other(batch.labeled["strong"]), batch.labels),
                "unlabeled": (noise * F.cross_entropy(
                    self.student(batch.unlabeled["own"]), label, reduction="none")).mean(),
            },
            {"teacher": Pseudo(label, weight)},
        )

    def after_step(self, progress):
        self.teacher.update(self.student)

    def predictors(self):
        return {"teacher": self.teacher, "student": self.student, "other": self.other}
'''


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of an algorithm with every kind of state, in a file of its own."""
    file = tmp_path_factory.mktemp("plugin") / "stateful.py"
    file.write_text(PLUGIN)
    return f"{file}:stateful"


@pytest.fixture(scope="session")
def teacher_table(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of another model's predictions: 0.7 for the right class, which is the clip's folder."""
    classes = sorted(folder.name for folder in video_folder.iterdir())
    lines = [",".join(["path", *classes])]
    for path in sorted(video_folder.rglob("*.*")):
        lines.append(",".join([str(path), *("0.7" if path.parent.name == c else "0.15" for c in classes)]))
    table = tmp_path_factory.mktemp("predictions") / "predictions.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


@pytest.fixture(scope="session")
def small_spec(video_folder: Path, teacher_table: Path) -> Callable[..., Spec]:
    """`small_spec(**values)`: a specification on the shared videos, of seconds at most."""

    def make(**values: Any) -> Spec:
        given = SMALL | {"data": str(video_folder)} | values
        if values.get("algorithm") == "distill":
            given["options"] = {"teacher": str(teacher_table)} | given.get("options", {})
        networks = one_backbone(values.get("algorithm", "supervised"), values.get("backbone", "tiny3d"))
        return build({"networks": networks} | given)

    return make


@pytest.fixture(scope="session")
def data(small_spec: Callable[..., Spec]) -> Data:
    """The shared videos, 12 to train and 6 to test, decoded once."""
    return load(small_spec())


@pytest.fixture
def make_plan(small_spec: Callable[..., Spec], data: Data) -> Callable[..., Plan]:
    """`make_plan(**values)`: a plan for such a specification on the CPU."""
    return lambda **values: plan(small_spec(**values), data, CPU)


@pytest.fixture
def make_training(make_plan: Callable[..., Plan], tmp_path: Path) -> Callable[..., Training]:
    """`make_training(**values)`: a run that is ready to start, in the test's folder."""

    def make(**values: Any) -> Training:
        made = make_plan(**values)
        return Training(
            *(made.spec, made.data, made.partition, tmp_path),
            Execution("cpu", checkpoint_seconds=1e9),
            made.name,
        )

    return make
