"""How values of parameters and forms become text: the styles of OpenAPI, after RFC 6570."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from scopedtools.exceptions import ToolError
from scopedtools.openapi.urls import leads_elsewhere

_RESERVED: Final = ":/?@!$'()*,;"
"""Reserved characters that may stand in a query as they are. The others would end a value or the query."""

_COOKIE_SAFE: Final = "!#$&'()*+-./:<=>?@[]^_`{|}~"

_DELIMITERS: Final = {"spaceDelimited": "%20", "pipeDelimited": "%7C", "form": ","}

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

Pairs = Iterator[tuple[str, str]]


def text_of(value: Any) -> str:
    """Return a value as text: as it is where it is text, else as JSON writes it."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def encoded(value: Any, safe: str = "") -> str:
    """Return a value as text, percent-encoded."""
    return quote(text_of(value), safe=safe)


def path_text(name: str, value: Any, *, style: str, explode: bool) -> str:
    """Return what stands in a path for a parameter.

    Raises:
        ToolError: It would be empty, or lead to another path.
    """
    parts = _parts(value, explode=explode)
    text = {"label": _label, "matrix": _matrix}.get(style, _simple)(
        quote(name, safe=""), value, parts, explode
    )
    if not text or leads_elsewhere(text):
        raise ToolError(f"{name} must be neither empty nor lead to another path, got {text_of(value)[:80]!r}")
    return text


def _parts(value: Any, *, explode: bool) -> list[str]:
    if isinstance(value, Mapping):
        pairs = [(encoded(key), encoded(one)) for key, one in value.items()]
        return (
            [f"{key}={one}" for key, one in pairs] if explode else [part for pair in pairs for part in pair]
        )
    return [encoded(one) for one in value] if isinstance(value, list) else [encoded(value)]


def _simple(_: str, __: Any, parts: list[str], ___: bool) -> str:  # noqa: FBT001 - one shape for all three
    return ",".join(parts)


def _label(_: str, __: Any, parts: list[str], explode: bool) -> str:  # noqa: FBT001 - likewise
    return "." + ("." if explode else ",").join(parts)


def _matrix(name: str, value: Any, parts: list[str], explode: bool) -> str:  # noqa: FBT001 - likewise
    if not explode or not isinstance(value, list | dict):
        return f";{name}={','.join(parts)}"
    return "".join(f";{part}" if isinstance(value, dict) else f";{name}={part}" for part in parts)


def query_pairs(name: str, value: Any, *, style: str, explode: bool, allow_reserved: bool = False) -> Pairs:
    """Yield the names and values that stand in a query, or in a form, for a parameter; both encoded."""
    safe = _RESERVED if allow_reserved else ""
    if style == "deepObject" and isinstance(value, list | dict):
        for path, one in _deep(value):
            yield encoded(name) + "".join(f"%5B{encoded(step)}%5D" for step in path), encoded(one, safe)
    elif isinstance(value, Mapping):
        yield from _object_pairs(name, value, explode=explode, safe=safe)
    elif isinstance(value, list):
        yield from _list_pairs(name, value, style, explode=explode, safe=safe)
    else:
        yield encoded(name), encoded(value, safe)


def _object_pairs(name: str, value: Mapping[str, Any], *, explode: bool, safe: str) -> Pairs:
    if explode:
        yield from ((encoded(key), encoded(one, safe)) for key, one in value.items() if one is not None)
    elif value:
        parts = (part for key, one in value.items() for part in (encoded(key), encoded(one, safe)))
        yield encoded(name), ",".join(parts)


def _list_pairs(name: str, value: Sequence[Any], style: str, *, explode: bool, safe: str) -> Pairs:
    parts = [encoded(one, safe) for one in value]
    if explode:
        yield from ((encoded(name), part) for part in parts)
    elif parts:
        yield encoded(name), _DELIMITERS.get(style, ",").join(parts)


def _deep(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the leaves of a value with the way to each.

    OpenAPI leaves open what is below the first level. Lists of plain values go out as ``a[]=1&a[]=2``,
    which PHP, Rails and qs read alike; others are numbered, since nothing else keeps their elements apart.
    """
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _deep(one, (*path, str(key)))
    elif isinstance(value, list):
        nested = any(isinstance(one, list | dict) for one in value)
        for number, one in enumerate(value):
            yield from _deep(one, (*path, str(number) if nested else ""))
    else:
        yield path, value


def header_value(name: str, value: Any, *, explode: bool) -> str:
    """Return the value of a header.

    Raises:
        ToolError: It holds control characters, which would end the header.
    """
    if isinstance(value, Mapping):
        pairs = [(key, text_of(one)) for key, one in value.items()]
        text = ",".join(f"{key}={one}" if explode else f"{key},{one}" for key, one in pairs)
    else:
        text = ",".join(map(text_of, value)) if isinstance(value, list) else text_of(value)
    if _CONTROL.search(text):
        raise ToolError(f"{name} goes into a header and must not hold control characters")
    return text.strip(" ")  # which is no part of a header's value


def cookie_pairs(name: str, value: Any, *, explode: bool) -> Iterator[str]:
    """Yield the cookies for a parameter, each ``name=value``."""
    if isinstance(value, list | dict) and explode:
        listed = value.items() if isinstance(value, dict) else ((name, one) for one in value)
        for key, one in listed:
            yield f"{quote(str(key), safe=_COOKIE_SAFE)}={encoded(one, _COOKIE_SAFE)}"
        return
    if isinstance(value, dict):
        value = [part for pair in value.items() for part in pair]
    parts = value if isinstance(value, list) else [value]
    yield f"{name}={','.join(encoded(part, _COOKIE_SAFE) for part in parts)}"
