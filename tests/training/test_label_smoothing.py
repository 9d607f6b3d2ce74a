"""The run sets the label smoothing of its method, or refuses where the method would not use it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ssl_video.errors import InputError
from ssl_video.training.loop import fit
from ssl_video.training.state import Training

OWN = '''
from torch.nn import functional as F
from ssl_video import Algorithm, LossOutput, algorithm


@algorithm("own")
class Own(Algorithm):
    """A labeled term of its own."""

    def __init__(self, task, model):
        super().__init__()
        self.model = model

    def loss(self, batch, progress):
        return LossOutput({"labeled": F.cross_entropy(self.model(batch.labeled["weak"]), batch.labels)})
'''


def test_the_run_sets_it(make_training: Callable[..., Training]) -> None:
    made = make_training(label_smoothing=0.25)
    assert made.algorithm.label_smoothing == 0.25
    fit(made)
    assert made.algorithm.smoothed


def test_a_method_that_does_not_use_it_is_refused(
    make_training: Callable[..., Training], tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    name = f"{tmp_path}/own.py:own"
    with pytest.raises(InputError, match=r"label_smoothing has no effect on .*own, .*labeled_cross_entropy"):
        fit(make_training(algorithm=name, label_smoothing=0.1))
    fit(make_training(algorithm=name))
