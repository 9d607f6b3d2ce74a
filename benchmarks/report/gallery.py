"""Clips with their true, given and predicted labels, chosen by rules and shown as short films."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ssl_video.benchmarks.analysis import audit, pair
from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.filmstrips import FRAMES, SIDE, Film, FilmSource
from ssl_video.benchmarks.report.html import notes, paragraph
from ssl_video.benchmarks.report.run_groups import Group, groups
from ssl_video.benchmarks.tables.comparison import COLUMN_KEYS
from ssl_video.errors import InputError
from ssl_video.figures.drawing import escape

if TYPE_CHECKING:
    from ssl_video.runs.pseudo_labels import PseudoLabels

METHODS, CLIPS = 4, 4  # methods per data set, and clips of each kind
LARGEST = 2_500_000  # bytes of all films together
_LOOKED_AT = 200


class Shown(NamedTuple):
    """A clip with its class and the predictions for it."""

    clip: str
    truth: str
    guesses: tuple[str, ...]


class ClipKind(NamedTuple):
    """Clips chosen by one rule."""

    rule: str
    clips: list[Shown]


def section(report: ReportData) -> Section | None:
    """Return the section with clips of the best methods of each data set whose files are available."""
    if not report.gallery:
        return None
    store, parts, reasons = _Store(), list[str](), list[str]()
    for (data, fingerprint), found in groupby(_first_protocols(report), key=lambda one: one[0]):
        chosen = best(report, [group for _, group in found])
        run = report.run(chosen[0].runs[0]) if chosen else None
        result = report.result(run["run"]) if run else None
        try:
            source = FilmSource(result.spec, fingerprint) if result else None
        except InputError as error:
            reasons += [f"{data}: no clips, {problem}" for problem in error.problems]
            continue
        if source:
            parts += [_method(report, group, source, store) for group in chosen]
    if not any(parts):
        return Section("gallery", "Clips", notes(reasons)) if reasons else None
    explanation = paragraph(
        f"Clips of the {METHODS} methods with the highest mean top-1 on the first protocol of each data set,",
        "beside the baseline, each from the run of the first draw and seed. The heading above the clips",
        "names the rule by which they are chosen, at most one per class; the surest are those with the",
        f"highest confidence of either. A film shows {FRAMES} frames, evenly spaced over the whole clip,",
        "cropped to the central square. It plays while the pointer rests on it or it is selected.",
        f"All films together take {store.size / 1e6:.1f} MB; `--no-gallery` leaves them out.",
    )
    play = '<label class="playall"><input type="checkbox" class="play"> play all</label>'
    html = f"{explanation}{notes(reasons)}{play}{store.style()}{''.join(parts)}"
    return Section("gallery", "Clips", html)


def best(report: ReportData, found: Iterable[Group]) -> list[Group]:
    """Return the METHODS groups of a protocol with the highest mean top-1, without the baseline's."""
    top1 = report.frame.set_index("run")["top1"]
    others = [group for group in found if not _is_baseline(report, group.runs[0])]
    return sorted(others, key=lambda group: -float(top1[list(group.runs)].mean()))[:METHODS]


def partner(report: ReportData, run: str) -> str | None:
    """Return the baseline's run with the same labels and seed, and the same setting if there is one."""
    own = report.run(run)
    found = [
        (other["setting"] != own["setting"], other["run"])
        for other in report.frame.to_dict("records")
        if _is_baseline(report, other["run"])
        and all(other[key] == own[key] for key in (*COLUMN_KEYS, "fingerprint", "seed"))
    ]
    return min(found)[1] if found else None


def one_a_class(clips: Iterable[Shown], most: int = CLIPS) -> list[Shown]:
    """Return the first `most` clips of different classes."""
    chosen: dict[str, Shown] = {}
    for shown in clips:
        if len(chosen) < most:
            chosen.setdefault(shown.truth, shown)
    return list(chosen.values())


def pseudo_labels(made: "PseudoLabels", network: str) -> Iterator[ClipKind]:
    """Yield the clips whose wrong labels by a network were used most often, then those with right ones."""
    wrong = (
        Shown(
            found.clip,
            found.truth,
            (f"✗ {found.label}", f"wrong and used {found.wrong} of {found.seen} times"),
        )
        for found in audit.mistakes(made, network, _LOOKED_AT)
    )
    yield ClipKind(f"wrong labels by {network}, used most often", one_a_class(wrong))
    labels, used = made.labels[network], made.weights[network] > 0
    right = np.bincount(made.indices[used & (labels == made.truths[made.indices])], minlength=len(made.clips))
    seen = np.bincount(made.indices[labels >= 0], minlength=len(made.clips))
    order = np.lexsort((made.clips, -right))[: min(_LOOKED_AT, int((right > 0).sum()))]
    always = (
        Shown(
            str(made.clips[clip]),
            (truth := str(made.classes[made.truths[clip]])),
            (f"✓ {truth}", f"right and used {right[clip]} of {seen[clip]} times"),
        )
        for clip in order.tolist()
    )
    yield ClipKind(f"right labels by {network}, used most often", one_a_class(always))


