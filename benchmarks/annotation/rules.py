"""The accuracy that labels chosen by each rule lead to, round by round.

    python -m ssl_video.benchmarks.annotation.rules TRAIN.npz [--test TEST.npz] [--source '_g[0-9]+']

TRAIN.npz and TEST.npz are files of `ssl-video features` with labels. One clip of each class is labeled at
first, since a run cannot begin without its classes. In each of five rounds, a rule then chooses as many clips
as there are classes (or `--number`), and their labels are revealed. The model is logistic regression on the
features. Each of 20 draws has other first clips. Without `--test`, each draw also holds out other clips for
testing, three tenths of the source videos of each class: the default rule is the best on these. With it, the
test clips are those of the second file.
"""

from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

from ssl_video.algorithms.parts.logistic import fit, normalised
from ssl_video.annotation.rules import RULES, Candidates, choose
from ssl_video.benchmarks.annotation.data import LabeledClips, read, written

BASELINE = "random"
_HELD_OUT = 0.3


class RuleAccuracies(NamedTuple):
    """Accuracies in [0, 1] by rule.

    Attributes:
        labels: (R,) numbers of labeled clips, at first and after each round.
        accuracies: by rule, (draws, R).
    """

    labels: list[int]
    accuracies: dict[str, np.ndarray]

    def gains(self, rule: str) -> np.ndarray:
        """Return the paired differences to random, (draws, R); the last column is the mean over rounds."""
        apart = self.accuracies[rule] - self.accuracies[BASELINE]
        found: np.ndarray = np.column_stack([apart[:, 1:], apart[:, 1:].mean(1)])
        return found


def measure(
    train: LabeledClips, test: LabeledClips | None, draws: int, rounds: int, number: int = 0
) -> RuleAccuracies:
    """Label clips by each rule.

    Args:
        train: the clips to choose from.
        test: the test clips; None: see the module.
        draws: number of draws.
        rounds: number of rounds.
        number: clips of a round; 0: one for each class.
    """
    classes = len(train.classes)
    number = number or classes
    scores = {rule: np.zeros((draws, rounds + 1)) for rule in RULES}
    for draw in range(draws):
        generator = np.random.default_rng(draw)
        pool, held = (train, test) if test else split(train, generator)
        first = one_of_each(pool.labels, generator)
        for rule, found in scores.items():
            found[draw] = label(rule, pool, held, first, rounds, number, draw)
    return RuleAccuracies([classes + number * n for n in range(rounds + 1)], scores)


def split(clips: LabeledClips, generator: np.random.Generator) -> tuple[LabeledClips, LabeledClips]:
    """Hold out three tenths of the source videos of each class; return the others and these."""
    held = np.zeros(len(clips.labels), bool)
    for number in range(len(clips.classes)):
        names = generator.permutation(np.unique(clips.sources[clips.labels == number]))
        held |= np.isin(clips.sources, names[: max(1, round(_HELD_OUT * len(names)))])
    return clips.of(~held), clips.of(held)


def one_of_each(labels: np.ndarray, generator: np.random.Generator) -> list[int]:
    """Return a random row of each class."""
    return [int(generator.choice(np.flatnonzero(labels == number))) for number in np.unique(labels)]


def label(
    rule: str, pool: LabeledClips, test: LabeledClips, first: list[int], rounds: int, number: int, seed: int
) -> list[float]:
    """Return the test accuracy before and after each round of labels that a rule asks for."""
    inputs, outputs, labeled = normalised(pool.features), normalised(test.features), [*first]
    classes, found = len(pool.classes), list[float]()
    for turn in range(rounds + 1):
        fitted = fit(inputs[labeled], pool.labels[labeled])
        found.append(float((fitted.probabilities(outputs, classes).argmax(1) == test.labels).mean()))
        if turn < rounds:
            rows = np.setdiff1d(np.arange(len(pool.labels)), labeled)
            probabilities = fitted.probabilities(inputs[rows], classes)
            some = Candidates(pool.features[rows], probabilities, pool.features[labeled])
            labeled += rows[choose(rule, some, number, seed * rounds + turn)].tolist()
    return found


def table(found: RuleAccuracies) -> str:
    """Return the accuracies and the differences to random in percent, with 95 % t-intervals, as Markdown."""
    heads = [str(number) for number in found.labels]
    lines = [f"| labels | {' | '.join(heads)} | |", f"|{'---|' * (len(heads) + 2)}"]
    for rule, scores in found.accuracies.items():
        cells = [written(100 * column, ".1f") for column in scores.T]
        lines.append(f"| {rule} | {' | '.join(cells)} | |")
    lines += ["", f"| minus {BASELINE} | {' | '.join(heads[1:])} | mean |", f"|{'---|' * (len(heads) + 1)}"]
    for rule in (name for name in found.accuracies if name != BASELINE):
        cells = [written(100 * column, "+.1f") for column in found.gains(rule).T]
        lines.append(f"| {rule} | {' | '.join(cells)} |")
    return "\n".join(lines)


@click.command()
@click.argument("train", type=click.Path(path_type=Path))
@click.option("--test", type=click.Path(path_type=Path), help="test clips  [held out of the first file]")
@click.option("--source", default="", help="regular expression of a source video in a file's name")
@click.option("--draws", type=click.IntRange(2), default=20, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--number", type=click.IntRange(1), help="clips of a round  [one for each class]")
def main(train: Path, test: Path | None, source: str, draws: int, rounds: int, number: int | None) -> None:
    """Measure the accuracy that labels chosen by each rule lead to, round by round."""
    clips = read(train, source)
    held = read(test, source, clips.classes) if test else None
    print(table(measure(clips, held, draws, rounds, number or 0)))


if __name__ == "__main__":
    main()
