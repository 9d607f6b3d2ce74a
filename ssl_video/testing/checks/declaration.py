"""What an algorithm says of itself before it sees a clip."""

import inspect
import re
import sys
from pathlib import Path

import torch

from ssl_video.data.views import augment
from ssl_video.errors import InputError, unknown
from ssl_video.testing import clips
from ssl_video.testing.check import Failed, NotApplicable, check
from ssl_video.testing.networks import Small
from ssl_video.testing.sources import forbidden, sources
from ssl_video.testing.subject import Networks, Subject

_ONCE: tuple[Networks, ...] = ("plain",)


@check(
    "constructor", networks=_ONCE,
    mend="def __init__(self, task, <one network per role>, *, <options, each with a type and a default>).",
)  # fmt: skip
def constructor(subject: Subject) -> None:
    """The constructor takes the task, one network per role, and options by keyword, with types and defaults.

    Its keyword-only arguments are the configuration schema: YAML keys, `--set` and their types come from
    them.
    """
    parameters = inspect.signature(subject.constructor).parameters
    positional = [n for n, p in parameters.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    expected = ["task", *subject.constructor.roles]
    if positional != expected:
        raise Failed(
            f"it takes ({', '.join(positional)}) before the options, and not ({', '.join(expected)})"
        )
    without = [n for n, default in subject.options.items() if default is inspect.Parameter.empty]
    if without:
        raise Failed(f"options without a default: {', '.join(without)}")
    untyped = [name for name in subject.options if name not in subject.hints]
    if untyped:
        raise Failed(f"options without a type: {', '.join(untyped)}")


@check(
    "description", networks=_ONCE, mend="Add a line `option: what it means` under `Args:` in the docstring."
)
def description(subject: Subject) -> None:
    """The class's docstring says in a line what the method does, and has a word on every option.

    Lists show its first line, and who sets an option needs its meaning, unit and source.
    """
    if not subject.constructor.__doc__:
        raise Failed("the class has no docstring")
    # A method that adds to another one's class need not repeat its options.
    text = "\n".join(inspect.cleandoc(owner.__doc__ or "") for owner in subject.constructor.__mro__)
    undocumented = [name for name in subject.options if not re.search(rf"^\s+{name}: \S", text, re.MULTILINE)]
    if undocumented:
        raise Failed(f"options without a word in the class's docstring: {', '.join(undocumented)}")


@check(
    "differences", networks=_ONCE,
    mend="End the module's docstring with a list 'Differences from the paper:', also of what is "
    "unchanged but often done otherwise; mark values that no source gives as yours.",
)  # fmt: skip
def differences(subject: Subject) -> None:
    """The module's docstring lists how the method differs from its paper, or from common practice.

    Numbers of a method that silently differs from its paper are compared as if they were the paper's.
    """
    text = sys.modules[subject.constructor.__module__].__doc__ or ""
    if not re.search(r"\bDifferences from [^\n]+:?\s*\n(.*\n)*?- \S", text, re.MULTILINE):
        raise Failed("the module's docstring has no list 'Differences from the paper' (or 'common practice')")


@check("page", networks=_ONCE, mend="Write docs/algorithms/NAME.md; the pages of the other methods show how.")
def page(subject: Subject) -> None:
    """A method of the zoo has a page in docs/algorithms.

    What a method does, costs and reaches has to be known before somebody chooses it.
    """
    package, _, module = subject.constructor.__module__.rpartition(".")
    file = inspect.getsourcefile(subject.constructor)
    folder = Path(file or "").resolve().parents[1] / "docs"
    if package != "ssl_video.algorithms" or not folder.is_dir():
        raise NotApplicable("only for the methods of the zoo")
    if not (folder / "algorithms" / f"{module}.md").is_file():
        raise Failed(f"there is no docs/algorithms/{module}.md")


@check(
    "imports", networks=_ONCE,
    mend="Ask for clips as views, for networks as roles, keep state in buffers, draw with torch, and use "
    "`ssl_video.gather` for what looks at a whole batch.",
)  # fmt: skip
def imports(subject: Subject) -> None:
    """Nothing is used that belongs to whoever runs the algorithm: optimizers, loaders, devices, processes.

    A method that steps, loads or distributes by itself is not run like the ones it is compared with, and
    random numbers that are not torch's come out otherwise when a run is resumed. Hidden labels could only
    come from the data, which an algorithm therefore does not import.
    """
    found = [
        f"{file.name}, line {line}: {name}"
        for file, classes in sorted(sources(subject).items())
        for line, name in forbidden(file, classes)
    ]
    if found:
        raise Failed("; ".join(found))


@check(
    "views",
    networks=_ONCE,
    mend="Take an augmentation and a role that there are; name a view after its recipe, or otherwise.",
)
def views(subject: Subject) -> None:
    """Every view asks for an augmentation, a network and a rate that there are, and is what it is called.

    A run would stop before its first step; and a view called strong that is not strong makes another method
    of it.
    """
    algorithm = subject.build()
    for name, view in (*algorithm.labeled.items(), *algorithm.unlabeled.items()):
        if view.augmentation not in augment.RECIPES:
            known = unknown("augmentation", view.augmentation, augment.RECIPES)
            raise Failed(f"view {name!r}: {known}")
        if view.network is not None and view.network not in algorithm.roles:
            raise Failed(f"view {name!r}: {unknown('network', view.network, algorithm.roles)}")
        named = set(re.split(r"\W+", name)) & {augment.spatial(recipe) for recipe in augment.RECIPES}
        if named - {augment.spatial(view.augmentation)}:
            raise Failed(f"view {name!r} has the augmentation {view.augmentation!r}")
    try:
        clips.moving(algorithm)
    except InputError as error:
        raise Failed(str(error)) from None


@check(
    "no-memory",
    networks=_ONCE,
    mend="Leave numbers of tensors (float(), item(), data) out of the constructor.",
)
def no_memory(subject: Subject) -> None:
    """An instance can be made on torch's meta device, without memory.

    So a run is checked as a whole before its first video is decoded.
    """
    # Moved, and not made there: drawing weights there imports sympy, for a second.
    networks = iter([Small(False).to("meta") for _ in subject.constructor.roles])
    with torch.device("meta"):
        subject.build(network=lambda: next(networks))
