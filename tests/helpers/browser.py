"""Pages in an installed Chromium, which Playwright (the extra `browser`) drives."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WITHOUT = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")


@contextmanager
def started() -> Iterator[Any]:
    """Yield a browser; the test is skipped without Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install -e '.[browser]'")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Tab:
    """A page as somebody sees it, and everything that went wrong meanwhile.

    Attributes:
        said: messages and errors of the page.
        asked: addresses that it asked for.
    """

    def __init__(self, browser: Any, address: str, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = self.open(address)

    def open(self, address: str) -> Any:
        """Open a page in the same profile."""
        page = self.context.new_page()
        page.set_default_timeout(120_000)  # machines that run tests do other work, too
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(address)
        return page
