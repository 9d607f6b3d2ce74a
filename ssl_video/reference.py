"""The reference table of the backbones, `backbones/reference.csv`; read without importing them or torch.

A row is a backbone at a clip size. The first of a name is its home: the clip that it was designed and trained
for. The tests measure all rows again, with 400 classes, and name those that are no longer right.
"""

import csv
import importlib.util
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class BackboneRow:
    """A backbone at a clip size. None: not published.

    Attributes:
        name: the backbone's name.
        width: multiplier of its channels.
        frames: T, frames of a clip.
        stride: distance between them, in frames of a video of 30 a second.
        size: height and width in pixels.
        parameters: their number, with 400 classes.
        gflops: 10^9 multiply-adds for one clip: convolutions, linear layers and attention. What most papers
            and the meta data of torchvision give.
        gflops_with_norms: the same as fvcore counts it (2026): 2 more per input of a batch norm, 5 of a layer
            norm.
        gflops_published: what the source says; the model zoo of pytorchvideo has counts without norms, with
            2, and with 5 per input of a batch norm.
        top1: published accuracy on the validation clips of Kinetics-400, in %, at this clip size.
        top5: the same for the five likeliest classes.
        views: clips per video that its predictions were averaged over: crops x positions in time.
        pretrained: what the network of that accuracy was trained on before Kinetics, empty for nothing.
        source: of what is published, or "measured".
    """

    name: str
    width: float
    frames: int
    stride: int
    size: int
    parameters: int
    gflops: float
    gflops_with_norms: float
    gflops_published: float | None
    top1: float | None
    top5: float | None
    views: str
    pretrained: str
    source: str


@dataclass(frozen=True)
class BackboneTable:
    """Sizes, costs and published accuracies of the backbones.

    Attributes:
        rows: the rows by backbone; the first of each is the clip size that it was designed for.
    """

    rows: dict[str, list[BackboneRow]]

    def __iter__(self) -> Iterator[BackboneRow]:
        return (row for rows in self.rows.values() for row in rows)

    def __str__(self) -> str:
        return self.to_frame().to_string(index=False)

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per backbone and clip size; columns: the attributes of `BackboneRow`."""
        import pandas as pd  # takes half a second

        return pd.DataFrame([asdict(row) for row in self])


def backbone_table() -> BackboneTable:
    """Return the parameters, operations and published accuracies of the backbones at their clip sizes.

    Backbones of other libraries, such as timm, are not in it.
    """
    return BackboneTable(read())


def read() -> dict[str, list[BackboneRow]]:
    """Return the rows by backbone, the one of its home first."""
    spec = importlib.util.find_spec("ssl_video.backbones")
    assert spec is not None
    assert spec.origin is not None
    rows = dict[str, list[BackboneRow]]()
    with Path(spec.origin).with_name("reference.csv").open(encoding="utf-8", newline="") as file:
        for cells in csv.DictReader(file):
            row = BackboneRow(
                name=cells["name"],
                width=float(cells["width"]),
                frames=int(cells["frames"]),
                stride=int(cells["stride"]),
                size=int(cells["size"]),
                parameters=int(cells["parameters"]),
                gflops=float(cells["gflops"]),
                gflops_with_norms=float(cells["gflops_with_norms"]),
                gflops_published=_number(cells["gflops_published"]),
                top1=_number(cells["top1"]),
                top5=_number(cells["top5"]),
                views=cells["views"],
                pretrained=cells["pretrained"],
                source=cells["source"],
            )
            rows.setdefault(row.name, []).append(row)
    return rows


def _number(cell: str) -> float | None:
    return float(cell) if cell else None
