"""The options of an algorithm: the keyword-only arguments of its constructor."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

REQUIRED = inspect.Parameter.empty
# False while constructors take values that are not validated.
VALIDATED = ContextVar("VALIDATED", default=True)


class Option(NamedTuple):
    """One option.

    Attributes:
        default: its default; REQUIRED if it has none.
        annotation: its type, with bounds; a text if only a type checker can resolve it; None without one.
    """

    default: Any
    annotation: Any

    @property
    def type(self) -> Any:
        """The type without bounds."""
        return get_args(self.annotation)[0] if get_origin(self.annotation) is Annotated else self.annotation


@contextmanager
def unvalidated() -> Iterator[None]:
    """Let constructors take any values: checks use some that no user may give."""
    token = VALIDATED.set(False)
    try:
        yield
    finally:
        VALIDATED.reset(token)


def declared(constructor: type) -> dict[str, Option]:
    """Return the options of a class by name, in the order of its constructor.

    A constructor that also takes `**options` passes them on, so that the options of its base classes follow.
    """
    found = dict[str, Option]()
    for owner in inspect.getmro(constructor):
        if "__init__" not in vars(owner):
            continue
        parameters = inspect.signature(vars(owner)["__init__"]).parameters.values()
        hints = _hints(owner)
        for parameter in parameters:
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                found.setdefault(parameter.name, Option(parameter.default, hints.get(parameter.name)))
        if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def _hints(owner: type) -> dict[str, Any]:
    """Return the annotations of a class's constructor, as texts if they cannot be resolved."""
    init = inspect.unwrap(vars(owner)["__init__"])
    try:
        return get_type_hints(init, include_extras=True)
    except NameError:
        return {name: str(hint) for name, hint in inspect.get_annotations(init).items()}
