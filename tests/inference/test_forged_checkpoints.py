"""Checkpoints that were written to do harm: code that they name, and values that no run writes."""

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import ssl_video as sv
from ssl_video.data.dataset import Data
from ssl_video.errors import InputError
from ssl_video.networks import plugins
from ssl_video.runs import checkpoint, weight_file
from ssl_video.runs.checkpoint import FINAL
from ssl_video.spec import build
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, plan, run

CODE = """
from pathlib import Path
import ssl_video as sv
from ssl_video.algorithms.supervised import Supervised

Path(__file__).with_name("imported").write_text("")

@sv.algorithm("{name}")
class Own(Supervised):
    pass
"""


@pytest.fixture(scope="module")
def state(
    tmp_path_factory: pytest.TempPathFactory, small_spec: Callable[..., sv.Spec], data: Data
) -> dict[str, Any]:
    """The checkpoint of a small run."""
    folder = tmp_path_factory.mktemp("run")
    run(plan(small_spec(steps=1), data, torch.device("cpu")), folder, Execution("cpu"))
    return checkpoint.load(folder / FINAL)


def code(folder: Path, name: str) -> str:
    """Write an algorithm that leaves a file when it is imported, and return its name."""
    (folder / f"{name}.py").write_text(CODE.format(name=name))
    return f"{folder / name}.py:{name}"


def forged(state: dict[str, Any], path: Path, **changes: Any) -> Path:
    made = copy.deepcopy(state)
    made["spec"] |= changes.pop("spec", {})
    weight_file.save(made | changes, path)
    return path


@pytest.mark.parametrize("key", ["algorithm", "backbone", "networks"])
def test_a_file_that_a_checkpoint_names_is_not_run(state: dict[str, Any], tmp_path: Path, key: str) -> None:
    """Opening a file of another person ran a Python file of their choice."""
    name = code(tmp_path, f"evil-{key}".replace("-", "_"))
    spec = {key: name if key != "networks" else {"model": {"backbone": name}}}
    path = forged(state, tmp_path / "a.safetensors", spec=spec)
    with pytest.raises(InputError, match=r"the code in .*evil_.*\.py, which would run here.*--trust"):
        sv.load_model(path, "cpu")
    with pytest.raises(InputError, match="holds no hash"):
        sv.load_model(path, "cpu", trust=True)
    path = forged(state, path, spec=spec, plugins={name: "0" * 64})
    with pytest.raises(InputError, match="changed since, or is another one"):
        sv.load_model(path, "cpu", trust=True)
    assert not (tmp_path / "imported").exists()


def test_allowed_code_is_run_as_it_was(state: dict[str, Any], tmp_path: Path) -> None:
    name = code(tmp_path, "allowed")
    spec = build(state["spec"] | {"algorithm": name})
    path = forged(state, tmp_path / "a.safetensors", spec={"algorithm": name}, plugins=plugins.recorded(spec))
    assert not (tmp_path / "imported").exists(), "its hash is that of the file"
    assert sv.load_model(path, "cpu", trust=True).spec.algorithm == name
    assert (tmp_path / "imported").exists()
    sv.load_model(path, "cpu")  # nothing new runs


def test_a_module_beside_the_allowed_code_is_covered(state: dict[str, Any], tmp_path: Path) -> None:
    name = code(tmp_path, "covered")
    (tmp_path / "covered.py").write_text(
        (tmp_path / "covered.py").read_text() + "\n\nif 0:\n    import beside\n"
    )
    (tmp_path / "beside.py").write_text("A = 1")
    recorded = plugins.recorded(build(state["spec"] | {"algorithm": name}))
    path = forged(state, tmp_path / "a.safetensors", spec={"algorithm": name}, plugins=recorded)
    (tmp_path / "beside.py").write_text("A = 2")
    with pytest.raises(InputError, match=r"covered\.py and beside\.py, but it has been changed since"):
        sv.load_model(path, "cpu", trust=True)
    assert not (tmp_path / "imported").exists()
    (tmp_path / "beside.py").write_text("A = 1")
    assert sv.load_model(path, "cpu", trust=True).spec.algorithm == name


def test_a_module_beside_a_plugin_is_part_of_a_run_s_identity(
    make_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = code(tmp_path, "helped")
    (tmp_path / "helped.py").write_text("import helper_of_helped\n" + (tmp_path / "helped.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    names = list[str]()
    for text in ("A = 1", "A = 2", "A = 1"):
        (tmp_path / "helper_of_helped.py").write_text(text)
        names.append(make_plan(algorithm=name, steps=1).name)
    assert names[0] == names[2] != names[1]


def test_a_run_records_the_code_that_it_imported(
    make_plan: Callable[..., Plan], tmp_path: Path, plugin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is edited while the run goes on is not the one that ran."""
    name = code(tmp_path, "recorded")
    todo = make_plan(algorithm=name, steps=1)
    before = plugins.recorded(todo.spec)
    (tmp_path / "recorded.py").write_text("raise RuntimeError")
    run(todo, tmp_path / "run", Execution("cpu"))
    assert checkpoint.load(tmp_path / "run" / FINAL)["plugins"] == before
    for module in [each for each in sys.modules if each.startswith("ssl_video_plugin_recorded")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(InputError, match="--trust"):
        sv.RunFolder(tmp_path / "run").model("cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": None}, "classes are not a list"),
        ({"classes": [1, 2, 3]}, "classes are not a list"),
        ({"classes": ["a", "a", "b"]}, "classes are not a list of different names"),
        ({"classes": []}, "classes are not a list"),
        ({"num_unlabeled": -1}, "num_unlabeled is -1"),
        ({"num_unlabeled": 10**30}, "num_unlabeled is 1000"),
        ({"calibration": {"temperatures": {"model": "x"}}}, "calibration of the checkpoint is damaged"),
        ({"calibration": [1]}, r"calibration is \[1\]"),
        ({"spec": {"size": 100_000}}, "size: input should be less than or equal to"),
        ({"spec": {"test_clips": 10**9}}, "test_clips: input should be less than or equal to"),
        ({"spec": {"steps": 10**26}}, "steps: input should be less than or equal to"),
    ],
    ids=str,
)
def test_values_that_no_run_writes(
    state: dict[str, Any], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        sv.load_model(forged(state, tmp_path / "a.safetensors", **changes), "cpu")


@pytest.mark.parametrize(
    ("tensors", "texts", "message"),
    [
        ({"classes.x": torch.zeros(1)}, {}, "it has a tensor 'classes.x'"),
        ({}, {"spec": "{"}, "its header is not valid"),
        ({}, {"spec": "[" * 100_000}, "nested more than 100 times"),
        ({}, {"spec": "null"}, "its spec is None"),
        ({}, {"shared": '{"a": "absent"}'}, "its header is not valid"),
        ({}, {"shared": '{"a": []}'}, "its header is not valid"),
        ({}, {"shared": "3"}, "its header is not valid"),
    ],
    ids=str,
)
def test_headers_that_no_run_writes(
    state: dict[str, Any], tmp_path: Path, tensors: dict[str, Any], texts: dict[str, str], message: str
) -> None:
    held = {f"algorithm.{name}": tensor for name, tensor in state["algorithm"].items()} | tensors
    metadata = {"spec": "{}", "classes": '["a"]', "num_unlabeled": "1"} | texts
    checksum = weight_file._checksum(held, metadata)
    save_file(
        held, tmp_path / "a.safetensors", {"format": weight_file.FORMAT, **metadata, "sha256": checksum}
    )
    with pytest.raises(InputError, match=message):
        sv.load_model(tmp_path / "a.safetensors", "cpu")
