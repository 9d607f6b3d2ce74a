"""Moving averages against numbers worked out by hand."""

import pytest
import torch
from helpers.numbers import close

from ssl_video.algorithms.parts.averages import Average
from ssl_video.algorithms.parts.mixing import beta_fraction, beta_fractions
from ssl_video.algorithms.parts.pseudo import sharpen


def test_an_average_is_the_mean_of_all_states_until_its_decay_is_reached() -> None:
    """Decay 2/3. States 1, 5, 9: means 3, 5, where 1 - 1/3 is the decay; then 2/3 * 5 + 1/3 * 17 = 9.

    The mean of four would be 8.
    """
    average = Average(torch.tensor([1.0, 1.0]), decay=2 / 3)
    found = [average.update(torch.tensor([value, 0.0]))[0].item() for value in (5.0, 9.0, 17.0)]
    assert found == close([3, 5, 9])
    assert average.value.tolist() == close([9, 2 / 9])


def test_an_average_is_state_without_gradient() -> None:
    start = torch.zeros(())
    average = Average(start, decay=0.9)
    average.update(torch.ones((), requires_grad=True))
    assert start.item() == 0
    assert average.state_dict() == {"value": torch.tensor(0.5), "updates": torch.tensor(1)}
    assert not average.value.requires_grad


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(1.0, [0.5, 0.3, 0.2]), (0.5, [25 / 38, 9 / 38, 4 / 38]), (0.0, [1, 0, 0])],
)
def test_sharpening(temperature: float, expected: list[float]) -> None:
    """Temperature 1/2 squares: 25, 9 and 4 of 38."""
    assert sharpen(torch.tensor([[0.5, 0.3, 0.2]]).log(), temperature).tolist() == [close(expected)]


def test_sharpening_of_a_certain_prediction() -> None:
    assert sharpen(torch.tensor([[0.0, 1.0, 0.0]]).log(), 0.5).tolist() == [[0, 1, 0]]
    assert sharpen(torch.tensor([[300.0, 500.0]]), 1e-40).tolist() == [[0, 1]]


def test_a_high_temperature_softens_what_has_no_probability() -> None:
    """e^-200 is 0 in single precision; of temperature 50 it is e^-4: 1 / (1 + e^-4) = 0.982014."""
    assert sharpen(torch.tensor([[200.0, 0.0]]), 50.0).tolist() == [close([0.982014, 0.017986])]


def test_shares_of_beta() -> None:
    """Beta(c, c) has the mean 1/2 and the variance 1 / (4 (2c + 1)): 0.25 / 2.5 = 0.1 for c = 0.75."""
    torch.manual_seed(0)
    fractions = beta_fractions(0.75, 4000)
    assert fractions.mean().item() == pytest.approx(0.5, abs=0.02)
    assert fractions.var().item() == pytest.approx(0.1, abs=0.01)
    assert not beta_fractions(0.0, 3).any()
    assert beta_fraction(0.0) == 0
