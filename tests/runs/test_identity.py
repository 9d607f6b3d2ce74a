from collections.abc import Callable
from pathlib import Path

import pytest

from ssl_video.errors import InputError
from ssl_video.runs import identity
from ssl_video.runs.folder import RunFolder
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, Stopped, run

MakePlan = Callable[..., Plan]


def begin(made: Plan, runs: Path) -> Path:
    """A run that was stopped after its first step."""
    with pytest.raises(Stopped):
        run(made, runs / made.name, Execution("cpu"), stopping=lambda: True)
    return runs / made.name


def test_a_run_that_is_resumed_with_other_settings_names_them(make_plan: MakePlan, tmp_path: Path) -> None:
    folder = begin(make_plan(algorithm="fixmatch"), tmp_path)
    same = make_plan(algorithm="fixmatch")
    identity.check_same(same.name, same.spec, RunFolder(folder))
    changed = make_plan(algorithm="fixmatch", steps=800, options={"threshold": 0.9}, ema=0.5)
    with pytest.raises(InputError) as error:
        identity.check_same(changed.name, changed.spec, RunFolder(folder))
    found = str(error.value).split("settings: ")[1].split(". That is another run")[0]
    assert set(found.split("; ")) == {
        "steps 6, now 800",
        "options.threshold 0.95, now 0.9",
        "ema 0.0, now 0.5",
    }


def test_other_code_is_named_as_such(make_plan: MakePlan, plugin: str, tmp_path: Path) -> None:
    folder = begin(make_plan(algorithm=plugin), tmp_path)
    file = Path(plugin.rsplit(":", 1)[0])
    code = file.read_text()
    try:
        file.write_text(code + "\n# changed\n")
        changed = make_plan(algorithm=plugin)
        with pytest.raises(
            InputError, match="other settings: the data set's clips or labels, a plugin's code"
        ):
            identity.check_same(changed.name, changed.spec, RunFolder(folder))
    finally:
        file.write_text(code)


def unfinished(made: Plan, results: Path) -> list[str]:
    return identity.unfinished(made.name, made.spec, results)


def test_a_new_run_is_told_of_one_like_it_that_is_not_finished(make_plan: MakePlan, tmp_path: Path) -> None:
    folder = begin(make_plan(), tmp_path / "runs")
    (sentence,) = unfinished(make_plan(steps=7), tmp_path)
    assert sentence == f"{folder} is not finished, but differs: steps 6, now 7; this run starts from scratch"
    # Where lists lie is no difference.
    assert unfinished(make_plan(steps=7, lists="elsewhere"), tmp_path) == [sentence]
    # Of another seed, of another algorithm, the run itself, and one that is finished: nothing to say.
    assert not unfinished(make_plan(seed=1), tmp_path)
    assert not unfinished(make_plan(algorithm="fixmatch"), tmp_path)
    assert not unfinished(make_plan(), tmp_path)
    run(make_plan(), folder, Execution("cpu"))
    assert not unfinished(make_plan(steps=7), tmp_path)
