"""`ssl_video.data.doctor` called by a program; the command is tested in tests/cli/test_doctor.py."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = """
import sys
import ssl_video as sv
print("begun")
found = sv.data.doctor(sys.argv[1], jobs=2)
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
