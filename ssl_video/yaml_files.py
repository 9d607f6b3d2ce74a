"""YAML texts, which may come from anybody: no code, no key twice, no values that grow without bound."""

import json
from typing import Any

import yaml

LARGEST = 2**20  # bytes of a file
OWN_LARGEST = 2**26  # bytes of a file that this program wrote
_DEEPEST = 100
_MOST = 100_000  # values, each counted as often as it is referred to
_OWN_MOST = 1_000_000  # values of a file that this program wrote
_MOST_ALIASES = 1000
_MERGE = "tag:yaml.org,2002:merge"
# PyYAML's own exceptions, and those of the functions to which it gives texts: of dates, numbers and tags.
_FAULTS = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError, RecursionError)


def parse(text: str, *, own: bool = False) -> Any:
    """Return the value of a YAML text.

    Args:
        text: the text.
        own: whether `write` made it, which may be larger than a user's.

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
        problem = (
            str(error) if isinstance(error, ValueError) else "a value is not of the kind that its tag says"
        )
        raise ValueError(problem[:100]) from None
    _check_size(value, _OWN_MOST if own else _MOST)
    return value


def write(value: Any) -> str:
    """Return a value as a YAML text that `parse` reads as its own.

    Raises:
        ValueError: it is too large or too deep.
    """
    _check_size(value, _OWN_MOST)
    size = len(json.dumps(value, default=str))  # YAML takes minutes for it, and a little more room
    if size > OWN_LARGEST // 4:
        raise ValueError(f"it has about {size:,} characters, more than {OWN_LARGEST // 4:,}")
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False)
    return text


class _Dumper(yaml.SafeDumper):
    """YAML's safe writer, which writes a value out as often as it is referred to."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True: the number of aliases that are read is limited."""
        return True


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

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping, whose keys must differ; "<<" copies those of others, which may be overridden."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        found = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in found:
                    problem = f"{key.value[:100]} is given twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                found.add(key.value)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Copy the keys of other mappings ("<<"), which may copy those of others again, each key once.

        Own keys override copied ones, and of several mappings the first. PyYAML up to 6.0.3 copies a key
        once for each way that leads to it, and 6.0.4 copies a value that was overridden.
        """
        merged = [value for key, value in node.value if key.tag == _MERGE]
        node.value = own = [pair for pair in node.value if pair[0].tag != _MERGE]
        found, copied = {_name(key) for key, _ in own}, list[Any]()
        for other in (each for value in merged for each in _mappings(value)):
            self.flatten_mapping(other)
            new = [pair for pair in other.value if _name(pair[0]) not in found]
            found.update(_name(key) for key, _ in new)
            copied += new
            if len(copied) > _MOST // 10:
                raise yaml.constructor.ConstructorError(
                    None, None, "too many keys are copied", node.start_mark
                )
        node.value = copied + own
        super().flatten_mapping(node)


def _name(key: yaml.Node) -> tuple[str, object]:
    """Return the identity of a key."""
    return key.tag, key.value if isinstance(key, yaml.ScalarNode) else id(key)


def _mappings(value: yaml.Node) -> list[yaml.MappingNode]:
    """Return the mappings of which "<<" copies the keys: one, or a list of them."""
    found: list[Any] = value.value if isinstance(value, yaml.SequenceNode) else [value]
    for other in found:
        if not isinstance(other, yaml.MappingNode):
            problem = f"<< expects a mapping or a list of mappings, found a {other.id}"
            raise yaml.constructor.ConstructorError(None, None, problem, other.start_mark)
    return list(found)


def _check_size(value: Any, most: int) -> None:
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
            if number + len(inner) > most:
                raise ValueError(f"it stands for more than {most:,} values")
        number, level = number + len(inner), inner
        if not level:
            return
    raise ValueError(f"it is nested more than {_DEEPEST} times")


def _reason(error: yaml.YAMLError) -> str:
    """Return the reason why a text is not YAML, and the place of the problem."""
    reason = str(getattr(error, "problem", None) or str(error).splitlines()[0])[:200]
    mark = getattr(error, "problem_mark", None)
    return f"{reason}, line {mark.line + 1}, column {mark.column + 1}" if mark else reason
