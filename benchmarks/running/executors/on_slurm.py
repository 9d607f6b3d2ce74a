"""Runs as jobs of Slurm, through submitit (https://github.com/facebookincubator/submitit)."""

import signal
from collections.abc import Sequence
from typing import Any

from ssl_video.benchmarks.running.executors.cluster import RunEnd, RunOrder, carry_out
from ssl_video.benchmarks.running.executors.local import Local
from ssl_video.errors import InputError
from ssl_video.training.execution import Execution

# A job that reaches its time limit is requeued and resumes from its checkpoint. A limit that is short, and
# so gets the job through the queue sooner, is better than one that is long enough.
_MINUTES, _REQUEUES = 240, 100


class Slurm:
    """A `Scheduler` with a job for each run; runs that are sent together are one job array.

    Jobs and their logs are stored in RESULTS/jobs.

    Args:
        execution: a job requests the cores of a run's threads and loading processes, and its GPUs.
            `executor_options` are parameters of submitit's `update_parameters`, which take precedence:
            timeout_min, mem_gb, slurm_partition, slurm_account, slurm_array_parallelism, ...; `cluster`:
            "slurm", or "local" for processes of this machine, to try things out.

    Raises:
        InputError: submitit is not installed, there is no Slurm, or submitit does not know an option.
    """

    def __init__(self, execution: Execution) -> None:
        try:
            import submitit
        except ImportError:
            raise InputError("--executor slurm needs submitit: pip install 'ssl-video[slurm]'") from None
        given = dict(execution.executor_options)
        self.cluster = str(given.pop("cluster", "slurm"))
        asked: dict[str, Any] = {
            "name": "ssl-video",
            "timeout_min": _MINUTES,
            "cpus_per_task": execution.cores_wanted,
            "gpus_per_node": execution.devices if execution.device == "cuda" else 0,
        }
        try:
            self._executor = submitit.AutoExecutor(
                execution.results.absolute() / "jobs",
                cluster=self.cluster,
                slurm_max_num_timeout=_REQUEUES,
            )
            self._executor.update_parameters(**asked | given)
        except RuntimeError as error:
            raise InputError(
                f"--executor slurm: {error} Give this command where sbatch works, or try it without Slurm: "
                "--executor-option cluster=local"
            ) from None
        except (NameError, TypeError, ValueError) as error:
            raise InputError(f"--executor-option: {str(error).splitlines()[0]}") from None

    def describe(self) -> str:
        """Return the cluster and the folder of its logs, as the end of a sentence."""
        return f"as jobs of submitit's cluster {self.cluster}, whose logs are in {self._executor.folder}"

    def send(self, orders: Sequence[RunOrder]) -> list[Any]:
        """Submit a job for each order."""
        with self._executor.batch():
            return [self._executor.submit(_Job(order)) for order in orders]

    def outcome(self, job: Any) -> RunEnd | None:
        """Return the outcome of a job; None if it has not ended."""
        if not job.done():
            return None
        if not job.paths.result_pickle.exists() and job.state != "COMPLETED":
            kind = "failed" if job.state.startswith("CANCELLED") else "lost"
            return RunEnd(kind, f"its job {job.job_id} ended as {job.state} (see {job.paths.stderr})")
        error = job.exception()
        if error is None:
            return RunEnd(*job.result())
        trace = str(error).partition("You can check full logs")[0]
        lines = [line for line in trace.splitlines() if line.strip("- ")]
        return RunEnd("failed", f"{lines[-1]} (see {job.paths.stderr})")

    def cancel(self, jobs: Sequence[Any]) -> None:
        """Cancel jobs; those under way write a checkpoint."""
        for job in jobs:
            job.cancel(check=False)


class _Job:
    """A callable for submitit on the machine that Slurm chose."""

    def __init__(self, order: RunOrder) -> None:
        self.order = order
        self._local: Local | None = None

    def __call__(self) -> RunEnd:
        """Carry out the run."""
        # Slurm sends it when a job is cancelled; submitit would continue until it is killed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        self._local = self.order.executor()
        return carry_out(self.order, self._local)

    def checkpoint(self) -> Any:
        """Return the same job again, which submitit requests when it is preempted or out of time."""
        from submitit.helpers import DelayedSubmission

        # Before the job is requeued, which ends its processes.
        if self._local:
            self._local.stop()
        return DelayedSubmission(_Job(self.order))
