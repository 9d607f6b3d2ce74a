"""`ssl-video list`: the table of the backbones, on terminals and in pipes."""

import io
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from helpers.command_line import Call
from rich.console import Console

from ssl_video import registry
from ssl_video.cli import reference

PLUGIN = EntryPoint("zz_mine", "my_package.backbones:mine", registry.backbones.package)


def screen(width: int) -> list[str]:
    """What a terminal of that width shows."""
    console = Console(file=io.StringIO(), width=width)
    reference.show(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 109, 110, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, screen(width))) <= width


def test_numbers_stand_under_their_names_and_texts_beside_them() -> None:
    lines = screen(120)
    head = lines[0]
    (slow,) = [line for line in lines if line.startswith("  slow_r50 ")]
    for name, number in {"clip": "8x8x224", "params": "32.5", "GFLOPs": "41.7", "K400": "74.6"}.items():
        end = head.index(name) + len(name)
        assert slow[:end].endswith(f" {number}"), name
    assert slow[end:].startswith("   3D-ResNet50")
    # Trained on ImageNet before.
    assert any(line.startswith("  swin3d_t ") and " 77.7*  " in line for line in lines)
    # Published as 78.85, which a binary fraction cannot hold: half is rounded up.
    assert any(line.startswith("  mvit_base_16x4 ") and " 78.9   " in line for line in lines)


def test_texts_stand_below_on_a_narrow_terminal() -> None:
    lines = screen(80)
    place = next(i for i, line in enumerate(lines) if line.startswith("  slow_r50 "))
    assert lines[place].endswith(" 74.6")
    assert lines[place + 1].startswith("      3D-ResNet50")


def test_plugins_and_families_have_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: [PLUGIN])
    lines = screen(120)
    beside = lines[0].index("K400") + len("K400* ") + 1
    for name, words in (("zz_mine", "from my_package.backbones:mine"), ("timm", "Any image network")):
        (line,) = [line for line in lines if line.startswith(f"  {name} ")]
        assert line[:beside].split() == [name]
        assert line[beside:].startswith(words)


def test_in_a_pipe_every_entry_is_one_uncut_line(call: Call, tmp_path: object) -> None:
    lines = call("list", cwd=tmp_path).stdout.splitlines()
    for registered in (registry.algorithms, registry.backbones):
        for name, text in registered.describe().items():
            (line,) = [line for line in lines if line.split()[:1] == [name] and text.split()[0] in line]
            assert " ".join(line.split()).endswith(" ".join(text.split()))


def test_torch_is_not_imported() -> None:
    code = (
        "import sys\n"
        "from rich.console import Console\n"
        "from ssl_video.cli import list, reference\n"
        "reference.show(Console())\n"
        "assert not {'torch', 'pandas', 'ssl_video.backbones'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_list_shows_every_kind(call: Call, tmp_path: Path) -> None:
    done = call("list", cwd=tmp_path)
    for word in ("cmpl", "slow_r50", "tiny3d", "per-class:N", "demo"):
        assert word in done.stdout
    assert "cmpl" not in call("list", "backbones", cwd=tmp_path).stdout
