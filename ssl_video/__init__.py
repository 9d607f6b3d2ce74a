"""ssl-video: a modular algorithm zoo and benchmark for semi-supervised learning on video.

The names below are the whole public interface: those for using algorithms (`train`, `bench`, `create`, ...;
see docs/python.md) and those for writing one (`Algorithm`, `View`, `Teacher`, ...; see CONTRIBUTING.md), with
the names of `ssl_video.data`, `ssl_video.analysis` and `ssl_video.testing`. They are loaded on first use, so
that commands which need no network never import torch.
"""

from typing import TYPE_CHECKING

from ssl_video import lazy as _lazy

__version__ = "0.1.0"

if TYPE_CHECKING:  # `as` says that a name is public
    from ssl_video import analysis as analysis
    from ssl_video import data as data
    from ssl_video import testing as testing
    from ssl_video.algorithms.parts.contrast import info_nce as info_nce
    from ssl_video.algorithms.parts.features import Features as Features
    from ssl_video.algorithms.parts.passes import forward_joint as forward_joint
    from ssl_video.algorithms.parts.passes import forward_views as forward_views
    from ssl_video.algorithms.parts.processes import gather as gather
    from ssl_video.algorithms.parts.pseudo import Threshold as Threshold
    from ssl_video.algorithms.parts.pseudo import masked_cross_entropy as masked_cross_entropy
    from ssl_video.algorithms.parts.pseudo import ramp as ramp
    from ssl_video.algorithms.parts.teacher import EMATeacherAlgorithm as EMATeacherAlgorithm
    from ssl_video.algorithms.parts.teacher import Teacher as Teacher
    from ssl_video.annotation.suggesting import suggest as suggest
    from ssl_video.benchmarks.report.written import write_report as write_report
    from ssl_video.benchmarks.running.dry_run import Forecast as Forecast
    from ssl_video.benchmarks.running.watch import Watched as Watched
    from ssl_video.benchmarks.running.watch import watch as watch
    from ssl_video.benchmarks.speed.measurement import MeasuredData as MeasuredData
    from ssl_video.benchmarks.speed.measurement import MeasuredStep as MeasuredStep
    from ssl_video.benchmarks.speed.measurement import measure_data as measure_data
    from ssl_video.benchmarks.speed.measurement import measure_step as measure_step
    from ssl_video.benchmarks.tables.results import Results as Results
    from ssl_video.benchmarks.tables.results import ResultTable as ResultTable
    from ssl_video.benchmarks.tables.results import published_results as published_results
    from ssl_video.benchmarks.tables.results import read_results as read_results
    from ssl_video.catalog import find_algorithm as find_algorithm
    from ssl_video.catalog import list_algorithms as list_algorithms
    from ssl_video.catalog import list_backbones as list_backbones
    from ssl_video.catalog import list_data as list_data
    from ssl_video.catalog import list_file as list_file
    from ssl_video.catalog import list_protocols as list_protocols
    from ssl_video.catalog import list_recipes as list_recipes
    from ssl_video.catalog import list_suites as list_suites
    from ssl_video.checkup import Checkup as Checkup
    from ssl_video.checkup import check_storage as check_storage
    from ssl_video.contract import Algorithm as Algorithm
    from ssl_video.contract import Batch as Batch
    from ssl_video.contract import Fraction as Fraction
    from ssl_video.contract import LossOutput as LossOutput
    from ssl_video.contract import Network as Network
    from ssl_video.contract import NonNegative as NonNegative
    from ssl_video.contract import Paper as Paper
    from ssl_video.contract import Pseudo as Pseudo
    from ssl_video.contract import Task as Task
    from ssl_video.contract import View as View
    from ssl_video.creation import create as create
    from ssl_video.data.damage import Finding as Finding
    from ssl_video.errors import InputError as InputError
    from ssl_video.experiments import RunFailed as RunFailed
    from ssl_video.experiments import bench as bench
    from ssl_video.experiments import forecast as forecast
    from ssl_video.experiments import train as train
    from ssl_video.inference.model import Model as Model
    from ssl_video.labeled_data import LabeledData as LabeledData
    from ssl_video.labeled_data import evaluate as evaluate
    from ssl_video.labeled_data import load_data as load_data
    from ssl_video.observer import ConsoleObserver as ConsoleObserver
    from ssl_video.observer import Observer as Observer
    from ssl_video.pages import describe_algorithm as describe_algorithm
    from ssl_video.pages import write_page as write_page
    from ssl_video.pages import write_page_index as write_page_index
    from ssl_video.pictures import DrawnViews as DrawnViews
    from ssl_video.pictures import draw_views as draw_views
    from ssl_video.reference import BackboneRow as BackboneRow
    from ssl_video.reference import BackboneTable as BackboneTable
    from ssl_video.reference import backbone_table as backbone_table
    from ssl_video.registry import algorithm as algorithm
    from ssl_video.registry import backbone as backbone
    from ssl_video.runs.folder import RunFolder as RunFolder
    from ssl_video.runs.folder import load_model as load_model
    from ssl_video.runs.folder import open_run as open_run
    from ssl_video.runs.result import Result as Result
    from ssl_video.signals import Preempted as Preempted
    from ssl_video.signals import stop_on_signals as stop_on_signals
    from ssl_video.spec import Spec as Spec
    from ssl_video.templates import new_algorithm as new_algorithm
    from ssl_video.templates import new_backbone as new_backbone
    from ssl_video.testing import check_algorithm as check_algorithm

