"""The example of a zero-shot teacher, with a small model of images and texts of random weights."""

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.paths import ROOT
from helpers.transformers_models import pair, processor, transformers

from ssl_video.data.importers import predictions, read

tokenizers = pytest.importorskip("tokenizers")
EXAMPLE = ROOT / "examples" / "zero_shot.py"
WORDS = ["<pad>", "?", "a", "video", "of", "bow", "jump", "wave", "<eos>"]


@pytest.fixture(scope="module", params=["CLIP", "Siglip"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, its tokenizer of a few words, and the processor of its images."""
    folder = tmp_path_factory.mktemp(request.param)
    words = tokenizers.models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="?")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 8)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="?", eos_token="<eos>"
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = pair(request.param)
    made.config.text_config.eos_token_id = 8
    made.save_pretrained(folder)
    getattr(transformers, f"{request.param}Processor")(
        processor(request.param.lower()), fast
    ).save_pretrained(folder)
    return folder


def example() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "zero_shot"}
    exec(compile(EXAMPLE.read_text(), str(EXAMPLE), "exec"), names)
    return names


def test_frames_are_from_the_middle_of_equal_parts(
    make_video: Callable[..., Path], frame_numbers: Callable[[np.ndarray], list[int]], tmp_path: Path
) -> None:
    """Of 10 frames, 5 parts of two: the second of each. More than there are: some twice."""
    frames, video = example()["frames"], make_video(tmp_path / "a.mkv", frames=10)
    for count, expected in ((5, [1, 3, 5, 7, 9]), (1, [5]), (20, [n for n in range(10) for _ in range(2)])):
        assert frame_numbers(np.stack([np.asarray(one) for one in frames(video, count)])) == expected


@pytest.mark.slow
def test_the_table_is_one_that_distill_reads(model: Path, video_folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE, model, video_folder, "--frames", "2", "-o", "teacher.csv"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "teacher.csv: 18 videos, 3 classes" in done.stdout
    index = read(video_folder)
    found = predictions.read(tmp_path / "teacher.csv", index, index.rows("train"))
    assert found.std(0).min() > 0  # clips differ
    assert found.std(1).min() > 0  # and classes
    with (tmp_path / "teacher.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["path", "bow", "jump", "wave"]
    assert all(sum(map(float, row[1:])) == pytest.approx(1, abs=1e-5) for row in rows)
