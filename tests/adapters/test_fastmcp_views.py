"""A FastMCP server shows each context what it needs, over its own transports."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import httpx2
import mcp
import pytest
from mcp.client.stdio import StdioServerParameters

from scopedtools.client import UnitOfWork, connect
from scopedtools.protocol.meta import VIEW
from tests.adapters.served import Endpoint
from tests.adapters.stock import FLIGHTS, INVOICES, TOOLS

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT: Final = Path(__file__).parent.parent.parent
PROGRAM: Final = ["-m", "tests.adapters.fastmcp_host"]
START_S: Final = 60

Way = Literal["http", "stdio"]


@asynccontextmanager
async def running(python: Path, environment: Mapping[str, str], *options: str) -> AsyncIterator[str]:
    """Serve over HTTP; yields the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    command: list[str | Path] = [python, *PROGRAM, "--port", str(port), *options]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment)
    try:
        async with asyncio.timeout(START_S):
            while not await _answers(port):
                assert process.returncode is None, "the server ended"
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@asynccontextmanager
async def reached(
    way: Way, python: Path, environment: Mapping[str, str], *options: str
) -> AsyncIterator[str | StdioServerParameters]:
    if way == "http":
        async with running(python, environment, *options) as url:
            yield url
    else:
        arguments = [*PROGRAM, *options]
        yield StdioServerParameters(command=str(python), args=arguments, cwd=ROOT, env=dict(environment))


