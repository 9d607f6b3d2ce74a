import dataclasses

from ssl_video.benchmarks.running.arguments import EXECUTION
from ssl_video.training.execution import Execution

# Decided by what starts the processes, or an inner setting.
NOT_GIVEN = {"launcher", "checkpoint_seconds"}
# None where the machine or the executor decides.
DECIDED_LATER = {"devices", "num_nodes", "jobs", "executor_options"}


def test_keywords_of_an_execution_are_its_fields_with_its_defaults() -> None:
    """Repeated there, so that a signature needs no torch."""
    fields = {field.name: field for field in dataclasses.fields(Execution)}
    assert EXECUTION.keys() == fields.keys() - NOT_GIVEN
    same = EXECUTION.keys() - DECIDED_LATER - {"results"}
    assert {name: EXECUTION[name] for name in same} == {name: fields[name].default for name in same}
    assert EXECUTION["results"] == str(fields["results"].default)
    assert {EXECUTION[name] for name in DECIDED_LATER} == {None}
