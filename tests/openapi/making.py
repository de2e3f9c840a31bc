"""Arguments made from the schema of a tool."""

from __future__ import annotations

import itertools
import re
import warnings
from functools import cache
from typing import Any

_FORMATS = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "email": "reader@example.com",
    "uri": "https://example.com/a?b=c",
    "url": "https://example.com/a?b=c",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "example.com",
    "byte": "aGVsbG8=",
    "ip": "192.0.2.1",
}

_DEEP = 8


class Maker:
    """Makes one value for a schema; texts differ from each other.

    Args:
        schema: Of the value.
        whole: Levels down to which members are made that are not required.
    """

    def __init__(self, schema: dict[str, Any], *, whole: int = 2) -> None:
        self._schema = schema
        self._whole = whole
        self._numbers = itertools.count(1)

    def arguments(self) -> dict[str, Any]:
        made: dict[str, Any] = self._make(self._schema, 0)
        return made

    def _make(self, schema: Any, depth: int) -> Any:  # noqa: PLR0911 - a value for each kind of schema
        if not isinstance(schema, dict):
            return "anything"
        schema = self._plain(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind == "string":
            return self._text(schema)
        return {"boolean": True, "null": None}.get(kind, _number(schema, kind)) if kind != "boolean" else True

    def _plain(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Put together what a schema says in references and alternatives, the first of those."""
        said = {key: value for key, value in schema.items() if key not in ("$ref", "allOf", "oneOf", "anyOf")}
        parts: list[Any] = []
        if "$ref" in schema:
            parts.append(self._schema["$defs"][schema["$ref"].removeprefix("#/$defs/")])
        parts += schema.get("allOf", [])
        parts += [schema[keyword][0] for keyword in ("oneOf", "anyOf") if schema.get(keyword)]
        for part in parts:
            if isinstance(part, dict):
                said = _merged(self._plain(part), said)
        return said

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required", [])
        properties = schema.get("properties", {})
        wanted = [name for name in properties if depth < self._whole or name in required]
        if not wanted and depth < _DEEP:
            wanted = list(properties)[:1]  # forms have no way to say that an object is empty
        if set(properties) == {"text", "base64", "filename", "media_type"}:
            return {"text": self._text({}), "filename": "a.txt"}
        made = {name: self._make(properties[name], depth + 1) for name in wanted}
        made |= {name: self._text({}) for name in required if name not in properties}
        if not made and (schema.get("minProperties") or isinstance(schema.get("additionalProperties"), dict)):
            made["key"] = self._make(schema.get("additionalProperties"), depth + 1)
        return made

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        many = max(schema.get("minItems", 1), 1)
        return [self._make(schema.get("items", {"type": "string"}), depth + 1) for _ in range(many)]

    def _text(self, schema: dict[str, Any]) -> str:
        number = next(self._numbers)
        least, most = schema.get("minLength", 0), schema.get("maxLength", 10_000)
        pattern = schema.get("pattern")
        known = _FORMATS.get(schema.get("format", ""))
        candidates = [known, *(str(one) for one in schema.get("examples", ()))] if known else []
        candidates += [
            f"a b&c={number}",
            f"a{number}",
            str(number),
            "a",
            "1",
            *map(str, schema.get("examples", ())),
        ]
        for text in candidates:
            padded = (text or "").ljust(least, "x")[: max(most, 0)]
            if pattern is None or re.search(pattern, padded):
                return padded
        return _matching(str(pattern), least, most)


def _number(schema: dict[str, Any], kind: str) -> Any:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 2) - 1)
    value = max(low, min(3, high))
    step = schema.get("multipleOf")
    if step:
        value = step * max(1, -(-low // step))
    return int(value) if kind == "integer" else value


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    both = first | second
    for keyword in ("properties",):
        if keyword in first and keyword in second:
            both[keyword] = {
                name: {"allOf": [first[keyword].get(name, {}), second[keyword].get(name, {})]}
                for name in first[keyword] | second[keyword]
            }
    if "required" in first and "required" in second:
        both["required"] = [*dict.fromkeys(first["required"] + second["required"])]
    if "enum" in first and "enum" in second:
        both["enum"] = [one for one in first["enum"] if one in second["enum"]] or second["enum"]
    return both


@cache
def _matching(pattern: str, least: int, most: int) -> str:
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis import strategies as st

    # The first that is found will do: making it simpler, and saying why, takes most of the time.
    quick = settings(
        database=None, max_examples=200, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        texts = st.from_regex(re.compile(pattern, re.ASCII))
        found: str = find(
            texts,
            lambda text: least <= len(text) <= most and text.isprintable(),
            settings=quick,
        )
        return found
