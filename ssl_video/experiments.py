"""Train single runs and compare algorithms: the calls behind `ssl-video train` and `ssl-video bench`."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_video.benchmarks.running import arguments
from ssl_video.benchmarks.running.arguments import BENCH_ONLY, EXECUTION, SPEC_KEYS, TRAIN_ONLY, Method
from ssl_video.benchmarks.running.specify import check_names
from ssl_video.benchmarks.running.suite import merge
from ssl_video.benchmarks.tables.results import BASELINE, Results
from ssl_video.errors import InputError
from ssl_video.names import Names
from ssl_video.observer import Observer, observer
from ssl_video.runs.folder import SPEC, RunFolder, run_folder
from ssl_video.spec import Spec, read_yaml

if TYPE_CHECKING:
    from ssl_video.benchmarks.running.carry_out import Outcome
    from ssl_video.benchmarks.running.dry_run import Forecast


class RunFailed(RuntimeError):
    """Failure of a run after its beginning; the run's log has the full message.

    Attributes:
        run: the run's folder.
    """

    def __init__(self, run: RunFolder, reason: str) -> None:
        super().__init__(f"{run.name}: {reason}")
        self.run = run


@arguments.takes(*SPEC_KEYS, *(key for key in EXECUTION if key not in BENCH_ONLY))
def train(
    algorithm: Method | None = None,
    *,
    config: str | PathLike[str] | None = None,
    resume: str | PathLike[str] | RunFolder | None = None,
    recipe: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: bool | Observer | None = None,
    **keywords: Any,
) -> RunFolder:
    """Train and test one run, or resume it; a finished run is not repeated.

    Without test clips it ends without an accuracy, and the notes of its result name the ways to get one.
    With `folds` of 2 or more and no `draw`, it trains a run for each fold, which it tests on that fold, and
    then the returned one on all labels. The folds give its `expected_accuracies` and its temperatures.

    Every flag of `ssl-video train` is a keyword: the keys of a specification (data, protocol, steps,
    backbone, options={"threshold": 0.8}, ...) and device, threads, workers, devices, compile, results,
    logger (a name or several), ...
    On the demo clips the settings of the demo suite are the defaults, on other data those of the recipe
    "probe", unless a backbone, a width or weights are given.

    Args:
        algorithm: a name, "path/to/file.py:name", or a class; None: that of `config`, else supervised.
        config: a YAML file with keys of a specification, and `logger`; keywords override it.
        resume: the folder of a run that was stopped; replaces `config`.
        recipe: settings that replace the defaults: "probe", "finetune", "scratch", or a YAML file.
        overrides: values by dotted key, which override all others: {"networks.auxiliary.width": 0.5}.
        progress: True, False, or an observer; None: shown in a terminal or a notebook.
        keywords: see above.

    Returns:
        The folder of the finished run.

    Raises:
        InputError: every problem that can be found before the run begins.
        RunFailed: a later problem, for example a full disk or a loss that is not finite.
        KeyboardInterrupt: the run was stopped; the same call resumes it.
    """
    given, execution = arguments.split(keywords, without=BENCH_ONLY)
    if resume is not None:
        if config is not None or recipe is not None:
            what = "RUN.yaml" if config is not None else "--recipe"
            raise InputError(f"--resume takes its settings from the run's folder: leave out {what}")
        # Resolved, so that relative paths and links have the name of the run, too.
        resume = RunFolder(Path(resume).resolve())
        if keywords.get("results") and Path(keywords["results"]).resolve() != resume.results:
            raise InputError(f"--resume writes to {resume.results}: leave out --results")
        config, execution["results"] = resume.path / SPEC, resume.results
    if algorithm is not None:
        given = merge(arguments.entry(algorithm), given)
    in_file = read_yaml(Path(config)) if config else {}
    # The only setting of the execution that is rather a project's than a machine's.
    execution = {"logger": in_file.pop("logger", None)} | execution
    values = merge(in_file, given)
    spec = arguments.single(values, given, overrides, recipe)
    check_names([spec])
    specs = [spec] if resume else _with_folds(spec)
    outcome = _carry_out(specs, execution | {"jobs": 1}, progress, resume)
    folder = run_folder(execution["results"], outcome.names[-1])
    for name, reason in outcome.results.failures.items():
        raise RunFailed(run_folder(execution["results"], name), reason)
    return folder


@arguments.takes(
    *(key for key in SPEC_KEYS if key not in ("backbone", "protocol", "seed")),
    *(key for key in EXECUTION if key not in TRAIN_ONLY),
)
def bench(
    algorithms: Method | Sequence[Method] | None = None,
    *,
    data: Names | None = None,
    protocols: Names | None = None,
    backbones: Names | None = None,
    draws: int | None = None,
    seeds: int | None = None,
    match: str | None = None,
    suite: str | None = None,
    recipe: str | None = None,
    baseline: str | None = BASELINE,
    overrides: Mapping[str, Any] | None = None,
    progress: bool | Observer | None = None,
    **keywords: Any,
) -> Results:
    """Compare algorithms over partition protocols and seeds; finished runs are not repeated.

    Keywords are the keys of a specification, the same for all runs, and device, threads, jobs, executor,
    results, ..., as the flags of `ssl-video bench`. Without `data` it runs on the embedded demo clips. Other
    data has the recipe "probe", unless a suite, or a backbone, width or weights are given; comparisons of
    probes have logistic regression as a row.

    Args:
        algorithms: names, "path/to/file.py:name", classes, or mappings of keys of a specification such as
            {"algorithm": "cmpl", "options": {"threshold": 0.95}}; "all": every built-in one that is
            trained by steps and needs no table of predictions. None: those of the suite, else cmpl.
        data: data sets: "demo", folders of class folders, manifests or index files.
        protocols: partition protocols. None: those of the suite, else "auto": all clips
            with a label for data with unlabeled clips or folds, and per-class:10 for other data.
        backbones: backbones of the networks that have none of their own.
        draws: draws of labels, each with all seeds. None: each seed draws its own.
        seeds: number of seeds, counted from 0.
        match: quantity that is equal for all methods: "steps", "clips", "forwards" or "seconds"; the last
            three also with an amount, as in "clips:54000".
        suite: a benchmark by name or from a YAML file.
        recipe: settings that replace the suite's: "probe", "finetune", "scratch", or a YAML file.
        baseline: an algorithm that is added if it is missing, for gains: see `Results.compare`; None: none.
        overrides: values by dotted key, which override all others: {"options.threshold": 0.8}.
        progress: True, False, or an observer; None: shown in a terminal or a notebook.
        keywords: see above.

    Returns:
        The finished runs of this benchmark. Runs that failed are in `failures`.

    Raises:
        InputError: every problem that can be found before the first run begins; data without test clips and
            without `folds` is one.
        KeyboardInterrupt: the benchmark was stopped; the same call resumes it.
    """
    chosen, specs, execution = arguments.benchmark(
        algorithms, data=data, protocols=protocols, backbones=backbones, draws=draws, seeds=seeds,
        match=match, suite=suite, recipe=recipe, baseline=baseline, overrides=overrides, **keywords,
    )  # fmt: skip
    check_names(specs, commands=chosen.data_commands)
    return _carry_out(specs, execution, progress, match=chosen.match, compared=True).results


@arguments.takes(like=bench)
def forecast(
    algorithms: Method | Sequence[Method] | None = None,
    *,
    measure: bool = False,
    baseline: str | None = BASELINE,
    progress: bool | Observer | None = None,
    **keywords: Any,
) -> "Forecast":
    """List the runs of a benchmark, the finished ones, and the cost of the others; nothing is trained.

    The data may be absent. All arguments but `measure` are those of `bench`.

    Args:
        algorithms: see `bench`.
        measure: whether to run a few steps, on random clips, of each method without a finished run.
        baseline: see `bench`.
        progress: see `bench`.
        keywords: see `bench`.

    Raises:
        InputError: every problem that `bench` would report, except absent data.
    """
    chosen, specs, execution = arguments.benchmark(algorithms, baseline=baseline, **keywords)
    check_names(specs, data=False)
    from ssl_video.benchmarks.running.carry_out import matched  # imports torch, which takes seconds
    from ssl_video.benchmarks.running.dry_run import dry_run
    from ssl_video.training.execution import complete

    shown, completed = observer(progress), complete(execution)
    specs = matched(specs, chosen.match, completed, shown)
    return dry_run(specs, completed, shown, measure=measure, commands=chosen.data_commands)


def _with_folds(spec: Spec) -> list[Spec]:
    """Return the runs of all folds and the one on all labels, if a specification asks for folds."""
    if spec.folds < 2 or spec.draw is not None:
        return [spec]
    of_folds = [spec.model_copy(update={"draw": draw}) for draw in range(spec.folds)]
    return [*of_folds, spec.model_copy(update={"folds": 1})]


def _carry_out(
    specs: Sequence[Spec],
    execution: Mapping[str, Any],
    progress: bool | Observer | None,
    resume: RunFolder | None = None,
    match: str = "steps",
    *,
    compared: bool = False,
) -> "Outcome":
    from ssl_video.benchmarks.running.carry_out import (  # imports torch, which takes seconds
        carry_out,
        matched,
    )
    from ssl_video.training.execution import complete

    shown, completed = observer(progress), complete(execution)
    runs = matched(specs, match, completed, shown)
    return carry_out(runs, completed, shown, resume, compared=compared)
