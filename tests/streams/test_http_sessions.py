"""Sessions of earlier revisions over HTTP: who may use one, how it ends, streams that are taken up again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from scopedtools import Context, Principal, ScopedServer, View, resource, tool
from scopedtools.transports.http import HttpTransport
from scopedtools.transports.sessions import Sessions
from scopedtools.transports.sse import Stream
from scopedtools.types import ANONYMOUS
from tests.streams.opened import LIMIT_S, Opened, opened
from tests.wire.exchange import JSON_HEADERS, message

pytestmark = pytest.mark.anyio

SESSION = "mcp-session-id"


class Tokens:
    """Everybody is who they say."""

    async def verify(self, token: str) -> Principal | None:
        name, _, scopes = token.partition(".")
        return Principal(name, frozenset(scopes.split(".")))


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Library(ScopedServer):
    """Lends books."""

    def __init__(self, **options: Any) -> None:
        super().__init__(sessions=True, **options)
        self.go_on = asyncio.Event()
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.hidden = False

    @tool
    async def count(self) -> int:
        """Count."""
        return 7

    @tool
    async def tell(self, times: int, ctx: Context) -> str:
        """Say something several times, then wait."""
        for time in range(times):
            await ctx.log("info", time)
        self.began.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "told"

    @tool
    async def fetch(self, ctx: Context) -> str:
        """Let the client go and work on."""
        await ctx.log("info", "began")
        await ctx.detach()
        await ctx.log("info", "went on")
        await self.go_on.wait()
        return "fetched"

    @tool
    async def fetch_at_once(self, ctx: Context) -> str:
        """Let the client go before anything else."""
        await ctx.detach()
        return "fetched"

    @tool
    async def sum(self, ctx: Context) -> str:
        """Ask the user."""
        return (await ctx.elicit("Go on?", {"type": "object", "properties": {}})).action

    @resource("book://one")
    async def book(self) -> str:
        """A book."""
        return "once"

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows.of("resource") if self.hidden else rows


def endpoint(library: Library, **options: Any) -> HttpTransport:
    """Serve a library with sessions of other settings."""
    return HttpTransport(library.dispatcher, sessions=Sessions(**options))


def opening(**capabilities: Any) -> dict[str, Any]:
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": capabilities,
        "clientInfo": {"name": "t", "version": "0"},
    }
    return message("initialize", params)


async def begin(app: Any, headers: Mapping[str, str] = JSON_HEADERS, **capabilities: Any) -> dict[str, str]:
    """Open a session; return the headers of its requests."""
    async with opened(app, opening(**capabilities), headers) as one:
        assert (await one.json())["result"]["protocolVersion"] == "2025-11-25"
        session_id = await one.header(SESSION)
    assert session_id is not None
    return dict(headers) | {"mcp-protocol-version": "2025-11-25", SESSION: session_id}


async def status(app: Any, request: Any, headers: Mapping[str, str], method: str = "POST") -> int:
    async with opened(app, request, headers, method=method) as one:
        return await one.status()


@asynccontextmanager
async def listening(app: Any, headers: Mapping[str, str], last: str | None = None) -> AsyncIterator[Opened]:
    """Open the stream of a session, or take up another."""
    resumed = {} if last is None else {"last-event-id": last}
    async with opened(app, None, {**headers, **resumed}, method="GET") as one:
        assert await one.status() == 200
        first = await one.next()
        assert first is not None
        assert first.id
        assert not first.data
        yield one


def tell(times: int, message_id: Any = 1) -> dict[str, Any]:
    return message("tools/call", {"name": "tell", "arguments": {"times": times}}, message_id=message_id)


PING = message("ping")


async def test_initialize_mints_an_id_that_nobody_can_guess() -> None:
    library = Library()
    first, second = await begin(library), await begin(library)
    assert first[SESSION] != second[SESSION]
    assert len(first[SESSION]) >= 32
    assert all(0x21 <= ord(letter) <= 0x7E for letter in first[SESSION])
    assert await status(library, PING, first) == 200


async def test_an_initialize_that_fails_begins_no_session() -> None:
    library = Library()
    bad = message("initialize", {"protocolVersion": 5})
    async with opened(library, bad) as one:
        assert "error" in await one.json()
        assert await one.header(SESSION) is None
    assert library._sessions is not None
    assert not library._sessions._sessions


async def test_a_request_without_the_id_is_refused_and_so_is_one_with_an_id_that_is_none() -> None:
    library = Library()
    headers = await begin(library)
    without = {name: value for name, value in headers.items() if name != SESSION}
    for request, method in ((PING, "POST"), (None, "GET"), (None, "DELETE")):
        assert await status(library, request, without, method) == 400
        assert await status(library, request, headers | {SESSION: "no-such"}, method) == 404


async def test_nobody_else_can_use_a_session_and_its_owner_can_with_another_token() -> None:
    library = Library(verifier=Tokens())
    ada = JSON_HEADERS | {"authorization": "Bearer ada.read"}
    headers = await begin(library, ada)
    for request, method in ((PING, "POST"), (None, "GET"), (None, "DELETE")):
        assert await status(library, request, headers | {"authorization": "Bearer bob"}, method) == 404
    assert await status(library, PING, headers | {"authorization": "Bearer ada.read.write"}) == 200


async def test_a_session_that_was_deleted_is_gone_with_its_stream_and_its_calls() -> None:
    library = Library()
    headers = await begin(library)
    async with listening(library, headers) as stream, opened(library, tell(1), headers) as running:
        async with asyncio.timeout(LIMIT_S):
            await library.began.wait()
        assert await status(library, None, headers, "DELETE") == 204
        assert await stream.messages() == []
        assert [one.get("method") for one in await running.messages()] == ["notifications/message"]
        assert library.cancelled.is_set()
    for request, method in ((PING, "POST"), (None, "GET"), (None, "DELETE")):
        assert await status(library, request, headers, method) == 404
    assert not library._listeners._listeners


async def test_without_sessions_there_is_neither_a_stream_nor_anything_to_delete() -> None:
    class Plain(ScopedServer):
        """Has no sessions."""

    for method in ("GET", "DELETE"):
        async with opened(Plain(), None, method=method) as one:
            assert await one.status() == 405
            assert await one.header("allow") == "POST"


async def test_the_session_that_was_used_least_recently_goes_first() -> None:
    library = Library()
    app = endpoint(library, max_sessions=2)
    first, second = await begin(app), await begin(app)
    assert await status(app, PING, first) == 200
    third = await begin(app)
    assert [await status(app, PING, headers) for headers in (first, second, third)] == [200, 404, 200]
    assert len(library._listeners._listeners) == 2


async def test_a_session_expires_when_nothing_came_for_a_while_and_takes_its_calls_and_streams_along() -> (
    None
):
    clock, library = Clock(), Library()
    app = endpoint(library, idle_s=60, clock=clock)
    headers = await begin(app)
    clock.now = 59
    async with listening(app, headers) as stream, opened(app, tell(0), headers) as running:
        async with asyncio.timeout(LIMIT_S):
            await library.began.wait()
        clock.now = 118
        assert await status(app, PING, headers) == 200
        clock.now = 178
        assert await status(app, PING, headers) == 404
        await begin(app)  # another session is what makes this one notice
        assert await stream.messages() == []
        assert await running.messages() == []
        assert library.cancelled.is_set()
    assert len(library._listeners._listeners) == 1


async def test_an_open_stream_keeps_its_session_alive() -> None:
    clock, library = Clock(), Library()
    app = HttpTransport(library.dispatcher, sessions=Sessions(idle_s=60, clock=clock), keepalive_s=0)
    headers = await begin(app)
    async with listening(app, headers) as stream:
        for now in (50, 100, 150):
            clock.now = now
            for _ in range(2):  # one may have been on its way
                event = await stream.next()
                assert event is not None
                assert event.comment
    assert await status(app, PING, headers) == 200


async def test_the_server_that_stops_ends_streams_and_calls() -> None:
    library = Library()
    async with library:
        headers = await begin(library)
        async with listening(library, headers) as stream, opened(library, tell(0), headers) as running:
            async with asyncio.timeout(LIMIT_S):
                await library.began.wait()
            library.end_streams()
            assert await stream.messages() == []
            assert await running.messages() == []
    assert library.cancelled.is_set()
    assert await status(library, PING, headers) == 404


async def test_calls_end_before_what_the_lifespan_holds() -> None:
    ended: list[str] = []

    class Held(Library):
        """Holds something."""

        @asynccontextmanager
        async def lifespan(self) -> AsyncIterator[None]:
            yield
            ended.append("cancelled first" if self.cancelled.is_set() else "closed too early")

    library = Held()
    async with library:
        headers = await begin(library)
        async with opened(library, tell(0), headers) as running:
            async with asyncio.timeout(LIMIT_S):
                await library.began.wait()
            await running.leave()
    assert ended == ["cancelled first"]


async def test_a_call_in_a_session_is_cancelled_by_a_message_and_not_answered() -> None:
    library = Library()
    headers = await begin(library)
    other = await begin(library)
    gone = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}
    async with opened(library, tell(1, 9), headers) as one:
        async with asyncio.timeout(LIMIT_S):
            await library.began.wait()
        assert await status(library, gone, other) == 202
        assert not library.cancelled.is_set()
        assert await status(library, gone, headers) == 202
        assert [sent.get("method") for sent in await one.messages()] == ["notifications/message"]
    assert library.cancelled.is_set()


async def test_a_client_that_loses_its_connection_gets_exactly_what_it_missed_and_what_comes_after() -> None:
    library = Library()
    headers = await begin(library)
    async with opened(library, tell(3), headers) as one:
        first = await one.next()
        assert first is not None
        assert first.retry
        seen = await one.next()
        assert seen is not None
        assert seen.data["params"]["data"] == 0
        await one.leave()
    assert not library.cancelled.is_set()
    async with listening(library, headers, seen.id) as again:
        assert [(await again.message())["params"]["data"] for _ in range(2)] == [1, 2]
        library.go_on.set()
        assert (await again.message())["result"]["content"][0]["text"] == "told"
        assert await again.next() is None
    async with listening(library, headers, seen.id) as after:
        assert len(await after.messages()) == 3
    async with listening(library, headers, first.id) as whole:
        assert len(await whole.messages()) == 4


async def test_who_takes_up_a_stream_is_its_only_reader() -> None:
    library = Library()
    headers = await begin(library)
    async with opened(library, tell(1), headers) as one:
        first = await one.next()
        assert first is not None
        assert (await one.message())["params"]["data"] == 0
        async with listening(library, headers, first.id) as two:
            assert await one.messages() == []
            assert (await two.message())["params"]["data"] == 0
            library.go_on.set()
            assert "result" in await two.message()


@pytest.mark.parametrize(
    "last",
    [
        "",
        "x",
        "push",
        "push.",
        ".1",
        "push.-5",
        "push.--1",
        "push.1",
        "push.9" + "9" * 5000,
        "none.0",
        "push.½",
    ],
)
async def test_an_event_that_is_not_known_is_refused(last: str) -> None:
    library = Library()
    headers = await begin(library) | {"last-event-id": last}
    async with asyncio.timeout(LIMIT_S):
        scope_headers = {name: value for name, value in headers.items() if value.isascii()}
        assert await status(library, None, scope_headers, "GET") == (404 if last.isascii() else 200)


async def test_nobody_takes_up_a_stream_of_another_session() -> None:
    library = Library()
    headers, other = await begin(library), await begin(library)
    async with opened(library, tell(1), headers) as one:
        first = await one.next()
        assert first is not None
        assert await status(library, None, other | {"last-event-id": first.id}, "GET") == 404
        library.go_on.set()


async def test_many_streams_of_one_session_are_kept_and_no_more_the_ended_ones_go_first() -> None:
    library = Library()
    headers = await begin(library)
    async with opened(library, tell(0), headers) as running:
        first = await running.next()
        assert first is not None
        ids = []
        for number in range(70):
            request = message("tools/call", {"name": "count"}, message_id=number)
            async with opened(library, request, headers) as one:
                event = await one.next()
                assert event is not None
                ids.append(event.id)
                assert len(await one.messages()) == 1
        assert await status(library, None, headers | {"last-event-id": ids[0]}, "GET") == 404
        async with listening(library, headers, ids[-1]) as last:
            assert len(await last.messages()) == 1
        async with listening(library, headers, first.id) as again:
            library.go_on.set()
            assert "result" in await again.message()


async def test_a_request_that_is_refused_leaves_no_stream_behind() -> None:
    sessions = Sessions()
    app = HttpTransport(Library().dispatcher, sessions=sessions)
    headers = await begin(app)
    assert await status(app, message("tools/call", {"name": 5}), headers) == 200
    session = sessions.get(headers[SESSION], ANONYMOUS)
    assert session is not None
    assert not session._streams


async def test_detaching_lets_the_client_go_and_it_fetches_the_rest() -> None:
    library = Library()
    headers = await begin(library)
    request = message("tools/call", {"name": "fetch"})
    async with opened(library, request, headers) as one:
        first = await one.next()
        assert first is not None
        assert int(first.retry) > 0
        await one.messages()
        await one.end()
    async with listening(library, headers, first.id) as again:
        assert [(await again.message())["params"]["data"] for _ in range(2)] == ["began", "went on"]
        library.go_on.set()
        assert (await again.message())["result"]["content"][0]["text"] == "fetched"


async def test_a_tool_that_detaches_at_once_lets_its_client_go_with_an_event_to_come_back_to() -> None:
    library = Library()
    headers = await begin(library)
    async with opened(library, message("tools/call", {"name": "fetch_at_once"}), headers) as one:
        first = await one.next()
        assert first is not None
        assert first.id
        assert await one.messages() == []
    async with listening(library, headers, first.id) as again:
        assert (await again.message())["result"]["content"][0]["text"] == "fetched"


async def test_the_stream_of_a_session_tells_what_changes_to_one_connection_the_newest() -> None:
    library = Library()
    headers = await begin(library)
    async with listening(library, headers) as one:
        library.hidden = True
        await library.lists_changed()
        assert (await one.message())["method"] == "notifications/tools/list_changed"
        async with listening(library, headers) as two:
            assert await one.next() is None
            library.hidden = False
            await library.lists_changed()
            assert (await two.message())["method"] == "notifications/tools/list_changed"


async def test_what_changes_before_the_stream_is_open_is_told_when_it_is_and_once() -> None:
    library = Library()
    headers = await begin(library)
    library.hidden = True
    await library.lists_changed()
    async with listening(library, headers) as one:
        assert (await one.message())["method"] == "notifications/tools/list_changed"
    async with listening(library, headers) as two:
        await library.resource_updated("book://one")
        library.hidden = False
        await library.lists_changed()
        assert (await two.message())["method"] == "notifications/tools/list_changed"


async def test_a_client_that_left_the_stream_of_its_session_is_not_written_to() -> None:
    library = Library()
    headers = await begin(library)
    async with listening(library, headers) as one:
        await one.leave()
        sent = one.sent
        library.hidden = True
        await library.lists_changed()
        assert one.sent == sent


async def test_a_stream_is_only_for_those_who_accept_one() -> None:
    library = Library()
    headers = await begin(library) | {"accept": "application/json"}
    assert await status(library, None, headers, "GET") == 406


async def test_subscriptions_of_a_session_are_told_until_they_end() -> None:
    library = Library()
    headers = await begin(library)
    book = {"uri": "book://one"}
    async with listening(library, headers) as stream:
        await library.resource_updated("book://one")
        assert await status(library, message("resources/subscribe", book), headers) == 200
        await library.resource_updated("book://two")
        await library.resource_updated("book://one")
        told = await stream.message()
        assert (told["method"], told["params"]) == ("notifications/resources/updated", book)
        assert await status(library, message("resources/unsubscribe", book), headers) == 200
        await library.resource_updated("book://one")
        library.hidden = True
        await library.lists_changed()
        assert (await stream.message())["method"] == "notifications/tools/list_changed"


async def test_nobody_subscribes_to_what_they_cannot_read() -> None:
    library = Library()
    headers = await begin(library)
    async with opened(library, message("resources/subscribe", {"uri": "book://none"}), headers) as one:
        assert (await one.answer())["error"]["code"] == -32602


async def test_a_stateless_request_beside_sessions_needs_none() -> None:
    from tests.streams.opened import asked, modern

    assert "result" in await asked(Library(), modern("tools/call", {"name": "count"}))


async def test_the_level_of_a_session_is_its_own() -> None:
    library = Library()
    quiet, loud = await begin(library), await begin(library)
    assert await status(library, message("logging/setLevel", {"level": "error"}), quiet) == 200
    library.go_on.set()
    async with opened(library, tell(2), quiet) as one, opened(library, tell(2), loud) as two:
        assert len(await one.messages()) == 1
        assert len(await two.messages()) == 3


async def test_ended_sessions_hold_no_calls() -> None:
    library = Library()
    sessions = Sessions()
    app = HttpTransport(library.dispatcher, sessions=sessions)
    headers = await begin(app)
    library.go_on.set()
    async with opened(app, tell(0), headers) as one:
        await one.messages()
    session = sessions.get(headers[SESSION], ANONYMOUS)
    assert session is not None
    assert not session._running
    assert isinstance(session.push, Stream)
