"""The page for labels in a browser, from the disk: keys, clicks, what is kept, and the table that is saved.

Needs Playwright (the extra `browser`) and an installed Chromium.
"""

import csv
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers import browser as browsers
from helpers.browser import Tab
from helpers.label_pages import CLASSES, HOSTILE, row, write
from PIL import Image

from ssl_video.annotation.moving_pictures import MovingPicture
from ssl_video.csv_cells import unmark

pytestmark = browsers.WITHOUT

NAMES = ("a.avi", "b.avi", "c.avi", "d.avi")
MANY = tuple(f"class {number:02}" for number in range(30))
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsers.started() as running:
        yield running


class LabelTab(Tab):
    """A page for labels."""

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def heading(self) -> str:
        return str(self.page.inner_text("#heading"))

    @property
    def count(self) -> str:
        return str(self.page.inner_text("#count"))

    @property
    def states(self) -> list[str]:
        """The label or state of every clip in the list."""
        return list(self.page.eval_on_selector_all("#list .state", "all => all.map(one => one.textContent)"))

    @property
    def classes(self) -> list[str]:
        return list(self.page.eval_on_selector_all("#classes bdi", "all => all.map(one => one.textContent)"))

    @property
    def frame(self) -> int:
        return int(self.page.input_value("#frame"))

    def until(self, true: Callable[[], bool]) -> None:
        """Wait; Playwright's own function for it evaluates texts, which the page forbids."""
        while not true():
            self.page.wait_for_timeout(20)

    def choose(self, name: str) -> None:
        self.page.locator("#classes button", has=self.page.locator("bdi", has_text=name)).click()

    def save(self) -> Path:
        with self.page.expect_download() as coming:
            self.page.click("#save")
        assert coming.value.suggested_filename == "clips.csv"
        return Path(coming.value.path())

    def close(self) -> None:
        self.context.close()
        assert self.said == []


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """`opened(rows, classes, ...)` shows a page, which asks for nothing but its pictures."""
    tabs = list[LabelTab]()

    def show(
        rows: list[dict[str, Any]],
        classes: tuple[str, ...] = CLASSES,
        films: Sequence[MovingPicture] = (),
        **context: Any,
    ) -> LabelTab:
        tabs.append(LabelTab(browser, write(tmp_path, rows, classes, films), **context))
        return tabs[-1]

    yield show
    for tab in tabs:
        tab.close()
        inside = f"{tmp_path.as_uri()}/(index.html|clips/[0-9]+.(webp|jpg))"
        assert [address for address in tab.asked if not re.fullmatch(f"{inside}|blob:.*", address)] == []


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, strict=True))


def test_labels_are_given_by_keys_and_clicks_and_saved(opened: Any) -> None:
    rows = [row(name, start=1.5, end=None) for name in NAMES]
    tab = opened(rows)
    assert (tab.heading, tab.count) == ("Clip 1 of 4", "0 of 4 labeled")
    tab.press("3", "Enter")
    assert (tab.heading, tab.count) == ("Clip 3 of 4", "2 of 4 labeled")
    tab.choose("jump")
    # The button that was clicked does not take the next key.
    tab.press("Enter")
    assert tab.states == ["wave", "bow", "jump", "bow"]
    assert "All clips are labeled. Now save" in tab.page.inner_text("#told")
    saved = tab.save()
    assert "Saved" in tab.page.inner_text("#told")
    header, *lines = rows_of(saved)
    assert header == list(rows[0])
    expected = ["bow", "0.512345", "jump", "0.00001", "0.1"]
    assert lines == [
        [name, "1.5", "", label, *expected]
        for name, label in zip(NAMES, ("wave", "bow", "jump", "bow"), strict=True)
    ]


