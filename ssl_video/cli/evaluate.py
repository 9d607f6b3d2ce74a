"""`ssl-video evaluate`: test a checkpoint on a data set's test clips."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.text import NAMED, Table, printable, say_notes

_SHOWN = 40  # classes that a terminal shows


@click.command()
@options.checkpoint_argument
@options.trust_option
@options.spec_option("data", "those of the run", metavar="TEXT")
@options.spec_option("root", metavar="TEXT")
@options.spec_option("split", "as in the run", metavar="TEXT")
@options.spec_option("test_clips", "as in the run", type=click.IntRange(1), metavar="N")
@options.spec_option("test_crops", "as in the run", type=click.Choice(["1", "3"]))
@click.option("--per-class", is_flag=True, help="also show recall, precision, F1 and confusion of each class")
@click.option(
    "--reliability", is_flag=True, help="also show the accuracy of clips by probability, in 15 bins"
)
@click.option(
    "--confusion",
    metavar="FILE",
    help="write the confusion matrix as a .csv table, or as a .svg or .pdf picture",
)
@click.option(
    "--predictions", metavar="FILE", help="write label and probability of every clip to a .csv file"
)
@options.device_option
@options.json_option
@options.data_options
def command(
    checkpoint: Path,
    data: str | None,
    root: str | None,
    split: str | None,
    test_clips: int | None,
    test_crops: str | None,
    per_class: bool,
    reliability: bool,
    confusion: str | None,
    predictions: str | None,
    device: str,
    as_json: bool,
    skip_broken: bool,
    cache_gib: float,
    trust: bool,
) -> None:
    """Test a run's folder or checkpoint file on a data set's test clips.

    Without --data, a run that was trained on all labels after a cross-validation (train --folds 5) shows what
    the runs of its folds found: each labeled clip is tested by the network that was trained without it.
    """
    model = sv.load_model(checkpoint, device, trust=trust)
    shown = sv.ConsoleObserver()
    views = {"test_clips": test_clips, "test_crops": int(test_crops) if test_crops else None}
    files = {"confusion": confusion, "predictions": predictions}
    found = model.cross_validation() if data is root is split is None else None
    if found:
        _check_unused(views | {"skip_broken": skip_broken or None})
        notes = ["each labeled clip is tested by the network that was trained without its fold"]
        notes += found.write(**files)
        dataset, clips = sv.open_run(model.folder or checkpoint).result.dataset, "labeled clips in folds"
    else:
        opened = model.open_data(
            data, root, split, skip_broken=skip_broken, cache_gib=cache_gib, progress=shown
        )
        notes = [*opened.index.notes, *_unread(opened.broken)]
        found = model.evaluate(opened, progress=shown, **dict[str, Any](views | files))
        dataset, clips = opened.index.name, "test clips"
    for name in filter(None, files.values()):
        click.echo(f"wrote {name}", err=True)
    say_notes([*model.notes, *notes, *_calibration(model, found, views)])
    if as_json:
        print(_json(dataset, model, found, per_class))
        return
    Console().print(_accuracies(f"{dataset}, {clips}", found))
    if per_class:
        for name in found:
            _show_classes(found, name)
    if reliability:
        for name in found:
            Console().print(_reliability(found, name))


def _check_unused(views: dict[str, int | None]) -> None:
    """Check that nothing is asked of the networks of folds, which are not run again."""
    given = [f"--{name.replace('_', '-')}" for name, value in views.items() if value is not None]
    if given:
        raise sv.InputError(
            f"{' and '.join(given)}: the outputs of a cross-validation are shown as they were stored: leave "
            "it out, or give --data"
        )


def _unread(broken: dict[str, str]) -> list[str]:
    """Return a sentence about clips that cannot be read."""
    if not broken:
        return []
    named = "; ".join(f"{name}: {why}" for name, why in [*broken.items()][:NAMED])
    more = f"; and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
    number = (
        "1 clip that cannot be read is"
        if len(broken) == 1
        else f"{len(broken):,} clips that cannot be read are"
    )
    return [f"{number} left out: {named}{more}"]


def _calibration(model: Any, found: Any, views: dict[str, int | None]) -> list[str]:
    """Return sentences about the temperatures."""
    notes = {name: model.calibration_note(name) for name in found}
    same = len({*notes.values()}) == 1
    sentences = [*notes.values()][:1] if same else [f"{name}: {note}" for name, note in notes.items()]
    changed = [key for key, value in views.items() if value not in (None, getattr(model.spec, key))]
    if model.temperatures and changed:
        sentences.append(
            f"the temperature was fitted with {model.spec.test_clips} test clips and "
            f"{model.spec.test_crops} crops of each"
        )
    sentences += [
        f"{name}: the temperature changes the label of {number:,} of {found.clips:,} clips, whose views "
        "disagree; accuracies and the tables of classes are without it"
        for name, number in found.relabeled.items()
        if number
    ]
    return sentences


def _json(dataset: str, model: Any, found: Any, per_class: bool) -> str:
    """Return all numbers as JSON."""
    pairs = found.calibration_errors().items()
    errors = {name: {"before": before, "after": after} for name, (before, after) in pairs}
    calibration = {"temperatures": dict(model.temperatures), "expected_calibration_error": errors}
    calibration["reliability"] = json.loads(found.reliability().to_json(orient="records"))
    content = {"dataset": dataset, "test": found.clips, "predictors": found, "calibration": calibration}
    if per_class:
        content["per_class"] = json.loads(found.per_class().to_json(orient="records"))
    return json.dumps(content, indent=1)


def _accuracies(title: str, found: Any) -> Table:
    """Return the table of accuracies."""
    table = Table(title=printable(f"{title}: {found.clips:,}"), title_justify="left")
    table.add_column("predictor")
    for name in ("top-1 %", "top-5 %", "mean class %", "calibration error %", "calibrated %"):
        table.add_column(name, justify="right")
    errors = found.calibration_errors()
    for name, score in found.items():
        fractions = [*(score[key] for key in ("top1", "top5", "mean_class")), *errors[name]]
        table.add_row(name, *(_percent(fraction) for fraction in fractions))
    return table


def _show_classes(found: Any, predictor: str) -> None:
    """Print the table of a predictor's classes; of many, those with the lowest recall."""
    rows = [row for row in found.per_class().to_dict("records") if row["predictor"] == predictor]
    lowest = sorted(rows, key=lambda row: row["recall"])[:_SHOWN] if len(rows) > _SHOWN else rows
    table = Table(title=f"{predictor}, by class", title_justify="left")
    table.add_column("class", overflow="fold")
    for name in ("clips", "recall %", "precision %", "F1 %"):
        table.add_column(name, justify="right")
    table.add_column("most often confused with", overflow="fold")
    for row in lowest:
        fractions = [_percent(row[key]) for key in ("recall", "precision", "f1")]
        confused = f"{row['confused_with']} ({row['confused']:,})" if row["confused"] else ""
        table.add_row(printable(row["class"]), f"{row['clips']:,}", *fractions, printable(confused))
    Console().print(table)
    if len(rows) > len(lowest):
        print(f"the {_SHOWN} of {len(rows):,} classes with the lowest recall; --json prints all")


