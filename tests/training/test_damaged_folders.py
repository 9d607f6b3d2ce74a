"""A finished run's folder with a damaged file: one reads what the run wrote, or an error in a sentence."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from helpers.damaged import FEW, damages
from helpers.resumed import ONCE, places
from hypothesis import given
from hypothesis import strategies as st

from ssl_video.benchmarks.report.data import ReportData
from ssl_video.benchmarks.running import watch
from ssl_video.benchmarks.tables import leaderboard
from ssl_video.errors import InputError
from ssl_video.inference.load import load
from ssl_video.runs.folder import RunFolder
from ssl_video.training.run import Plan, run


def _weights(folder: Path) -> object:
    model = load(folder, torch.device("cpu"))
    return {name: value.sum().item() for name, value in model.assembly.algorithm.state_dict().items()}


READERS: Mapping[str, Callable[[Path], object]] = {
    "result": lambda folder: RunFolder(folder).result.write(),
    "metrics": lambda folder: RunFolder(folder).metrics.to_csv(),
    "validation": lambda folder: RunFolder(folder).validation.to_csv(),
    "predictions": lambda folder: repr(RunFolder(folder).predictions),
    "pseudo-labels": lambda folder: repr(RunFolder(folder).pseudo_labels),
    "partition": lambda folder: RunFolder(folder).partition.to_csv(),
    "weights": _weights,
}


@pytest.fixture
def finished(make_plan: Callable[..., Plan], plugin: str, tmp_path: Path) -> list[Path]:
    """The folders of two finished runs with pseudo-labels, in one results folder."""
    plans = [make_plan(algorithm=plugin, seed=seed, steps=2, validation=1) for seed in (0, 1)]
    folders = [places(plan, tmp_path, "results")[0] for plan in plans]
    for plan, folder in zip(plans, folders, strict=True):
        run(plan, folder, ONCE)
    return folders


def test_a_damaged_file_is_told_or_makes_no_difference(finished: list[Path]) -> None:
    """Or one of another run. Tables and reports over all runs leave it out."""
    folder, other = finished
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    expected = {name: read(folder) for name, read in READERS.items()}
    results = folder.parents[1]

    @FEW
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(whole)))
        if data.draw(st.booleans()) and name != "result.json" and (other / name).exists():
            shutil.copy(other / name, folder / name)
        else:
            (folder / name).write_bytes(data.draw(damages(whole[name])))
        try:
            for kind, read in READERS.items():
                try:
                    found = read(folder)
                except InputError as error:
                    assert f"{folder / name}" in str(error), kind  # noqa: PT017 - most reads are fine
                else:
                    assert found == expected[kind], (name, kind)
            table = leaderboard.read(results)
            ReportData(results, table.frame).curves(folder.name)
            for each in watch.runs(results):
                list(each.refresh())
        finally:
            (folder / name).write_bytes(whole[name])

    check()
