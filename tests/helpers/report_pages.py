"""Results folders for reports, and pages as trees."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from helpers import records

from ssl_video.benchmarks.report.data import ReportData
from ssl_video.benchmarks.tables import leaderboard
from ssl_video.spec import build, plain

SPEC = plain(build({}))
VOID = {"meta", "input", "br", "img", "link", "hr", "source"}
# A page has elements of these names that may end themselves.
DRAWN = {"line", "circle", "rect", "path"}


def folder(results: Path, facts: dict[str, Any]) -> Path:
    """Where a record of `helpers.records` is written to: in its folder's name is its protocol, too."""
    return results / "runs" / f"{facts['run']}-{facts['protocol'].replace('/', '-')}"


def write(results: Path, *runs: dict[str, Any]) -> Path:
    """Records as finished runs write them, from those of `helpers.records`."""
    for facts in runs:
        place = folder(results, facts)
        spec = SPEC | {"seed": facts["seed"], "protocol": facts["protocol"]} | facts["spec"]
        records.write_into(place, **facts | {"run": place.name, "spec": spec})
    return results


def report_data(results: Path, baseline: str = "supervised") -> ReportData:
    frame, problems, _ = leaderboard.read(results)
    return ReportData(results, frame, problems, baseline)


class Document(HTMLParser):
    """A page, read strictly: every element is closed where it has to be.

    Attributes:
        ids: of all elements, in order.
        elements: (name, attributes) of all elements, in order.
        scripts: what the elements of JSON hold, by id.
        text: everything else between the elements.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: dict[str, Any] = {}
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"not closed: {self.open}"
        self.ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice: <{tag} {attrs}>"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN, f"<{tag}/> does not end itself in HTML"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open[-1] == tag, f"</{tag}> where </{self.open[-1]}> is expected"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        name, attributes = self.elements[-1] if self.elements else ("", {})
        if self.open and self.open[-1] == "script" and attributes.get("type") == "application/json":
            self.scripts[attributes["id"]] = json.loads(data)
        elif not (self.open and name in ("script", "style")):
            self.text.append(data)

    def named(self, tag: str, kind: str = "") -> list[dict[str, str]]:
        """Attributes of all elements of a name and, where given, a class."""
        found = [attributes for name, attributes in self.elements if name == tag]
        return [a for a in found if kind in a.get("class", "").split()] if kind else found
