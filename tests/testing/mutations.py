"""Which wrong changes of methods does anything notice? python tests/testing/mutations.py [FILE...]

Every change is made in a copy of the algorithms folder. First the methods that use the file are checked, up
to the first check that fails; then the unit tests of the file run. What nothing notices shows a missing check
or test. Takes some minutes.
"""

import contextlib
import importlib
import io
import re
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import wrong_changes
import wrong_changes_of_methods
from mutated import FOLDER, Mutation, failures, inside

CHANGES = [*wrong_changes.CHANGES, *wrong_changes_of_methods.CHANGES]
_TESTS = Path(__file__).parents[1] / "algorithms"


def killed_by(mutation: Mutation) -> str:
    """The first check that fails, else the first unit test, else nothing."""
    found = failures(mutation, first=True)
    if found:
        return next(iter(found)).split(": ")[1]
    test: str = inside(mutation, lambda: failed_test(mutation))
    return test


def failed_test(mutation: Mutation) -> str:
    """The first unit test that fails of those that import the changed file; "" where none does."""
    module = re.escape(mutation.file.removesuffix(".py").replace("/", "."))
    used = re.compile(rf'ssl_video\.algorithms\.{module}\b|"{module}"')
    files = [
        str(file)
        for file in sorted(_TESTS.rglob("test_*.py"))
        if file.name != "test_contract.py" and used.search(file.read_text(encoding="utf-8"))
    ]
    failed: list[str] = []

    class Watch:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                failed.append(report.nodeid.split("::")[-1])

    if files:
        with contextlib.redirect_stdout(io.StringIO()):
            # In this process, where the change is.
            options = ["-n", "0", "-x", "-p", "no:cacheprovider", "--no-header"]
            pytest.main([*options, *files], plugins=[Watch()])
    return failed[0] if failed else ""


def main() -> int:
    """Print what kills each change; the status is 1 if any survives."""
    # What unit tests import, once and not in every process.
    for module in ("ssl_video.training.loop", "lightning_fabric"):
        importlib.import_module(module)
    chosen = [m for m in CHANGES if not sys.argv[1:] or m.file in sys.argv[1:]]
    killers, survived = Counter[str](), 0
    for mutation in chosen:
        began = time.monotonic()
        killer = killed_by(mutation)
        survived += not killer
        killers["nothing" if not killer else "unit tests" if killer.startswith("test_") else killer] += 1
        seconds = time.monotonic() - began
        print(
            f"{mutation.file:30} {mutation.breaks:45} {killer or 'SURVIVED':55} {seconds:5.1f} s", flush=True
        )
    print(f"\n{len(chosen)} changes, {survived} survived")
    for killer, count in killers.most_common():
        print(f"{count:4} {killer}")
    return 1 if survived else 0


if __name__ == "__main__":
    assert FOLDER.is_dir()
    sys.exit(main())
