"""YAML that says one thing only, with the line on which each value stands.

Keys that come twice, aliases (which can grow without bounds) and tags are refused. Plain words mean themselves: `yes`,
`no`, `on` and dates stay text, as in YAML 1.2; only true, false, null and numbers are something else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mammosynth.errors import ProtocolError

MOST_BYTES = 16 << 20
_MOST_DEPTH = 32
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it is built
_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)?\.[0-9]+(?:[eE][-+]?[0-9]+)?|(?:0|[1-9][0-9]*)[eE][-+]?[0-9]+)")


class Document:
    """A value from YAML, and where its parts stand.

    Args:
        text: Of one YAML document.
        name: Of the file, for messages.

    Attributes:
        value: Of JSON's kinds.

    Raises:
        ProtocolError: If it is no YAML, or not strict, with the line.
    """

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self._children: dict[yaml.Node, dict[str, tuple[yaml.Node, yaml.Node]]] = {}  # of mappings that were asked for
        try:
            self._check_events(text)
            self._root = yaml.compose(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f", line {mark.line + 1}" if mark else ""
            raise ProtocolError(f"{name}{line}: is no valid YAML ({error.problem}); correct it") from None
        except (yaml.YAMLError, RecursionError) as error:
            raise ProtocolError(f"{name}: is no valid YAML ({str(error)[:200]}); correct it") from None
        if self._root is None:
            raise ProtocolError(f"{name}: is empty, expected a protocol; begin with `mammosynth study new`")
        self.value = self._construct(self._root)

    def line(self, location: Sequence[int | str]) -> int:
        """The line of a value, or of the nearest one around it that is there.

        Args:
            location: Keys and places from outside; those that the document does not have are passed over.
        """
        node, line = self._root, 1
        for part in location:
            found = self._child(node, part)
            if found is not None:
                key, node = found
                line = key.start_mark.line + 1
        return line

    def _child(self, node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
        if isinstance(node, yaml.MappingNode):
            if node not in self._children:
                self._children[node] = {key.value: (key, value) for key, value in node.value}
            return self._children[node].get(str(part))
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            return node.value[part], node.value[part]
        return None

    def _check_events(self, text: str) -> None:
        """Refuse what must not be built: the faster loader calls itself once a level, until the process crashes."""
        depth = 0
        for event in yaml.parse(text, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise self._error(event, f"holds the alias '*{event.anchor[:32]}'; write the value out")
            if depth > _MOST_DEPTH:
                raise self._error(event, f"nests deeper than {_MOST_DEPTH} levels; write it flatter")

    def _construct(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return [self._construct(each) for each in node.value]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "has a list or a mapping as a key, expected a word")
            if key.value in found:
                raise self._error(
                    key, f"the key {key.value[:64]!r} is there already on line {lines[key.value]}; remove one"
                )
            found[key.value] = self._construct(value)
            lines[key.value] = key.start_mark.line + 1
        return found

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = node.value
        if node.tag not in _TAGS:
            raise self._error(node, f"has the tag {node.tag[:64]!r}; leave it out")
        if node.style:  # quoted; plain is None, or nothing with the faster loader
            return text
        if text.lower() in _WORDS:
            return _WORDS[text.lower()]
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _NUMBER.fullmatch(text) else text

    def _error(self, node: yaml.Node | yaml.Event, sentence: str) -> ProtocolError:
        return ProtocolError(f"{self.name}, line {node.start_mark.line + 1}: {sentence}")


_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge")}


def read_document(file: Path) -> Document:
    """Read a YAML file.

    Raises:
        ProtocolError: If it cannot be read, is larger than 16 MiB, or is not strict.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ProtocolError(f"{file.name}: is larger than {MOST_BYTES >> 20} MiB, which no protocol is")
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ProtocolError(f"{file.name}: cannot be read ({error.strerror}); give a protocol's file") from None
    except UnicodeDecodeError as error:
        raise ProtocolError(f"{file.name}: is no text in UTF-8 (byte {error.start}); save it as UTF-8") from None
    return Document(text, file.name)
