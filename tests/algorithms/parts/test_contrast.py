"""The contrastive loss against numbers worked out by hand."""

import math

import torch
from helpers.numbers import close

from ssl_video.algorithms.parts.contrast import info_nce, projection

E = math.e
EAST, NORTH = [1.0, 0.0], [0.0, 1.0]


def test_a_row_has_its_partner_and_the_others_of_both_views() -> None:
    """Temperature 1, lengths do not count.

    one = east, north; other = east, east. Similarities: east-east 1, east-north 0, north-north 1.
    one 0 (east):  partner 1, negatives north 0 and the other's east 1:  -ln(e / (2e + 1))
    one 1 (north): partner east 0, negatives east 0 and east 0:          -ln(1 / 3)
    other 0:       partner east 1, negatives north 0 and east 1:         -ln(e / (2e + 1))
    other 1:       partner north 0, negatives east 1 and east 1:         -ln(1 / (2e + 1))
    """
    one, other = torch.tensor([EAST, NORTH]) * 7, torch.tensor([EAST, EAST]) * 0.2
    expected = (3 * math.log(2 * E + 1) - 2 + math.log(3)) / 4
    assert info_nce(one, other, 1.0).item() == close(expected)
    assert info_nce(other, one, 1.0).item() == close(expected)


def test_the_temperature_divides_similarities() -> None:
    """Both rows find their partner at 1 and negatives at 0: -ln(e^2 / (e^2 + 2)) at temperature 0.5."""
    rows = torch.tensor([EAST, NORTH])
    assert info_nce(rows, rows, 0.5).item() == close(math.log(E**2 + 2) - 2)


def test_leading_places_are_apart() -> None:
    """East and north in the first place; in the second all rows are east, and one of three is right: ln 3."""
    rows = torch.tensor([[EAST, NORTH], [EAST, EAST]])
    expected = (math.log(E + 2) - 1 + math.log(3)) / 2
    assert info_nce(rows, rows, 1.0).item() == close(expected)


def test_without_negatives_and_without_rows_it_is_zero_and_has_a_gradient() -> None:
    for count in (0, 1):
        one, other = torch.ones(count, 2, requires_grad=True), torch.ones(count, 2)
        loss = info_nce(one, other, 0.1)
        loss.backward()
        assert loss.item() == 0
        assert one.grad is not None
        assert not one.grad.any()


def test_similarities_are_not_rounded_under_autocast() -> None:
    torch.manual_seed(0)
    one, other = torch.randn(2, 4, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = info_nce(one, other, 0.1)
    assert found.dtype == torch.float32
    assert torch.equal(found, info_nce(one, other, 0.1))


def test_the_head_has_a_hidden_layer_of_its_input_s_size() -> None:
    head = projection(6)
    assert [tuple(p.shape) for p in head.parameters()] == [(6, 6), (6,), (128, 6), (128,)]
    assert head(torch.zeros(5, 6)).shape == (5, 128)
