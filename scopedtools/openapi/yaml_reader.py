"""YAML as OpenAPI asks for it: what JSON can say, and keys that are text.

To YAML 1.1 ``on`` is a truth value, ``2020-01-01`` a date and ``12:30`` a number. Values are made from the
parser's events, without recursion, so that neither depth nor aliases of aliases take more than is allowed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

_DEPTH: Final = 1000

_WORDS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_NUMBER_CHARACTERS: Final = 40

_CORE: Final = "tag:yaml.org,2002:"
_TEXTS: Final = frozenset({"!", f"{_CORE}str", f"{_CORE}binary", f"{_CORE}timestamp"})
_PLAIN: Final = frozenset({f"{_CORE}{name}" for name in ("int", "float", "bool", "null")})
_COLLECTIONS: Final = frozenset({None, "!", f"{_CORE}seq", f"{_CORE}map"})


class YamlError(Exception):
    """A text is no YAML, or holds what JSON cannot say."""


def read_yaml(raw: bytes, *, max_bytes: int) -> Any:
    """Read a document.

    Args:
        raw: The text.
        max_bytes: Characters that it may hold, where each alias counts as what it stands for.

    Raises:
        YamlError: It cannot be read, or holds more.
    """
    reader = _Reader(max_bytes)
    try:
        for event in yaml.parse(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            reader.take(event)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise YamlError(str(error)) from error
    return reader.root


@dataclass(slots=True)
class _Open:
    """A list or an object that is not yet at its end.

    Attributes:
        value: What it holds so far.
        anchor: Its name, or ``None``.
        size: Characters in it.
        key: What the next value stands under; ``None`` where the next value is a key.
        merged: Objects whose members it takes over where it has none of the name.
    """

    value: Any
    anchor: str | None
    size: int = 1
    key: str | None = None
    merged: list[Any] = field(default_factory=list)


class _Reader:
    def __init__(self, max_size: int) -> None:
        self.root: Any = None
        self._max_size = max_size
        self._open: list[_Open] = []
        self._named: dict[str, tuple[Any, int]] = {}
        self._documents = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            is_key = (
                bool(self._open) and self._open[-1].key is None and isinstance(self._open[-1].value, dict)
            )
            self._add(event.value if is_key else _scalar(event), len(event.value) + 1, event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._named:
                raise YamlError(f"*{event.anchor} is not there yet, or stands in itself")
            self._add(*self._named[event.anchor], None)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._end()
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise YamlError("there must be one document, got several")

    def _begin(self, event: Any) -> None:
        if event.tag not in _COLLECTIONS:
            raise YamlError(f"the tag {event.tag[:80]!r} is not known")
        if len(self._open) == _DEPTH:
            raise YamlError(f"values must be nested at most {_DEPTH} deep")
        self._open.append(_Open([] if isinstance(event, yaml.SequenceStartEvent) else {}, event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        for members in done.merged:
            done.value = members | done.value
        self._add(done.value, done.size, done.anchor)

    def _add(self, value: Any, size: int, anchor: str | None) -> None:
        if anchor is not None:
            self._named[anchor] = value, size
        if not self._open:
            self.root = value
            return
        owner = self._open[-1]
        owner.size += size
        if owner.size > self._max_size:
            raise YamlError(f"with its aliases it must hold at most {self._max_size} characters")
        if isinstance(owner.value, list):
            owner.value.append(value)
        elif owner.key is None:
            owner.key = _key(value)
        else:
            _put(owner, owner.key, value)
            owner.key = None


def _put(owner: _Open, key: str, value: Any) -> None:
    if key != "<<":
        owner.value[key] = value
        return
    merged = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in merged):
        raise YamlError("'<<' must name an object or several")
    owner.merged += merged


def _key(value: Any) -> str:
    if not isinstance(value, str):
        raise YamlError(f"a key must be text, got a {type(value).__name__}")
    return value


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.tag in _TEXTS or (event.tag is None and not event.implicit[0]):
        return text
    if event.tag is not None and event.tag not in _PLAIN:
        raise YamlError(f"the tag {event.tag[:80]!r} is not known")
    if text in _WORDS:
        return _WORDS[text]
    number = _NUMBER.fullmatch(text) if len(text) <= _NUMBER_CHARACTERS else None
    if number is None:
        return text
    value = float(text) if number[1] or number[2] else int(text)
    return value if math.isfinite(value) else text
