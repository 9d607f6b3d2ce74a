import pickle

from ssl_video.errors import InputError, unknown


def test_an_error_holds_every_problem() -> None:
    error = InputError("first", "second")
    assert error.problems == ("first", "second")
    assert str(error) == "first\nsecond"


def test_an_error_can_cross_processes() -> None:
    assert str(pickle.loads(pickle.dumps(InputError("first", "second")))) == "first\nsecond"


def test_unknown_names_the_nearest_or_else_everything_known() -> None:
    assert unknown("colour", "blau", ["blue", "red"]) == "unknown colour 'blau'; did you mean blue?"
    assert unknown("colour", "xyz", ["red", "blue"]) == "unknown colour 'xyz'; known: blue, red"
    assert unknown("colour", "xyz", []) == "unknown colour 'xyz'; known: none"
    assert unknown("role", "prim", ["primary", "prime"]).endswith("did you mean prime or primary?")
