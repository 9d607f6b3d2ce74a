"""A method's page: a part written by hand, and below a marker a part generated from its class."""

import inspect
import re
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from ssl_video.contract import Algorithm, View
from ssl_video.errors import InputError
from ssl_video.options import declared
from ssl_video.pages import cost, results, source
from ssl_video.pages.markdown import code, linked, table
from ssl_video.registry import algorithms

END = "<!-- end -->"
_MARKED = re.compile(rf"<!-- generated: ssl-video algorithm page (.*?) -->.*?{END}", re.DOTALL)
_BUILTIN = "ssl_video.algorithms."


def marker(name: str) -> str:
    """Return the line above the generated part of a method's page."""
    return f"<!-- generated: ssl-video algorithm page {name} -->"


def generated(name: str, measured: Path) -> str:
    """Return the generated part of a method's page, including the markers.

    Args:
        name: name, entry point, or path/to/file.py:name.
        measured: folder of the leaderboards whose numbers are shown, if it exists.

    Raises:
        InputError: no such algorithm, or one that cannot be built with its default options.
    """
    constructor, method = algorithms.get(name), cost.small(name)
    parts = [
        marker(name),
        f"## Source\n\n{_source(constructor)}",
        f"## Differences from the paper\n\n{_bullets(method.differences)}",
        f"## Networks\n\n{_networks(method)}",
        f"## Views\n\n{_views(name, method)}",
        f"## Hyper-parameters\n\n{_options(name, constructor)}",
        f"## Cost of a step\n\n{_cost(method, cost.count(name))}",
        f"## Results\n\n{_results(short(name), measured)}",
        END,
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def refreshed(page: str, part: str, name: str) -> str:
    """Return a page with its generated part replaced; the text around it stays.

    Raises:
        InputError: the page lacks one of the markers, or belongs to another method.
    """
    found = _MARKED.search(page)
    if not found:
        raise InputError(f"it lacks the lines {marker(name)!r} and {END!r} that enclose the generated part")
    if short(found[1]) != short(name):
        raise InputError(f"it is the page of {found[1]}: give another file for {name}")
    return f"{page[: found.start()]}{part.strip()}{page[found.end() :]}"


def skeleton(name: str) -> str:
    """Return the start of a new page, above the marker: places to fill in and a first flowchart of views."""
    method = cost.small(name)
    lines = ["flowchart LR"]
    for purpose, views in (("labeled", method.labeled), ("unlabeled", method.unlabeled)):
        for number, (view, request) in enumerate(views.items()):
            role = request.network or next(iter(method.roles))
            lines.append(f'    {purpose}{number}["{purpose} {view}"] --> {role}')
    lines += [f"    {role} --> loss" for role in method.roles]
    return (
        f"# {source.title(type(method)) or short(name)}\n\n"
        "TODO: what it does, in five sentences.\n\n"
        f"```mermaid\n{chr(10).join(lines)}\n```\n\n"
        "TODO: where a pseudo-label comes from, and where gradients flow (in the flowchart, too).\n\n"
    )


def short(name: str) -> str:
    """Return the name in the registry of a method that may be given as path/to/file.py:name."""
    return name.rsplit(":", 1)[-1]


def networks(method: Algorithm) -> str:
    """Describe the networks in a few words: `primary`, `auxiliary` (width 0.25, rate 2)."""
    words = []
    for role, network in method.roles.items():
        facts = [f"width {network.width:g}"] if network.width != 1 else []
        facts += [f"rate {network.rate}"] if network.rate != 1 else []
        facts += [network.backbone] if network.backbone else []
        words.append(code(role) + (f" ({', '.join(facts)})" if facts else ""))
    return ", ".join(words)


def views(method: Algorithm) -> str:
    """Return the numbers of views of a labeled and of an unlabeled clip: "1 + 2"."""
    return f"{len(method.labeled)} + {len(method.unlabeled)}"


def _source(constructor: Any) -> str:
    file = Path(inspect.getfile(constructor)).name
    built_in = constructor.__module__.startswith(_BUILTIN)
    link = f"[`algorithms/{file}`](../../algorithms/{file})" if built_in else code(file)
    return "\n\n".join([*map(linked, source.paragraphs(constructor)), f"Code: {link}."])


def _bullets(items: tuple[str, ...]) -> str:
    return "\n".join(f"- {linked(item)}" for item in items) or "None given in its file."


def _networks(method: Algorithm) -> str:
    rows = [
        [
            code(role),
            f"{network.width:g}",
            _clip(View(network=role), method),
            code(network.backbone) if network.backbone else "the run's",
        ]
        for role, network in method.roles.items()
    ]
    first, *others = map(code, method.predictors())
    tested = f"Tested: {first}" + (f"; also {', '.join(others)}." if others else ".")
    return table(["role", "width", "frames × stride", "backbone"], rows) + f"\n{tested} {_legend()}"


def _views(name: str, method: Algorithm) -> str:
    rows = [
        [
            code(name),
            purpose,
            view.augmentation,
            _clip(view, method),
            code(view.network or next(iter(method.roles))) if len(method.roles) > 1 else "",
            "its own" if view.window == "own" else "shared",
            str(view.copy or ""),
        ]
        for purpose, wanted in (("labeled", method.labeled), ("unlabeled", method.unlabeled))
        for name, view in wanted.items()
    ]
    head = ["view", "of each clip", "augmentation", "frames × stride", "network", "window", "copy"]
    note = "Unlabeled clips are read by `fit` alone.\n" if method.fits_unlabeled else ""
    note = note or ("" if method.unlabeled else "Unlabeled clips are not read.\n")
    return f"{table(head, rows)}\n{note}`ssl-video data views CLIP --algo {name}` draws them."


def _legend() -> str:
    return "T and s are the run's `frames` and `stride`."


def _clip(view: View, method: Algorithm) -> str:
    """Return frames and stride of a view, relative to the run's if it does not fix them."""
    role = method.roles[view.network or next(iter(method.roles))]
    rate = Fraction(view.rate).limit_denominator(64) * role.rate
    frames = str(view.frames) if view.frames else _times(rate, "T")
    return f"{frames} × {view.stride if view.stride else _times(1 / rate, 's')}"


def _times(factor: Fraction, unit: str) -> str:
    over = f"/{factor.denominator}" if factor.denominator > 1 else ""
    return f"{factor.numerator if factor.numerator > 1 else ''}{unit}{over}"


def _options(name: str, constructor: Any) -> str:
    words = dict[str, str]()
    for owner in reversed(inspect.getmro(constructor)):
        words |= source.options(owner.__doc__ or "")
    rows = [
        [code(name), code(_value(option.default)), _type(option.type), words.get(name, "")]
        for name, option in declared(constructor).items()
    ]
    if not rows:
        return "None."
    return f"{table(['option', 'default', 'type', ''], rows)}\n`--set options.NAME=VALUE` changes one."


def _type(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(code(_value(value)) for value in get_args(hint))
    return "" if hint is None else hint.__name__ if isinstance(hint, type) else str(hint)


def _value(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _cost(method: Algorithm, counted: cost.LossCost) -> str:
    rows = [
        [code(network), *(f"{number:g}" for kind in (p.labeled, p.unlabeled) for number in kind)]
        for network, p in counted.passes.items()
    ]
    head = ["passes through", "labeled, with gradient", "without", "unlabeled, with gradient", "without"]
    others = [f"{code(r)} asks for {code(n.backbone)}" for r, n in method.roles.items() if n.backbone]
    instead = f"; {', '.join(others)}, which is not counted here" if others else ""
    return (
        f"**{counted.relative:.2f} times** the multiply-adds of supervised-only, counted for the loss and "
        f"its backward pass on {cost.LABELED} labeled and {cost.UNLABELED} unlabeled clips of {cost.FRAMES} "
        f"× {cost.STRIDE} frames, {cost.SIZE} px, at half of the training, with `{cost.BACKBONE}` in every "
        f"role{instead}. Passes are those of one clip, all its views together, whatever their length:\n\n"
        f"{table(head, rows)}"
    )


def _results(method: str, folder: Path) -> str:
    measured, reported = results.measured(method, folder), results.reported(method)
    parts = []
    if measured:
        what = "mean ± 95 % interval over runs (seeds and, where the protocol draws, labels)"
        parts.append(f"Measured with this code: {what}.\n\n{measured}")
    if reported:
        parts.append(
            "Published numbers, as printed by their sources; they differ in labeled clips, initial weights, "
            "input and training length, so rows are not a ranking (`benchmarks/published.csv`).\n\n"
            f"{reported}"
        )
    return "\n\n".join(part.strip() for part in parts) or "None published that we know of."
