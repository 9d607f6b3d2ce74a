"""Compare algorithms on your own videos, and label new ones with the best run.

The folder has one folder of videos per class: VIDEOS/jump/a.mp4, VIDEOS/run/b.mp4, ...

    python examples/own_data.py VIDEOS --labeled 5 --steps 400
"""

import argparse
from pathlib import Path

import ssl_video as sv


def main() -> None:
    """Train supervised-only and FixMatch with three seeds each, and show the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--labeled", type=int, default=5, help="labeled clips per class")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path("my-results"))
    given = parser.parse_args()
    runs = sv.bench(
        ["supervised", {"algorithm": "fixmatch", "options": {"threshold": 0.8}}],
        data=str(given.videos),
        protocols=f"per-class:{given.labeled}",
        seeds=given.seeds,
        steps=given.steps,
        size=64,
        results=given.results,
    )
    print(runs.compare("supervised"))
    best = runs.frame.sort_values("top1")["run"].iloc[-1]
    model = sv.open_run(given.results / "runs" / best).model()
    videos = sorted(path for path in given.videos.rglob("*") if path.suffix in (".mp4", ".avi", ".mkv"))[:5]
    print(model.predict(videos)[["path", "label", "probability"]].to_string(index=False))


if __name__ == "__main__":
    main()
