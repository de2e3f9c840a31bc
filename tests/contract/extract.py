"""The JSON Schemas of all revisions, out of the official conformance suite.

No package carries them as files. The suite has them in its one JavaScript bundle, as object literals; this
reads those, so that the schemas themselves need not stand in our repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

_SCHEMA: Final = re.compile(r"=(?=\{\$schema:`https?://json-schema\.org/)")
_TOKEN: Final = re.compile(
    r"""(?P<mark>[{}\[\]:,])
    |(?P<text>`(?:[^`\\$]|\$(?!\{)|\\.)*`|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<flag>!0|!1)
    |(?P<number>-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)
    |(?P<name>[A-Za-z_$][\w$]*)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_NAMED: Final = {"true": True, "false": False, "null": None}

_NEWEST_FIRST: Final = (
    ("2026-07-28", "DiscoverRequest"),
    ("2025-11-25", "Task"),
    ("2025-06-18", "ElicitRequest"),
    ("2025-03-26", "JSONRPCBatchRequest"),
)
"""A definition that each revision was the first, or the only one, to have."""


def schemas_in(bundle: str) -> dict[str, dict[str, Any]]:
    """Return the schema of each revision that a bundle carries, by the revision's name."""
    found: dict[str, dict[str, Any]] = {}
    for place in _SCHEMA.finditer(bundle):
        schema = literal(bundle, place.end())
        definitions = schema.get("$defs") or schema.get("definitions") or {}
        revision = next((name for name, mark in _NEWEST_FIRST if mark in definitions), None)
        if revision is not None and "JSONRPCMessage" in definitions:
            found[revision] = schema
    return found


def literal(source: str, start: int = 0) -> Any:
    """Read a JavaScript literal of objects, arrays, texts, numbers and booleans.

    Raises:
        ValueError: Something else stands there.
    """
    return _value(_tokens(source, start))


def _tokens(source: str, place: int) -> Iterator[tuple[str, str]]:
    while (token := _TOKEN.match(source, place)) is not None:
        place = token.end()
        yield str(token.lastgroup), token[0]
    raise ValueError(f"no literal goes on with {source[place : place + 40]!r}")


def _value(tokens: Iterator[tuple[str, str]]) -> Any:
    kind, token = next(tokens)
    if token == "{":
        return _object(tokens)
    if token == "[":
        return list(_items(tokens))
    return _scalar(kind, token)


def _object(tokens: Iterator[tuple[str, str]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for kind, token in tokens:
        if token == "}":
            break
        if token != ",":
            key = _text(token) if kind == "text" else token
            _, colon = next(tokens)
            if colon != ":":
                raise ValueError(f"no value for {key!r}, but {colon!r}")
            made[key] = _value(tokens)
    return made


def _items(tokens: Iterator[tuple[str, str]]) -> Iterator[Any]:
    for kind, token in tokens:
        if token == "]":
            return
        if token == "{":
            yield _object(tokens)
        elif token == "[":
            yield list(_items(tokens))
        elif token != ",":
            yield _scalar(kind, token)


def _scalar(kind: str, token: str) -> Any:
    if kind == "text":
        return _text(token)
    if kind == "flag":
        return token == "!0"
    if kind == "number":
        return float(token) if re.search("[.e]", token) else int(token)
    if token in _NAMED:
        return _NAMED[token]
    raise ValueError(f"no literal: {token!r}")


def _text(token: str) -> str:
    return _ESCAPE.sub(_unescaped, token[1:-1])


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1]
    return chr(int(code[1:], 16)) if code[0] in "ux" and len(code) > 1 else _ESCAPED.get(code, code)
