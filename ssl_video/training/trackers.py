"""Experiment trackers that a run reports to, besides its own files, through Lightning's loggers."""

import importlib.util
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from ssl_video.errors import InputError, some
from ssl_video.files import read_bytes, replace_text
from ssl_video.runs.folder import METRICS, TRACKERS, VALIDATION, RunFolder
from ssl_video.runs.result import Result
from ssl_video.training.execution import LOGGERS

# The project of W&B and the experiment of MLflow, unless environment variables name others.
_PROJECT = "ssl-video"
_MLFLOW_STATES = {"finished": "success", "stopped": "KILLED", "failed": "failed"}
_MLFLOW_FORBIDDEN, _MLFLOW_MOST = re.compile("[^a-zA-Z0-9_/. -]+"), 1000
# Columns of a result that are logged beside the accuracies of its predictors.
_RESULT = (
    *("top1", "top5", "mean_class", "train_seconds", "test_seconds"),
    *("clips_seen", "parameters", "gflops", "training_gflops"),
)
# Numbers by name, with their step.
Rows = Sequence[tuple[int, dict[str, float]]]


class _Tracker:
    """A run in a tracker, new or continued. An error means that the tracker cannot be used.

    Args:
        folder: the run's folder, whose name is the run's.
        known: the tracker's id of a run that continues.
    """

    title: str
    packages: tuple[str, ...]
    id: str
    logger: Any  # one of Lightning's

    def __init__(self, folder: Path, known: str | None) -> None:
        raise NotImplementedError

    def configure(self, settings: dict[str, Any]) -> None:
        """Record the settings of a new run."""
        self.logger.log_hyperparams(settings)

    def log(self, rows: Rows) -> None:
        """Record numbers."""
        for step, numbers in rows:
            self.logger.log_metrics(numbers, step)

    def end(self, state: str) -> None:
        """End the run as "finished", "stopped" or "failed"."""
        self.logger.finalize(state)


class _Wandb(_Tracker):
    """Weights & Biases; its WANDB_ variables name project, entity, server and mode."""

    title, packages = "W&B", ("wandb", "pytorch_lightning")

    def __init__(self, folder: Path, known: str | None) -> None:
        from pytorch_lightning.loggers import WandbLogger

        self.id = known or uuid.uuid4().hex[:16]
        project = os.environ.get("WANDB_PROJECT", _PROJECT)
        self.logger = WandbLogger(name=folder.name, version=self.id, project=project, save_dir=str(folder))
        # Connects, so that an error is found now.
        self._run = self.logger.experiment

    def end(self, state: str) -> None:
        # The logger leaves this to the end of the Python process, which processes of runs do not reach.
        self._run.finish(exit_code=0 if state == "finished" else 1)


class _Mlflow(_Tracker):
    """MLflow; its MLFLOW_ variables name server and experiment."""

    title, packages = "MLflow", ("mlflow", "pytorch_lightning")

    def __init__(self, folder: Path, known: str | None) -> None:
        import mlflow
        from pytorch_lightning.loggers import MLFlowLogger

        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        if known is None:
            self._create(mlflow, experiment)
        self.logger = MLFlowLogger(
            experiment_name=experiment,
            run_name=folder.name,
            tracking_uri=mlflow.get_tracking_uri(),
            run_id=known,
        )
        self.id = self.logger.run_id
        if known is not None:
            self.logger.experiment.update_run(known, status="RUNNING")
        self._metric = mlflow.entities.Metric

    def _create(self, mlflow: Any, experiment: str) -> None:
        """Create the experiment; a run that begins at the same time may be faster."""
        client = mlflow.MlflowClient()
        if client.get_experiment_by_name(experiment) is None:
            try:
                client.create_experiment(experiment)
            except mlflow.exceptions.MlflowException:
                if client.get_experiment_by_name(experiment) is None:
                    raise

    def log(self, rows: Rows) -> None:
        # Together: the logger makes a request per step, for which training would wait.
        now = int(1000 * time.time())
        metrics = [
            self._metric(_MLFLOW_FORBIDDEN.sub("", name), value, now, step)
            for step, numbers in rows
            for name, value in numbers.items()
        ]
        for first in range(0, len(metrics), _MLFLOW_MOST):
            self.logger.experiment.log_batch(self.id, metrics=metrics[first : first + _MLFLOW_MOST])

    def end(self, state: str) -> None:
        self.logger.finalize(_MLFLOW_STATES[state])


class _TensorBoard(_Tracker):
    """Event files of TensorBoard in the run's folder."""

    title, packages = "TensorBoard", ("tensorboard",)

    def __init__(self, folder: Path, known: str | None) -> None:
        from lightning_fabric.loggers.tensorboard import TensorBoardLogger

        self.id = known or folder.name
        self.logger = TensorBoardLogger(str(folder), name="", version="tensorboard")

    def configure(self, settings: dict[str, Any]) -> None:
        # As text: TensorBoard has hyperparameters only together with final numbers.
        text = "".join(f"    {line}\n" for line in yaml.safe_dump(settings, sort_keys=False).splitlines())
        self.logger.experiment.add_text("settings", text)

    def log(self, rows: Rows) -> None:
        super().log(rows)
        self.logger.save()


