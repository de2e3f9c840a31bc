"""Headers that mirror the body, so that proxies can route without reading it.

Source: the Streamable HTTP page of the specification at 2026-07-28.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from scopedtools.exceptions import DefinitionError, HeaderMismatchError, UnsupportedVersionError
from scopedtools.protocol import meta
from scopedtools.protocol.request import Request
from scopedtools.protocol.revisions import REVISIONS, UNNAMED, Revision

VERSION_HEADER: Final = "mcp-protocol-version"
METHOD_HEADER: Final = "mcp-method"
NAME_HEADER: Final = "mcp-name"

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

MARK: Final = "x-mcp-header"

_NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
"""Keywords of JSON Schema whose values are schemas by name."""

_DATA: Final = frozenset({"const", "default", "enum", "examples", MARK})
"""Keywords whose values are no schemas, whatever they look like."""

_SENTINEL: Final = ("=?base64?", "?=")


def identify(version: str | None, request_meta: Mapping[str, Any], *, agreed: Revision = UNNAMED) -> Revision:
    """Tell the revision of an HTTP request from its version header and its ``_meta``.

    Args:
        version: Value of ``MCP-Protocol-Version``, or ``None``.
        request_meta: ``_meta`` of the request.
        agreed: What its session agreed on, for a request that names none.

    Raises:
        HeaderMismatchError: Header and body disagree, or only one of them speaks.
        UnsupportedVersionError: The revision is not served.
    """
    body = request_meta.get(meta.PROTOCOL_VERSION)
    if version is None:
        if body is None:
            return agreed
        raise HeaderMismatchError(f"The MCP-Protocol-Version header is missing, the body says {body!r}")
    if body is not None and body != version:
        raise HeaderMismatchError(f"MCP-Protocol-Version says {version!r}, the body says {body!r}")
    return known_revision(version)


def is_legacy(version: str | None) -> bool:
    """Tell whether a version header, or none, is that of a client that opens with ``initialize``."""
    return version is None or (version in REVISIONS and not REVISIONS[version].stateless)


def known_revision(name: str) -> Revision:
    """Return a revision by name.

    Raises:
        UnsupportedVersionError: It is not served.
    """
    revision = REVISIONS.get(name)
    if revision is None:
        raise UnsupportedVersionError(
            f"Protocol revision {name!r} is not served here, use one of data.supported",
            data={"supported": list(REVISIONS), "requested": name},
        )
    return revision


def joined(lines: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return header values by name; several lines of one name are one list (RFC 9110, 5.3).

    So an Accept may come in two, and a header that must mirror the body cannot: joined, it says something
    else.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in lines:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def check(request: Request, headers: Mapping[str, str]) -> None:
    """Compare the mirrored headers of a stateless request with its body.

    Args:
        request: The request, understood from its body.
        headers: Header values by name in lower case.

    Raises:
        HeaderMismatchError: A header is missing, malformed or says something else.
    """
    _compare("Mcp-Method", headers.get(METHOD_HEADER), request.method.name)
    if request.method.named_by is not None:
        name = headers.get(NAME_HEADER)
        decoded = None if name is None else decode_value(name)
        _compare("Mcp-Name", decoded, getattr(request.params, request.method.named_by))


def mirrored_parameters(schema: Mapping[str, Any], *, where: str) -> dict[str, tuple[str, ...]]:
    """Find the arguments that headers mirror, by ``x-mcp-header`` in a tool's input schema.

    Args:
        schema: The input schema.
        where: The tool, for messages.

    Returns:
        The path of each argument by its header in lower case.

    Raises:
        DefinitionError: A header is no token or comes twice, its argument is no text, integer or boolean, or
            cannot be reached by the names of properties alone. Clients drop such tools.
    """
    found: dict[str, tuple[str, ...]] = {}
    for path, inner in _schemas(schema, ()):
        if not isinstance(inner, dict) or (suffix := inner.get(MARK)) is None:
            continue
        place = ".".join(path or ("arguments",))
        if path is None or not path:
            raise DefinitionError(
                f"{where}: x-mcp-header {suffix!r} is not on an argument, or on one in a definition, "
                "a list or an alternative; put it on a plain argument"
            )
        if not isinstance(suffix, str) or not _TOKEN.fullmatch(suffix):
            raise DefinitionError(
                f"{where}: x-mcp-header of {place!r} must be a header token, got {suffix!r}"
            )
        if inner.get("type") not in ("string", "integer", "boolean"):
            raise DefinitionError(f"{where}: x-mcp-header of {place!r} needs a text, an integer or a boolean")
        header = f"mcp-param-{suffix.lower()}"
        if header in found:
            raise DefinitionError(
                f"{where}: x-mcp-header {suffix!r} is on two arguments; name one of them otherwise"
            )
        found[header] = path
    return found


def check_parameters(
    mirrored: Mapping[str, tuple[str, ...]], arguments: Any, headers: Mapping[str, str]
) -> None:
    """Compare the headers that mirror arguments with the arguments.

    Args:
        mirrored: From `mirrored_parameters`.
        arguments: The arguments as JSON values.
        headers: Header values by name in lower case.

    Raises:
        HeaderMismatchError: A header is missing, malformed or says something else.
    """
    for header, path in mirrored.items():
        meant = arguments
        for name in path:
            meant = meant.get(name) if isinstance(meant, dict) else None
        said = headers.get(header)
        if meant is None and said is None:
            continue
        if meant is None:
            raise HeaderMismatchError(f"{header} says {said!r}, the argument {'.'.join(path)!r} is absent")
        _compare(header, None if said is None else decode_value(said), _plain(meant))


def _schemas(schema: Any, path: tuple[str, ...] | None) -> Iterator[tuple[tuple[str, ...] | None, Any]]:
    """Yield a schema and all in it, each with its path of properties, or ``None`` where there is none."""
    if isinstance(schema, list):
        for inner in schema:
            yield from _schemas(inner, None)
    elif isinstance(schema, dict):
        yield path, schema
        for keyword, value in schema.items():
            if keyword in _NAMED and isinstance(value, dict):
                for name, inner in value.items():
                    reachable = keyword == "properties" and path is not None
                    yield from _schemas(inner, (*path, name) if reachable and path is not None else None)
            elif keyword not in _DATA:
                yield from _schemas(value, None)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def decode_value(value: str) -> str:
    """Undo the encoding of header values that are not printable ASCII.

    Raises:
        HeaderMismatchError: The value is marked as base64 of UTF-8 and is not, or it should have been.
    """
    if not (value.isascii() and value.replace("\t", " ").isprintable()):
        raise HeaderMismatchError("A header value is not printable ASCII, send it as =?base64?...?=")
    start, end = _SENTINEL
    if not (value.startswith(start) and value.endswith(end)):
        return value
    payload = value[len(start) : -len(end)]
    try:
        decoded = base64.b64decode(payload, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise HeaderMismatchError(
            f"A header value is marked as base64 and cannot be decoded: {error}"
        ) from error
    if base64.b64encode(decoded.encode()).decode() != payload:
        raise HeaderMismatchError("A header value is base64 with bits left over, which other decoders refuse")
    return decoded


def encode_value(value: str) -> str:
    """Encode a header value so that any text survives; the inverse of `decode_value`."""
    start, end = _SENTINEL
    plain = value.isascii() and value.isprintable() and value == value.strip() and not value.startswith(start)
    return value if plain else start + base64.b64encode(value.encode()).decode() + end


def _compare(header: str, said: str | None, meant: str) -> None:
    if said is None:
        raise HeaderMismatchError(f"The {header} header is missing, the body says {meant!r}")
    if said != meant:
        raise HeaderMismatchError(f"{header} says {said!r}, the body says {meant!r}")
