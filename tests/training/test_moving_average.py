"""The moving average of the weights, and that it is a predictor like others."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ssl_video.data.dataset import Data
from ssl_video.errors import InputError
from ssl_video.inference.load import load as load_model
from ssl_video.training.execution import Execution
from ssl_video.training.loop import fit
from ssl_video.training.run import Plan, run
from ssl_video.training.state import Training

MakePlan = Callable[..., Plan]
CPU = torch.device("cpu")
ONCE = Execution("cpu", checkpoint_seconds=1e9)


def test_the_average_by_hand(make_training: Callable[..., Training]) -> None:
    """Decay 0.3: 2/11, 3/12, then 0.3 of what it was (4/13 and 5/14 are more)."""
    made = make_training(algorithm="fixmatch", steps=4, ema=0.3, learning_rate=0.1)
    network, average = made.algorithm.get_submodule("model"), made.assembly.average
    assert average is not None
    name = next(iter(dict(network.named_parameters())))
    expected = network.state_dict()[name].clone()
    before = expected.clone()

    fractions = iter([9 / 11, 9 / 12, 0.7, 0.7])

    def note(_: float) -> None:
        expected.lerp_(network.state_dict()[name], next(fractions))

    made.algorithm.after_step = note  # type: ignore[method-assign]
    fit(made)
    assert torch.allclose(average.network.state_dict()[name], expected)
    assert not torch.allclose(expected, before)


# One network, two, a teacher that is tested first, two teachers, several views of one network.
@pytest.mark.parametrize("name", ["supervised", "cmpl", "meanteacher", "timebalance", "mvpl"])
def test_an_average_is_tested_and_exported(
    make_plan: MakePlan, data: Data, tmp_path: Path, name: str
) -> None:
    result = run(make_plan(algorithm=name, ema=0.5, learning_rate=0.05), tmp_path, ONCE)
    plain = run(make_plan(algorithm=name, learning_rate=0.05), tmp_path / "plain", ONCE)
    scores = dict(result.predictors)
    assert list(scores)[-1] == "ema"
    assert result.predictor == plain.predictor
    del scores["ema"]
    assert scores == plain.predictors, "the average must not change the run"
    assert load_model(tmp_path, CPU).evaluate(data) == result.model_dump()["predictors"]


def test_an_algorithm_with_an_average_of_its_own(make_plan: MakePlan, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from ssl_video import algorithm\n"
        "from ssl_video.algorithms.supervised import Supervised\n\n"
        "@algorithm('own')\nclass Own(Supervised):\n    '''It has one.'''\n\n"
        "    def predictors(self):\n        return {'ema': self.model}\n"
    )
    made = make_plan(algorithm=f"{tmp_path / 'own.py'}:own", ema=0.5)
    with pytest.raises(InputError, match="has a predictor 'ema' of its own"):
        run(made, tmp_path / "run", ONCE)
