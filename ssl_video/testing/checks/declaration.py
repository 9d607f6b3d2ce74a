"""Checks of an algorithm's declarations: constructor, docstrings, imports, views."""

import inspect
import re
from pathlib import Path
from typing import Any

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
    "constructor",
    promise="The constructor takes the task, one network per role, and typed keywords with defaults.",
    reason="Its keyword-only arguments are the configuration schema: they define the YAML keys, `--set` "
    "and the types of both.",
    networks=_ONCE,
    fix="def __init__(self, task, <one network per role>, *, <options, each with a type and a default>).",
)
def constructor(subject: Subject) -> None:
    parameters = inspect.signature(subject.constructor).parameters
    keywords = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    positional = [n for n, p in parameters.items() if p.kind not in keywords]
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
    "predictions",
    promise="`predictions_from`, if given, names a text option and the attribute that holds it.",
    reason="A run reads the table that the option names, and a training loop of one's own that of the "
    "attribute.",
    networks=_ONCE,
    fix='predictions_from = "teacher"; teacher: str = "" in the constructor, and self.teacher = teacher.',
)
def predictions(subject: Subject) -> None:
    name = subject.constructor.predictions_from
    if not name:
        raise NotApplicable("it asks for no predictions of another model")
    if subject.options.get(name) != "":
        raise Failed(f'{name} is no option with the default ""')
    if getattr(subject.build(**dict[str, Any]({name: "table.csv"})), name, None) != "table.csv":
        raise Failed(f"the attribute {name} is not the option's value")


@check(
    "description",
    promise="The class's docstring summarises the method in a line and describes every option.",
    reason="Lists show its first line, and a user who sets an option needs its meaning, unit and source.",
    networks=_ONCE,
    style=True,
    fix="Add a line `option: what it means` under `Args:` in the docstring.",
)
def description(subject: Subject) -> None:
    if not subject.constructor.__doc__:
        raise Failed("the class has no docstring")
    # A subclass of another method need not repeat its options.
    text = "\n".join(inspect.cleandoc(owner.__doc__ or "") for owner in subject.constructor.__mro__)
    undocumented = [name for name in subject.options if not re.search(rf"^\s+{name}: \S", text, re.MULTILINE)]
    if undocumented:
        raise Failed(f"options without a word in the class's docstring: {', '.join(undocumented)}")


@check(
    "differences",
    promise="The class lists the differences from the paper, or from common practice.",
    reason="If a method silently differs from its paper, its numbers are compared as if they were the "
    "paper's.",
    networks=_ONCE,
    style=True,
    fix="Give the class `differences = (...)`: a sentence for each, also for parts that are unchanged "
    "but often done differently; mark values that no source gives as yours.",
)
def differences(subject: Subject) -> None:
    # Those of a method that this one is derived from are of another paper.
    if not vars(subject.constructor).get("differences"):
        raise Failed("the class has no `differences`")


@check(
    "page",
    promise="A method of the zoo has a page in docs/algorithms.",
    reason="Users need to know a method's idea, cost and results before they choose it.",
    networks=_ONCE,
    style=True,
    fix="Write docs/algorithms/NAME.md; the pages of the other methods show how.",
)
def page(subject: Subject) -> None:
    package, _, module = subject.constructor.__module__.rpartition(".")
    file = inspect.getsourcefile(subject.constructor)
    folder = Path(file or "").resolve().parents[1] / "docs"
    if package != "ssl_video.algorithms" or not folder.is_dir():
        raise NotApplicable("only for the methods of the zoo")
    if not (folder / "algorithms" / f"{module}.md").is_file():
        raise Failed(f"there is no docs/algorithms/{module}.md")


@check(
    "imports",
    promise="The algorithm uses no part of the training engine: optimizers, loaders, devices, processes.",
    reason="A method that steps, loads or distributes by itself does not run under the same conditions "
    "as the methods it is compared with. Random numbers from other sources than torch change when "
    "a run is resumed. Hidden labels could only come from the data, so an algorithm does not "
    "import the data.",
    networks=_ONCE,
    fix="Request clips as views and networks as roles, keep state in buffers, draw with torch, and "
    "use `ssl_video.gather` for computations over the whole batch.",
)
def imports(subject: Subject) -> None:
    found = [
        f"{file.name}, line {line}: {name}"
        for file, classes in sorted(sources(subject).items())
        for line, name in forbidden(file, classes)
    ]
    if found:
        raise Failed("; ".join(found))


@check(
    "views",
    promise="Every view has a valid augmentation, network and rate, and a name that fits its recipe.",
    reason="A run would stop before its first step. A view called strong that is not strong changes the "
    "method.",
    networks=_ONCE,
    fix="Use an existing augmentation and role; name a view after its recipe, or give it another name.",
)
def views(subject: Subject) -> None:
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
    promise="An instance can be built on torch's meta device, without memory.",
    reason="This allows a complete check of a run before its first video is decoded.",
    networks=_ONCE,
    fix="Do not read the numbers of tensors (float(), item(), data) in the constructor.",
)
def no_memory(subject: Subject) -> None:
    # Moved, not built there: drawing weights on the meta device imports sympy, which takes a second.
    networks = iter([Small(False).to("meta") for _ in subject.constructor.roles])
    with torch.device("meta"):
        subject.build(network=lambda: next(networks))