def tests(found: pair.Pair, method: str, baseline: str) -> Iterator[ClipKind]:
    """Yield the test clips that only the method gets right, then only the baseline, surest first."""
    rows = [
        (truth, Shown(clip, truth, (_guess(method, truth, ours), _guess(baseline, truth, theirs))), ours[0])
        for clip, truth, ours, theirs in found.disagreements()
    ]
    wins = one_a_class(shown for truth, shown, guess in rows if guess == truth)
    losses = one_a_class(shown for truth, shown, guess in rows if guess != truth)
    yield ClipKind(f"test clips that {method} predicts right and {baseline} wrong, the surest", wins)
    yield ClipKind(f"test clips that {baseline} predicts right and {method} wrong, the surest", losses)


class _Store:
    """The films of the page, each stored once, up to LARGEST bytes."""

    def __init__(self) -> None:
        self._films: dict[Film, int] = {}
        self.size = 0

    def name(self, film: Film | None) -> str:
        """Return the CSS class that shows a film; "" if there is none, or no more room."""
        if film is None or (film not in self._films and self.size + len(film.address) > LARGEST):
            return ""
        if film not in self._films:
            self._films[film] = len(self._films)
            self.size += len(film.address)
        return f"film{self._films[film]}"

    def style(self) -> str:
        """Return a style sheet with all films."""
        rules = [f".film{n}{{background-image:url({film.address})}}" for film, n in self._films.items()]
        return f"<style>{''.join(rules)}</style>"


def _first_protocols(report: ReportData) -> list[tuple[tuple[str, str], Group]]:
    """Return the groups of the first protocol of each data set, with its name and fingerprint."""
    found, first = [], dict[tuple[str, str], str]()
    for group in groups(report):
        run = report.run(group.runs[0])
        key = run["dataset"], run["dataset_fingerprint"]
        if first.setdefault(key, group.labels) == group.labels:
            found.append((key, group))
    return sorted(found, key=lambda one: one[0])


def _is_baseline(report: ReportData, run: str) -> bool:
    own = report.run(run)
    return report.baseline in (own["algorithm"], own["configuration"])


def _method(report: ReportData, group: Group, source: FilmSource, store: _Store) -> str:
    """Draw the clips of one method's first run."""
    run, kinds = group.runs[0], list[ClipKind]()
    made = report.pseudo_labels(run)
    for network in made.labels if made else ():
        assert made
        kinds += pseudo_labels(made, network)
    other = partner(report, run)
    try:
        found = pair.load(report.folder(run), report.folder(other)) if other else None
    except InputError:
        found = None
    if found:
        kinds += tests(found, group.method, report.labels[other or ""])
    parts = [_kind(kind, source, store) for kind in kinds]
    if not any(parts):
        return ""
    where = f"{group.labels}, seed {report.run(run)['seed']}"
    heading = f"<h3>{escape(group.method)} <span class='soft'>{escape(where)}</span></h3>"
    return heading + "".join(parts)


def _kind(kind: ClipKind, source: FilmSource, store: _Store) -> str:
    figures = []
    for shown in kind.clips:
        film = source.film(shown.clip)
        name = store.name(film)
        if film and name:
            figures.append(_figure(shown, name, film.side))
    if not figures:
        return ""
    return f"<h5>{escape(kind.rule)}</h5><div class='films'>{''.join(figures)}</div>"


def _figure(shown: Shown, name: str, side: int) -> str:
    spoken = f"{FRAMES} frames of {shown.clip}: {shown.truth}; {'; '.join(shown.guesses)}"
    small = " small" if side < SIDE else ""
    lines = "".join(f"<br>{escape(text)}" for text in shown.guesses)
    return (
        f'<figure class="clip" tabindex="0"><div class="film {name}{small}" role="img" '
        f'aria-label="{escape(spoken)}" title="{escape(shown.clip)}"></div>'
        f"<figcaption><b>{escape(shown.truth)}</b>{lines}</figcaption></figure>"
    )


def _guess(method: str, truth: str, guess: tuple[str, float]) -> str:
    name, confidence = guess
    return f"{'✓' if name == truth else '✗'} {method}: {name} {confidence:.2f}"
