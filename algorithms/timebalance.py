"""TimeBalance: two teachers, one blind to time and one alert to it, share each clip by how much it changes.

Dave et al., "TimeBalance: Temporally-Invariant and Temporally-Distinctive Video Representations for
Semi-Supervised Action Recognition", CVPR 2023, arXiv:2303.16268.

From the paper and its code: a temporally invariant and a temporally distinctive teacher; the student learns
s * p_invariant + (1 - s) * p_distinctive of labeled and unlabeled clips, where s in [0, 1] is the temporal
similarity; the three loss terms and their weights; the contrastive losses of the teachers, among clips of
several times of a video, and their temperature.

Differences from the paper:
- The paper trains the teachers first (1000 epochs of self-supervision, then the labels) and freezes them.
  That is `teachers` "frozen", for which their weights must be given. By default ("trained", ours) they learn
  beside the student, from the labels and their own contrast at once, so that one run is the whole method.
- With trained teachers the weights of what the student learns from them rise over the first `ramp` of
  training (ours): at its start they know nothing.
- The code reads s from a file that it does not come with, one number a video. Here it is the cosine
  similarity of the distinctive teacher's features of the clip's first and second half (the invariant teacher
  is trained to find all halves alike), stretched so that it goes from 0 to 1 over the clips of a step:
  features behind a ReLU are never opposite, and the distinctive teacher would hardly be heard.
- Contrast is among the two halves of the student's window at twice its frame rate; the code takes four
  quarters at four times, for which few frame rates are high enough. Its further contrast of each quarter with
  a part of the whole clip's feature map, which not every backbone has, is left out.
- The weight of the contrast beside the labels is ours. The projection heads have no batch norm.
- The student is initialised like any other network; the paper's is pretrained by self-supervision.
- Student and teachers take clips of one length; the paper's teachers take twice the student's frames.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.contrast import info_nce, projection
from ssl_video.algorithms.parts.features import Features
from ssl_video.algorithms.parts.passes import averages_untouched, together
from ssl_video.algorithms.parts.processes import gather
from ssl_video.algorithms.parts.pseudo import ramp
from ssl_video.algorithms.parts.teacher import Frozen
from ssl_video.contract import Algorithm, Batch, LossOutput, Network, NotNegative, Pseudo, Share, Task, View
from ssl_video.registry import algorithm


@algorithm("timebalance")
class TimeBalance(Algorithm):
    """A student of two teachers: the stiller a clip, the more the temporally invariant one is heard.

    Args:
        task: the problem.
        model: the student.
        invariant: the teacher to which all times of a video are alike.
        distinctive: the teacher that tells the times of a video apart.
        teachers: "trained" in the run, or "frozen" as in the paper, with weights that the run is given.
        labeled_weight: of learning the teachers' predictions on labeled clips (the code's value).
        unlabeled_weight: of learning the teachers' predictions on unlabeled clips (the code's value).
        contrast_weight: of the contrastive loss of trained teachers (ours).
        temperature: of the contrastive loss (the code's value).
        ramp: share of training over which both weights rise from 0, with trained teachers (ours).
    """

    roles = {role: Network() for role in ("model", "invariant", "distinctive")}
    # Twice the frames over the same time: cut in two, each half is a clip as long as the others.
    labeled = {"weak": View("weak"), "halves": View("weak", rate=2)}
    unlabeled = {**labeled, "halves/again": View("weak", rate=2, copy=1)}
    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        invariant: nn.Module,
        distinctive: nn.Module,
        *,
        teachers: Literal["trained", "frozen"] = "trained",
        labeled_weight: NotNegative = 50.0,
        unlabeled_weight: NotNegative = 100.0,
        contrast_weight: NotNegative = 1.0,
        temperature: NotNegative = 0.1,
        ramp: Share = 0.4,
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
        """The student's cross-entropy and distances to its teachers; then what trained teachers learn."""
        clips, u, height = batch.labeled, batch.unlabeled, ramp(progress, self.ramp)
        (labeled,), (unlabeled,) = together(self.model, clips["weak"]), together(self.model, u["weak"])
        by_invariant, by_distinctive = self._taught("invariant", batch), self._taught("distinctive", batch)
        similar = self._similarity(clips["halves"], u["halves"])
        targets = (similar * by_invariant.softmax(-1) + (1 - similar) * by_distinctive.softmax(-1)).detach()
        known, guessed = targets.split([len(labeled), len(unlabeled)])
        terms = {
            "labeled": F.cross_entropy(labeled, batch.labels),
            "labeled/teachers": height * self.labeled_weight * F.mse_loss(labeled.softmax(-1), known),
            "unlabeled/teachers": height * self.unlabeled_weight * F.mse_loss(unlabeled.softmax(-1), guessed),
        }
        if not self.frozen:
            for role, logits in (("invariant", by_invariant), ("distinctive", by_distinctive)):
                terms[f"labeled/{role}"] = F.cross_entropy(logits[: len(labeled)], batch.labels)
            terms |= {name: self.contrast_weight * term for name, term in self._contrast(batch).items()}
        label = guessed.argmax(-1)
        return LossOutput(terms, {"teachers": Pseudo(label, torch.ones_like(guessed[:, 0]), guessed)})

    def _taught(self, role: str, batch: Batch) -> Tensor:
        """A teacher's logits of labeled and, without gradient, of unlabeled clips, (B + U, classes)."""
        teacher = self.get_submodule(role)
        with torch.no_grad():
            (unlabeled,) = together(teacher, batch.unlabeled["weak"])
        (labeled,) = together(teacher, batch.labeled["weak"])
        return torch.cat([labeled, unlabeled])

    @torch.no_grad()
    def _similarity(self, *clips: Tensor) -> Tensor:
        """How alike the two halves of clips are to the distinctive teacher, (N, 1), from 0 to 1."""
        first, second = torch.cat(clips).chunk(2, dim=2)
        with (
            averages_untouched(self.distinctive),
            self.features["distinctive"].captured() as last,
        ):
            together(self.distinctive, first, second)
        one, other = last(2 * len(first)).chunk(2)
        found = F.cosine_similarity(one, other)[:, None]
        lowest, highest = gather(found).aminmax()
        return (found - lowest) / (highest - lowest).clamp(min=1e-6)

    def _contrast(self, batch: Batch) -> dict[str, Tensor]:
        """What the teachers learn without labels, from halves under two augmentations."""
        first, second = batch.unlabeled["halves"].chunk(2, dim=2)
        first_again, second_again = batch.unlabeled["halves/again"].chunk(2, dim=2)
        one, other = self._projected("invariant", first, second_again)
        here, there, here_again, there_again = self._projected(
            "distinctive", first, second, first_again, second_again
        )
        # Whatever the time, it is the same video; and of one video, only the same time is the same.
        return {
            "unlabeled/invariant": info_nce(gather(one), gather(other), self.temperature),
            "unlabeled/distinctive": info_nce(
                torch.stack([here, there], 1), torch.stack([here_again, there_again], 1), self.temperature
            ),
        }

    def _projected(self, role: str, *clips: Tensor) -> list[Tensor]:
        """What a teacher's head makes of clips, one (N, 128) per batch of clips."""
        teacher = self.get_submodule(role)
        # Clips at twice the frame rate: not what is tested.
        with averages_untouched(teacher), self.features[role].captured() as last:
            together(teacher, *clips)
        projected: Tensor = self.heads[role](last(sum(len(clip) for clip in clips)))
        return list(projected.split([len(clip) for clip in clips]))
