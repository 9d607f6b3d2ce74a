"""Show an algorithm's views of one video, exactly as in training."""

from pathlib import Path

import numpy as np

from ssl_video.data.dataset import clock, short_side
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.pool import Pool, requests
from ssl_video.data.video.container import DecodeError
from ssl_video.data.views.augment import restore
from ssl_video.data.views.contact_sheet import Strip
from ssl_video.data.views.sampling import ClipShape
from ssl_video.errors import InputError
from ssl_video.networks import assemble
from ssl_video.spec import Spec


def strips(spec: Spec, video: Path, draws: int) -> list[list[Strip]]:
    """Return every view of a video, for several draws.

    Args:
        spec: a resolved specification; draw n equals the video's views at step n of its training.
        video: a video file.
        draws: number of draws.

    Returns:
        For each draw, the algorithm's labeled views, then its unlabeled ones.

    Raises:
        InputError: the video cannot be decoded, or the algorithm or its views have a problem.
    """
    algorithm = assemble.check(spec, num_classes=2)
    shapes = {
        role: ClipShape(network.frames or spec.frames, network.stride or spec.stride)
        for role, network in spec.networks.items()
    }
    store = FrameStore(
        [str(video)], short_side(spec.size), limit=0, frame_format=spec.frame_format, clock=clock(spec)
    )
    in_parts = spec.sampling == "segments"
    made: list[list[Strip]] = [[] for _ in range(draws)]
    for purpose, views in (("labeled", algorithm.labeled), ("unlabeled", algorithm.unlabeled)):
        if not views:  # supervised-only reads no unlabeled clips
            continue
        wanted = requests(views, shapes)
        pool = Pool(purpose, np.zeros(1, np.int64), wanted, 1, spec.size, spec.seed, store, settings=spec)
        for step in range(draws):
            try:
                frames = pool.frames(step, 0)
            except DecodeError as error:
                raise InputError(f"{video}: {error}") from None
            for name, clip in pool.clips(step).items():
                request = wanted[name]
                facts = (
                    f"{purpose}, {request.augmentation}",
                    f"{request.shape.frames} frames, "
                    + ("one of each part" if in_parts else f"stride {request.shape.stride}"),
                    *([f"transformed again ({request.copy})"] if request.copy else []),
                    *(["its own window"] if request.window == "own" else []),
                )
                made[step].append(Strip(name, facts, restore(clip[0]), frames[name].tolist()))
    return made
