"""Several processes of one run, forked from the test, and what each of them returns."""

import multiprocessing
import os
import pickle
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from ssl_video.training import launch
from ssl_video.training.execution import Execution


def side_by_side(execution: Execution, work: Callable[[], Any]) -> list[Any]:
    """What `work()` returns in each of the processes that an execution asks for, in the order of ranks."""
    context = multiprocessing.get_context("fork")
    members = []
    for place in launch.places(execution):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_member, args=(work, place, theirs))
        process.start()
        theirs.close()
        members.append((process, ours))
    try:
        results = [pickle.loads(pipe.recv_bytes()) for _, pipe in members]
    except EOFError:
        results = [("error", "a process was killed")]
    finally:
        for process, _ in members:
            process.kill()
            process.join()
    problems = [text for kind, text in results if kind == "error"]
    assert not problems, "\n".join(problems)
    return [value for _, value in results]


def _member(work: Callable[[], Any], place: dict[str, str], pipe: Connection) -> None:
    os.environ.update(place)
    try:
        # By value: torch's own pickling would hand over memory that ends with this process.
        pipe.send_bytes(pickle.dumps(("value", work())))
    except BaseException:
        pipe.send_bytes(pickle.dumps(("error", traceback.format_exc())))
        raise
