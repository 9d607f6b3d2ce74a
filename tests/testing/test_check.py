"""What the checks say to whoever calls them, in a test or on the command line."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ssl_video as sv
from ssl_video import Algorithm, Batch, InputError, LossOutput, Task, View, templates
from ssl_video.cli import cli
from ssl_video.registry import algorithms
from ssl_video.testing import CHECKS, ContractError, check_algorithm, results

OF_STYLE = {name for name, check in CHECKS.items() if check.style}


class Lazy(Algorithm):
    """Forgets one of its views, and to learn from the other one."""

    unlabeled: Mapping[str, View] = MappingProxyType({"weak": View("weak"), "strong": View("strong")})

    def __init__(self, task: Task, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        labeled = self.model(batch.labeled["weak"]).float()
        with torch.no_grad():
            weak = self.model(batch.unlabeled["weak"]).float()
        return LossOutput(
            {"labeled": F.cross_entropy(labeled, batch.labels), "unlabeled": weak.square().mean()}
        )


class Unbuilt(Lazy):
    """Takes its arguments in another order."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__(task, model)


class Greedy(Lazy):
    """Reads what it has not declared."""

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        return LossOutput(
            {"labeled": batch.labeled["none"].mean(), "unlabeled": batch.unlabeled["weak"].mean()}
        )


def test_all_failures_are_told_together_with_what_why_and_how() -> None:
    with pytest.raises(ContractError) as error:
        check_algorithm(Lazy)
    failed = {failure.check.name: failure.found for failure in error.value.failures}
    assert set(failed) == {"declared-views", "agreement", "unlabeled-terms-teach"}
    assert failed["declared-views"] == "unlabeled views are declared, but never read: strong"
    assert failed["unlabeled-terms-teach"].endswith("changes no parameter (networks without batch norm)")
    message = str(error.value)
    assert message.startswith(f"Lazy fails 3 of {len(CHECKS) - len(OF_STYLE)} checks\n\n")
    for failure in error.value.failures:
        assert f"found: {failure.found}" in message
        assert f"reason: {failure.check.reason}" in message
        assert f"fix: {failure.check.fix}" in message


