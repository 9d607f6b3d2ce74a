"""`ssl_video.data.doctor` called by a program; the command is tested in tests/cli/test_doctor.py."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ssl_video.data import doctor

SCRIPT = """
import sys
import ssl_video as sv
print("begun")
found = sv.data.doctor(sys.argv[1], decoders=2)
print(sorted(found.reasons.items()), found.looked, found.quarantine.exists(), found.to_frame().shape)
print([(lost.label, lost.clips, lost.quarantined) for lost in found.classes])
"""


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_not_run_again(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    """Its processes would run it, fail, and every file would count as one that crashes the decoder."""
    for name in ("bow", "wave"):
        for clip in range(4):
            make_video(tmp_path / "data" / name / f"{clip}.mkv", 6, 20, 24, clip=clip)
    (tmp_path / "data" / "wave" / "0.mkv").write_bytes(b"no video" * 100)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"SSL_VIDEO_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, script, tmp_path / "data"],
        capture_output=True, text=True, check=False, env=environment, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reason = "invalid data found when processing input"
    assert done.stdout.splitlines() == [
        "begun",
        f"{[('wave/0.mkv', reason)]} 8 True (8, 16)",
        "[('wave', 4, 1), ('bow', 4, 0)]",
    ]


@pytest.mark.slow
def test_folders_of_pictures_are_examined(tmp_path: Path) -> None:
    for clip, sizes in (("run/a", (8, 8)), ("sit/b", (8, 8)), ("sit/odd", (8, 9))):
        (tmp_path / "lab" / clip).mkdir(parents=True)
        for number, side in enumerate(sizes):
            Image.new("RGB", (side, 6)).save(tmp_path / "lab" / clip / f"{number}.png")
    found = doctor(tmp_path / "lab")
    facts = found.facts[0]
    assert (facts.container, facts.codec, facts.width, facts.height, facts.frames) == (
        "pictures",
        "png",
        8,
        6,
        2,
    )
    assert found.reasons == {"sit/odd": "the pictures have several sizes: 8 x 6, 9 x 6"}
    assert doctor(tmp_path / "lab").looked == 0
    Image.new("RGB", (9, 6)).save(tmp_path / "lab/sit/odd/0.png")
    again = doctor(tmp_path / "lab")
    assert (again.looked, again.reasons) == (1, {})
