"""Where reference data lies that is no part of the project; tests that need it skip where it is absent."""

from pathlib import Path

SHARED = Path(__file__).parents[1] / "../shared"
LISTS = SHARED / "lists"
FIXTURES = SHARED / "data/fixtures"
UCF = SHARED / "data/ucf101_5c"
