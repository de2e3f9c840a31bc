"""What HTTP asks for before there is a message: method, media types, size, authorization."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from scopedtools import Context, Principal, ScopedServer, tool
from scopedtools.auth import StaticTokens
from scopedtools.limits import Limits
from tests.wire.exchange import (
    ENVELOPE,
    JSON_HEADERS,
    MODERN,
    Answer,
    Lines,
    assert_still_answers,
    http,
    legacy,
    message,
    mirrored,
    modern,
)

pytestmark = pytest.mark.anyio

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


class Shop(ScopedServer):
    """Sells books."""

    @tool
    async def whoami(self, ctx: Context) -> str:
        """Say who asks."""
        return f"{ctx.principal.name} {ctx.headers.get('authorization', '')}".strip()


SHOP = Shop()


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "post"])
async def test_only_post_is_allowed(method: str) -> None:
    answer = await http(SHOP, PING, method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert "id" not in answer.reply
    await assert_still_answers(SHOP)


@pytest.mark.parametrize(
    "path", ["/", "/other", "/mcp/other", "/mcpx", "/MCP", "", "//mcp", "/.well-known/x"]
)
async def test_there_is_nothing_elsewhere(path: str) -> None:
    assert (await http(SHOP, PING, path=path)).status == 404


async def test_the_path_of_the_endpoint_can_be_chosen() -> None:
    server = Shop(path="/api/tools")
    assert (await http(server, PING, path="/api/tools")).status == 200
    assert (await http(server, PING, path="/mcp")).status == 404


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "",
        "multipart/form-data",
        "json",
    ],
)
async def test_a_body_that_is_not_said_to_be_json_is_refused(content_type: str) -> None:
    answer = await http(SHOP, PING, {"content-type": content_type})
    assert answer.status == 415
    await assert_still_answers(SHOP)


async def test_a_body_of_no_type_is_refused() -> None:
    assert (await http(SHOP, PING, {})).status == 415


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON", "application/json; charset=utf-8"]
)
async def test_json_is_recognized_in_any_case_and_with_parameters(content_type: str) -> None:
    assert (await http(SHOP, PING, {"content-type": content_type})).status == 200


@pytest.mark.parametrize("accept", ["text/event-stream", "text/html", "image/*, text/*"])
async def test_a_client_that_takes_no_json_is_refused(accept: str) -> None:
    assert (await http(SHOP, PING, JSON_HEADERS | {"accept": accept})).status == 406
    await assert_still_answers(SHOP)


@pytest.mark.parametrize(
    "accept",
    [
        "application/json, text/event-stream",
        "text/event-stream, APPLICATION/JSON;q=0.5",
        "*/*",
        "application/*",
        "text/html, */*;q=0.1",
    ],
)
async def test_a_client_that_takes_json_is_answered(accept: str) -> None:
    assert (await http(SHOP, PING, JSON_HEADERS | {"accept": accept})).status == 200


async def test_a_client_that_does_not_say_what_it_takes_is_answered() -> None:
    assert (await http(SHOP, PING, {"content-type": "application/json"})).status == 200


@pytest.mark.parametrize("swapped", [True, False])
async def test_what_a_client_takes_may_come_in_two_lines(*, swapped: bool) -> None:
    accepts: Lines = [(b"accept", b"application/json"), (b"accept", b"text/event-stream")]
    lines = [(b"content-type", b"application/json"), *(reversed(accepts) if swapped else accepts)]
    assert (await http(SHOP, PING, lines)).status == 200


SMALL = Shop(limits=Limits(max_body_bytes=1000))


def padded(size: int) -> bytes:
    return PING + b" " * (size - len(PING))


async def test_a_body_of_the_largest_size_is_taken_and_one_byte_more_is_not() -> None:
    for announced in (True, False):
        for size, status in ((1000, 200), (1001, 413)):
            length = {"content-length": str(size)} if announced else {}
            answer = await http(SMALL, padded(size), JSON_HEADERS | length)
            assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert "id" not in answer.reply
    await assert_still_answers(SMALL)


async def test_a_body_that_is_announced_as_too_large_is_not_read() -> None:
    async def receive() -> Any:
        raise AssertionError("the body was read")

    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"1001")]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": headers}
    await SMALL(scope, receive, send)
    assert sent[0]["status"] == 413


async def test_a_body_in_chunks_is_counted_while_it_comes() -> None:
    for chunk in (100, 1):
        chunks = [padded(1001)[i : i + chunk] for i in range(0, 1001, chunk)]
        assert (await http(SMALL, chunks)).status == 413
        assert (await http(SMALL, [*chunks[: 1000 // chunk], b""])).status == 200
    endless = (b" " * 100 for _ in range(10**9))

    async def receive() -> Any:
        return {"type": "http.request", "body": next(endless), "more_body": True}

    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "headers": [(b"content-type", b"application/json")],
    }
    await SMALL(scope, receive, send)
    assert sent[0]["status"] == 413


async def test_a_content_length_that_is_too_small_does_not_open_the_door() -> None:
    assert (await http(SMALL, padded(1001), JSON_HEADERS | {"content-length": "1"})).status == 413


async def test_a_client_that_goes_away_in_its_request_leaves_no_trace() -> None:
    events = [{"type": "http.request", "body": PING, "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "headers": [(b"content-type", b"application/json")],
    }
    await SHOP(scope, receive, send)
    await assert_still_answers(SHOP)


async def test_answers_are_kept_by_no_shared_cache() -> None:
    for answer in (await modern(SHOP, "tools/list"), await legacy(SHOP, "2025-06-18", "tools/list")):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "private, no-store"
        assert "authorization" in answer.headers["vary"].lower()


# Authorization


class Strict:
    """A verifier that does what an author's may do: fail."""

    async def verify(self, token: str) -> Principal | None:
        if token == "broken":
            raise ValueError("the key of the key store is swordfish")
        return None


