import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssl_video.errors import InputError
from ssl_video.registry import Registry, algorithms

Write = Callable[..., Path]
PACKAGE = "widgets_for_tests"
LEAVE = os._exit


@pytest.fixture
def widgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry whose package has two entries: "round", with a docstring, and "square", without."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from ssl_video.registry import Registry\n"
        f"widgets = Registry('widget', {PACKAGE!r})\n"
        "widget = widgets.register\n"
    )
    source(folder / "circle.py", 'def make():\n    """A round one.\n\n    More words."""', "round")
    source(folder / "box.py", "class Box: ...", "square")
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield __import__(PACKAGE).widgets
    for name in set(sys.modules) - before:
        del sys.modules[name]


def source(path: Path, definition: str, *names: str) -> Path:
    """Write a file in which `definition` is registered under the names."""
    decorators = "".join(f"@widget({name!r})\n" for name in names)
    path.write_text(f"from {PACKAGE} import widget\n{decorators}{definition}\n")
    return path


def install(folder: Path, *lines: str) -> None:
    """What pip leaves of a package with entry points."""
    info = folder / f"plugin_{len(list(folder.iterdir()))}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {info.stem}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join([f"[{PACKAGE}]", *lines]) + "\n")


def test_by_name(widgets: Registry) -> None:
    assert widgets.get("round").__name__ == "make"
    assert widgets.get("square").__name__ == "Box"
    assert widgets.get("square") is widgets.get("square")


def test_descriptions_are_first_lines_sorted_by_name(widgets: Registry) -> None:
    assert widgets.describe() == {"round": "A round one.", "square": ""}


def test_by_path(widgets: Registry, tmp_path: Path) -> None:
    file = source(tmp_path / "mine.py", "def mine(): return 7", "mine")
    assert widgets.get(f"{file}:mine")() == 7
    assert widgets.get(f"{file}:mine") is widgets.get(f"{file}:mine")


def test_by_relative_path(widgets: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source(tmp_path / "mine.py", "def mine(): return 7", "mine")
    monkeypatch.chdir(tmp_path)
    assert widgets.get("mine.py:mine")() == 7
    assert widgets.get(f"{tmp_path}/mine.py:mine")() == 7


def test_a_file_may_hold_several(widgets: Registry, tmp_path: Path) -> None:
    file = source(tmp_path / "mine.py", "def mine(): return 7", "first", "second")
    assert widgets.get(f"{file}:second") is widgets.get(f"{file}:first")


def test_a_builtin_file_by_its_path(widgets: Registry, tmp_path: Path) -> None:
    """The file is then loaded twice, under two module names, which is no conflict."""
    assert widgets.get("square").__name__ == "Box"
    assert widgets.get(f"{tmp_path / PACKAGE / 'box.py'}:square").__name__ == "Box"


@pytest.mark.parametrize("builtin_first", [True, False])
def test_a_plugin_cannot_take_a_builtin_name(widgets: Registry, tmp_path: Path, builtin_first: bool) -> None:
    """In whatever order the two are loaded; else a copied file would quietly stand for the original."""
    file = source(tmp_path / "copied.py", "class Box: ...", "square")
    if builtin_first:
        widgets.get("square")
    with pytest.raises(InputError, match="'square' is defined twice") as caught:
        widgets.get(f"{file}:square")
    assert str(tmp_path / PACKAGE / "box.py") in str(caught.value)
    assert str(file) in str(caught.value)
    assert widgets.get("square").__module__ == f"{PACKAGE}.box"


def test_two_plugins_with_one_name(widgets: Registry, tmp_path: Path) -> None:
    first = source(tmp_path / "first.py", "def one(): ...", "mine")
    second = source(tmp_path / "second.py", "def two(): ...", "mine")
    widgets.get(f"{first}:mine")
    with pytest.raises(InputError, match="defined twice") as caught:
        widgets.get(f"{second}:mine")
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)