def test_one_can_go_back_correct_skip_and_undo(opened: Any) -> None:
    tab = opened([row(name) for name in NAMES])
    tab.press("1", "Backspace")
    assert tab.heading == "Clip 1 of 4"
    assert tab.page.get_attribute("#classes li:nth-child(1) button", "aria-pressed") == "true"
    # The next one without a label comes after a correction.
    tab.press("2", "Space", "s")
    assert (tab.heading, tab.count) == ("Clip 4 of 4", "1 of 4 labeled, 2 skipped")
    assert tab.states == ["jump", "skipped", "skipped", ""]
    tab.press("u")
    assert (tab.heading, tab.states[2]) == ("Clip 3 of 4", "")
    tab.press("Control+z", "u")
    assert tab.states == ["bow", "", "", ""]
    tab.press("u")
    assert (tab.count, tab.page.is_disabled("#undo")) == ("0 of 4 labeled", True)
    tab.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert tab.heading == "Clip 2 of 4"
    # Clips that were skipped come again when there is no other one left.
    tab.press("Space", "1", "1", "1")
    assert tab.heading == "Clip 2 of 4, skipped"
    tab.press("2", "Delete")
    assert (tab.states, tab.count) == (["bow", "", "bow", "bow"], "3 of 4 labeled")


def test_labels_outlive_the_tab_and_can_be_removed(opened: Any) -> None:
    tab = opened([row(name) for name in NAMES])
    address = tab.page.url
    tab.press("2", "Space", "3")
    tab.page.close()
    tab.page = tab.open(address)
    assert tab.states == ["jump", "skipped", "wave", ""]
    assert (tab.heading, tab.count) == ("Clip 4 of 4", "2 of 4 labeled, 1 skipped")
    assert "Welcome back" in tab.page.inner_text("#said")
    tab.press("u")
    assert tab.states[2] == ""
    tab.page.once("dialog", lambda dialog: dialog.dismiss())
    tab.page.click("#reset")
    assert tab.states[0] == "jump"
    tab.page.once("dialog", lambda dialog: dialog.accept())
    tab.page.click("#reset")
    assert (tab.states, tab.heading) == ([""] * 4, "Clip 1 of 4")
    tab.page.reload()
    assert (tab.states, tab.count) == ([""] * 4, "0 of 4 labeled")


def test_a_second_tab_follows_the_first(opened: Any) -> None:
    tab = opened([row(name) for name in NAMES])
    other = tab.open(tab.page.url)
    other.keyboard.press("3")
    tab.until(lambda: tab.states[0] == "wave")
    assert tab.heading == "Clip 1 of 4"
    tab.press("ArrowRight", "1")
    assert tab.states == ["wave", "bow", "", ""]


def test_leaving_with_labels_that_are_not_saved_is_asked(opened: Any) -> None:
    tab = opened([row(name) for name in NAMES])
    asked = list[str]()
    tab.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    tab.page.reload()
    assert asked == []
    tab.press("1")
    tab.page.reload()
    assert asked == ["beforeunload"]
    tab.save()
    tab.page.reload()
    assert asked == ["beforeunload"]


def test_hostile_names_come_back_the_same(opened: Any) -> None:
    """As clips, as classes, and as new classes that are typed; read by Python's csv and by pandas."""
    paths = [f"/data/{name}" for name in HOSTILE]
    tab = opened(
        [row(path, predicted=name, second=name) for path, name in zip(paths, HOSTILE, strict=True)], HOSTILE
    )
    for name in HOSTILE:
        assert tab.page.text_content("#name") == name.split("/")[-1]
        assert tab.page.text_content("#accept bdi") == name
        tab.press("Enter")
    assert tab.states == list(HOSTILE)
    saved = tab.save()
    header, *lines = rows_of(saved)
    place = header.index("label")
    assert [(line[0], unmark(line[place]), unmark(line[place + 1])) for line in lines] == [
        (path, name, name) for path, name in zip(paths, HOSTILE, strict=True)
    ]
    table = pd.read_csv(saved, keep_default_na=False)
    assert table["path"].tolist() == paths
    assert [unmark(text) for text in table["label"]] == list(HOSTILE)


