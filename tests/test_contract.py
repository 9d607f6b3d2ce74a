"""The contract: what a loss returns."""

import torch

from ssl_video.contract import LossOutput


def test_the_loss_is_the_sum_of_the_terms() -> None:
    terms = {"labeled": torch.tensor(1.5, requires_grad=True), "unlabeled": torch.tensor(0.25)}
    output = LossOutput(terms)
    output.loss.backward()
    assert output.loss.item() == 1.75
    assert terms["labeled"].grad == 1
