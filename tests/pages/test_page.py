"""Pages of a file of one's own: generated, written, refreshed."""

from pathlib import Path

import pytest

from ssl_video.errors import InputError
from ssl_video.pages import page, write

METHOD = '''"""Odd: a method for this test.

It has no pictures.
"""
from typing import Literal
from torch.nn import functional as F
from ssl_video import Algorithm, LossOutput, Network, Paper, View, algorithm, forward_joint

@algorithm("odd")
class Odd(Algorithm):
    """An odd one.

    Args:
        weight: of the
            unlabeled term (ours).
    """
    paper = Paper("An odd | method", authors="Roe", venue="CVPR", year=2021, arxiv="2101.00001")
    differences = ("It is odd.",)
    roles = {"main": Network(), "side": Network(width=0.5, rate=2)}
    labeled = {"plain": View("none")}
    unlabeled = {
        "slow": View("weak+timewarp", rate=0.5),
        "side": View("strong", network="side", copy=1),
        "fixed": View("strong", frames=4, stride=3, window="own"),
    }

    def __init__(self, task, main, side, *, weight: float = 2.0, kind: Literal["a", "b"] = "a", loose=None):
        super().__init__()
        self.main, self.side, self.weight = main, side, weight

    def loss(self, batch, progress):
        u = batch.unlabeled
        terms = {"labeled": F.cross_entropy(self.main(batch.labeled["plain"]), batch.labels)}
        of_fixed = self.main(u["fixed"]).mean()
        terms["unlabeled"] = F.mse_loss(self.main(u["slow"]), self.side(u["side"])) + of_fixed
        return LossOutput(terms)
'''


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its name; one file for all tests, because a name belongs to one file."""
    file = tmp_path_factory.mktemp("odd") / "odd.py"
    file.write_text(METHOD)
    return f"{file}:odd"


def test_what_a_page_says_of_a_method(odd: str, tmp_path: Path) -> None:
    text = page.generated(odd, tmp_path / "no-results")
    for line in (
        'Roe, "An odd | method", CVPR 2021, [arXiv:2101.00001](https://arxiv.org/abs/2101.00001).',
        "It has no pictures.",
        "Code: `odd.py`.",
        "- It is odd.",
        "| `main` | 1 | T × s | the run's |",
        "| `side` | 0.5 | 2T × s/2 | the run's |",
        "Tested: `main`; also `side`. T and s are the run's `frames` and `stride`.",
        "| `plain` | labeled | none | T × s | `main` | shared |  |",
        "| `slow` | unlabeled | weak+timewarp | T/2 × 2s | `main` | shared |  |",
        "| `side` | unlabeled | strong | 2T × s/2 | `side` | shared | 1 |",
        "| `fixed` | unlabeled | strong | 4 × 3 | `main` | its own |  |",
        "| `weight` | `2.0` | float | of the unlabeled term (ours). |",
        '| `kind` | `"a"` | `"a"` or `"b"` |  |',
        "| `loose` | `None` |  |  |",
        "| `main` | 1 | 0 | 2 | 0 |",
        "| `side` | 0 | 0 | 1 | 0 |",
        "None published that we know of.",
    ):
        assert line in text.splitlines(), line
    assert text.startswith(f"<!-- generated: ssl-video algorithm page {odd} -->\n")
    assert text.endswith("<!-- end -->\n")


def test_a_new_page_has_places_for_its_author_and_a_picture_of_the_views(odd: str, tmp_path: Path) -> None:
    target = tmp_path / "pages" / "odd.md"
    assert write.page(odd, target, tmp_path).startswith("new")
    text = target.read_text()
    assert text.startswith("# Odd: a method for this test.\n\nTODO")
    assert '    unlabeled1["unlabeled side"] --> side\n' in text
    assert '    unlabeled2["unlabeled fixed"] --> main\n' in text


def test_a_refreshed_page_keeps_what_its_author_wrote(odd: str, tmp_path: Path) -> None:
    target = tmp_path / "odd.md"
    marker = page.marker(odd)
    target.write_text(f"# Mine\n\nMy words.\n\n{marker}\nold\n{page.END}\n\n## Further reading\n")
    assert write.page(odd, target, tmp_path) == "refreshed"
    part = page.generated(odd, tmp_path).strip()
    assert target.read_text() == f"# Mine\n\nMy words.\n\n{part}\n\n## Further reading\n"
    assert write.page(odd, target, tmp_path) == "unchanged"


def test_the_way_to_the_file_may_change(odd: str, tmp_path: Path) -> None:
    text = f"{page.marker('elsewhere/odd.py:odd')}\n{page.END}\n"
    assert page.refreshed(text, "new", odd) == "new\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# Notes of somebody\n", "lacks the lines"),
        (f"{page.marker('odd')}\nwithout an end\n", "lacks the lines"),
        (f"{page.marker('even')}\n{page.END}\n", "page of even"),
    ],
)
def test_a_file_that_is_no_page_of_the_method_is_left_alone(
    odd: str, tmp_path: Path, text: str, words: str
) -> None:
    target = tmp_path / "odd.md"
    target.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        write.page(odd, target, tmp_path)
    assert str(target) in str(caught.value)
    assert target.read_text() == text


def test_a_page_that_cannot_be_written(odd: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write.page(odd, tmp_path / "file" / "odd.md", tmp_path)
