"""YAML texts, which may come from anybody: no code, no key twice, no values that grow without bound."""

from collections.abc import Hashable
from typing import Any

import yaml

LARGEST = 2**20  # bytes of a file
_DEEPEST = 100
_MOST = 100_000  # values, each counted as often as it is referred to
_MOST_ALIASES = 1000
# PyYAML's own exceptions, and those of the functions to which it gives texts: of dates, numbers and tags.
_FAULTS = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError, RecursionError)


def parse(text: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        ValueError: it is not YAML, has a key twice, or is too large; the message gives the reason.
    """
    try:
        value = yaml.load(text, Loader=_Loader)
    except RecursionError:
        raise ValueError(f"it is nested more than {_DEEPEST} times") from None
    except yaml.YAMLError as error:
        raise ValueError(_reason(error)) from None
    except _FAULTS as error:
        said = str(error) if isinstance(error, ValueError) else "a value is not of the kind that its tag says"
        raise ValueError(said[:100]) from None
    _check_size(value)
    return value


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, with errors for keys given twice, of which it keeps the last, and many aliases."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a value; aliases of earlier ones are counted."""
        if self.check_event(yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > _MOST_ALIASES:
                raise yaml.composer.ComposerError(None, None, f"more than {_MOST_ALIASES} aliases", None)
        found: yaml.Node | None = super().compose_node(parent, index)
        return found

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Copy the keys of other mappings ("<<"), which may copy those of others again."""
        # Before 6.0.4, PyYAML copies a key once for each way that leads to it.
        super().flatten_mapping(node)
        if len(node.value) > _MOST // 10:
            raise yaml.constructor.ConstructorError(None, None, "too many keys are copied", node.start_mark)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Construct a mapping, whose keys must differ."""
        found = set[str]()
        for key, _ in node.value:
            # "<<" copies the keys of another mapping, which may be overridden.
            if isinstance(key, yaml.ScalarNode) and not key.tag.endswith(":merge"):
                if key.value in found:
                    problem = f"{key.value[:100]} is given twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                found.add(key.value)
        return super().construct_mapping(node, deep)


def _check_size(value: Any) -> None:
    """Check that a value is not too deep or large when all of it is written out.

    A value that is referred to many times takes no memory until it is printed or copied: a few lines can
    stand for 10^9 values, or hold themselves.
    """
    level, number = [value], 0
    for _ in range(_DEEPEST):
        inner = list[Any]()
        for outer in level:
            if isinstance(outer, dict):
                inner += [*outer, *outer.values()]
            elif isinstance(outer, list | tuple | set):
                inner += outer
            if number + len(inner) > _MOST:
                raise ValueError(f"it stands for more than {_MOST:,} values")
        number, level = number + len(inner), inner
        if not level:
            return
    raise ValueError(f"it is nested more than {_DEEPEST} times")


def _reason(error: yaml.YAMLError) -> str:
    """Return the reason why a text is not YAML, and the place of the problem."""
    reason = str(getattr(error, "problem", None) or str(error).splitlines()[0])[:200]
    mark = getattr(error, "problem_mark", None)
    return f"{reason}, line {mark.line + 1}, column {mark.column + 1}" if mark else reason