_KINDS: dict[str, type[_Tracker]] = {"wandb": _Wandb, "mlflow": _Mlflow, "tensorboard": _TensorBoard}
assert _KINDS.keys() == set(LOGGERS)


def check(names: Sequence[str]) -> None:
    """Check that the packages of trackers are installed.

    Raises:
        InputError: some are not.
    """
    problems = []
    for name in names:
        missing = [package for package in _KINDS[name].packages if importlib.util.find_spec(package) is None]
        if missing:
            problems.append(
                f"--logger {name} needs packages that are not installed ({some(missing)}): "
                f"pip install 'ssl-video[{name}]'"
            )
    if problems:
        raise InputError(*problems)


class Trackers:
    """The trackers of one run, a context that ends them; a tracker that fails is left out from then on.

    The run's folder keeps the tracker's name of the run and the steps that it has got. So a resumed run
    continues there, without repeated or missing steps.

    Args:
        names: names of trackers; empty in all but the first process.
        folder: the run's folder.
        settings: the run's settings.
        start: the first step that the run will record.
        stopped: the exception that ends a run which can be resumed.
        warn: called with a sentence for each tracker that fails.
    """

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        settings: dict[str, Any],
        start: int,
        stopped: type[Exception],
        warn: Callable[[str], None],
    ) -> None:
        self._folder, self._stopped, self._warn = folder, stopped, warn
        self._known = _read(folder / TRACKERS) if names else {}
        self._open = dict[str, _Tracker]()
        for name in names:
            self._guarded(name, self._begin, name, settings, start)

    def metrics(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Log rows of the run's metrics."""
        self._send(METRICS, rows)

    def validation(self, row: Mapping[str, Any]) -> None:
        """Log a row of the run's validation accuracies."""
        self._send(VALIDATION, [row])

    def result(self, result: Result) -> None:
        """Log the accuracies and the cost of the finished run."""
        scores = {name: accuracies.model_dump() for name, accuracies in result.predictors.items()}
        columns = {f"result/{name}": getattr(result, name) for name in _RESULT}
        numbers = _numbers(_flat("test", scores) | columns)
        for name, tracker in list(self._open.items()):
            self._guarded(name, tracker.log, [(result.steps, numbers)])

    def __enter__(self) -> "Trackers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state = "finished" if kind is None else "stopped" if issubclass(kind, self._stopped) else "failed"
        for name, tracker in list(self._open.items()):
            self._guarded(name, tracker.end, state)

    def _begin(self, name: str, settings: dict[str, Any], start: int) -> None:
        known = self._known.get(name, {})
        tracker = _KINDS[name](self._folder, known.get("id"))
        if not known:
            tracker.configure(settings)
        self._known[name] = {METRICS: 0, VALIDATION: 0} | known | {"id": tracker.id}
        self._open[name] = tracker
        self._write()
        # A tracker that is new to the run, or that failed before, lacks steps.
        for file in (METRICS, VALIDATION):
            earlier = [row for row in RunFolder(self._folder).lines(file) if row["step"] < start]
            self._log(name, tracker, file, earlier)

    def _send(self, file: str, rows: Sequence[Mapping[str, Any]]) -> None:
        for name, tracker in list(self._open.items()):
            self._guarded(name, self._log, name, tracker, file, rows)
            self._guarded(name, self._write)

    def _log(self, name: str, tracker: _Tracker, file: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Log rows of a file, but those that the tracker has."""
        known = self._known[name]
        new = [row for row in rows if row["step"] >= known[file]]
        if new:
            tracker.log([(row["step"], _of_row(file, row)) for row in new])
            known[file] = new[-1]["step"] + 1

    def _write(self) -> None:
        replace_text(self._folder / TRACKERS, json.dumps(self._known, indent=1))

    def _guarded(self, name: str, call: Callable[..., None], *arguments: Any) -> None:
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 - no error of a tracker ends a run
            self._open.pop(name, None)
            reason = (str(error) or "no reason given").splitlines()[0]
            self._warn(
                f"{_KINDS[name].title} failed, and the run goes on without it: "
                f"{type(error).__name__}: {reason}"
            )


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """Return the run's state in each tracker; {} if there is none or it cannot be read."""
    try:
        found: dict[str, dict[str, Any]] = json.loads(read_bytes(file))
    except (OSError, ValueError):
        return {}
    return found


def _of_row(file: str, row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a row of one of the run's files."""
    values = {key: value for key, value in row.items() if key != "step"}
    return _numbers(_flat("validation", values) if file == VALIDATION else values)


def _flat(prefix: str, scores: Mapping[str, Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return the accuracies of predictors as prefix/accuracy/predictor."""
    return {f"{prefix}/{key}/{name}": value for name, one in scores.items() for key, value in one.items()}


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    """Return the values that are numbers: neither None nor nan, which trackers refuse."""
    return {name: value for name, value in values.items() if value is not None and value == value}
