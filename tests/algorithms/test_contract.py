"""Every algorithm of the registry keeps every promise; a new file in algorithms/ is checked by itself."""

from pathlib import Path

import pytest

from ssl_video import algorithms as package
from ssl_video.registry import algorithms
from ssl_video.testing import CHECKS, results
from ssl_video.testing.sources import forbidden

NAMES = algorithms.builtin()
FOLDER = Path(package.__path__[0])
# By method: its checks that fail on purpose.
WAIVED = {
    "logistic": ["options-are-read"],
    "propagation": ["options-are-read"],
    "tcl": ["no-waiting"],
}
assert NAMES, "without names everything below would be skipped"


@pytest.mark.parametrize(
    ("name", "check"), [pytest.param(name, check, id=f"{name}-{check}") for name in NAMES for check in CHECKS]
)
def test_contract(name: str, check: str) -> None:
    (result,) = results(name, check)
    if result.outcome == "not applicable":
        pytest.skip(result.found)
    assert result.outcome == ("waived" if check in WAIVED.get(name, []) else "pass"), str(result)


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda file: str(file.relative_to(FOLDER)))
def test_only_one_part_knows_of_other_processes(file: Path) -> None:
    """The check looks at what one algorithm is made of; this at every file, functions, too."""
    found = {name for _, name in forbidden(file)}
    if file.relative_to(FOLDER) == Path("parts/processes.py"):
        found = {name for name in found if not name.startswith("torch.distributed")}
    assert not found
