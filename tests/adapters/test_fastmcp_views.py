"""A FastMCP server shows each context what it needs, over its own transports."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import httpx2
import mcp
import pytest
from mcp.client.stdio import StdioServerParameters

from scopedtools.client import UnitOfWork, connect
from scopedtools.protocol.meta import INTENT, VIEW
from tests.adapters.served import Endpoint
from tests.adapters.stock import FLIGHTS, INVOICES, TOOLS

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT: Final = Path(__file__).parent.parent.parent
PROGRAM: Final = ["-m", "tests.adapters.fastmcp_host"]
START_S: Final = 60

Way = Literal["http", "stdio"]


class Hosts:
    """Servers over HTTP, each started when it is first asked for."""

    def __init__(self, python: Path, environment: Mapping[str, str]) -> None:
        self._python = python
        self._environment = environment
        self._started: dict[tuple[str, ...], tuple[subprocess.Popen[bytes], str]] = {}

    def url(self, *options: str) -> str:
        """Return where the server with these options answers."""
        if options not in self._started:
            with socket.create_server(("127.0.0.1", 0)) as listening:
                port = listening.getsockname()[1]
            command: list[str | Path] = [self._python, *PROGRAM, "--port", str(port), *options]
            process = subprocess.Popen(command, cwd=ROOT, env=self._environment)
            self._started[options] = process, f"http://127.0.0.1:{port}/mcp"
            _await_answer(process, port)
        return self._started[options][1]

    def stdio(self, *options: str) -> StdioServerParameters:
        """Say how a client starts the server with these options."""
        arguments = [*PROGRAM, *options]
        environment = dict(self._environment)
        return StdioServerParameters(command=str(self._python), args=arguments, cwd=ROOT, env=environment)

    def end(self) -> None:
        """End those that were started."""
        for process, _ in self._started.values():
            process.terminate()
        for process, _ in self._started.values():
            process.wait(START_S)


def _await_answer(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_S
    while True:
        assert process.poll() is None, "the server ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def hosts(fastmcp_python: Path, fastmcp_environment: Mapping[str, str]) -> Iterator[Hosts]:
    hosts = Hosts(fastmcp_python, fastmcp_environment)
    yield hosts
    hosts.end()


async def listed(client: mcp.Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.parametrize("options", [(), ("--middleware",)], ids=["transform", "middleware"])
@pytest.mark.parametrize("way", ["http", "stdio"])
async def test_two_contexts_get_two_lists_and_reach_what_is_hidden(
    way: Way, options: Sequence[str], hosts: Hosts
) -> None:
    target = hosts.url(*options) if way == "http" else hosts.stdio(*options)
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


async def test_without_a_context_the_server_lists_what_it_always_did(hosts: Hosts) -> None:
    lists = []
    for options in (["--whole"], []):
        for mode in ("auto", "legacy"):
            async with mcp.Client(hosts.url(*options), mode=mode) as client:
                rows = [tool.model_dump() for tool in (await client.list_tools()).tools]
                prompts = [prompt.model_dump() for prompt in (await client.list_prompts()).prompts]
                resources = [one.model_dump() for one in (await client.list_resources()).resources]
                lists.append((rows, prompts, resources))
    assert lists[:2] == lists[2:]
    assert [row["name"] for row in lists[2][0]][: len(TOOLS)] == list(TOOLS)


async def test_a_server_that_changes_is_followed(hosts: Hosts) -> None:
    intent = "water the garden tonight"
    async with connect(hosts.url(), UnitOfWork(intent=intent), cache=False) as client:
        before = await listed(client)
        await client.call_tool("open_garden", {"open_it": True})
        same = await listed(client)
        with UnitOfWork(intent=intent).active():
            new = await listed(client)
        found = await client.call_tool("search_tools", {"query": "water the garden"})
        grown = await listed(client)
        await client.call_tool("open_garden", {"open_it": False})
        at_last = await listed(client)
        gone = await client.call_tool("call_tool", {"name": "water_garden", "arguments": {"minutes": 1}})
    assert "water_garden" not in before
    assert same == before
    assert "water_garden" in new
    assert found.structured_content["tools"][0]["name"] == "water_garden"
    assert "water_garden" in grown
    assert at_last == [name for name in grown if name != "water_garden"]
    assert gone.is_error


async def test_resources_and_prompts_are_narrowed_too(hosts: Hosts) -> None:
    unit = UnitOfWork(intent="what is there to know about the subnet")
    async with connect(hosts.url(), unit) as client:
        resources = [one.name for one in (await client.list_resources()).resources]
        prompts = [one.name for one in (await client.list_prompts()).prompts]
    for names in (resources, prompts):
        assert len(names) <= 8
        assert any("subnet" in name for name in names)


async def test_a_caller_is_shown_and_finds_what_fastmcp_lets_it_use(hosts: Hosts) -> None:
    seen: dict[str, tuple[list[str], str, Any]] = {}
    async with httpx2.AsyncClient(timeout=60) as http:
        endpoint = Endpoint(hosts.url("--auth"), http)
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


async def test_what_is_for_people_is_listed_for_their_host_and_hidden_from_search(hosts: Hosts) -> None:
    unit = UnitOfWork(intent=FLIGHTS)
    async with connect(hosts.url(), unit) as client:
        names = await listed(client)
        found = await client.call_tool("search_tools", {"query": "for people"})
        called = await client.call_tool("call_tool", {"name": "for_people"})
    assert names[-1] == "for_people"
    assert "for_people" not in str(found.structured_content)
    assert called.is_error


async def test_the_middleware_brings_the_whole_extension_to_fastmcp(hosts: Hosts) -> None:
    async with httpx2.AsyncClient(timeout=60) as http:
        answer = await Endpoint(hosts.url("--middleware"), http).ask(
            "tools/list", unit=UnitOfWork(intent=FLIGHTS), caches=True
        )
    assert answer["result"]["cacheScope"] == "context"
    assert answer["result"]["_meta"][VIEW]["total"] == len(TOOLS) + 2


async def test_half_of_a_surrogate_pair_harms_neither_lists_nor_calls(hosts: Hosts) -> None:
    half = "\ud800"
    async with httpx2.AsyncClient(timeout=60) as http:
        endpoint = Endpoint(hosts.url(), http)
        own_meta = {"clientSessionId": "half", INTENT: f"{half} {INVOICES}"}
        names = await endpoint.tools(own_meta=own_meta)
        arguments = {"query": f"find an invoice {half}"}
        found = await endpoint.ask("tools/call", {"name": "search_tools", "arguments": arguments})
    assert "find_invoice" in names
    assert "find_invoice" in str(found["result"]["structuredContent"])


async def test_a_call_that_does_not_say_clearly_which_context_it_belongs_to_runs_nothing(
    hosts: Hosts,
) -> None:
    headers = [("Mcp-Client-Session-Id", "one"), ("Mcp-Client-Session-Id", "other")]
    through = {"name": "call_tool", "arguments": {"name": "open_garden", "arguments": {"open_it": True}}}
    async with httpx2.AsyncClient(timeout=60, headers=headers) as http:
        endpoint = Endpoint(hosts.url(), http)
        listing = await endpoint.ask("tools/list")
        called = (await endpoint.ask("tools/call", through))["result"]
    async with mcp.Client(hosts.url(), mode="auto") as client:
        names = await listed(client)
    assert listing["error"]["code"] == -32600
    assert called["isError"] is True
    assert "two lines" in called["content"][0]["text"]
    assert "water_garden" not in names


CACHED: Final = """
import asyncio, mcp
from fastmcp.server.middleware.caching import ResponseCachingMiddleware
from tests.adapters.fastmcp_host import HashingEncoder, fastmcp, transform
from tests.adapters.stock import functions