def _reliability(found: Any, predictor: str) -> Table:
    """Return the table of a predictor's bins, before its temperature and after it."""
    rows = [row for row in found.reliability().to_dict("records") if row["predictor"] == predictor]
    sides = (False, True) if any(row["calibrated"] for row in rows) else (False,)
    table = Table(title=f"{predictor}, clips by probability", title_justify="left")
    table.add_column("probability")
    for calibrated in sides:
        for name in ("clips", "mean %", "accuracy %"):
            table.add_column(("calibrated: " if calibrated else "") + name, justify="right")
    cells = dict[tuple[float, float], dict[bool, list[str]]]()
    for row in rows:
        fractions = [_percent(row[key]) for key in ("probability", "accuracy")]
        place = cells.setdefault((row["above"], row["up_to"]), {})
        place[row["calibrated"]] = [f"{row['clips']:,}", *fractions]
    for (above, up_to), found_there in sorted(cells.items()):
        numbers = [cell for side in sides for cell in found_there.get(side, ["0", "–", "–"])]
        table.add_row(f"{above:.2f} to {up_to:.2f}", *numbers)
    return table


def _percent(fraction: float | None) -> str:
    """Return a fraction in per cent; a dash for none, which may be NaN."""
    return "–" if fraction is None or fraction != fraction else f"{100 * fraction:.1f}"
