"""Memories of the latest rows of a run, and of clips with their classes, to find similar clips."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.contrast import PROJECTED, projection
from ssl_video.algorithms.parts.processes import gather


class Memory(nn.Module):
    """The latest rows, of which the oldest are replaced first.

    Add gathered rows (`parts.processes.gather`), so that all processes have the same memory. An algorithm
    with a memory declares `whole_batch`.

    Attributes:
        rows: (size, width), in no particular order; zeros where none is stored yet.
        added: number of rows that were added so far, a scalar.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.rows: Tensor
        self.added: Tensor
        self.register_buffer("rows", torch.zeros(size, width))
        self.register_buffer("added", torch.zeros((), dtype=torch.long))

    @property
    def filled(self) -> Tensor:
        """True where a place holds a row, (size,)."""
        return torch.arange(len(self.rows), device=self.rows.device) < self.added

    @torch.no_grad()
    def add(self, rows: Tensor) -> None:
        """Store rows (N, width); of more than `size` rows, the last ones."""
        latest = rows[-len(self.rows) :]
        places = (self.added + torch.arange(len(latest), device=latest.device)) % len(self.rows)
        self.rows.index_copy_(0, places, latest.to(self.rows.dtype))
        self.added += len(latest)

    def mean(self) -> Tensor:
        """Return the mean of the stored rows, (width,); zeros if there is none."""
        return self.rows.sum(0) / self.added.clamp(1, len(self.rows))

    def extra_repr(self) -> str:
        """Return the text that `print(algorithm)` shows."""
        return f"size={len(self.rows)}"


class ClipMemory(nn.Module):
    """Projected features of the latest clips, with their classes; clips are added before it is read.

    Attributes:
        head: SimCLR's projection head.
        features: projections of length 1, (size, 128).
        classes: probabilities, (size, classes).
    """

    def __init__(self, features: int, num_classes: int, size: int, temperature: float) -> None:
        """Begin without clips.

        Args:
            features: number of features of a clip.
            num_classes: number of classes.
            size: number of clips that are remembered.
            temperature: divisor of the similarities, at least 0.001.
        """
        super().__init__()
        self.head, self.temperature = projection(features), max(temperature, 1e-3)
        self.features, self.classes = Memory(size, PROJECTED), Memory(size, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Return projections of length 1, (N, features) -> (N, 128)."""
        return F.normalize(self.head(features).float(), dim=-1)

    def similarity(self, projected: Tensor) -> Tensor:
        """Return the logs of the softmax over remembered clips of their cosine similarity / temperature.

        Args:
            projected: (N, 128).

        Returns:
            (N, size) in float32; free places have the probability 0.
        """
        # A copy, because rows are added before the backward pass of the step. Autocast would round the
        # products to three digits before the temperature amplifies them.
        with torch.autocast(projected.device.type, enabled=False):
            found = projected @ self.features.rows.clone().T / self.temperature
        # Finite, because 0 * log 0 would be NaN.
        return found.masked_fill(~self.features.filled, -1e6).log_softmax(-1)

    @torch.no_grad()
    def smooth(self, probability: Tensor, similarity: Tensor, fraction: float) -> Tensor:
        """Return fraction * probability + (1 - fraction) * that of similar clips.

        Args:
            probability: (N, classes).
            similarity: logs of probabilities, (N, size).
            fraction: that of the clips' own probabilities.
        """
        with torch.autocast(probability.device.type, enabled=False):
            return fraction * probability + (1 - fraction) * similarity.exp() @ self.classes.rows

    @torch.no_grad()
    def unfold(self, probability: Tensor, similarity: Tensor) -> Tensor:
        """Return similarities in which each remembered clip counts as much as its class is likely.

        Args:
            probability: (N, classes).
            similarity: logs of probabilities, (N, size).

        Returns:
            Probabilities (N, size).
        """
        with torch.autocast(probability.device.type, enabled=False):
            unfolded = similarity.exp() * (probability @ self.classes.rows.T)
        return F.normalize(unfolded, p=1, eps=torch.finfo(unfolded.dtype).tiny)

    @torch.no_grad()
    def add(self, projected: Tensor, probability: Tensor) -> None:
        """Remember the clips of all processes: projections (N, 128) with probabilities (N, classes)."""
        self.features.add(gather(projected))
        self.classes.add(gather(probability))
