"""docs/leaderboard.md names the columns that there are."""

import re

import pytest
from helpers.paths import ROOT

from ssl_video.benchmarks.tables.exports import FIELDS
from ssl_video.benchmarks.tables.leaderboard import COLUMNS

PAGE = (ROOT / "docs" / "leaderboard.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("title", "columns"), [("### leaderboard.csv", COLUMNS), ("### --format csv", FIELDS)]
)
def test_columns_are_documented(title: str, columns: dict[str, str]) -> None:
    section = PAGE.split(f"{title}\n")[1].split("\n#")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)) == columns
