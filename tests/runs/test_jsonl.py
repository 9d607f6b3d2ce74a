"""Reading records: a whole one, or a sentence."""

from pathlib import Path

import pytest
from helpers.damaged import FEW, damages
from hypothesis import given

from ssl_video.errors import InputError
from ssl_video.runs import jsonl
from ssl_video.runs.folder import METRICS

LINES = [
    {"step": 0, "learning_rate": 0.1, "loss/labeled": None},
    {"step": 1, "learning_rate": 0.5, "loss/labeled": 2},
]
TEXT = (
    '{"step": 0, "learning_rate": 0.1, "loss/labeled": null}\n'
    '{"step": 1, "learning_rate": 0.5, "loss/labeled": 2}\n'
)


def test_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / METRICS
    assert jsonl.read(path) == []
    path.write_text(TEXT + '{"step": 2, "learn')
    assert jsonl.read(path) == LINES


@pytest.mark.parametrize(
    "line",
    [
        b"[1, 2]",
        b'{"a": 1}',
        b'{"step": "x"}',
        b'{"step": true}',
        b'{"step": 1}',
        b'{"step": 2, "loss/a": "b"}',
        b'{"step": 2, "primary": {"top1": []}}',
        b"\xff\xfe",
        b"nothing",
        b'{"step": 2, "a": ' + b"[" * 100_000,
        b"1" * 5000,
    ],
)
def test_a_line_that_is_no_record(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / METRICS
    path.write_bytes(TEXT.encode() + line + b"\n")
    with pytest.raises(InputError, match=r"metrics\.jsonl is damaged: "):
        jsonl.read(path)


def test_damaged_records_are_not_continued(tmp_path: Path) -> None:
    """Whatever the damage is: the run goes on, and the record is as it was written or says that it is not."""
    path = tmp_path / METRICS

    @FEW
    @given(content=damages(TEXT.encode()))
    def check(content: bytes) -> None:
        path.unlink(missing_ok=True)
        before, said = jsonl.Records(tmp_path), list[str]()
        before.write(METRICS, LINES)
        path.write_bytes(content)
        with_damage = jsonl.Records(tmp_path)
        with_damage.warn = said.append
        with_damage.resume([METRICS], before.state())
        with_damage.write(METRICS, [{"step": 2}])
        steps = [row["step"] for row in jsonl.read(path)]
        whole = content.startswith(TEXT.encode())  # behind it, lines of later steps are dropped
        assert steps == ([0, 1, 2] if whole else [2])
        assert with_damage.damaged() == ([] if whole else [METRICS])
        assert len(said) == (not whole)

    check()