# Where each public name is defined.
_HOME = {
    "Algorithm": "contract",
    "BackboneRow": "reference",
    "BackboneTable": "reference",
    "Batch": "contract",
    "Checkup": "checkup",
    "ConsoleObserver": "observer",
    "DrawnViews": "pictures",
    "EMATeacherAlgorithm": "algorithms.parts.teacher",
    "Features": "algorithms.parts.features",
    "Finding": "data.damage",
    "Forecast": "benchmarks.running.dry_run",
    "Fraction": "contract",
    "InputError": "errors",
    "LabeledData": "labeled_data",
    "LossOutput": "contract",
    "MeasuredData": "benchmarks.speed.measurement",
    "MeasuredStep": "benchmarks.speed.measurement",
    "Model": "inference.model",
    "Network": "contract",
    "NonNegative": "contract",
    "Observer": "observer",
    "Paper": "contract",
    "Preempted": "signals",
    "Pseudo": "contract",
    "Result": "runs.result",
    "ResultTable": "benchmarks.tables.results",
    "Results": "benchmarks.tables.results",
    "RunFailed": "experiments",
    "RunFolder": "runs.folder",
    "Spec": "spec",
    "Task": "contract",
    "Teacher": "algorithms.parts.teacher",
    "Threshold": "algorithms.parts.pseudo",
    "View": "contract",
    "Watched": "benchmarks.running.watch",
    "algorithm": "registry",
    "backbone": "registry",
    "backbone_table": "reference",
    "bench": "experiments",
    "check_algorithm": "testing",
    "check_storage": "checkup",
    "create": "creation",
    "describe_algorithm": "pages",
    "draw_views": "pictures",
    "evaluate": "labeled_data",
    "find_algorithm": "catalog",
    "forecast": "experiments",
    "forward_joint": "algorithms.parts.passes",
    "forward_views": "algorithms.parts.passes",
    "gather": "algorithms.parts.processes",
    "info_nce": "algorithms.parts.contrast",
    "list_algorithms": "catalog",
    "list_backbones": "catalog",
    "list_data": "catalog",
    "list_file": "catalog",
    "list_protocols": "catalog",
    "list_recipes": "catalog",
    "list_suites": "catalog",
    "load_data": "labeled_data",
    "load_model": "runs.folder",
    "masked_cross_entropy": "algorithms.parts.pseudo",
    "measure_data": "benchmarks.speed.measurement",
    "measure_step": "benchmarks.speed.measurement",
    "new_algorithm": "templates",
    "new_backbone": "templates",
    "open_run": "runs.folder",
    "published_results": "benchmarks.tables.results",
    "ramp": "algorithms.parts.pseudo",
    "read_results": "benchmarks.tables.results",
    "stop_on_signals": "signals",
    "suggest": "annotation.suggesting",
    "train": "experiments",
    "watch": "benchmarks.running.watch",
    "write_page": "pages",
    "write_page_index": "pages",
    "write_report": "benchmarks.report.written",
}
# Public packages with names of their own.
_PACKAGES = ("analysis", "data", "testing")
__all__ = list(_HOME)

if not TYPE_CHECKING:
    __getattr__, __dir__ = _lazy.names(__name__, _HOME | dict.fromkeys(_PACKAGES, ""))