@pytest.mark.parametrize("name", ["cutmix", "ltg", "mixmatch", "mvpl", "svformer", "timebalance"])
def test_a_method_that_takes_features_for_pixels(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It fails, or it is another method, as MixUp of features."""
    entry = algorithms.get(name)
    monkeypatch.setattr(entry, "works_on_pixels", False)
    (result,) = results(entry, "features")
    assert result.outcome == "fail"
    assert "features in place of clips" in result.found


@pytest.mark.parametrize("sign", [1, -1])
def test_a_difference_of_frames_may_have_either_sign(monkeypatch: pytest.MonkeyPatch, sign: int) -> None:
    def difference(clip: torch.Tensor) -> torch.Tensor:
        change = sign * clip.diff(dim=2)
        return torch.cat([change, change[:, :, -1:]], 2)

    monkeypatch.setattr("ssl_video.algorithms.mvpl.temporal_gradient", difference)
    (result,) = results(algorithms.get("mvpl"), "agreement")
    assert result.outcome == "pass", result.found


def test_checks_of_style_are_for_the_zoo() -> None:
    """And for an author who asks for them."""
    assert {"description", "differences"} <= OF_STYLE
    assert not OF_STYLE & {result.check.name for result in results(Lazy)}
    assert [result.check.name for result in results("supervised")] == list(CHECKS)
    asked = {result.check.name: result.outcome for result in results(Lazy, style=True)}
    assert list(asked) == list(CHECKS)
    assert asked["differences"] == "fail"


def test_a_waived_failure() -> None:
    """It is no failure any more; a check that passes is not waived, and neither is another one."""

    class Excused(Lazy):
        """Gives reasons for two checks, and passes one of them."""

        waived: Mapping[str, str] = {"agreement": "labels agree in the paper", "resume": "it has no state"}

    found = {result.check.name: result for result in results(Excused)}
    assert (found["agreement"].outcome, found["agreement"].found) == ("waived", "labels agree in the paper")
    assert found["resume"].outcome == "pass"
    with pytest.raises(ContractError) as error:
        check_algorithm(Excused)
    assert [failure.check.name for failure in error.value.failures] == [
        "declared-views",
        "unlabeled-terms-teach",
    ]


def test_terms_of_unlabeled_clips_without_such_a_name() -> None:
    """Names are a matter of style: nothing fails for them, and checks that need them are left out."""

    class Entropy(Algorithm):
        unlabeled: Mapping[str, View] = {"weak": View("weak")}

        def __init__(self, task: Task, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def loss(self, batch: Batch, progress: float) -> LossOutput:
            supervised = F.cross_entropy(self.model(batch.labeled["weak"]), batch.labels)
            p = self.model(batch.unlabeled["weak"]).float().softmax(1)
            return LossOutput(
                {"supervised": supervised, "entropy": -(p * p.clamp_min(1e-6).log()).sum(1).mean()}
            )

    found = {result.check.name: result for result in results(Entropy)}
    assert found["unlabeled-terms-teach"].outcome == "not applicable"
    assert "no term is called unlabeled" in found["unlabeled-terms-teach"].found
    assert not [result for result in found.values() if result.outcome == "fail"]


def test_what_cannot_be_built_fails_once() -> None:
    found = {result.check.name: result for result in results(Unbuilt)}
    assert [name for name, result in found.items() if result.outcome == "fail"] == ["constructor"]
    assert found["constructor"].found == "it takes (model, task) before the options, and not (task, model)"
    assert found["resume"].found == "constructor comes first"


def test_a_view_that_is_not_declared_fails_once() -> None:
    names = [result.check.name for result in results(Greedy) if result.outcome == "fail"]
    assert names == ["declared-views"]


def test_what_is_not_an_algorithm() -> None:
    with pytest.raises(InputError, match=r"Linear is not a subclass of ssl_video.Algorithm"):
        check_algorithm(nn.Linear)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown algorithm 'fixmach'; did you mean fixmatch"):
        check_algorithm("fixmach")


def test_the_callers_random_numbers_and_threads_stay() -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    check_algorithm("fixmatch", "deterministic", "resume")
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == threads


def test_every_check_explains_itself() -> None:
    for entry in CHECKS.values():
        assert entry.promise.endswith("."), entry.name
        assert entry.reason.endswith("."), entry.name
        assert len(entry.fix) > 15, entry.name


def test_pytest_and_the_tests_are_not_needed() -> None:
    """Whoever installs the package has neither."""
    code = "import ssl_video.testing, sys; assert not {'pytest', 'lightning_fabric'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def starting_file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """With a name of its own in each test: a name can be taken once."""
    file = tmp_path / "my_start.py"
    templates.write("algorithm", file, request.node.name.replace("_", "-"))
    return file


def run(*arguments: object) -> int:
    status: int = cli.main([str(argument) for argument in arguments], standalone_mode=False)
    return status


def test_the_command_checks_a_starting_file(starting_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file alone is enough; all checks pass."""
    assert run("algorithm", "check", starting_file) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{starting_file}:test-the-command-checks-a-starting-file\n")
    assert "FAIL" not in out
    assert "  pass  two-processes\n" in out
    assert "  n/a   teachers-rest           all of its networks are trained\n" in out
    assert " passed, 0 failed, " in out


def test_the_command_explains_a_failure(starting_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = starting_file.read_text()
    assert "masked_cross_entropy(strong," in text
    changed = starting_file.with_name("my_change.py")
    changed.write_text(text.replace("masked_cross_entropy(strong,", "masked_cross_entropy(weak,"))
    name = "test-the-command-explains-a-failure"
    assert (
        run("algorithm", "check", f"{changed}:{name}", "--only", "unlabeled-terms-teach", "--only", "views")
        == 1
    )
    out = " ".join(capsys.readouterr().out.split())
    assert "FAIL unlabeled-terms-teach pass views" in out
    entry = CHECKS["unlabeled-terms-teach"]
    assert f"promise {entry.promise}" in out
    assert "found unlabeled" in out
    assert f"reason {entry.reason}" in out
    assert f"fix {entry.fix}" in out
    assert "1 passed, 1 failed, 0 not applicable, in" in out


@pytest.mark.parametrize(("flags", "style"), [((), None), (("--style",), True), (("--no-style",), False)])
def test_the_command_is_asked_for_style(
    flags: tuple[str, ...], style: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(sv.testing, "results", lambda name, *_, style: asked.append((name, style)) or [])
    assert run("algorithm", "check", "supervised", *flags) == 0
    assert asked == [("supervised", style)]


def test_the_command_lists_all_checks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("algorithm", "check", "--list") == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line in CHECKS] == list(CHECKS)


def test_wrong_arguments_of_the_command(tmp_path: Path) -> None:
    file = tmp_path / "two.py"
    file.write_text("@algorithm('one')\nclass One: ...\n@algorithm('other')\nclass Other: ...\n")
    with pytest.raises(InputError, match=r"several algorithms: give .*two.py:one or .*two.py:other"):
        run("algorithm", "check", file)
    file.write_text("")
    with pytest.raises(InputError, match="defines no algorithm"):
        run("algorithm", "check", file)
    with pytest.raises(InputError) as error:
        run("algorithm", "check", "--only", "resum")
    assert len(error.value.problems) == 2
    assert "unknown check 'resum'; did you mean resume" in str(error.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return batch.labels[99]", "IndexError: index 99 is out of bounds"),
        ("return batch.labels.sum()", "returns a Tensor instead of a LossOutput"),
        ("", "has no method `loss` of its own"),
    ],
)
def test_a_loss_that_does_not_run_fails_once(tmp_path: Path, body: str, words: str) -> None:
    """With the line of the author's file, where one of them raised; all that comes after waits for it."""
    loss = f"    def loss(self, batch, progress):\n        {body}\n" if body else ""
    file = tmp_path / "mine.py"
    file.write_text(
        "from ssl_video import Algorithm, algorithm\n\n\n@algorithm('mine')\nclass Mine(Algorithm):\n"
        "    def __init__(self, task, model):\n        super().__init__()\n        self.model = model\n"
        + loss
    )
    found = {result.check.name: result for result in results(f"{file}:mine")}
    assert words in found["loss-runs"].found
    assert ("mine.py, line 10" in found["loss-runs"].found) == ("IndexError" in words)
    failed = {name for name, result in found.items() if result.outcome == "fail"}
    assert failed - {"description", "differences"} == {"loss-runs"}
    assert found["resume"].found == "loss-runs comes first"


def test_a_threshold_that_nothing_reads_does_not_hide_a_gradient_through_labels(tmp_path: Path) -> None:
    file = tmp_path / "leaking.py"
    file.write_text(
        "from torch.nn import functional as F\n"
        "from ssl_video import Algorithm, LossOutput, View, algorithm\n\n\n"
        "@algorithm('leaking')\nclass Leaking(Algorithm):\n"
        "    unlabeled = {'weak': View('weak'), 'strong': View('strong')}\n\n"
        "    def __init__(self, task, model, *, threshold: float = 0.5):\n"
        "        super().__init__()\n        self.model = model\n\n"
        "    def loss(self, batch, progress):\n"
        "        weak, strong = (self.model(batch.unlabeled[v]).softmax(-1) for v in ('weak', 'strong'))\n"
        "        labeled = F.cross_entropy(self.model(batch.labeled['weak']), batch.labels)\n"
        "        return LossOutput({'labeled': labeled, 'unlabeled': F.mse_loss(strong, weak)})\n"
    )
    (found,) = results(f"{file}:leaking", "stop-gradient")
    assert found.outcome == "fail"
    assert "'weak'" in found.found
