"""Whatever a client sends, it is answered: never an exception out of the app, never a server error."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scopedtools import Context, ScopedServer, ToolError, prompt, resource, tool
from scopedtools.protocol.methods import METHODS
from scopedtools.transports.stdio import StdioTransport
from tests.wire.exchange import (
    ENVELOPE,
    JSON_HEADERS,
    LEGACY,
    MODERN,
    Answer,
    Lines,
    assert_still_answers,
    http,
    judged,
)


class Shop(ScopedServer):
    """Sells books."""

    @tool
    async def find(self, title: str, limit: int | None = None, *, ctx: Context) -> dict[str, Any]:
        """Find books."""
        if limit == 0:
            raise ToolError("none at all")
        return {"title": title, "context": ctx.id}

    @resource("shelf://{room}/{+path}")
    async def shelf(self, room: str, path: str) -> list[str]:
        """A shelf."""
        return [room, path]

    @prompt
    async def recommend(self, taste: str = "any") -> str:
        """Recommend a book."""
        return taste


SHOP = Shop()

FAST = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
KEYS = TEXTS | st.sampled_from(
    ["_meta", "name", "uri", "arguments", "cursor", "id", "method", "params", "jsonrpc", "result", *ENVELOPE]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
REVISIONS = st.sampled_from([None, MODERN, *LEGACY, "2099-01-01"])


def check(answer: Answer) -> None:
    """An answer is nothing, or one JSON-RPC result or error, or to a batch several."""
    assert answer.status < 500, answer.body
    if answer.status == 202:
        assert answer.body == b""
    elif answer.body.startswith(b"["):
        for reply in msgspec.json.decode(answer.body):
            assert ("result" in reply) != ("error" in reply)
            assert reply.get("error", {}).get("code") != -32603
    elif "result" in answer.reply:
        assert answer.status == 200
    else:
        assert answer.error["code"] != -32603
        assert set(answer.reply) <= {"jsonrpc", "id", "error"}


def send(body: bytes, headers: dict[str, str]) -> Answer:
    async def exchange() -> Answer:
        answer = await http(SHOP, body, headers)
        await assert_still_answers(SHOP)
        return answer

    return asyncio.run(exchange())


def version(revision: str | None) -> dict[str, str]:
    return JSON_HEADERS if revision is None else JSON_HEADERS | {"mcp-protocol-version": revision}


@FAST
@given(st.binary(max_size=200), REVISIONS)
@example(b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"a":"\xff"}}}', None)
@example(
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"find","arguments":{"\xff":1}}}', None
)
@example(b'{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"\\ud83d\\ude00://x"}}', None)
@example(b'{"jsonrpc":"2.0","id":1e400,"method":"ping"}', None)
@example(b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping","method":"tools/list"}', None)
def test_any_bytes_are_answered(body: bytes, revision: str | None) -> None:
    check(send(body, version(revision)))


@FAST
@given(JSON, REVISIONS)
def test_any_json_is_answered(value: Any, revision: str | None) -> None:
    check(send(msgspec.json.encode(value), version(revision)))


@FAST
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "jsonrpc": st.just("2.0") | JSON,
            "id": st.integers() | TEXTS | JSON,
            "method": st.sampled_from(sorted(METHODS)) | JSON,
            "params": JSON,
            "result": JSON,
            "error": JSON,
        },
    ),
    REVISIONS,
)
def test_any_message_is_answered(message: dict[str, Any], revision: str | None) -> None:
    check(send(msgspec.json.encode(message), version(revision)))


@FAST
@given(
    st.sampled_from(sorted(METHODS)),
    JSON
    | st.dictionaries(KEYS, JSON, max_size=4)
    | st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["find", "recommend", "call_tool"]) | TEXTS,
            "uri": TEXTS | TEXTS.map("shelf://{}/x".format),
            "arguments": st.dictionaries(
                st.sampled_from(["title", "limit", "taste", "name", "arguments"]), JSON, max_size=3
            ),
            "cursor": TEXTS,
            "protocolVersion": TEXTS,
        },
    ),
    st.sampled_from([MODERN, *LEGACY]),
    st.none() | JSON | st.dictionaries(KEYS, JSON, max_size=3),
)
def test_any_params_of_every_method_are_answered(method: str, params: Any, revision: str, meta: Any) -> None:
    headers = version(revision)
    if revision == MODERN:
        headers = headers | {"mcp-method": method}
        if isinstance(params, dict):
            params = {**params, "_meta": ENVELOPE | (meta if isinstance(meta, dict) else {})}
            named = params.get("uri" if method == "resources/read" else "name")
            if isinstance(named, str) and named.isascii() and named.isprintable():
                headers["mcp-name"] = named
    elif isinstance(params, dict) and meta is not None:
        params = {**params, "_meta": meta}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = send(msgspec.json.encode(message), headers)
    check(answer)
    assert answer.reply["id"] == 1
    if "result" in answer.reply:
        judged(answer, method, revision)


@FAST
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    *(b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"authorization", b"baggage"),
                    *(b"content-type", b"accept", b"content-length", b"mcp-client-session-id"),
                    *(b"mcp-context-intent", b"mcp-session-id", b"x-other"),
                ]
            ),
            st.binary(max_size=30)
            | st.sampled_from([MODERN.encode(), b"tools/call", b"find", b"application/json", b"=?base64?"]),
        ),
        max_size=8,
    )
)
@example([(b"content-length", b"\xb2")])
@example([(b"content-length", b"-1")])
def test_any_headers_are_answered(lines: Lines) -> None:
    body = msgspec.json.encode(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": ENVELOPE}}
    )
    check(asyncio.run(http(SHOP, body, [(b"content-type", b"application/json"), *lines])))
    check(asyncio.run(http(SHOP, body, lines)))


@settings(FAST, max_examples=50)
@given(st.lists(st.binary(max_size=60) | JSON.map(msgspec.json.encode), max_size=6))
def test_any_lines_on_stdio_are_answered_line_by_line(lines: list[bytes]) -> None:
    sent = b"\n".join([*lines, b'{"jsonrpc":"2.0","id":"last","method":"ping"}'])
    sink = io.BytesIO()
    asyncio.run(StdioTransport(SHOP.dispatcher).serve(io.BytesIO(sent), sink))
    replies = [msgspec.json.decode(line) for line in sink.getvalue().splitlines()]
    assert {"jsonrpc": "2.0", "id": "last", "result": {}} in replies
    assert all(reply["jsonrpc"] == "2.0" for reply in replies)
