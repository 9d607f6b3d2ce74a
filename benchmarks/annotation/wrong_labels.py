"""Measure how early the check of labels finds labels that were made wrong.

    python -m ssl_video.benchmarks.annotation.wrong_labels CLIPS.npz [--source '_g[0-9]+']

CLIPS.npz is a file of `ssl-video features` with labels, which count as right. Each of 20 draws takes 100
random clips, and gives a tenth of them another label, drawn from all others. The clips are ranked by each
score:

- suspected: those that look wrong by self-confidence, as `ssl-video suggest --check-labels` lists them, then
  the others likewise;
- confident joint: those off its diagonal by self-confidence, then the others likewise;
- self-confidence (the probability of the label), normalized margin: all clips by the score;
- random: the expectation.
"""

from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

from ssl_video.annotation.label_errors import check_labels, normalized_margin
from ssl_video.benchmarks.annotation.data import LabeledClips, read, written

COUNTS = (5, 10, 15, 20, 30)


class FoundLabels(NamedTuple):
    """Shares of wrong labels, by draw.

    Attributes:
        precision: by score, (draws, counts): of the first so many clips, the fraction whose label is wrong.
        recall: likewise, of the wrong labels the fraction that is among the first so many clips.
        sets: of the suspected clips and of those off the diagonal of the confident joint, (draws, 3): their
            number, the fraction of them whose label is wrong, and of the wrong labels the fraction that is
            there.
    """

    precision: dict[str, np.ndarray]
    recall: dict[str, np.ndarray]
    sets: dict[str, np.ndarray]


def measure(clips: LabeledClips, draws: int, size: int, wrong: float) -> FoundLabels:
    """Plant wrong labels, and look for them.

    Args:
        clips: the clips with their right labels.
        draws: number of draws.
        size: clips of a draw.
        wrong: fraction of them whose labels are changed.
    """
    precision, recall, sets = (dict[str, list[list[float]]]() for _ in range(3))
    for draw in range(draws):
        generator = np.random.default_rng(draw)
        some = clips.of(np.sort(generator.choice(len(clips.labels), size, replace=False)))
        labels, planted = plant(some.labels, len(clips.classes), round(wrong * size), generator)
        checked = check_labels(some.features, labels, some.sources, len(clips.classes), seed=draw)
        quality = np.where(checked.checked, checked.quality, 1)
        margin = np.where(checked.checked, normalized_margin(checked.probabilities, labels), 1)
        orders = {
            "suspected": np.lexsort((quality, ~checked.suspected)),
            "confident joint": np.lexsort((quality, ~checked.joint)),
            "self-confidence": np.argsort(quality, kind="stable"),
            "normalized margin": np.argsort(margin, kind="stable"),
        }
        for name, order in orders.items():
            hits = planted[order].cumsum()[[count - 1 for count in COUNTS]]
            precision.setdefault(name, []).append((hits / COUNTS).tolist())
            recall.setdefault(name, []).append((hits / planted.sum()).tolist())
        for name, chosen in (("suspected", checked.suspected), ("confident joint", checked.joint)):
            number, hit = int(chosen.sum()), int((chosen & planted).sum())
            sets.setdefault(name, []).append([number, hit / max(number, 1), hit / planted.sum()])
    return FoundLabels(
        *({name: np.array(values) for name, values in kind.items()} for kind in (precision, recall, sets))
    )


def plant(
    labels: np.ndarray, classes: int, number: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Give random clips another label; return all labels, (N,), and which are wrong, (N,) bool."""
    rows = generator.choice(len(labels), number, replace=False)
    changed, planted = labels.copy(), np.zeros(len(labels), bool)
    changed[rows] = (labels[rows] + generator.integers(1, classes, number)) % classes
    planted[rows] = True
    return changed, planted


def table(found: FoundLabels, wrong: float, size: int) -> str:
    """Return the fractions in percent with 95 % t-intervals, as Markdown."""
    lines = []
    for title, kind in (("precision", found.precision), ("recall", found.recall)):
        lines += [f"| {title} | {' | '.join(map(str, COUNTS))} |", f"|{'---|' * (len(COUNTS) + 1)}"]
        for name, fractions in kind.items():
            cells = [written(100 * column, ".0f") for column in fractions.T]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        chance = [100 * wrong if title == "precision" else 100 * count / size for count in COUNTS]
        lines += [f"| random | {' | '.join(f'{share:.0f}' for share in chance)} |", ""]
    lines += ["| labels | number | of them wrong | of the wrong ones |", "|---|---|---|---|"]
    for name, fractions in found.sets.items():
        cells = [written(column, ".0f") for column in (fractions * [1, 100, 100]).T]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} % | {cells[2]} % |")
    return "\n".join(lines)


@click.command()
@click.argument("clips", type=click.Path(path_type=Path))
@click.option("--source", default="", help="regular expression of a source video in a file's name")
@click.option("--draws", type=click.IntRange(2), default=20, show_default=True)
@click.option("--size", type=click.IntRange(max(COUNTS)), default=100, show_default=True)
@click.option("--wrong", type=click.FloatRange(0, 1, min_open=True), default=0.1, show_default=True)
def main(clips: Path, source: str, draws: int, size: int, wrong: float) -> None:
    """Measure how early the check of labels finds labels that were made wrong."""
    print(table(measure(read(clips, source), draws, size, wrong), wrong, size))


if __name__ == "__main__":
    main()