server = fastmcp.FastMCP("shop", {option})
server.add_transform(transform.ScopedViews(encoder=HashingEncoder()))
for function in functions():
    server.tool(function)

async def main():
    for _ in range(2):
        async with mcp.Client(server._mcp_server) as client:
            listed = await client.list_tools(meta={{"clientSessionId": "a"}})
    print(len(listed.tools))

asyncio.run(main())
"""

ENFORCED: Final = """
from scopedtools import ViewSettings
from scopedtools.adapters.for_fastmcp import ScopedViews

ScopedViews(settings=ViewSettings(enforce=True))
"""


def ran(program: str, python: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [python, "-c", program]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=START_S, check=False
    )


@pytest.mark.parametrize(
    ("option", "cause"),
    [
        ("cache_ttl=60", "cache_ttl"),
        ("middleware=[ResponseCachingMiddleware()]", "ResponseCachingMiddleware"),
        ("", None),
    ],
    ids=["cache_ttl", "middleware", "neither"],
)
def test_a_server_whose_lists_are_cached_is_warned_once(
    option: str, cause: str | None, fastmcp_python: Path, fastmcp_environment: Mapping[str, str]
) -> None:
    done = ran(CACHED.format(option=option), fastmcp_python, fastmcp_environment)
    assert done.stdout.split() == ["2"], done.stderr
    assert done.stderr.count("keeps lists without regard to contexts") == (cause is not None)
    assert cause is None or cause in done.stderr


def test_settings_that_a_transform_cannot_keep_are_refused(
    fastmcp_python: Path, fastmcp_environment: Mapping[str, str]
) -> None:
    done = ran(ENFORCED, fastmcp_python, fastmcp_environment)
    assert "leave enforce out, or use the middleware" in done.stderr
