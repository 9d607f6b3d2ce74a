"""Match methods at equal cost: choose steps that give all equally many clips, operations or seconds."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from filelock import FileLock

from ssl_video.benchmarks.running import costs
from ssl_video.data.progress import Progress
from ssl_video.errors import InputError
from ssl_video.files import read_bytes, replace_text
from ssl_video.networks import assemble, devices
from ssl_video.spec import Spec, configuration, digest, setting

_SECONDS = "step-seconds.json"


def matched(
    specs: Sequence[Spec],
    match: str,
    results: Path,
    device: torch.device,
    progress: Progress = lambda *_: None,
) -> list[Spec]:
    """Return specifications with the steps that their budget allows.

    Runs that would otherwise be compared at equal steps share one budget: the cost of the costliest method's
    steps, or the given amount. Each method gets the number of steps that comes nearest to the budget, at
    least one.

    Args:
        specs: resolved specifications.
        match: "steps", which changes nothing; "clips" (videos read), "forwards" (10^9 multiply-adds, forward
            and backward) or "seconds" (of the networks alone, on `device`). With an amount, as in
            "clips:54000", methods can be added later without changing the budget of the others.
        results: the results folder, which stores measured seconds: a new measurement would differ, and
            change all runs.
        device: the device that seconds are measured on.
        progress: called with the number of methods whose costs are known.

    Raises:
        InputError: no such match; an algorithm, network or view that cannot be built.
    """
    kind, amount = _parsed(match)
    if kind == "steps":
        return list(specs)
    cost: dict[str, Callable[[Spec], float]] = {
        "clips": costs.clips,
        "forwards": costs.gigaoperations,
        "seconds": lambda spec: _seconds(spec, results, device),
    }
    distinct = {configuration(spec): spec for spec in specs}
    known, budgets = dict[str, float](), dict[str, float]()
    for name, spec in distinct.items():
        progress("costs of a step", len(known), len(distinct))
        known[name] = float(cost[kind](spec))
        budget = max(budgets.get(setting(spec), 0.0), spec.steps * known[name])
        budgets[setting(spec)] = amount or budget
    return [_within(spec, kind, budgets[setting(spec)], known[configuration(spec)]) for spec in specs]


def _parsed(match: str) -> tuple[str, float | None]:
    found = re.fullmatch(r"(?:steps|(clips|forwards|seconds)(?::(\d+(?:\.\d+)?))?)", match)
    if not found or float(found[2] or 1) == 0:
        raise InputError(
            f"match {match!r}: expected steps, clips, forwards or seconds, or one of the last three with an "
            "amount above 0, as in clips:54000"
        )
    return found[1] or "steps", float(found[2]) if found[2] else None


def _within(spec: Spec, kind: str, budget: float, cost: float) -> Spec:
    # Computed from the amount as it is written, so that passing this amount leads to the same runs.
    amount = f"{budget:.0f}" if budget >= 1e6 or budget.is_integer() else f"{budget:.6g}"
    return spec.model_copy(update={"steps": max(1, round(float(amount) / cost)), "match": f"{kind}:{amount}"})


def _seconds(spec: Spec, results: Path, device: torch.device) -> float:
    """Return the seconds of a step as first measured for this results folder."""
    file = results / _SECONDS
    # If two benchmarks start at once, the second uses the measurements of the first.
    results.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        known: dict[str, float] = json.loads(read_bytes(file)) if file.is_file() else {}
        same = spec.model_copy(update={"steps": 1})
        # A CPU by its type, as the machines of a cluster differ in it; GPUs differ by factors.
        name = devices.gpu(str(device)).name if device.type == "cuda" else device.type
        key = digest([assemble.configured(same), name])
        if key not in known:
            known[key] = float(f"{costs.seconds(spec, device):.4g}")
            replace_text(file, json.dumps(known, indent=1))
        return known[key]
