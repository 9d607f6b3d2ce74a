"""Property tests: whatever a file holds, a reader returns its content or says what is wrong.

SSL_VIDEO_EXAMPLES says how many inputs are tried for each reader (2000 take some minutes).
"""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from ssl_video.data import exchange
from ssl_video.data.exchange.label import Label
from ssl_video.data.importers.manifest import from_manifest
from ssl_video.errors import InputError
from ssl_video.runs import checkpoint, weight_file
from ssl_video.runs.result import Result
from ssl_video.spec import build, override, parse_assignments, read_yaml

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

hypothesis.settings.register_profile(
    "ssl-video",
    max_examples=int(os.environ.get("SSL_VIDEO_EXAMPLES", "40")),
    deadline=None,
    derandomize="SSL_VIDEO_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("ssl-video")

ROWS = [
    Label("a.mp4", "", "walk", "run", 0.5),
    Label("b.mp4", "#t=1,2.5", "run"),
    Label("c d.mp4", "", ""),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
SCALARS |= st.sampled_from(["", "-1", "1e999", "9" * 30, "a\0b", "=x", "#t=2,1", "\ud800", "[1", "{}"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner)
)


def places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value inside a value."""
    found = [before]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        found += places(inner, (*before, key))
    return found


def changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """A value with another one at a place."""
    if not place:
        return new
    key, *inner = place
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = changed(copy[key], tuple(inner), new)
    return copy


def told(call: Callable[[], object]) -> None:
    """Call a reader, of which `InputError` is the only error."""
    with contextlib.suppress(InputError):
        call()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "file"


def spliced(valid: bytes) -> st.SearchStrategy[bytes]:
    """A text with some bytes in place of others, or any bytes."""
    cuts = st.tuples(
        st.integers(0, len(valid)), st.integers(0, 12), st.binary(max_size=12) | st.text(max_size=4)
    )
    return st.binary(max_size=60) | cuts.map(
        lambda cut: (
            valid[: cut[0]]
            + (cut[2] if isinstance(cut[2], bytes) else cut[2].encode(errors="replace"))
            + valid[cut[0] + cut[1] :]
        )
    )


YAML = b"algorithm: cmpl\noptions: {threshold: 0.9}\nnetworks: &a {b: {width: 0.5}}\nsteps: 3\nx: *a"


@hypothesis.given(content=spliced(YAML))
def test_yaml(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    told(lambda: build(read_yaml(file)))


@hypothesis.given(
    key=st.sampled_from(["seed", "options.a", "networks.x", "data", "augmentation"]), value=VALUES
)
def test_values_of_keys(key: str, value: Any) -> None:
    told(lambda: build(override({}, {key: value})))


@hypothesis.given(text=st.text(max_size=40))
def test_assignments(text: str) -> None:
    told(lambda: build(override({}, parse_assignments([f"steps={text}", text]))))


@hypothesis.given(content=spliced(b"path,label,split,start,end\na.mp4,walk,train,,\nb.mp4,'=x,test,1,2.5\n"))
def test_manifests(file: Path, content: bytes) -> None:
    manifest = file.with_suffix(".csv")
    manifest.write_bytes(content)
    told(lambda: from_manifest(manifest, "split"))


def written(name: str) -> str:
    """A file of a format."""
    # FiftyOne has no parts of files without an end.
    rows = ROWS[1:2] if name == "fiftyone" else ROWS
    return str(exchange.FORMATS[name].written(rows))


@pytest.mark.parametrize("name", exchange.FORMATS)
@hypothesis.given(data=st.data())
def test_label_files_with_other_bytes(file: Path, name: str, data: Any) -> None:
    labels = file.with_suffix(".csv" if name in ("csv", "via") else ".json")
    labels.write_bytes(data.draw(spliced(written(name).encode())))
    told(lambda: exchange.read(labels))


@pytest.mark.parametrize("name", ["label-studio", "fiftyone"])
@hypothesis.given(data=st.data())
def test_label_files_with_other_values(file: Path, name: str, data: Any) -> None:
    content = json.loads(written(name))
    made = changed(content, data.draw(st.sampled_from(places(content))), data.draw(VALUES))
    labels = file.with_suffix(".json")
    labels.write_text(json.dumps(made))
    told(lambda: exchange.read(labels))


HEADER = ["spec", "classes", "num_unlabeled", "calibration", "shared", "plugins"]


@hypothesis.given(key=st.sampled_from(HEADER), value=VALUES)
def test_headers_of_checkpoints(file: Path, key: str, value: Any) -> None:
    tensors = {"algorithm.w": torch.zeros(1)}
    texts = {"spec": "{}", "classes": '["a"]', "num_unlabeled": "1", key: json.dumps(value)}
    about = {"format": weight_file.FORMAT, "sha256": weight_file._checksum(tensors, texts)}
    weights = file.with_suffix(".safetensors")
    save_file(tensors, weights, texts | about)
    told(lambda: build(checkpoint.load(weights)["spec"]))


@hypothesis.given(content=st.binary(max_size=40) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_results(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Result.read(content)