def test_two_builtin_files_with_one_name(widgets: Registry, tmp_path: Path) -> None:
    source(tmp_path / PACKAGE / "second_box.py", "class Other: ...", "square")
    with pytest.raises(InputError, match=r"defined twice: in .*/box\.py and in .*/second_box\.py"):
        widgets.describe()


def test_a_file_that_failed_can_be_mended_and_loaded_again(widgets: Registry, tmp_path: Path) -> None:
    """As in a notebook: the first attempt registers its name before it fails."""
    file = source(tmp_path / "mine.py", "def mine(): return 7\n1 / 0", "mine")
    with pytest.raises(InputError, match=r"mine.py cannot be imported: ZeroDivisionError: .*, line 4$"):
        widgets.get(f"{file}:mine")
    source(file, "def mine(): return 8", "mine")
    assert widgets.get(f"{file}:mine")() == 8


@pytest.mark.parametrize("leave", ["sys.exit(0)", "os._exit(0)", "raise SystemExit('enough')", "exit()"])
def test_a_file_that_ends_the_program_is_an_error(widgets: Registry, tmp_path: Path, leave: str) -> None:
    """`bench` ended with status 0, without a word or a result."""
    file = source(tmp_path / "mine.py", f"def mine(): return 7\nimport os, sys\n{leave}", "mine")
    with pytest.raises(InputError, match=r"mine.py cannot be imported: it ends the program, .*, line 5$"):
        widgets.get(f"{file}:mine")
    assert os._exit is LEAVE


def test_ctrl_c_during_an_import_stays_one(widgets: Registry, tmp_path: Path) -> None:
    file = source(tmp_path / "mine.py", "def mine(): return 7\nraise KeyboardInterrupt", "mine")
    with pytest.raises(KeyboardInterrupt):
        widgets.get(f"{file}:mine")
    source(file, "def mine(): return 8", "mine")
    assert widgets.get(f"{file}:mine")() == 8


def test_an_installed_package_that_cannot_be_imported(widgets: Registry, tmp_path: Path) -> None:
    (tmp_path / "leaving.py").write_text("raise SystemExit")
    install(tmp_path, "leaving = leaving:make")
    with pytest.raises(InputError, match="leaving of the installed leaving:make cannot be imported"):
        widgets.get("leaving")