async def listed(client: mcp.Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.parametrize("options", [(), ("--middleware",)], ids=["transform", "middleware"])
@pytest.mark.parametrize("way", ["http", "stdio"])
async def test_two_contexts_get_two_lists_and_reach_what_is_hidden(
    way: Way, options: Sequence[str], fastmcp_python: Path, fastmcp_environment: Mapping[str, str]
) -> None:
    async with reached(way, fastmcp_python, fastmcp_environment, *options) as target:
        for mode in ("auto", "legacy"):
            async with connect(target, mode=mode) as client:
                with UnitOfWork(intent=INVOICES).active():
                    invoices = await listed(client)
                with UnitOfWork(intent=FLIGHTS).active():
                    flights = await listed(client)
                    found = await client.call_tool("search_tools", {"query": "compare one song with another"})
                    arguments = {"name": "compare_song", "arguments": {"title": "So What"}}
                    called = await client.call_tool("call_tool", arguments)
                    directly = await client.call_tool("delete_plant", {"title": "ivy"})

            assert invoices[:2] == flights[:2] == ["search_tools", "call_tool"]
            assert {"find_invoice", "compare_invoice"} < set(invoices)
            assert {"order_flight", "delete_flight"} < set(flights)
            assert len(invoices) < len(TOOLS) / 2
            assert "compare_song" not in flights
            assert found.structured_content["tools"][0]["name"] == "compare_song"
            assert called.structured_content == {"result": "compare song So What"}
            assert directly.structured_content == {"result": "delete plant ivy"}


async def test_without_a_context_the_server_lists_what_it_always_did(
    fastmcp_python: Path, fastmcp_environment: Mapping[str, str]
) -> None:
    lists = []
    for options in (["--whole"], []):
        async with running(fastmcp_python, fastmcp_environment, *options) as url:
            for mode in ("auto", "legacy"):
                async with mcp.Client(url, mode=mode) as client:
                    rows = [tool.model_dump() for tool in (await client.list_tools()).tools]
                    prompts = [prompt.model_dump() for prompt in (await client.list_prompts()).prompts]
                    resources = [one.model_dump() for one in (await client.list_resources()).resources]
                    lists.append((rows, prompts, resources))
    assert lists[:2] == lists[2:]
    assert [row["name"] for row in lists[2][0]][: len(TOOLS)] == list(TOOLS)


async def test_a_server_that_changes_is_followed(
    fastmcp_python: Path, fastmcp_environment: Mapping[str, str]
) -> None:
    async with (
        running(fastmcp_python, fastmcp_environment) as url,
        connect(url, UnitOfWork(intent="water the garden tonight"), cache=False) as client,
    ):
        before = await listed(client)
        await client.call_tool("open_garden", {"open_it": True})
        after = await listed(client)
        found = await client.call_tool("search_tools", {"query": "water the garden"})
        await client.call_tool("open_garden", {"open_it": False})
        at_last = await listed(client)
        gone = await client.call_tool("call_tool", {"name": "water_garden", "arguments": {"minutes": 1}})
    assert "water_garden" not in before
    assert "water_garden" in after
    assert found.structured_content["tools"][0]["name"] == "water_garden"
    assert "water_garden" not in at_last
    assert gone.is_error


async def test_resources_and_prompts_are_narrowed_too(
    fastmcp_python: Path, fastmcp_environment: Mapping[str, str]
) -> None:
    unit = UnitOfWork(intent="what is there to know about the subnet")
    async with running(fastmcp_python, fastmcp_environment) as url, connect(url, unit) as client:
        resources = [one.name for one in (await client.list_resources()).resources]
        prompts = [one.name for one in (await client.list_prompts()).prompts]
    for names in (resources, prompts):
        assert len(names) <= 8
        assert any("subnet" in name for name in names)


async def test_a_caller_is_shown_and_finds_what_fastmcp_lets_it_use(
    fastmcp_python: Path, fastmcp_environment: Mapping[str, str]
) -> None:
    seen: dict[str, tuple[list[str], str, Any]] = {}
    async with (
        running(fastmcp_python, fastmcp_environment, "--auth") as url,
        httpx2.AsyncClient(timeout=60) as http,
    ):
        endpoint = Endpoint(url, http)
        unit = UnitOfWork(intent=FLIGHTS)  # one ID, and yet two contexts
        for token in ("ann", "bob"):
            details: dict[str, Any] = {"unit": unit, "headers": {"Authorization": f"Bearer {token}"}}
            names = await endpoint.tools(**details)
            query = {"name": "search_tools", "arguments": {"query": "order a flight"}}
            order = {"name": "call_tool", "arguments": {"name": "order_flight", "arguments": {"title": "x"}}}
            found = str(await endpoint.ask("tools/call", query, **details))
            called = (await endpoint.ask("tools/call", order, **details))["result"]
            seen[token] = (names, found, called)
    names, found, called = seen["ann"]
    assert "order_flight" in names
    assert "order_flight" in found
    assert called["structuredContent"] == {"result": "order flight x"}
    names, found, called = seen["bob"]
    assert not any(name.startswith("order_") for name in names)
    assert "order_flight" not in found
    assert called["isError"] is True


async def test_what_is_for_people_is_listed_for_their_host_and_hidden_from_search(
    fastmcp_python: Path, fastmcp_environment: Mapping[str, str]
) -> None:
    unit = UnitOfWork(intent=FLIGHTS)
    async with running(fastmcp_python, fastmcp_environment) as url, connect(url, unit) as client:
        names = await listed(client)
        found = await client.call_tool("search_tools", {"query": "for people"})
        called = await client.call_tool("call_tool", {"name": "for_people"})
    assert names[-1] == "for_people"
    assert "for_people" not in str(found.structured_content)
    assert called.is_error


async def test_the_middleware_brings_the_whole_extension_to_fastmcp(
    fastmcp_python: Path, fastmcp_environment: Mapping[str, str]
) -> None:
    async with (
        running(fastmcp_python, fastmcp_environment, "--middleware") as url,
        httpx2.AsyncClient(timeout=60) as http,
    ):
        answer = await Endpoint(url, http).ask("tools/list", unit=UnitOfWork(intent=FLIGHTS), caches=True)
    assert answer["result"]["cacheScope"] == "context"
    assert answer["result"]["_meta"][VIEW]["total"] == len(TOOLS) + 2


CACHED: Final = """
import asyncio, mcp
from tests.adapters.fastmcp_host import HashingEncoder, fastmcp, transform
from tests.adapters.stock import functions

server = fastmcp.FastMCP("shop", cache_ttl=60)
server.add_transform(transform.ScopedViews(encoder=HashingEncoder()))
for function in functions():
    server.tool(function)

async def main():
    async with mcp.Client(server._mcp_server) as client:
        for _ in range(2):
            listed = await client.list_tools(meta={"clientSessionId": "a"})
        print(len(listed.tools))

asyncio.run(main())
"""


async def test_a_server_whose_lists_may_be_cached_is_warned_once(
    fastmcp_python: Path, fastmcp_environment: Mapping[str, str]
) -> None:
    process = await asyncio.create_subprocess_exec(
        fastmcp_python,
        "-c",
        CACHED,
        cwd=ROOT,
        env=fastmcp_environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(START_S):
        out, err = await process.communicate()
    assert out.split() == [b"2"], err.decode()
    assert err.decode().count("cache_ttl lets clients keep lists") == 1
