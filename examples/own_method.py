"""Write a method, check it, and compare it with FixMatch.

The method is FixMatch with a second opinion: a pseudo-label counts only if the network gives it to the clip
at twice the speed as well.

    python examples/own_method.py --steps 400
"""

import argparse

import torch
from torch import nn

import ssl_video as sv


@sv.algorithm("second-opinion")
class SecondOpinion(sv.Algorithm):
    """FixMatch on pseudo-labels that do not depend on the speed of the clip.

    Args:
        task: the problem.
        model: the network.
        threshold: confidence from which a prediction is used.
        weight: weight of the unlabeled term.
    """

    unlabeled = {
        "weak": sv.View("weak"),
        "fast": sv.View("weak", rate=0.5),
        "strong": sv.View("strong"),
    }

    def __init__(
        self, task: sv.Task, model: nn.Module, *, threshold: sv.Fraction = 0.8, weight: sv.NonNegative = 1.0
    ) -> None:
        super().__init__()
        self.model, self.weight = model, weight
        self.select = sv.Threshold(threshold)

    def loss(self, batch: sv.Batch, progress: float) -> sv.LossOutput:
        """Return the labeled cross-entropy and the masked one on strong clips."""
        unlabeled = batch.unlabeled
        labeled, weak, strong = sv.forward_views(
            self.model, batch.labeled["weak"], unlabeled["weak"], unlabeled["strong"], "separate"
        )
        pseudo = self.select(weak, batch.indices)
        with torch.no_grad():
            (fast,) = sv.forward_joint(self.model, unlabeled["fast"])
        pseudo = pseudo._replace(weight=pseudo.weight * (fast.argmax(-1) == pseudo.label))
        terms = {
            "labeled": self.labeled_cross_entropy(labeled, batch.labels),
            "unlabeled": self.weight * sv.masked_cross_entropy(strong, pseudo),
        }
        return sv.LossOutput(terms, {"model": pseudo})


def main() -> None:
    """Check the method against the contract, then compare it on the demo clips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    sv.check_algorithm(SecondOpinion)
    runs = sv.bench(
        ["fixmatch", SecondOpinion], protocols="per-class:3", seeds=given.seeds, steps=given.steps
    )
    print(runs.compare("fixmatch"))


if __name__ == "__main__":
    main()