def test_unknown_names_come_with_the_nearest_known(widgets: Registry, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown widget 'sqare'; did you mean square"):
        widgets.get("sqare")
    with pytest.raises(InputError, match="unknown widget 'zzz'; known: round, square"):
        widgets.get("zzz")
    file = source(tmp_path / "mine.py", "def mine(): ...", "mine")
    with pytest.raises(InputError, match=r"mine\.py: unknown widget 'mien'; did you mean mine\?"):
        widgets.get(f"{file}:mien")
    # A name that exists, but in another file, is not in this one.
    with pytest.raises(InputError, match=r"mine\.py: unknown widget 'square'; known: mine"):
        widgets.get(f"{file}:square")
    with pytest.raises(InputError, match=r"there is no file .*absent\.py"):
        widgets.get(f"{tmp_path / 'absent.py'}:mine")


def test_entry_points(widgets: Registry, tmp_path: Path) -> None:
    """With and without the decorator; one that is not asked for is not imported."""
    source(tmp_path / "installed.py", "def made(): return 9", "installed")
    (tmp_path / "bare.py").write_text("def made(): return 10\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    install(tmp_path, "installed = installed:made", "bare = bare:made", "broken = broken:made")
    assert widgets.describe()["installed"] == "from installed:made"
    assert widgets.get("installed")() == 9
    assert widgets.get("bare")() == 10
    with pytest.raises(InputError, match="did you mean installed"):
        widgets.get("instaled")


def test_an_entry_points_words_are_read_from_its_source(widgets: Registry, tmp_path: Path) -> None:
    """Without importing it or the packages around it; what cannot be read is named by its place."""
    inner = tmp_path / "around" / "inner"
    inner.mkdir(parents=True)
    for package in (inner, inner.parent):
        (package / "__init__.py").write_text("1 / 0\n")
    words = 'def made():\n    """Made elsewhere.\n\n    More."""\n'
    (inner / "deep.py").write_text(f"1 / 0\n{words}")
    (tmp_path / "flat.py").write_text(words)
    (tmp_path / "not_python.py").write_text("def made(:\n")
    read = {"deep": "around.inner.deep", "flat": "flat"}
    unread = {
        **{"wrong": "not_python:made", "absent": "nowhere.inner:made", "built": "sys:exit"},
        # A module is no package, even where another one of the name within it could be found.
        **{"outer": "around:made", "attribute": "flat:made.x", "inside": "not_python.flat:made"},
    }
    install(
        tmp_path,
        *(f"{name} = {module}:made" for name, module in read.items()),
        *(f"{name} = {place}" for name, place in unread.items()),
    )
    described = widgets.describe()
    assert {name: described[name] for name in read} == {
        name: f"Made elsewhere. (from {module})" for name, module in read.items()
    }
    assert {name: described[name] for name in unread} == {
        name: f"from {place}" for name, place in unread.items()
    }
    assert not {"around", "flat", "not_python"} & set(sys.modules)


def test_what_a_file_defines_is_read_without_importing_it(widgets: Registry, tmp_path: Path) -> None:
    file = source(tmp_path / "mine.py", 'def mine():\n    """My own."""', "first", "second")
    file.write_text(file.read_text() + "1 / 0\n")
    assert widgets.in_file(file) == {f"{file}:first": "My own.", f"{file}:second": "My own."}
    with pytest.raises(InputError, match=r"cannot read .*absent\.py: No such file"):
        widgets.in_file(tmp_path / "absent.py")
    file.write_text("def (")
    with pytest.raises(InputError, match=r"mine\.py is not Python"):
        widgets.in_file(file)


def test_a_file_without_a_name_stands_for_its_one_entry(widgets: Registry, tmp_path: Path) -> None:
    file = source(tmp_path / "mine.py", "def mine(): ...", "first", "second")
    with pytest.raises(
        InputError, match=rf"{file} defines several widgets: give {file}:first or {file}:second"
    ):
        widgets.get(str(file))
    file = source(tmp_path / "own.py", "def own(): ...", "single")
    assert widgets.full_name(str(file)) == f"{file}:single"
    assert widgets.get(str(file)) is widgets.get(f"{file}:single")
    file = tmp_path / "empty.py"
    file.write_text("")
    with pytest.raises(InputError, match=r"empty\.py defines no widget"):
        widgets.get(str(file))


def test_entry_points_of_two_packages_with_one_name(widgets: Registry, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text("def made(): ...\n")
        install(tmp_path, f"same = {name}:made")
    with pytest.raises(InputError, match=r"'same' is defined twice: in \w+:made and in \w+:made"):
        widgets.get("same")


def test_a_builtin_name_wins_over_an_entry_point(widgets: Registry, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("class Box: ...\n")
    install(tmp_path, "square = other:Box")
    assert widgets.get("square").__module__ == f"{PACKAGE}.box"
    assert widgets.describe()["square"] == ""


def test_the_zoo_has_its_algorithms() -> None:
    assert {"supervised", "pseudolabel", "fixmatch", "cmpl"} <= set(algorithms.describe())


def test_listing_imports_neither_torch_nor_the_entries() -> None:
    code = (
        "import sys\n"
        "from ssl_video.registry import algorithms, backbones\n"
        "assert 'cmpl' in algorithms.describe() and backbones.describe()\n"
        "heavy = [m for m in sys.modules if m == 'torch' or m.startswith(('ssl_video.a', 'ssl_video.b'))]\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
