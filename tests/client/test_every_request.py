"""Every request of the official client names its unit of work, and no other."""

from __future__ import annotations

import asyncio
import sys
import sysconfig
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import httpx2
import mcp_types
import pytest
from mcp import Client, ClientSession, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from scopedtools.client import UnitOfWork, add_context, connect, in_context
from scopedtools.protocol import meta
from tests.client.workplace import LIMIT_S, Mode, Workplace, both, hosted, names

pytestmark = pytest.mark.anyio

MODES: tuple[Mode, ...] = ("auto", "legacy")
HERE = Path(__file__).parent
PROCESS = StdioServerParameters(command=sys.executable, args=["-c", "input()"])


async def errands(client: Client) -> dict[str, Any]:
    """Use all of a client once; return what the server says of who asked."""
    listed = await client.list_tools(cache_mode="refresh")
    await client.list_prompts(cache_mode="refresh")
    await client.list_resources(cache_mode="refresh")
    await client.list_resource_templates(cache_mode="refresh")
    await client.read_resource("workplace://x/note", cache_mode="refresh")
    await client.get_prompt("hello")
    await client.complete(
        mcp_types.PromptReference(type="ref/prompt", name="hello"), {"name": "a", "value": ""}
    )
    await client.call_tool("search_tools", {"query": "archive"})
    hidden = next(
        (name for name in ("find_archive", "find_visa") if name not in names(listed.tools)), "whoami"
    )
    await client.call_tool(hidden, {"what": "x"})  # not listed: the client looks at the list by itself
    said = await client.call_tool("whoami", {})
    assert isinstance(said.structured_content, dict)
    return said.structured_content


@both
@pytest.mark.parametrize("sessions", [False, True])
async def test_a_client_that_is_bound_names_its_unit_on_every_request(mode: Mode, *, sessions: bool) -> None:
    unit = UnitOfWork(intent="find invoice", parent="above")
    async with hosted(Workplace(sessions=sessions)) as wire, connect(wire.url, unit, mode=mode) as client:
        assert isinstance(client, Client)
        said = await errands(client)
        if mode == "auto":
            async with client.listen(tools_list_changed=True):
                pass
    assert said == {
        "id": unit.id,
        "carrier": "extension:contextId",
        "intent": "find invoice",
        "parent": "above",
    }
    assert len(wire.seen) > 10
    assert {one for asked in wire.seen for one in asked.ids} == {unit.id}
    opening = {"auto": {"server/discover", "subscriptions/listen"}, "legacy": {"initialize"}}[mode]
    assert opening <= {asked.method for asked in wire.seen}
    assert all(asked.settings["cacheScopes"] == ["context"] for asked in wire.of("tools/list"))
    if sessions and mode == "legacy":  # requests without a message, of the transport alone
        assert {("GET", unit.id), ("DELETE", unit.id)} <= {(asked.verb, asked.header) for asked in wire.seen}


@both
@pytest.mark.parametrize("sessions", [False, True])
async def test_tasks_that_share_a_client_never_name_the_unit_of_another(
    mode: Mode, *, sessions: bool
) -> None:
    async def task(client: Client, number: int) -> tuple[UnitOfWork, list[dict[str, Any]]]:
        unit = UnitOfWork(intent=f"{('find', 'cancel')[number % 2]} hotel", id=f"unit-{number}")
        with unit.active():
            said = [await errands(client) for _ in range(2)]
            child = unit.fork("export archive")
            with child.active():
                said.append(await errands(client))
            return child, said

    async with hosted(Workplace(sessions=sessions)) as wire, connect(wire.url, mode=mode) as client:
        done = await asyncio.gather(*(task(client, number) for number in range(12)))
    for child, said in done:
        assert [one["id"] for one in said] == [child.parent, child.parent, child.id]
        assert said[-1]["parent"] == child.parent
    requests = [asked for asked in wire.seen if asked.method not in _openings(mode)]
    assert all(len(asked.ids) == 1 for asked in requests)
    expected: Counter[str | None] = Counter()
    for child, _ in done:
        expected += Counter({child.parent: 2, child.id: 1})
    assert Counter(asked.header for asked in wire.of("prompts/get")) == expected
    assert None not in {asked.header for asked in requests}
    assert {asked.header for asked in wire.of(*_openings(mode))} == {None}


