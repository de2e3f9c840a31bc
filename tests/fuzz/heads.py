"""Targets: header lines, and what is told by them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from scopedtools.auth.tokens import bearer_token
from scopedtools.context.carriers import CARRIERS, CarrierTable, is_context_id, query_values
from scopedtools.context.context import ContextResolver
from scopedtools.context.hosts import OPTIONAL
from scopedtools.context.store import MemoryStore
from scopedtools.exceptions import (
    DefinitionError,
    HeaderMismatchError,
    InvalidParamsError,
    InvalidRequestError,
    ParseError,
    UnsupportedVersionError,
)
from scopedtools.protocol import meta
from scopedtools.protocol.envelope import decode
from scopedtools.protocol.methods import METHODS, decode_params
from scopedtools.protocol.mirrors import (
    check_parameters,
    decode_value,
    encode_value,
    identify,
    joined,
    mirrored_parameters,
)
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import LATEST, NOVEMBER_2025, REVISIONS
from scopedtools.transports.answers import Refusal
from scopedtools.transports.heads import Heads, token_of
from scopedtools.transports.hosts import HostPolicy
from tests.fuzz.messages import DEPTH, METAS, check_context, depth_of
from tests.fuzz.target import Target, pieces, require

Lines = tuple[tuple[bytes, bytes], ...]

_VALUES: Final = (
    *(b"find", b"=?base64?ZsO8cg==?=", b"=?base64??=", b"=?base64?Zg=?=", b"\tfind ", b"=?base64?/w==?="),
    *(b"=?base64?=?=", b"=?BASE64?Zg==?=", b"caf\xe9"),
)

_HEADS: Final = (
    b"host: localhost:8000\ncontent-type: application/json\naccept: application/json, text/event-stream",
    b"host: [::1]:8000\norigin: http://localhost:3000\ncontent-type: application/json; charset=utf-8",
    b"host: evil.example\norigin: null\naccept: text/html;q=0.9",
    b"authorization: Bearer abc.def~g+/==\nmcp-protocol-version: 2026-07-28",
    b"authorization: basic YTpi\nauthorization: bearer  x\nhost: [::1",
)


def lines_of(data: bytes) -> Lines:
    """Read header lines, as an ASGI server gives them: names in lower case, no line ends in values."""
    split = (line.partition(b":") for line in data.replace(b"\r", b"").replace(b"\0", b"").split(b"\n"))
    return tuple((name.lower(), value.strip(b" \t")) for name, colon, value in split if colon and name)


def check_value(data: bytes) -> None:
    """A header value is decoded or refused, and any text survives being encoded as one."""
    value = data.decode("latin-1")
    try:
        decoded = decode_value(value)
    except HeaderMismatchError:
        pass
    else:
        require(decode_value(encode_value(decoded)) == decoded, "what was decoded can be encoded again")
    text = data.decode(errors="ignore")
    encoded = encode_value(text)
    require(encoded.isascii() and "\n" not in encoded and "\r" not in encoded, "a value fits into one line")
    require(decode_value(encoded) == text, "any text survives")


def check_version(data: bytes) -> None:
    """A revision is one that is served, whether header, body or both name it."""
    header, body = pieces(data, 2)
    try:
        request_meta = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        request_meta = {}
    if not isinstance(request_meta, dict):
        return
    for version in (None, header.decode("latin-1")):
        try:
            revision = identify(version, request_meta)
        except (HeaderMismatchError, UnsupportedVersionError):
            continue
        require(revision.name in REVISIONS, "it is one of the revisions")
        said = {version, request_meta.get(meta.PROTOCOL_VERSION)} - {None}
        require(not said or said == {revision.name}, "it is the one that is named, by all who name one")


def check_mirrored(data: bytes) -> None:
    """Headers that mirror arguments say the same, or the request is refused."""
    schema_json, arguments_json, head = pieces(data, 3)
    try:
        schema, arguments = msgspec.json.decode(schema_json), msgspec.json.decode(arguments_json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    # Schemas are an author's, or were cleaned; arguments came in a message, which is not deep.
    if not isinstance(schema, dict) or max(depth_of(schema), depth_of(arguments)) > DEPTH:
        return
    try:
        mirrored = mirrored_parameters(schema, where="tool 'find'")
    except DefinitionError:
        return
    headers = joined(lines_of(head))
    try:
        check_parameters(mirrored, arguments, headers)
    except HeaderMismatchError:
        return
    for header in mirrored:
        require(header.startswith("mcp-param-"), "only headers of their own mirror arguments")
        require(header not in headers or isinstance(arguments, dict), "what is mirrored is there")


def _request(query: bytes, head: bytes, params: bytes, *, legacy: bool) -> Request | None:
    method = METHODS["tools/call"]
    try:
        message = decode(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":%b}' % (params or b"{}"))
        read = decode_params(message.params, method.params)
    except (ParseError, InvalidRequestError, InvalidParamsError):
        return None
    revision = NOVEMBER_2025 if legacy else LATEST
    return Request(method, read, revision, Ingress(headers=lines_of(head), query=query), 1)


_ALL: Final = (*CARRIERS, *OPTIONAL)
_TABLES: Final = tuple(CarrierTable(_ALL, strict=strict) for strict in (False, True))
_RESOLVERS: Final = tuple(ContextResolver(one, store=MemoryStore(), secret=b"f" * 32) for one in _TABLES)


def check_carriers(data: bytes) -> None:
    """Wherever a context ID rides, what is found is well formed, and what is refused is not repeated."""
    params, query, head = pieces(data, 3)
    for legacy in (False, True):
        request = _request(query, head, params, legacy=legacy)
        if request is None:
            return
        for resolver in _RESOLVERS:
            try:
                found = resolver.carriers.find(request)
            except InvalidRequestError as error:
                check_not_repeated(error.message, request)
                continue
            if found is not None:
                require(is_context_id(found.id), "an ID is well formed")
                require(set(found.echo.values()) <= {found.id}, "only the ID itself is repeated")
            check_context(resolver.resolve(request))


def check_not_repeated(message: str, request: Request) -> None:
    """A message about a malformed ID does not have it."""
    said = [value.decode("latin-1").strip() for _, value in request.ingress.headers]
    said += [value for value in request.meta.values() if isinstance(value, str)]
    known = " ".join(map(str, _ALL)) + "malformed; visible ASCII characters came in two lines, send one"
    for value in said:
        require(len(value) < 8 or value in known or value not in message, "an ID is not repeated")


def check_head(data: bytes) -> None:
    """Header lines are served or refused by host, origin and media type; the same ones alike each time."""
    lines = lines_of(data)
    policies = (HostPolicy(), HostPolicy(hosts=["shop.example", "::1"], origins=["https://app.example"]))
    for policy in policies:
        heads = Heads(policy, checks_tokens=True)
        for address in ("127.0.0.1", "192.0.2.1", "/run/socket"):
            scope: dict[str, Any] = {"headers": list(lines), "server": (address, 80)}
            outcomes = [_outcome(heads, scope) for _ in range(3)]
            require(outcomes[0] == outcomes[1] == outcomes[2], "what is remembered is what was read")
    token = token_of({"headers": lines})
    read = None if token is None else bearer_token(token)
    require(read is None or (read.isascii() and " " not in read), "a token is one word")


def _outcome(heads: Heads, scope: dict[str, Any]) -> tuple[int, ...]:
    head = heads.read(scope)
    require(all(name != b"authorization" for name, _ in head.lines), "a token that is checked ends here")
    statuses = []
    for step in (head.require_served, head.require_fit):
        try:
            step()
        except Refusal as refusal:
            statuses.append(refusal.status)
    require(set(statuses) <= {403, 406, 415, 421}, "a refusal has a status of its own")
    return tuple(statuses)


def check_query(data: bytes) -> None:
    """A query string has values by name, or none."""
    values = query_values(data)
    require(len(values) <= 100, "not too many")
    require(all(isinstance(value, str) for value in values.values()), "each is a text")


def _carrier_seeds() -> list[bytes]:
    hosts = json.loads((Path(__file__).parents[1] / "context" / "host_requests.json").read_text())
    seeds = []
    for host in hosts:
        said = json.dumps(host).replace("$ID", (host["ids"] or ["x-1"])[0])
        host = json.loads(said)
        params = {"name": "find", "arguments": host.get("arguments", {})}
        params["_meta"] = {**host.get("meta", {}), **host.get("call_meta", {})}
        head = "\n".join(f"{name}: {value}" for name, value in host.get("headers", {}).items())
        query = str(host.get("query", "context=c-1&intent=buy+books"))
        seeds.append(b"%b\n%b\n%b" % (msgspec.json.encode(params), query.encode(), head.encode()))
    return seeds


_PLACES: Final = tuple(str(carrier.key).encode() for carrier in _ALL)

_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "room": {"type": "string", "x-mcp-header": "Room"},
        "shelf": {"type": "object", "properties": {"no": {"type": "integer", "x-mcp-header": "No"}}},
        "open": {"type": "boolean", "x-mcp-header": "Open"},
    },
    "$defs": {"a": {"anyOf": [{"type": "string"}]}},
}
_ARGUMENTS: Final = {"room": "für", "shelf": {"no": 3}, "open": True}

TARGETS: Final = (
    Target("header-value", check_value, _VALUES, (b"=?base64?", b"?=", b"==", b"\xc3\xbc")),
    Target(
        "version",
        check_version,
        tuple(
            b"%b\n%b" % (name.encode(), msgspec.json.encode({meta.PROTOCOL_VERSION: name}))
            for name in (*REVISIONS, "2099-01-01")
        ),
        tuple(name.encode() for name in (*REVISIONS, meta.PROTOCOL_VERSION)),
    ),
    Target(
        "mirrored",
        check_mirrored,
        (
            b"%b\n%b\nmcp-param-room: =?base64?ZsO8cg==?=\nmcp-param-no: 3\nmcp-param-open: true"
            % (msgspec.json.encode(_SCHEMA), msgspec.json.encode(_ARGUMENTS)),
        ),
        (b"x-mcp-header", b"properties", b"patternProperties", b"items", b"anyOf", b"mcp-param-", b"integer"),
    ),
    Target(
        "carriers",
        check_carriers,
        (
            *_carrier_seeds(),
            *(b'%b\n\n' % msgspec.json.encode({"name": "find", "_meta": one}) for one in METAS),
            b'{"name":"find"}\nintent=a&context=b&parent=c\nmcp-context-intent: =?base64?ZsO8cg==?='
            b"\nmcp-context-parent: p\nbaggage: session.id=s%20;q=1,gen_ai.conversation.id=g",
        ),
        (*_PLACES, b"\x7f", b"%20", b"contextId", b"mcp-session-id"),
    ),
    Target(
        "head",
        check_head,
        _HEADS,
        (b"host", b"origin", b"authorization", b"content-type", b"accept", b"application/json", b"Bearer "),
    ),
    Target("query", check_query, (b"context=c-1&intent=buy%20books", b"&&context=&a", b"a=%ff%&b=%zz"), (b"%", b"&")),
)
