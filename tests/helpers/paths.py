"""Paths of the project and of reference data beside it, without which some tests skip."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "../shared"
LISTS = SHARED / "lists"
FIXTURES = SHARED / "data/fixtures"
UCF = SHARED / "data/ucf101_5c"