def _openings(mode: Mode) -> set[str]:
    """Return what a client sends before or after all tasks, in nobody's name."""
    return {"server/discover"} if mode == "auto" else {"initialize", "notifications/initialized", ""}


async def test_an_active_unit_counts_before_the_one_that_a_client_is_bound_to() -> None:
    unit = UnitOfWork(intent="find invoice")
    async with hosted(Workplace()) as wire, connect(wire.url, unit) as client:
        with unit.about("find visa").active():
            turned = await errands(client)
        with UnitOfWork(id="other").active():
            other = await errands(client)
        again = await errands(client)
    assert (turned["id"], turned["intent"]) == (unit.id, "find visa")
    assert (other["id"], other["intent"]) == ("other", None)
    assert (again["id"], again["intent"]) == (unit.id, "find invoice")


async def test_a_stream_of_news_belongs_to_the_unit_that_opened_it() -> None:
    async with hosted(Workplace()) as wire, connect(wire.url) as client:

        async def listen(number: int) -> None:
            with UnitOfWork(id=f"unit-{number}").active():
                async with client.listen(tools_list_changed=True):
                    pass

        await asyncio.gather(*(listen(number) for number in range(8)))
    streams = wire.of("subscriptions/listen")
    assert sorted(one for asked in streams for one in asked.ids) == sorted(f"unit-{n}" for n in range(8))


async def test_what_a_server_asks_back_is_answered_in_the_name_of_whom_it_asked_for() -> None:
    seen: dict[str, str | None] = {}

    async def elicited(_: Any, params: Any) -> mcp_types.ElicitResult:
        unit = UnitOfWork.current()
        assert unit is not None
        day = f"day of {unit.id}"
        seen[unit.id] = params.message
        return mcp_types.ElicitResult(action="accept", content={"day": day})

    async def task(client: Client, number: int) -> None:
        with UnitOfWork(id=f"unit-{number}").active():
            said = await client.call_tool("ask_for_day", {})
        assert isinstance(said.content[0], mcp_types.TextContent)
        assert said.content[0].text == f"day of unit-{number}"

    for mode in MODES:
        seen.clear()
        async with (
            hosted(Workplace(sessions=True)) as wire,
            connect(wire.url, mode=mode, elicitation_callback=elicited) as client,
        ):
            await asyncio.gather(*(task(client, number) for number in range(6)))
        assert len(seen) == 6
        answers = [asked.header for asked in wire.seen if asked.method == "answer"]
        assert sorted(map(str, answers)) == (sorted(seen) if mode == "legacy" else [])


async def test_what_is_said_beside_the_unit_stays() -> None:
    unit = UnitOfWork(id="a")
    said = {"traceparent": "00-1-2-03", "clientSessionId": "not me"}
    async with hosted(Workplace()) as wire, connect(wire.url, unit, log_level="debug") as client:
        await client.call_tool("whoami", {}, meta=cast("Any", said))
    (asked,) = wire.of("tools/call")
    assert asked.meta["traceparent"] == "00-1-2-03"
    assert asked.meta["io.modelcontextprotocol/logLevel"] == "debug"
    assert asked.ids == {"a"}


async def test_a_client_without_a_unit_sends_what_it_always_sent() -> None:
    async with hosted(Workplace()) as wire:
        async with connect(wire.url) as client:
            said = await errands(client)
        own = [asked.body for asked in wire.seen]
        wire.seen.clear()
        async with Client(wire.url) as client:
            assert await errands(client) == said
    assert said["id"] is None
    assert own == [asked.body for asked in wire.seen]


