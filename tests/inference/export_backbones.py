"""Export every built-in backbone with random weights, and print a table of the outcomes for docs/export.md.

python tests/inference/export_backbones.py [NAME ...]
"""

import sys
import tempfile
import time
from pathlib import Path

import torch

from ssl_video.backbones.matching import find_classifier
from ssl_video.contract import Task
from ssl_video.errors import InputError
from ssl_video.inference.export import ONNX, PT2, export
from ssl_video.inference.model import Model
from ssl_video.networks.assemble import assemble, resolve
from ssl_video.registry import backbones
from ssl_video.spec import build

CPU = torch.device("cpu")
# Those that stand for many networks.
EXAMPLES = {
    "timm": [
        f"timm/{name}"
        for name in (
            *(
                "resnet18",
                "resnet18+tsm",
                "mobilenetv2_100+tsm",
                "tf_efficientnet_lite0",
                "convnext_atto+tsm",
            ),
            *("regnety_002+tsm", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"),
        )
    ]
}
# Frames and pixels of those that need more than 4 frames of 32 pixels.
CLIPS = {"s3d": (8, 32), "swin": (4, 64), "mvit": (16, 224), "timesformer": (4, 64), "slowfast": (8, 64)}
LARGE = {"vit_tiny_patch16_224": (2, 224), "swin_tiny_patch4_window7_224": (2, 224)}


def trained(backbone: str, **values: object) -> Model:
    """Return a model with random weights."""
    frames, size = LARGE.get(backbone.partition("/")[2]) or next(
        (clip for start, clip in CLIPS.items() if backbone.startswith(start)), (4, 32)
    )
    keys = {"backbone": backbone, "frames": frames, "size": size, "precision": "float32", **values}
    spec = resolve(build(keys), CPU)
    torch.manual_seed(0)
    assembly = assemble(spec, Task(5, 0), trained=True)
    for part in assembly.parts():
        part.eval()
    network = next(iter(assembly.predictors().values()))
    head = network.get_submodule(find_classifier(network, 5))
    with torch.no_grad():
        # Random networks hesitate between all classes, and hesitation hides differences.
        head.get_parameter("bias").zero_()
        deviation = network(torch.randn(2, 3, frames, size, size)).std(1).mean()
        head.get_parameter("weight").mul_(2 / deviation)
    return Model(spec, ["a", "b", "c", "d", "e"], assembly, CPU)


def outcomes(backbone: str) -> dict[str, str]:
    """Return the largest difference of each of a backbone's files, or the reason why there is none."""
    began, found = time.monotonic(), dict[str, str]()
    with tempfile.TemporaryDirectory() as folder:
        for kind in (PT2, ONNX):
            try:
                model = trained(backbone)
                done = export(model, Path(folder) / f"model{kind}", next(iter(model.predictors)))
                found[kind] = "not compared" if done.difference is None else f"{done.difference:.0e}"
            except InputError as error:
                found[kind] = str(error)
    print(f"{backbone} {found} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
    return found


def main(names: list[str]) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    known = [each for name in backbones.describe() for each in EXAMPLES.get(name, [name])]
    print("| backbone | `.pt2` | `.onnx` |\n|---|---|---|")
    for name in names or known:
        found = outcomes(name)
        print(f"| `{name}` | {found[PT2]} | {found[ONNX]} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
