"""A schema and its definitions put together, as short as they go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from scopedtools.openapi.keywords import MANY, NAMED, ONE, Schema

_PREFIX: Final = "#/$defs/"

_LEAST_BYTES: Final = 16
"""Bytes that a schema takes about, at least, under a name."""

_SMALL_BYTES: Final = 160
"""A definition of fewer bytes, which refers to nothing, stands wherever it is used."""


def assembled(root: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return a schema that stands alone: what is used once stands in its place, the rest in ``$defs``.

    Many hosts and models do worse with references, and some take none at all.
    """
    uses: Counter[str] = Counter()
    waiting, seen = [root], set()
    while waiting:
        for name in _references(waiting.pop()):
            uses[name] += 1
            if name not in seen:
                seen.add(name)
                waiting.append(definitions[name])
    placed = {name for name in seen if uses[name] == 1 or _is_small(definitions[name])}
    schema: Schema = _with_placed(root, definitions, placed)
    # In the order of the description, so that the same description makes the same bytes.
    kept = {
        name: _with_placed(definition, definitions, placed)
        for name, definition in definitions.items()
        if name in seen and name not in placed
    }
    return schema | {"$defs": kept} if kept else schema


def budget_of(max_bytes: int) -> int:
    """Return how many schemas may be written for so many bytes; more of them cannot fit."""
    return max_bytes // _LEAST_BYTES


def size_of(schema: Schema) -> int:
    """Return the bytes that a schema takes in a list."""
    return len(msgspec.json.encode(schema))


def _is_small(definition: Schema) -> bool:
    return size_of(definition) < _SMALL_BYTES and not any(_references(definition))


def _references(schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield schema["$ref"].removeprefix(_PREFIX)
    for inner in _inner(schema):
        yield from _references(inner)


def _inner(schema: Schema) -> Iterator[Any]:
    for keyword, value in schema.items():
        if keyword in ONE:
            yield value
        elif keyword in MANY:
            yield from value
        elif keyword in NAMED:
            yield from value.values()


def _with_placed(schema: Any, definitions: Mapping[str, Schema], placed: set[str]) -> Any:
    if not isinstance(schema, dict):
        return schema

    def place(inner: Any) -> Any:
        return _with_placed(inner, definitions, placed)

    name = schema.get("$ref", "").removeprefix(_PREFIX)
    if name in placed:
        beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        return _both(place(definitions[name]), _mapped(beside, place))
    return _mapped(schema, place)


def _mapped(schema: Schema, place: Callable[[Any], Any]) -> Schema:
    written: Schema = {}
    for keyword, value in schema.items():
        if keyword in ONE:
            written[keyword] = place(value)
        elif keyword in MANY:
            written[keyword] = [place(one) for one in value]
        elif keyword in NAMED:
            written[keyword] = {name: place(one) for name, one in value.items()}
        else:
            written[keyword] = value
    return written


def _both(definition: Any, beside: Schema) -> Any:
    if not beside:
        return definition
    if definition.keys() & beside.keys() <= {"description", "default", "examples", "deprecated"}:
        return definition | beside
    return {"allOf": [definition, beside]}
