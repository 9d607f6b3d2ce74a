"""The processes of a command: the server of runs, a run, the server of its loading processes, these."""

import contextlib
from pathlib import Path

from helpers.leftovers import Leftovers


def parent(number: int) -> int:
    """Return the number of a process's parent; 0 if the process is gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def kinds(command: int, left: Leftovers) -> dict[str, list[int]]:
    """Return the numbers of a command's living processes, by what they are; kinds without any are absent."""
    parents = {number: parent(number) for number in left.of_kind("forkserver")}

    def below(numbers: list[int]) -> list[int]:
        return [number for number, other in parents.items() if other in numbers]

    found = {"command": [command], "server of runs": below([command])}
    found["run"] = below(found["server of runs"])
    found["server of loaders"] = below(found["run"])
    found["loader"] = below(found["server of loaders"])
    return {kind: numbers for kind, numbers in found.items() if numbers}
