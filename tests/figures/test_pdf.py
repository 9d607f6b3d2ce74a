"""Charts as PDF files: their texts, their size, and what they cannot show."""

import io
from pathlib import Path

import pytest

from ssl_video.errors import InputError
from ssl_video.figures import charts, files, fonts, paper, pdf
from ssl_video.figures.charts import Estimate

pypdf = pytest.importorskip("pypdf")
pytest.importorskip("fpdf")
needs_a_font = pytest.mark.skipif(bool(pdf.missing()), reason="there is no font to embed")


def svg(*names: str) -> str:
    (chart,) = paper.found(charts.intervals("gains", [Estimate(name, 1, 1) for name in names], "in ± 1 −"))
    return paper.stand_alone(chart)


@needs_a_font
def test_texts_are_texts_in_an_embedded_font() -> None:
    content, strange = pdf.drawn(svg("cmpl · café", "<b> & × 2"))
    assert not strange
    (page,) = pypdf.PdfReader(io.BytesIO(content)).pages
    words = page.extract_text()
    for expected in ("cmpl · café", "<b> & × 2", "in ± 1 −"):
        assert expected in words
    assert float(page.mediabox.width) == pytest.approx(89 / 25.4 * 72, abs=0.01)
    (font,) = page["/Resources"]["/Font"].values()
    assert "/FontFile2" in font["/DescendantFonts"][0]["/FontDescriptor"]
    assert pypdf.PdfReader(io.BytesIO(content)).metadata.title == "gains"


@needs_a_font
def test_the_same_drawing_is_the_same_file() -> None:
    first, second = (pdf.drawn(svg("a"))[0] for _ in range(2))
    assert first == second
    assert pypdf.PdfReader(io.BytesIO(first)).metadata.creation_date.year == 1970  # not that of today


@needs_a_font
def test_characters_that_cannot_be_shown_are_named() -> None:
    """A private character, which no font has; and Arabic, whose letters would not join."""
    content, strange = pdf.drawn(svg("\U0010fffd run", "مشي"))
    assert set(strange) == {"\U0010fffd", *"مشي"}
    assert "? run" in pypdf.PdfReader(io.BytesIO(content)).pages[0].extract_text()
    told = files.unshown(strange)
    assert "U+10FFFD" in told
    assert "U+0645" in told
    assert files.unshown("") == ""


def make_font(path: Path, letters: str, restricted: bool = False) -> Path:
    """A font of squares."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 500), (500, 500), (500, 0)):
        pen.lineTo(corner)
    pen.closePath()
    names = [".notdef", *(f"u{ord(one):04X}" for one in letters)]
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap(dict(zip(map(ord, letters), names[1:], strict=True)))
    font.setupGlyf(dict.fromkeys(names, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(names, (600, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": path.stem, "styleName": "Regular", "psName": path.stem})
    font.setupOS2(fsType=2 if restricted else 0)
    font.setupPost()
    font.save(path)
    return path


LATIN = "".join(map(chr, range(32, 127))) + "±−·×…"


def use(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(fonts, "folders", lambda: [folder])


def test_another_font_has_what_the_first_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, tmp_path)
    make_font(tmp_path / "DejaVuSans.ttf", LATIN)
    make_font(tmp_path / "Other.ttf", "日本")
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    content, strange = pdf.drawn(svg("a 日b 本"))
    assert not strange
    (page,) = pypdf.PdfReader(io.BytesIO(content)).pages
    assert page.extract_text().replace(" ", "").startswith("a日b本")
    assert len(page["/Resources"]["/Font"]) == 2


def test_a_font_that_must_not_be_embedded_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, tmp_path)
    make_font(tmp_path / "arial.ttf", LATIN, restricted=True)
    assert "install one" in pdf.missing()
    make_font(tmp_path / "Late.ttf", LATIN)
    fonts.installed.cache_clear()
    assert pdf.missing() == ""


def test_without_a_font_or_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, tmp_path / "none")
    with pytest.raises(InputError, match=r"needs a font to embed.*or give a name that ends in \.svg"):
        files.write(tmp_path / "a.pdf", svg("a"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'ssl-video\[figures\]'"):
        files.write(tmp_path / "a.pdf", svg("a"))
    assert files.write(tmp_path / "a.svg", svg("a")) == ""
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        files.write(tmp_path / "none" / "a.svg", svg("a"))
