"""CMPL's two networks with other sources of pseudo-labels, to test whether the crossing helps.

Everything but the labels is as in CMPL (Xu et al., CVPR 2022, arXiv:2112.09690), see
`ssl-video algorithm page cmpl`: networks, clips, passes, threshold and weight with their defaults. The passes
with gradient are the same, too; "pair-ema" has one more pass without gradient for each weak clip.

Differences from the paper:
- The source of the labels. These are our own variants, for comparison with CMPL.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import ssl_video as s


class Pair(s.Algorithm):
    """Two networks trained side by side on confident pseudo-labels; only the primary is used for inference.

    Args:
        task: the problem.
        primary: the network that is used for inference.
        auxiliary: the other network.
        threshold: minimum confidence of a label that is used, CMPL's default.
        weight: weight of the unlabeled terms, CMPL's default.
    """

    roles = {"primary": s.Network(), "auxiliary": s.Network(width=0.25, rate=2)}
    labeled = {role: s.View("weak", network=role) for role in roles}
    unlabeled = {
        f"{kind}/{role}": s.View(kind, network=role) for role in roles for kind in ("weak", "strong")
    }

    def __init__(
        self,
        task: s.Task,
        primary: nn.Module,
        auxiliary: nn.Module,
        *,
        threshold: float = 0.8,
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.primary, self.auxiliary = primary, auxiliary
        self.select, self.weight = s.Threshold(threshold), weight

    def loss(self, batch: s.Batch, progress: float) -> s.LossOutput:
        """Return per network: cross-entropy with labels + weight * cross-entropy with the source's labels."""
        clips, u = batch.labeled, batch.unlabeled
        labeled, weak, strong = dict[str, Tensor](), dict[str, Tensor](), dict[str, Tensor]()
        for role in self.roles:
            labeled[role], weak[role], strong[role] = s.forward_views(
                self.get_submodule(role), clips[role], u[f"weak/{role}"], u[f"strong/{role}"], "separate"
            )
        with torch.no_grad():
            pseudo = {
                role: self.select(logits, batch.indices) for role, logits in self.judge(weak, u).items()
            }
        terms = {f"labeled/{role}": F.cross_entropy(labeled[role], batch.labels) for role in self.roles}
        for role in self.roles:
            terms[f"unlabeled/{role}"] = self.weight * s.masked_cross_entropy(strong[role], pseudo[role])
        return s.LossOutput(terms, pseudo)

    def judge(self, weak: dict[str, Tensor], clips: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return by role the logits (U, classes) that give its labels; `weak`: its own, of weak clips."""
        raise NotImplementedError


@s.algorithm("pair-self")
class Self(Pair):
    """Each network labels its own clips: FixMatch, twice."""

    def judge(self, weak: dict[str, Tensor], clips: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return each network's own logits."""
        return weak


@s.algorithm("pair-mean")
class Mean(Pair):
    """Both networks learn from the mean of their probabilities."""

    def judge(self, weak: dict[str, Tensor], clips: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the log of the mean probabilities for both networks."""
        mean = torch.stack([logits.softmax(-1) for logits in weak.values()]).mean(0)
        return dict.fromkeys(self.roles, mean.log())


@s.algorithm("pair-ema")
class Ema(Pair):
    """Each network learns from its own moving average.

    Args:
        task, primary, auxiliary: as of `Pair`.
        decay: decay of the averages, per step.
    """

    def __init__(
        self,
        task: s.Task,
        primary: nn.Module,
        auxiliary: nn.Module,
        *,
        threshold: float = 0.8,
        weight: float = 1.0,
        decay: float = 0.99,
    ) -> None:
        super().__init__(task, primary, auxiliary, threshold=threshold, weight=weight)
        self.primary_teacher, self.auxiliary_teacher = (s.Teacher(n, decay) for n in (primary, auxiliary))

    def judge(self, weak: dict[str, Tensor], clips: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the logits of the averages."""
        return {role: getattr(self, f"{role}_teacher")(clips[f"weak/{role}"]) for role in self.roles}

    def after_step(self, progress: float) -> None:
        """Update the averages."""
        for role in self.roles:
            getattr(self, f"{role}_teacher").update(getattr(self, role))