def test_bytes_of_names_that_are_not_utf_8_come_back_the_same(opened: Any) -> None:
    name = b"/data/caf\xe9 \xf0\x9f\xa6\x8a \xff\xfe.avi"
    tab = opened([row(os.fsdecode(name))])
    tab.press("1")
    assert tab.save().read_bytes().splitlines()[1].startswith(name + b",")


def test_few_classes_keep_their_keys_and_new_ones_follow(opened: Any) -> None:
    tab = opened([row(name, predicted="wave", second="jump") for name in NAMES])
    assert tab.classes == ["bow", "jump", "wave"]
    tab.press("/")
    tab.page.keyboard.type('  sit, "still" 1 ')
    assert tab.classes == []
    assert tab.page.inner_text("#add") == 'New class: sit, "still" 1'
    tab.press("Enter")
    assert tab.classes == ["bow", "jump", "wave", 'sit, "still" 1']
    tab.press("4")
    assert tab.states[:2] == ['sit, "still" 1'] * 2
    # A class that nobody used is gone.
    tab.press("u", "u")
    assert tab.classes == ["bow", "jump", "wave"]


def test_words_for_no_label_are_no_class(opened: Any) -> None:
    tab = opened([row(name) for name in NAMES])
    tab.press("/")
    tab.page.keyboard.type("Unknown")
    tab.press("Enter")
    assert "has no label" in tab.page.inner_text("#refused")
    assert tab.count == "0 of 4 labeled"
    tab.press("Escape", "1")
    assert tab.count == "1 of 4 labeled"


def test_many_classes_are_found_by_their_names(opened: Any) -> None:
    tab = opened([row(name, predicted="class 20", second="class 10") for name in NAMES], MANY)
    assert tab.classes[:3] == ["class 20", "class 10", "class 00"]
    tab.press("2", "/")
    tab.page.keyboard.type("SS 25")
    assert tab.classes == ["class 25"]
    tab.press("Enter")
    assert tab.states[:2] == ["class 10", "class 25"]
    # The one that was used last comes after those of the model.
    assert tab.classes[:4] == ["class 20", "class 10", "class 25", "class 00"]
    tab.press("/")
    tab.page.keyboard.type("1")
    tab.press("ArrowDown", "ArrowDown", "Enter")
    # Of those with a 1 in their names: 10, 01, 11, ...; the second is 01.
    assert tab.states[2] == "class 01"
    assert len(tab.classes) == 30


def test_labels_are_checked(opened: Any) -> None:
    rows = [
        row("a.avi", "wave", quality=0.02),
        row("b.avi", "wave", quality=0.5),
        row("c.avi", "bow", quality=0.6),
        row("d.avi", "jump", quality=0.7),
        row("e.avi", "jump", quality=None),
    ]
    tab = opened(rows)
    assert tab.page.inner_text("#keep").split() == ["K", "Keep", "wave", "quality", "2", "%"]
    tab.press("Enter", "k", "Enter")
    assert tab.count == "3 of 5 checked"
    assert tab.states == ["bow", "wave", "bow", "jump", "jump"]
    tab.press("Delete")
    assert (tab.states[3], tab.count) == ("no label", "4 of 5 checked")
    lines = rows_of(tab.save())
    place = lines[0].index("label")
    # A label that was not looked at stays.
    assert [line[place] for line in lines[1:]] == ["bow", "wave", "bow", "unlabeled", "jump"]


def test_the_list_leads_to_every_clip(opened: Any) -> None:
    tab = opened([row(name) for name in NAMES])
    tab.page.click("#list li:nth-child(3) button")
    assert tab.heading == "Clip 3 of 4"
    tab.press("1")
    assert tab.states == ["", "", "bow", ""]
    tab.page.select_option("#filter", "done")
    assert tab.page.locator("#list li:visible").count() == 1
    tab.page.select_option("#filter", "skipped")
    assert tab.page.is_visible("#none")


