from ssl_video.pages import source

DOCSTRING = """Shift: a network that
shifts.

Roe and Doe, "Shifting clips: a
study", CVPR 2021, arXiv:1912.34567.

From the paper: one thing;
and another.

Differences from the paper, and choices of ours where no
public source gives a value:
- The first, which runs
  over two lines.
- `weight` 2 is ours (arXiv:2001.00001).
"""


def test_a_docstring_in_parts() -> None:
    said = source.read(DOCSTRING)
    assert said.title == "Shift: a network that shifts."
    assert said.paragraphs == (
        'Roe and Doe, "Shifting clips: a study", CVPR 2021, arXiv:1912.34567.',
        "From the paper: one thing; and another.",
    )
    assert said.differences == (
        "The first, which runs over two lines.",
        "`weight` 2 is ours (arXiv:2001.00001).",
    )


def test_title_year_and_number_of_the_paper() -> None:
    said = source.read(DOCSTRING)
    assert (said.paper, said.year, said.arxiv) == ("Shifting clips: a study", "2021", "1912.34567")


def test_the_year_of_a_reference_that_begins_with_its_number() -> None:
    assert source.read('Title.\n\nRoe, arXiv:1912.34567, "Shifting", 2021.').year == "2021"


def test_a_title_that_ends_with_a_comma_inside_its_quotation_marks() -> None:
    assert source.read('Title.\n\nRoe, "Shifting," 2020.').paper == "Shifting"


def test_a_docstring_without_a_paper() -> None:
    said = source.read("Only a title.\n\nDifferences from common practice:\n- One.\n")
    assert (said.paper, said.year, said.arxiv, said.paragraphs) == ("", "", "", ())
    assert said.differences == ("One.",)


def test_empty_lines_in_the_list_and_a_paragraph_below_it() -> None:
    blocks = ("Title.", "Differences from the paper:", "- One.", "- Two,\n  long.", "Not one.", "- Nor this.")
    said = source.read("\n\n".join([*blocks, "And:\n- one\n- two"]))
    assert said.differences == ("One.", "Two, long.")
    assert said.paragraphs == ("Not one.", "- Nor this.", "And:\n- one\n- two")


def test_an_empty_docstring() -> None:
    assert source.read("") == source.Source("", (), ())


def test_the_words_for_options() -> None:
    docstring = """One line.

    Args:
        task: the problem.
        threshold: confidence from which a prediction
            is used: at least 0.
        weight: of the term.

    Attributes:
        other: is no argument.
    """
    assert source.options(docstring) == {
        "task": "the problem.",
        "threshold": "confidence from which a prediction is used: at least 0.",
        "weight": "of the term.",
    }
    assert source.options("No arguments.") == {}