GUARDED = Shop(verifier=StaticTokens({"good": Principal("ann"), "other": Principal("bob")}))


async def call(server: ScopedServer, *authorizations: bytes) -> Answer:
    request = message("tools/call", {"_meta": ENVELOPE, "name": "whoami"})
    lines = [(name.encode(), value.encode()) for name, value in mirrored(request).items()]
    lines += [(b"authorization", value) for value in authorizations]
    return await http(server, msgspec.json.encode(request), lines)


@pytest.mark.parametrize(
    "header", [b"Bearer good", b"bearer good", b"BEARER good", b"Bearer   good", b"Bearer good "]
)
async def test_a_known_token_is_its_principal(header: bytes) -> None:
    answer = await call(GUARDED, header)
    assert answer.result["content"][0]["text"].startswith("ann")


@pytest.mark.parametrize(
    "header",
    [
        b"Bearer bad",
        b"Bearer",
        b"Bearer ",
        b"good",
        b"Basic good",
        b"Bearer good bad",
        b"Bearer GOOD",
        b"Bearer \xe9",
        b"Token good",
    ],
)
async def test_any_other_authorization_is_refused_with_a_challenge(header: bytes) -> None:
    answer = await call(GUARDED, header)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "result" not in answer.reply


async def test_no_authorization_is_refused_with_a_plain_challenge() -> None:
    answer = await call(GUARDED)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_token_is_asked_for_by_every_request_and_before_its_body_is_read() -> None:
    for body in (b"not json", PING, b'{"jsonrpc":"2.0","method":"notifications/initialized"}'):
        assert (await http(GUARDED, body)).status == 401


@pytest.mark.parametrize("tokens", [(b"Bearer good", b"Bearer other"), (b"Bearer other", b"Bearer good")])
async def test_two_authorizations_are_none(tokens: tuple[bytes, bytes]) -> None:
    assert (await call(GUARDED, *tokens)).status == 401


async def test_a_token_in_the_url_is_none() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": PING}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "query_string": b"access_token=good&token=good",
        "headers": [(b"content-type", b"application/json")],
    }
    await GUARDED(scope, receive, send)
    assert sent[0]["status"] == 401


async def test_a_verifier_that_fails_lets_nobody_in_and_tells_no_secrets() -> None:
    server = Shop(verifier=Strict())
    answer = await call(server, b"Bearer broken")
    assert answer.refusal == (500, -32603)
    assert b"swordfish" not in answer.body
    assert (await call(server, b"Bearer other")).status == 401


# Side by side


async def test_a_slow_tool_does_not_hold_up_a_fast_one() -> None:
    class Kitchen(ScopedServer):
        """Cooks."""

        started = asyncio.Event()
        done = asyncio.Event()
        released = threading.Event()

        @tool
        async def cook(self) -> str:
            """Take long."""
            self.started.set()
            await self.done.wait()
            return "cooked"

        @tool
        def boil(self) -> str:
            """Take long in a thread."""
            self.released.wait(10)
            return "boiled"

        @tool
        async def taste(self) -> str:
            """Be fast."""
            return "good"

    kitchen = Kitchen()
    async with asyncio.timeout(10):
        cooking = asyncio.create_task(modern(kitchen, "tools/call", {"name": "cook"}))
        boiling = asyncio.create_task(modern(kitchen, "tools/call", {"name": "boil"}))
        await kitchen.started.wait()
        assert (await modern(kitchen, "tools/call", {"name": "taste"})).status == 200
        assert not cooking.done()
        assert not boiling.done()
        kitchen.done.set()
        kitchen.released.set()
        assert (await cooking).result["content"][0]["text"] == "cooked"
        assert (await boiling).result["content"][0]["text"] == "boiled"


async def test_an_unknown_revision_is_told_before_anything_else_about_the_message() -> None:
    body = msgspec.json.encode(message("tools/call", {"arguments": 5}))
    answer = await http(SHOP, body, JSON_HEADERS | {"mcp-protocol-version": "2099-01-01"})
    assert answer.refusal == (400, -32022)
    assert MODERN in answer.error["data"]["supported"]