def test_the_clip_moves_and_can_be_stopped(opened: Any) -> None:
    tab = opened([row("a.avi"), row("b.avi")])
    tab.until(lambda: tab.frame > 2)
    tab.press("p")
    assert tab.page.inner_text("#pause") == "Play"
    stopped = tab.frame
    tab.page.wait_for_timeout(500)
    assert tab.frame == stopped
    tab.page.focus("#frame")
    tab.press("End", "ArrowLeft")
    assert tab.page.get_attribute("#frame", "aria-valuetext") == "frame 23 of 24"
    assert tab.heading == "Clip 1 of 2"
    # Frame n has the red 10 n; it is in the middle of the screen.
    picture = Image.open(io.BytesIO(tab.page.locator("#film").screenshot())).convert("RGB")
    assert picture.getpixel((picture.width // 2, picture.height // 2)) == (220, 0, 0)


def test_nothing_moves_for_who_asked_for_less_motion(opened: Any) -> None:
    tab = opened([row("a.avi")], reduced_motion="reduce")
    tab.until(lambda: tab.frame == 12)
    assert tab.page.inner_text("#pause") == "Play"
    tab.page.wait_for_timeout(500)
    assert tab.frame == 12
    tab.press("p")
    tab.until(lambda: tab.frame != 12)


def test_a_missing_picture_is_told(opened: Any, tmp_path: Path) -> None:
    tab = opened([row("a.avi"), row("b.avi")])
    (tmp_path / "clips/0001.webp").unlink()
    tab.page.reload()
    tab.page.wait_for_selector("#problem:visible")
    assert "clips/0001.webp is not beside this page" in tab.page.inner_text("#problem")
    assert any("ERR_FILE_NOT_FOUND" in text for text in tab.said)
    tab.said.clear()
    tab.press("1")
    assert not tab.page.is_visible("#problem")


def test_without_storage_it_says_so(opened: Any, tmp_path: Path) -> None:
    tab = opened([row(name) for name in NAMES])
    tab.context.add_init_script("Storage.prototype.setItem = () => { throw new Error('full'); };")
    tab.page.reload()
    tab.press("1")
    assert "does not keep your labels" in tab.page.inner_text("#told")
    assert tab.count == "1 of 4 labeled"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_scrolling_sideways(opened: Any, scheme: str) -> None:
    tab = opened([row("/data/" + "long" * 50 + ".avi", predicted="x" * 80)], color_scheme=scheme, **PHONE)
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
    ground = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


def test_no_button_moves_from_clip_to_clip(opened: Any) -> None:
    films = [MovingPicture(24, *size, 2.5) for size in ((16, 16), (16, 4), (4, 16))]
    broken = MovingPicture(problem="no video stream")
    tab = opened([row(name) for name in NAMES], films=[*films, broken], **PHONE)
    place = "document.querySelector('#classes li:nth-child(2) button').getBoundingClientRect().top"
    places = list[float]()
    for _ in NAMES:
        places.append(tab.page.evaluate(place))
        tab.press("ArrowRight")
    assert len(set(places)) == 1
    assert tab.page.inner_text("#problem") == "This clip cannot be shown: no video stream. You can skip it."


def test_a_thousand_clips_stay_quick(opened: Any) -> None:
    tab = opened([row(f"/data/{number}.avi") for number in range(1000)])
    assert len(tab.states) == 1000
    tab.press(*"123" * 10)
    assert (tab.heading, tab.count) == ("Clip 31 of 1000", "30 of 1000 labeled")
    # Pictures out of sight are not asked for, and of the moving ones only those of clips that were shown.
    assert len({address for address in tab.asked if address.endswith(".webp")}) <= 32
    assert len({address for address in tab.asked if address.endswith(".jpg")}) < 500
    tab.page.click("#list li:nth-child(990) button")
    assert tab.heading == "Clip 990 of 1000"
    assert len(rows_of(tab.save())) == 1001
