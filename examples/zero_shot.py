"""Label clips by the names of their classes, and train a network on these labels.

A model of images and texts (CLIP, SigLIP) compares frames with a sentence for each class. It has seen no
label of yours. Its probabilities are the table that `--algo distill` learns from. MODEL is a folder of
transformers, or the address of a model on its hub.

    python examples/zero_shot.py MODEL VIDEOS --prompt "a video of a person who is doing {}" -o teacher.csv
    ssl-video train --data VIDEOS --algo distill --set options.teacher=teacher.csv

VIDEOS has one folder per class, whose names are the classes, and perhaps a folder `unlabeled`. It needs
`pip install 'ssl-video[transformers]'`.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import torch
from transformers import AutoModel, AutoProcessor

ENDINGS = (".mp4", ".avi", ".mkv", ".mov", ".webm")


def frames(video: Path, count: int) -> Iterator[Any]:
    """Yield pictures from the middle of each of `count` equal parts of a video."""
    with av.open(str(video)) as container:
        total = sum(packet.size > 0 for packet in container.demux(video=0))
    wanted = [int((number + 0.5) * total / count) for number in range(count)]
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            yield from [frame.to_image()] * wanted.count(number)


class ZeroShot:
    """Class probabilities of videos from the similarity of their frames to texts.

    Args:
        name: folder or address of the model.
        texts: a sentence for each class.
        frames: number of frames of a video.
    """

    def __init__(self, name: str, texts: list[str], frames: int) -> None:
        self.model, self.processor = (
            AutoModel.from_pretrained(name).eval(),
            AutoProcessor.from_pretrained(name),
        )
        # SigLIP was trained on texts that are padded to its full length; CLIP ignores what is padded.
        longest = self.model.config.text_config.max_position_embeddings
        self.texts = self.processor(
            text=texts, padding="max_length", truncation=True, max_length=longest, return_tensors="pt"
        )
        self.frames = frames

    @torch.no_grad()
    def __call__(self, video: Path) -> list[float]:
        """Return the probability of each class: the softmax of the frames' mean logits."""
        images = self.processor(images=list(frames(video, self.frames)), return_tensors="pt")
        logits = self.model(**self.texts, **images).logits_per_image
        found: list[float] = logits.mean(0).softmax(-1).tolist()
        return found


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("videos", type=Path)
    parser.add_argument("--prompt", default="a video of {}", help="a sentence with {} for the class")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("-o", "--output", type=Path, default=Path("teacher.csv"))
    given = parser.parse_args()
    classes = sorted(
        path.name for path in given.videos.iterdir() if path.is_dir() and path.name != "unlabeled"
    )
    videos = sorted(path for path in given.videos.rglob("*") if path.suffix.lower() in ENDINGS)
    predict = ZeroShot(given.model, [given.prompt.format(name) for name in classes], given.frames)
    with given.output.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", *classes])
        for video in videos:
            table.writerow([video.resolve(), *predict(video)])
    print(f"{given.output}: {len(videos)} videos, {len(classes)} classes")


if __name__ == "__main__":
    main()