async def test_an_http_client_of_ones_own_is_used_and_left_open() -> None:
    headers = {"x-own": "1"}
    async with hosted(Workplace(sessions=True)) as wire, httpx2.AsyncClient(headers=headers) as http:
        for name in ("a", "b"):
            async with connect(wire.url, UnitOfWork(id=name), http_client=http, mode="legacy") as client:
                assert (await errands(client))["id"] == name
        assert http.event_hooks["request"] == [add_context]
        assert not http.is_closed
    verbs = [(asked.verb, asked.header) for asked in wire.seen if asked.verb != "POST"]
    assert sorted(verbs) == sorted([("GET", "a"), ("DELETE", "a"), ("GET", "b"), ("DELETE", "b")])


async def test_a_host_that_can_only_set_headers_or_a_url_names_the_unit_as_well() -> None:
    unit = UnitOfWork(intent="Rechnung prüfen\nund bezahlen", parent="p")
    async with hosted(Workplace()) as wire:
        async with (
            httpx2.AsyncClient(headers=unit.headers()) as http,
            Client(streamable_http_client(wire.url, http_client=http)) as client,
        ):
            by_header = await errands(client)
        async with Client(unit.url(wire.url)) as client:
            by_url = await errands(client)
    expected = {"id": unit.id, "intent": unit.intent, "parent": "p"}
    assert by_header == {**expected, "carrier": "header:Mcp-Client-Session-Id"}
    assert by_url == {**expected, "carrier": "query:context"}


# Whatever the official client connects to


@pytest.mark.slow
@both
async def test_a_process_that_speaks_over_its_standard_streams(mode: Mode) -> None:
    command = str(Path(sysconfig.get_path("scripts")) / "scopedtools")
    server = StdioServerParameters(command=command, args=["serve", "workplace:app", "--stdio"], cwd=str(HERE))
    async with asyncio.timeout(3 * LIMIT_S), connect(server, mode=mode) as client:
        for name in ("a", "b"):
            unit = UnitOfWork(id=name, intent="find invoice")
            with unit.active():
                assert (await errands(client))["id"] == name
                first = await client.list_tools()
                assert first.meta is not None
                assert first.meta[meta.VIEW]["cacheScope"] == "context"


async def test_a_transport_and_a_session_of_ones_own() -> None:
    unit = UnitOfWork(id="a")
    async with hosted(Workplace()) as wire:
        async with connect(streamable_http_client(wire.url), unit) as client:
            assert (await errands(client))["id"] == "a"
        transport = in_context(streamable_http_client(wire.url), unit)
        async with transport as streams, ClientSession(*streams) as session:
            await session.initialize()
            assert len((await session.list_tools()).tools) < 20
    assert {one for asked in wire.seen for one in asked.ids} == {"a"}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: connect("http://h/mcp", cache=object()), TypeError, "cache must be True, False or a Cont"),  # type: ignore[arg-type]
        (lambda: connect("http://h/mcp", unknown=1), TypeError, "unknown"),
        (lambda: connect(PROCESS, http_client=httpx2.AsyncClient()), ValueError, "for a URL, got Stdio"),
        (lambda: connect(object()), TypeError, "a URL, StdioServerParameters or a transport, got object"),  # type: ignore[arg-type]
    ],
)
async def test_a_wrong_argument_is_refused_at_once(
    call: Callable[[], Client], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


async def test_a_server_that_goes_away_is_an_error_and_not_a_wait() -> None:
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is for the official client to say
            async with connect(PROCESS, UnitOfWork()):
                pass
        with pytest.raises(type(caught.value)):
            async with Client(PROCESS):
                pass


async def test_a_client_that_is_cancelled_leaves_nothing_behind() -> None:
    async with hosted(Workplace()) as wire, connect(wire.url, UnitOfWork()) as client:
        gate = wire.gates["tools/list"] = asyncio.Event()
        asked = asyncio.create_task(_ignoring(client.list_tools()))
        await asyncio.wait_for(wire.arrived.wait(), LIMIT_S)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        gate.set()
        assert (await client.list_tools()).tools


async def _ignoring(made: Awaitable[Any]) -> None:
    await made
