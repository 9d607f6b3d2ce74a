"""The other commands as processes, and wrong input to all of them."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from helpers.command_line import TINY, Call


@pytest.fixture(scope="session")
def run(bench: Path) -> Path:
    """The folder of a finished FixMatch run."""
    return sorted((bench / "ssl-video-results" / "runs").glob("fixmatch-*"))[0]


def test_evaluate_gives_the_runs_own_numbers(run: Path, call: Call) -> None:
    done = call("evaluate", run, "--json", cwd=run)
    assert done.returncode == 0, done.stderr
    assert (
        json.loads(done.stdout)["predictors"] == json.loads((run / "result.json").read_text())["predictors"]
    )


def test_predict_as_json_and_as_table(run: Path, dataset: Path, call: Call) -> None:
    videos = [dataset / "test" / "dark" / "0.mp4", dataset / "test" / "light" / "1.mp4"]
    done = call("predict", run / "final.safetensors", *videos, "--top", "2", "--json", cwd=run)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["video"] for answer in answers] == [str(video) for video in videos]
    for answer in answers:
        assert {label["label"] for label in answer["labels"]} == {"dark", "light"}
        assert sum(label["probability"] for label in answer["labels"]) == pytest.approx(1, abs=1e-5)
    table = call("predict", run, *videos, cwd=run)
    assert "probability" in table.stdout


def test_predict_names_what_it_cannot_read_and_answers_the_rest(run: Path, dataset: Path, call: Call) -> None:
    done = call(
        "predict", run, run / "result.json", dataset / "test/dark/0.mp4", "nowhere.mp4", "--json", cwd=run
    )
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1
    assert "result.json" in done.stderr
    assert "nowhere.mp4: no such file" in done.stderr


def test_leaderboard_formats(bench: Path, call: Call) -> None:
    for form, word in (("terminal", "leaderboard:"), ("markdown", "|"), ("csv", "fixmatch")):
        done = call("leaderboard", "--format", form, cwd=bench)
        assert done.returncode == 0, done.stderr
        assert word in done.stdout
        assert "fixmatch" in done.stdout
    only = call("leaderboard", "--algo", "fixmatch", "--format", "csv", cwd=bench)
    assert "supervised" in only.stdout  # the baseline stays, or there would be no gain


def test_train_from_a_file_is_the_same_run_as_in_the_benchmark(bench: Path, run: Path, call: Call) -> None:
    done = call("train", run / "spec.yaml", cwd=bench)
    assert done.returncode == 0, done.stderr
    assert "1 run, 1 of them finished before" in " ".join(done.stderr.split())


@pytest.mark.parametrize("resume", [False, True])
def test_what_the_file_makes_useless_is_refused(run: Path, call: Call, resume: bool) -> None:
    there = ["--resume", run, "--set", "width=0.25"] if resume else [run / "spec.yaml", "--width", "0.25"]
    done = call("train", *there, cwd=run)
    assert done.returncode == 2
    assert "--set networks.model.width=0.25" in done.stderr


def test_list_shows_every_kind(call: Call, tmp_path: Path) -> None:
    done = call("list", cwd=tmp_path)
    for word in ("cmpl", "slow_r50", "tiny3d", "per-class:N", "demo"):
        assert word in done.stdout
    assert "cmpl" not in call("list", "backbones", cwd=tmp_path).stdout


def test_speed_says_what_is_not_the_networks(dataset: Path, call: Call, tmp_path: Path) -> None:
    small = TINY[2:]
    done = call(
        "speed", "step", "--data", dataset, "--protocol", "per-class:2", "--repeat", "3", *small, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    share = re.search(r"([\d.]+) % of the step is not", done.stdout)
    assert share is not None
    assert 0 < float(share[1]) < 100
    assert list(tmp_path.iterdir()) == []


def test_all_problems_of_a_command_at_once_before_anything_is_decoded(
    dataset: Path, call: Call, tmp_path: Path
) -> None:
    wrong = ("--algo", "fixmatsch,cmpl", "--backbone", "tiny3", "--protocol", "per-klass:3")
    done = call("bench", "--data", dataset, *wrong, cwd=tmp_path)
    assert done.returncode == 2
    for words in ("'fixmatsch'", "fixmatch", "'tiny3'", "tiny3d", "per-klass", "per-class"):
        assert words in done.stderr
    assert "decoding" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "optoins.threshold=1"], ["'optoins'", "options"]),
        (["--set", "options.treshold=1", "--algo", "cmpl"], ["'treshold'", "threshold"]),
        (["--set", "networks.auxilary.width=1", "--algo", "cmpl"], ["'auxilary'", "auxiliary"]),
        (["--steps", "many"], ["steps", "many"]),
        (["--protocol", "per-class:9"], ["dark", "8"]),
        (["--algo", "nowhere.py:mine"], ["nowhere.py"]),
        (["--device", "cuda:99"], ["cuda:99"]),
        (["--weights", "nowhere.pt"], ["nowhere.pt"]),
    ],
)
def test_a_mistake_is_named(
    arguments: list[str], words: list[str], dataset: Path, call: Call, tmp_path: Path
) -> None:
    done = call("bench", "--data", dataset, "--protocol", "per-class:2", *TINY, *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("error:") >= 1
    for word in words:
        assert word in done.stderr


def test_a_flag_or_a_command_that_is_not_there(call: Call, tmp_path: Path) -> None:
    done = call("bench", "--flip-share", "0.3", cwd=tmp_path)
    assert done.returncode == 2
    assert "An option of an algorithm is given as --set options.flip_share=VALUE." in done.stderr
    # Where no algorithm is chosen, none has options.
    done = call("audit", "--flip-share", cwd=tmp_path)
    assert done.returncode == 2
    assert "options." not in done.stderr
    done = call("bnch", cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown command 'bnch'; did you mean bench?" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_data_that_is_not_there(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "one" / "only").mkdir(parents=True)
    (tmp_path / "one" / "only" / "a.mp4").write_bytes(b"x")
    for data, word in (("nowhere", "nowhere"), ("empty", "empty"), ("one", "one class")):
        done = call("bench", "--data", data, cwd=tmp_path)
        assert done.returncode == 2
        assert word in done.stderr


def test_a_typo_in_a_file_is_named_with_the_nearest_key(call: Call, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("algorithm: fixmatch\nlearning_rat: 0.1\nstep: 3\n")
    done = call("train", "run.yaml", cwd=tmp_path)
    assert done.returncode == 2
    for word in ("'learning_rat'", "learning_rate", "'step'", "steps"):
        assert word in done.stderr


def test_an_unwritable_results_folder(dataset: Path, call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = call("bench", "--data", dataset, "--results", "file/results", *TINY, cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot write to the results folder file/results" in done.stderr


def test_a_checkpoint_of_other_classes(run: Path, call: Call, tmp_path: Path) -> None:
    for label in ("dark", "bright", "grey"):
        for number in range(4):
            target = tmp_path / "other" / label / f"{number}.mp4"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"x")
    done = call("evaluate", run, "--data", tmp_path / "other", cwd=tmp_path)
    assert done.returncode == 2
    assert "knows 2 classes" in done.stderr
    assert "bright, grey" in done.stderr


def test_the_readmes_algorithm_runs_and_keeps_the_contract(dataset: Path, call: Call, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(\"\"\"Two speeds.*?)```", readme, re.DOTALL)
    (tmp_path / "two_speed.py").write_text(code)
    checked = call("check", "two_speed.py", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    done = call(
        *("bench", "--data", dataset, "--algo", "two_speed.py:two-speed", "--protocol", "per-class:2"),
        *("--seeds", "1", "--no-baseline", *TINY),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(tmp_path / "ssl-video-results" / "leaderboard.csv")["algorithm"].tolist() == [
        "two-speed"
    ]


def test_watch_shows_one_run_and_all_of_them(bench: Path, run: Path, call: Call) -> None:
    every = call("watch", cwd=bench)
    assert every.returncode == 0, every.stderr
    runs = len(list((bench / "ssl-video-results/runs").iterdir()))  # other tests add some
    assert len(re.findall(r"finished\s+\d+/\d+", every.stdout)) == runs
    one = call("watch", run, "--once", cwd=bench)
    assert {line.split()[0] for line in one.stdout.splitlines() if "/" in line} >= {
        "loss/labeled",
        "coverage/model",
    }
    nothing = call("watch", "nowhere", cwd=bench)
    assert nothing.returncode == 2
    assert "no run in nowhere" in nothing.stderr
