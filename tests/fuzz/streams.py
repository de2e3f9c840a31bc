"""Targets: messages out of streams of bytes, from clients on stdio and from servers behind a gateway."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final

import anyio
import httpx2
import msgspec
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.message import SessionMessage

from scopedtools.catalog.primitives import KINDS
from scopedtools.exceptions import DefinitionError
from scopedtools.gateway.config import Limits, ServerConfig
from scopedtools.gateway.connection import Connection
from scopedtools.gateway.errors import DownError, RefusedError
from scopedtools.gateway.http import _Client as BoundedClient
from scopedtools.gateway.lines import ENDS, Lines, TooLong
from scopedtools.gateway.process import _message as message_of
from scopedtools.gateway.trust import UnusableError, clean
from scopedtools.gateway.values import Values, has_more_values
from scopedtools.limits import Limits as Sizes
from scopedtools.protocol.mirrors import mirrored_parameters
from scopedtools.transports.stdio import StdioTransport
from tests.fuzz.messages import MESSAGES, WORDS
from tests.fuzz.server import servers
from tests.fuzz.target import FoundError, Target, awaited, pieces, require

_LIMITS: Final = Limits(max_message_bytes=1024, max_values=50, max_definition_bytes=2048)
_LINE_BYTES: Final = 64


def chunks_of(data: bytes) -> tuple[list[bytes], bytes]:
    """Return what comes after the first line of an input, cut as its bytes say, and whole."""
    sizes, whole = pieces(data, 2)
    chunks, at = [], 0
    for size in sizes:
        chunks.append(whole[at : at + size % 32])
        at += size % 32
    return [*chunks, whole[at:]], whole


def check_lines(data: bytes) -> None:
    """However a stream is cut into chunks, its lines are the same, and none is kept that is too long."""
    chunks, whole = chunks_of(data)
    lines = Lines(_LINE_BYTES)
    read = [line for chunk in chunks for line in lines.feed(chunk)]
    meant = whole.split(b"\n")[:-1]
    require(len(read) == len(meant), "each line comes once")
    for line, text in zip(read, meant, strict=True):
        if isinstance(line, TooLong):
            ends = (text[:ENDS], text[-ENDS:], len(text))
            require(len(text) > _LINE_BYTES and line == ends, "what is too long is known by its ends")
        else:
            require(line == text and len(text) <= _LINE_BYTES, "a line is as it was sent")


def check_values(data: bytes) -> None:
    """Values are counted alike however a message is cut, and never fewer than there are."""
    chunks, whole = chunks_of(data)
    for events in (False, True):
        at_once, cut = Values(events=events), Values(events=events)
        at_once.feed(whole)
        for chunk in chunks:
            cut.feed(chunk)
        require(at_once.most == cut.most, "chunks make no difference")
    try:
        value = msgspec.json.decode(whole)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    held = sum(1 for _ in _values_in(value))
    for limit in (0, 5, 50):
        require(has_more_values(whole, limit) or held <= limit + 1 + _empty(whole), "no value goes uncounted")


def _values_in(value: Any) -> Iterator[Any]:
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _values_in(one)


def _empty(whole: bytes) -> int:
    # `[1]` has two values and one mark, which counts as one; each container holds one more than its commas.
    return whole.count(b"[") + whole.count(b"{")


def check_server_line(data: bytes) -> None:
    """Whatever a server writes is a message, an answer that says why there is none, or nothing."""
    config = ServerConfig(name="up", command="up", limits=_LIMITS)
    lines = Lines(_LIMITS.max_message_bytes)
    for line in lines.feed(data + b"\n"):
        made = message_of(line, config)
        require(made is None or isinstance(made, SessionMessage), "it is a message")


def check_definition(data: bytes) -> None:
    """A definition from upstream is left out, or clean: small, visible, and the same when cleaned again."""
    try:
        definition = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for kind in KINDS:
        try:
            made = clean(kind, definition, _LIMITS)
        except UnusableError as error:
            require(len(str(error)) < 500, "why it is left out does not repeat it")
            continue
        again = clean(kind, made, _LIMITS)
        same = {**made, "arguments": made.get("arguments", [])} if kind == "prompt" else made
        require(again in (made, same), "what is clean stays as it is")
        require(len(made.get("description", "")) <= _LIMITS.max_description_chars, "a description is cut")
        if kind == "tool":
            try:
                mirrored_parameters(made["inputSchema"], where="tool")
            except DefinitionError as error:
                raise FoundError("its headers are those that clients accept") from error


def check_stdio(data: bytes) -> None:
    """Lines on stdio are answered by lines, and the last request is answered whatever came before."""
    sink = io.BytesIO()
    last = b'\n{"jsonrpc":"2.0","id":"the last","method":"ping"}\n'
    transport = StdioTransport(servers()[b"/mcp"].dispatcher, limits=Sizes(max_body_bytes=2048))
    awaited(transport.serve(io.BytesIO(data + last), sink))
    replies = [reply for line in sink.getvalue().splitlines() for reply in _each(msgspec.json.decode(line))]
    # Who spoke of another revision before it gets an error, since there is no ping any longer.
    require(any(reply.get("id") == "the last" for reply in replies), "the last request is answered")
    for reply in replies:
        require(reply["jsonrpc"] == "2.0", "each line is a message")
        require(reply.get("error", {}).get("code") != -32603, "nothing fails inside")


def _each(reply: Any) -> list[dict[str, Any]]:
    return reply if isinstance(reply, list) else [reply]


def check_upstream(data: bytes) -> None:
    """Whatever an HTTP server answers to a gateway, the request ends: with a result or without."""
    awaited(_ask_upstream(*_response(data)))


def _response(data: bytes) -> tuple[int, bytes, bytes]:
    status, media_type, body = pieces(data, 3)
    digits = bytes(byte for byte in status if byte in b"0123456789")[:3]
    code = int(digits or b"200")
    printable = bytes(byte for byte in media_type if 32 <= byte < 127)[:100]
    return (code if 200 <= code < 600 else 200), printable or b"text/event-stream", body


async def _ask_upstream(status: int, media_type: bytes, body: bytes) -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        headers = [(b"content-type", media_type), (b"mcp-session-id", b"s-1")]
        return httpx2.Response(status, headers=headers, stream=_Once(body))

    transport = httpx2.MockTransport(answer)
    client = BoundedClient(_LIMITS, lambda: None, transport=transport)
    async with (
        client,
        streamable_http_client("http://up/mcp", http_client=client, max_sse_event_size=1024) as streams,
        anyio.create_task_group() as tasks,
    ):
        connection = Connection(JSONRPCDispatcher(*streams[:2]), lambda: None, _unheard)
        await tasks.start(connection.run)
        connection.version, connection.is_modern = "2026-07-28", True
        try:
            result = await connection.request("tools/list", {}, timeout_s=0.02, request_id=1)
        except (RefusedError, DownError):
            result = {}
        require(isinstance(result, dict), "a result is an object")
        tasks.cancel_scope.cancel()


class _Once(httpx2.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> Any:
        for start in range(0, len(self._body), 100):
            yield self._body[start : start + 100]


async def _unheard(_method: str, _params: Any) -> None:
    return


_DEFINITION: Final = {
    "name": "find",
    "uri": "a://b",
    "uriTemplate": "a://{b}",
    "title": "Find\u202e",
    "description": "Find <books>",
    "inputSchema": {
        "type": "object",
        "properties": {"a": {"type": "string", "x-mcp-header": "A"}, "b": {"$ref": "http://evil/x"}},
        "$defs": {"c": {"anyOf": [{"type": "null"}]}},
    },
    "outputSchema": {"type": "object"},
    "annotations": {"title": "F", "readOnlyHint": True},
    "arguments": [{"name": "taste", "required": True}],
    "icons": [{"src": "http://evil/i.png"}],
    "_meta": {"a": 1},
}

_EVENTS: Final = (
    b'200\ntext/event-stream\nid: 1\nevent: message\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n',
    b'200\ntext/event-stream\n: hi\r\rdata: {"jsonrpc":"2.0","id":1,\ndata: "result":{}}\r\n\r\n',
    b'200\ntext/event-stream\nretry: 1\ndata\n\nevent: x\ndata: {"jsonrpc":"2.0","method":"ping","id":3}\n\n',
    b'200\napplication/json\n{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}',
    b"502\ntext/html\n<html>",
    b"202\n\n",
    b'404\napplication/json\n{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Session terminated"}}',
)
_SSE_WORDS: Final = (b"data: ", b"event: ", b"id: ", b"retry: ", b"\r\n\r\n", b"\n\n", b": ", b"\xef\xbb\xbf")

TARGETS: Final = (
    Target("lines", check_lines, (b"\x03\x05\x09\n" + b"\n".join(MESSAGES[:4]), b"\x01\n\n\n\n")),
    Target(
        "values",
        check_values,
        (
            *(b"\x02\x0b\x07\n" + one for one in (*MESSAGES, b'["a,\\"[{\\\\", 1]\r\n\r\n{"b":"\\')),
            b"\x05\ndata: [1,2]\r\n\r\ndata: [3]\n\n",
        ),
        (b'"', b"\\", b"\r", b"\n\n", b",", b"[", b"{"),
    ),
    Target("server-line", check_server_line, (*MESSAGES, b'{"id":1,"x":"' + b"y" * 1100 + b'"}'), WORDS),
    Target(
        "definition",
        check_definition,
        (msgspec.json.encode(_DEFINITION), b'{"name":"a","uri":"b","inputSchema":{"properties":{}}}'),
        tuple(
            word.encode()
            for word in (
                *_DEFINITION,
                "$ref",
                "x-mcp-header",
                "anyOf",
                "properties",
                "\u202e",
                "\ufe0f\ufe0f",
            )
        ),
    ),
    Target("stdio", check_stdio, tuple(b"\n".join(MESSAGES[at : at + 4]) for at in range(0, 60, 4)), WORDS),
    Target("upstream", check_upstream, _EVENTS, (*_SSE_WORDS, *WORDS[:20])),
)
