"""`ssl-video algorithm new`, and the starting files that it writes."""

from pathlib import Path

import pytest
from helpers.command_line import Call

from ssl_video import backbones, templates
from ssl_video.errors import InputError
from ssl_video.registry import algorithms


def test_a_new_algorithm_and_what_to_do_with_it(call: Call, tmp_path: Path) -> None:
    done = call("algorithm", "new", "first try.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "first try.py: algorithm first-try, which works as it is. Next:",
        "  ssl-video algorithm check 'first try.py:first-try'",
        "  ssl-video data views demo --algo 'first try.py:first-try'",
        "  ssl-video bench --algo 'first try.py:first-try',fixmatch",
    ]
    again = call("algorithm", "new", "first try.py", cwd=tmp_path)
    assert again.returncode == 2
    assert "first try.py already exists" in again.stderr
    checked = call("algorithm", "check", "first try.py:first-try", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_new_backbone_and_what_to_do_with_it(call: Call, tmp_path: Path) -> None:
    done = call("backbone", "new", "net.py", "--name", "small-net", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "net.py: backbone small-net, which works as it is. Next:",
        "  ssl-video analyze speed step --backbone net.py:small-net",
        "  ssl-video bench --algo fixmatch --backbone net.py:small-net",
    ]
    assert "@backbone(" in (tmp_path / "net.py").read_text()


def test_names_are_put_in_everywhere(tmp_path: Path) -> None:
    file = tmp_path / "three_word_name.py"
    assert templates.write("algorithm", file) == "three-word-name"
    text = file.read_text()
    assert '@algorithm("three-word-name")\nclass ThreeWordName(Algorithm):' in text
    assert "my-method" not in text
    assert "MyMethod" not in text
    templates.write("backbone", tmp_path / "other.py", "net-2")
    assert '@backbone("net-2")\ndef net_2(' in (tmp_path / "other.py").read_text()


def test_the_starting_algorithm_is_fixmatch(tmp_path: Path) -> None:
    """So that whoever changes a line knows what it was before."""
    import torch

    from ssl_video.contract import Batch, Task

    templates.write("algorithm", tmp_path / "twin.py")
    losses = []
    for name in ("fixmatch", f"{tmp_path}/twin.py:twin"):
        torch.manual_seed(0)
        network = backbones.create("tiny3d", 3, frames=4, size=8)
        method = algorithms.get(name)(Task(3, 9), network, threshold=0.0, weight=3.0)
        clips = {view: torch.randn(2, 3, 4, 8, 8) for view in ("weak", "strong")}
        output = method(Batch(clips, torch.tensor([0, 2]), clips, torch.tensor([1, 2])), 0.5)
        losses.append({term: value.item() for term, value in output.terms.items()})
    assert losses[0] == losses[1]
    assert losses[0]["unlabeled"] > 0


@pytest.mark.parametrize("width", [0.25, 1.0])
def test_the_starting_backbone_takes_any_clip(tmp_path: Path, width: float) -> None:
    import torch

    name = f"net-{int(4 * width)}"
    templates.write("backbone", tmp_path / "net.py", name)
    network = backbones.create(f"{tmp_path}/net.py:{name}", 5, width=width, frames=3, size=20)
    logits = network(torch.rand(2, 3, 3, 20, 20))
    assert logits.shape == (2, 5)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("kind", "file", "name", "words"),
    [
        ("algorithm", "method.txt", None, ["method.txt", ".py"]),
        ("algorithm", "method.py", "My Method", ["'My Method'", "lowercase letters"]),
        ("algorithm", "2nd.py", None, ["'2nd'", "--name"]),
        ("backbone", "net.py", "lambda", ["'lambda'"]),
        ("algorithm", "cmpl.py", None, ["'cmpl'", "--name"]),
        ("algorithm", "nowhere/method.py", None, ["nowhere", "No such file"]),
    ],
)
def test_what_cannot_be_written(
    tmp_path: Path, kind: str, file: str, name: str | None, words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        templates.write(kind, tmp_path / file, name)
    assert all(word in str(caught.value) for word in words)
    assert not list(tmp_path.iterdir())


def test_all_problems_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        templates.write("algorithm", tmp_path / "method.txt", "My Method")
    assert len(caught.value.problems) == 2


def test_a_name_may_be_an_algorithms_and_a_backbones(tmp_path: Path) -> None:
    assert templates.write("backbone", tmp_path / "net.py", "fixmatch") == "fixmatch"
