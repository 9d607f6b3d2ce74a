"""Reading records: a whole one, or a sentence."""

import json
from pathlib import Path

import pytest
from helpers.damaged import FEW, damages
from hypothesis import given
from hypothesis import strategies as st

from ssl_video.errors import InputError
from ssl_video.runs import jsonl
from ssl_video.runs.folder import METRICS, UNFINISHED_PSEUDO_LABELS

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


def begun(folder: Path) -> tuple[jsonl.Records, list[str]]:
    """Records of a run that has written its first lines, and what it says."""
    records, said = jsonl.Records(folder), list[str]()
    records.warn = said.append
    records.resume([METRICS], {})
    records.write(METRICS, LINES)
    return records, said


def test_what_is_appended_to_a_record_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """As a torn line of another program; said once."""
    records, said = begun(tmp_path)
    path = tmp_path / METRICS
    for step in (2, 3):
        with path.open("a") as file:
            file.write('{"step": 9, "lear')
        records.write(METRICS, [{"step": step}])
    with path.open("a") as file:
        file.write("more\n")
    assert records.damaged() == []
    assert [row["step"] for row in jsonl.read(path)] == [0, 1, 2, 3]
    assert jsonl.checksum(path) == tuple(records.state()[METRICS][:2])
    assert said == [f"{path} held more than the run wrote: the rest is removed, and its own lines are kept"]


def test_a_record_that_cannot_be_continued_is_kept(tmp_path: Path) -> None:
    path, kept = tmp_path / METRICS, tmp_path / "metrics.jsonl.damaged"
    for damage, reason in (
        (lambda: path.write_text(path.read_text().replace("0.5", "0.6")), "was changed or removed since"),
        (lambda: path.write_text("cut"), "was changed or removed since"),
    ):
        kept.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        records, said = begun(tmp_path)
        damage()
        content = path.read_text()
        again = jsonl.Records(tmp_path)
        again.warn = said.append
        again.resume([METRICS], records.state())
        again.write(METRICS, [{"step": 2}])
        assert (kept.read_text(), again.damaged()) == (content, [METRICS])
        assert [row["step"] for row in jsonl.read(path)] == [2]
        assert reason in said[0]
        assert "the file is kept as metrics.jsonl.damaged" in said[0]


def test_a_record_of_an_older_version_is_kept_and_the_reason_is_true(tmp_path: Path) -> None:
    """Its checkpoints hold no checksums of it."""
    begun(tmp_path)
    again, said = jsonl.Records(tmp_path), list[str]()
    again.warn = said.append
    again.resume([METRICS, "validation.jsonl"], None)
    assert (tmp_path / "metrics.jsonl.damaged").read_text() == TEXT
    assert not (tmp_path / METRICS).exists()
    assert len(said) == 1
    assert "is not known to be whole, as the checkpoint is of an older version" in said[0]
    assert "changed" not in said[0]


def test_a_removed_record_is_not_said_to_be_kept(tmp_path: Path) -> None:
    records, said = begun(tmp_path)
    (tmp_path / METRICS).unlink()
    records.write(METRICS, [{"step": 2}])
    assert len(said) == 1
    assert "kept" not in said[0]


FILES = (METRICS, UNFINISHED_PSEUDO_LABELS)


def rows_of(name: str, step: int) -> list[dict[str, int]]:
    """The rows of a step: pseudo-labels have one for each process."""
    return [{"step": step, "process": process} for process in range(1 if name == METRICS else 2)]


def test_records_of_a_killed_run_have_each_step_once(tmp_path: Path) -> None:
    """Wherever it is killed, also within a line, and from whichever checkpoint it resumes."""
    lives = st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=4),  # steps, then a checkpoint
            st.integers(0, 3),  # steps that are being written
            st.integers(0, 80),  # bytes of them on the disk
            st.sampled_from(["current", "previous"]),
        ),
        max_size=5,
    )

    @FEW
    @given(lives=lives, steps=st.integers(8, 12))
    def check(lives: list[tuple[list[tuple[int, bool]], int, int, str]], steps: int) -> None:
        for name in FILES:
            (tmp_path / name).unlink(missing_ok=True)
        said, saved = list[str](), [(0, dict[str, tuple[int, int, bool]]())]

        def resumed() -> tuple[int, jsonl.Records]:
            records = jsonl.Records(tmp_path)
            records.warn = said.append
            records.resume(FILES, saved[-1][1])
            return saved[-1][0], records

        def write(records: jsonl.Records, start: int, end: int) -> None:
            for name in FILES:
                records.write(name, [row for step in range(start, end) for row in rows_of(name, step)])

        for parts, more, size, kept in lives:
            step, records = resumed()
            for count, checkpoint in parts:
                write(records, step, step + count)
                step += count
                if checkpoint:
                    saved.append((step, records.state()))
            for name in FILES:
                text = "".join(json.dumps(row) + "\n" for i in range(more) for row in rows_of(name, step + i))
                with (tmp_path / name).open("a") as file:
                    file.write(text[:size])
            if kept == "previous" and len(saved) > 1:
                saved.pop()
        step, records = resumed()
        write(records, step, max(step, steps))
        assert said == records.damaged() == []
        for name in FILES:
            found = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
            assert found == [row for i in range(max(step, steps)) for row in rows_of(name, i)]

    check()
