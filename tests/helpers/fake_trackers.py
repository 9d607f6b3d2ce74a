"""Packages with the interfaces of W&B, MLflow and Lightning's loggers, which note their calls in a file."""

import json
from pathlib import Path
from typing import Any

# Variables of trackers are handed on to the processes of runs.
NOTES, BROKEN_FROM = "WANDB_NOTED_CALLS", "WANDB_BROKEN_FROM"

_LOGGERS = f'''
import json, os

def note(call, **content):
    with open(os.environ["{NOTES}"], "a") as file:
        file.write(json.dumps({{"call": call, **content}}) + "\\n")

class Wandb:
    def finish(self, exit_code=None):
        note("finish", state=exit_code)

class WandbLogger:
    def __init__(self, name, version, project, save_dir):
        self.experiment = Wandb()
        note("begin", id=version, name=name, project=project)

    def log_hyperparams(self, params):
        note("settings", settings=params)

    def log_metrics(self, metrics, step):
        if step >= int(os.environ.get("{BROKEN_FROM}", 10**9)):
            raise ConnectionError("the server is gone")
        note("log", step=step, numbers=metrics)

class MLFlowLogger:
    def __init__(self, experiment_name, run_name, tracking_uri, run_id):
        from mlflow import MlflowClient
        self.experiment, self.run_id = MlflowClient(), run_id or "given by the server"
        note("begin", id=run_id, name=run_name, project=experiment_name, server=tracking_uri)

    def log_hyperparams(self, params):
        note("settings", settings=params)

    def finalize(self, state):
        note("finish", state=state)
'''
_MLFLOW = """
import os
from types import SimpleNamespace
from pytorch_lightning.loggers import note

class MlflowException(Exception):
    pass

class MlflowClient:
    known = []
    def get_experiment_by_name(self, name):
        return name if name in self.known else None

    def create_experiment(self, name):
        # Another run was faster.
        self.known.append(name)
        raise MlflowException("it exists")

    def update_run(self, id, status):
        note("update", id=id, state=status)

    def log_batch(self, id, metrics):
        assert len(metrics) <= 1000, "MLflow refuses more"
        note("log", id=id, metrics=[[name, value, step] for name, value, _, step in metrics])

def get_tracking_uri():
    return os.environ.get("MLFLOW_TRACKING_URI", "its default")

exceptions = SimpleNamespace(MlflowException=MlflowException)
entities = SimpleNamespace(Metric=lambda *values: values)
"""


def write_packages(folder: Path) -> Path:
    """Write the packages into a folder that is to be put on Python's path, and return it."""
    for package, text in (("wandb", ""), ("mlflow", _MLFLOW), ("pytorch_lightning", "")):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(text)
    (folder / "pytorch_lightning" / "loggers.py").write_text(_LOGGERS)
    return folder


def calls(file: Path) -> list[dict[str, Any]]:
    """Return the calls that were noted."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
