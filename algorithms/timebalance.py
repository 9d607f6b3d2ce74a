"""TimeBalance: a temporally invariant and a distinctive teacher, weighted by the motion of each clip.

From the paper and its code: a temporally invariant and a temporally distinctive teacher; the student learns
s * p_invariant + (1 - s) * p_distinctive on labeled and unlabeled clips, where s in [0, 1] is the temporal
similarity; the three loss terms and their weights; contrastive losses of the teachers between clips at
different times of a video, and their temperature.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.contrast import info_nce, projection
from ssl_video.algorithms.parts.features import Features
from ssl_video.algorithms.parts.passes import averages_untouched, forward_joint
from ssl_video.algorithms.parts.processes import gather
from ssl_video.algorithms.parts.pseudo import ramp
from ssl_video.algorithms.parts.teacher import Frozen
from ssl_video.contract import (
    Algorithm,
    Batch,
    Fraction,
    LossOutput,
    Network,
    NonNegative,
    Paper,
    Pseudo,
    Task,
    View,
)
from ssl_video.registry import algorithm

# Cosines of one step that differ less than this say nothing about which clip moves more: those of still clips
# differ by rounding errors.
_ALIKE = 1e-3


@algorithm("timebalance")
class TimeBalance(Algorithm):
    """A student of two teachers; static clips weight the temporally invariant teacher more.

    Args:
        task: the problem.
        model: the student.
        invariant: the temporally invariant teacher, with similar features for all times of a video.
        distinctive: the temporally distinctive teacher, with different features for them.
        teachers: "trained" in the run, or "frozen" as in the paper, with weights that the run is given.
        labeled_weight: weight of learning the teachers' predictions on labeled clips (the code's value).
        unlabeled_weight: weight of learning the teachers' predictions on unlabeled clips (the code's value).
        contrast_weight: weight of the contrastive loss of trained teachers (ours).
        temperature: of the contrastive loss (the code's value).
        ramp: fraction of training over which both weights rise from 0, with trained teachers (ours).
    """

    paper = Paper(
        "TimeBalance: Temporally-Invariant and Temporally-Distinctive Video "
        "Representations for Semi-Supervised Action Recognition",
        authors="Dave et al.",
        venue="CVPR",
        year=2023,
        arxiv="2303.16268",
    )
    differences: tuple[str, ...] = (
        "The paper trains the teachers first (1000 epochs of self-supervision, then the labels) and freezes "
        'them. That is `teachers` "frozen", which requires their weights. By default ("trained", ours) they '
        "learn at the same time as the student, from the labels and their own contrast, so that one run is "
        "the whole method.",
        "With trained teachers, the weights of the student's terms with their predictions rise over the "
        "first `ramp` of training (ours), because untrained teachers have nothing to teach.",
        "The code reads s from a file that is not published, one number per video. Here s is the cosine "
        "similarity of the distinctive teacher's features of the clip's first and second half (the "
        "invariant teacher is trained to make all halves similar), rescaled to the range 0 to 1 over the "
        "clips of a step. Without the rescaling, features behind a ReLU are never opposite, and the "
        "distinctive teacher would have almost no weight. If the cosines of a step are within 0.001 of each "
        "other (all clips are still, or there is one clip), s is the cosine itself, at least 0: stretched, "
        "rounding errors would range from 0 to 1.",
        "The contrast compares the two halves of the student's window at twice its frame rate. The code "
        "takes four quarters at four times the rate, for which few frame rates are high enough. Its "
        "invariant loss is the contrast of two whole clips + a quarter of the sum over the 56 ordered pairs "
        "of the eight quarters (four, under two augmentations); here it is one pair, a first half and a "
        "second half under another augmentation. The code's further contrast of each quarter with a part of "
        "the whole clip's feature map is left out, because not every backbone has one.",
        "The distinctive loss is the mean over the clips of a step; the code's is the sum. The weight of the "
        "contrast relative to the labels is ours. The projection heads have no batch norm.",
        "The student is initialised like any other network; the paper's is pretrained by self-supervision.",
        "The teachers' contrast has clips of the student's length; the code's self-supervision takes twice "
        "as many frames (16). While its teachers learn labels and teach, clips have one length, as here.",
    )

    roles = {role: Network() for role in ("model", "invariant", "distinctive")}
    # Twice the frames over the same time: each half has as many frames as the other clips.
    labeled = {"weak": View("weak"), "halves": View("weak", rate=2)}
    unlabeled = {**labeled, "halves/again": View("weak", rate=2, copy=1)}
    whole_batch = True
    works_on_pixels = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        invariant: nn.Module,
        distinctive: nn.Module,
        *,
        teachers: Literal["trained", "frozen"] = "trained",
        labeled_weight: NonNegative = 50.0,
        unlabeled_weight: NonNegative = 100.0,
        contrast_weight: NonNegative = 0.1,
        temperature: NonNegative = 0.1,
        ramp: Fraction = 0.4,
    ) -> None:
        super().__init__()
        self.labeled_weight, self.unlabeled_weight = labeled_weight, unlabeled_weight
        self.contrast_weight, self.temperature, self.ramp = contrast_weight, temperature, ramp
        self.features = {
            "invariant": Features(invariant, task.num_classes),
            "distinctive": Features(distinctive, task.num_classes),
        }
        self.model, self.invariant, self.distinctive = model, invariant, distinctive
        if teachers == "frozen":
            self.frozen, self.unlabeled, self.ramp = ("invariant", "distinctive"), self.labeled, 0.0
            self.invariant, self.distinctive = Frozen(invariant), Frozen(distinctive)
        else:
            self.heads = nn.ModuleDict({role: projection(f.size) for role, f in self.features.items()})

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return the student's cross-entropy and distances to its teachers + trained teachers' terms."""
        clips, u, height = batch.labeled, batch.unlabeled, ramp(progress, self.ramp)
        (labeled,), (unlabeled,) = (
            forward_joint(self.model, clips["weak"]),
            forward_joint(self.model, u["weak"]),
        )
        by_invariant, by_distinctive = self._taught("invariant", batch), self._taught("distinctive", batch)
        similar = self._similarity(clips["halves"], u["halves"])
        targets = (similar * by_invariant.softmax(-1) + (1 - similar) * by_distinctive.softmax(-1)).detach()
        known, guessed = targets.split([len(labeled), len(unlabeled)])
        terms = {
            "labeled": self.labeled_cross_entropy(labeled, batch.labels),
            "labeled/teachers": height * self.labeled_weight * F.mse_loss(labeled.softmax(-1), known),
            "unlabeled/teachers": height * self.unlabeled_weight * F.mse_loss(unlabeled.softmax(-1), guessed),
        }
        if not self.frozen:
            for role, logits in (("invariant", by_invariant), ("distinctive", by_distinctive)):
                terms[f"labeled/{role}"] = self.labeled_cross_entropy(logits[: len(labeled)], batch.labels)
            terms |= {name: self.contrast_weight * term for name, term in self._contrast(batch).items()}
        label = guessed.argmax(-1)
        return LossOutput(terms, {"teachers": Pseudo(label, torch.ones_like(guessed[:, 0]), guessed)})

    def _taught(self, role: str, batch: Batch) -> Tensor:
        """Return a teacher's logits of labeled and (without gradient) unlabeled clips, (B + U, classes)."""
        teacher = self.get_submodule(role)
        with torch.no_grad():
            (unlabeled,) = forward_joint(teacher, batch.unlabeled["weak"])
        (labeled,) = forward_joint(teacher, batch.labeled["weak"])
        return torch.cat([labeled, unlabeled])

    @torch.no_grad()
    def _similarity(self, *clips: Tensor) -> Tensor:
        """Return the similarity of clips' halves for the distinctive teacher, (N, 1), from 0 to 1.

        Cosines are stretched over the clips of the step, of all processes, unless they are alike.
        """
        first, second = torch.cat(clips).chunk(2, dim=2)
        with (
            averages_untouched(self.distinctive),
            self.features["distinctive"].captured() as last,
        ):
            forward_joint(self.distinctive, first, second)
        one, other = last(2 * len(first)).chunk(2)
        found = F.cosine_similarity(one, other)[:, None]
        lowest, highest = gather(found).aminmax()
        alike = highest - lowest < _ALIKE
        stretched = (found - lowest) / (highest - lowest).clamp(min=_ALIKE)
        return torch.where(alike, found, stretched).clamp(0, 1)

    def _contrast(self, batch: Batch) -> dict[str, Tensor]:
        """Return the contrastive terms of the teachers, from halves under two augmentations."""
        first, second = batch.unlabeled["halves"].chunk(2, dim=2)
        first_again, second_again = batch.unlabeled["halves/again"].chunk(2, dim=2)
        one, other = self._projected("invariant", first, second_again)
        here, there, here_again, there_again = self._projected(
            "distinctive", first, second, first_again, second_again
        )
        # Invariant: different halves of a video are partners. Distinctive: only equal halves are.
        return {
            "unlabeled/invariant": info_nce(gather(one), gather(other), self.temperature),
            "unlabeled/distinctive": info_nce(
                torch.stack([here, there], 1), torch.stack([here_again, there_again], 1), self.temperature
            ),
        }

    def _projected(self, role: str, *clips: Tensor) -> list[Tensor]:
        """Return the outputs of a teacher's projection head, one (N, 128) per batch of clips."""
        teacher = self.get_submodule(role)
        # Test clips do not have twice the frame rate, so these must not move the averages.
        with averages_untouched(teacher), self.features[role].captured() as last:
            forward_joint(teacher, *clips)
        projected: Tensor = self.heads[role](last(sum(len(clip) for clip in clips)))
        return list(projected.split([len(clip) for clip in clips]))
