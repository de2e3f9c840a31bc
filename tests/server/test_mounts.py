"""Sources that are mounted: their rows beside the server's own, for as long as the server runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from scopedtools import Catalog, ScopedServer, tool
from scopedtools.catalog.primitives import Prompt, PromptArgument, Resource
from scopedtools.exceptions import DefinitionError
from scopedtools.mounts import Changed
from scopedtools.retrieval import HybridSelector
from scopedtools.testing import Client, HashingEncoder
from tests.server.live_shop import good, goods

pytestmark = pytest.mark.anyio


class Own(ScopedServer):
    """Has a tool."""

    def __init__(self, **options: Any) -> None:
        super().__init__(selector=HybridSelector(HashingEncoder(64)), **options)
        self.told: list[str] = []

    @tool
    async def help(self) -> str:
        """Help."""
        return "helped"

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self.told.append("lifespan begins")
        yield
        self.told.append("lifespan ends")


class Depot:
    """A source whose rows the tests change."""

    is_bound_to_process = False
    may_change = False

    def __init__(self, *names: str, told: list[str] | None = None, note: str = "") -> None:
        self.catalog = goods(names, note)
        self.told = [] if told is None else told
        self.changed: Changed | None = None
        self.task: asyncio.Task[Any] | None = None
        self.at_start: Catalog | None = None

    @asynccontextmanager
    async def running(self, changed: Changed) -> AsyncIterator[None]:
        self.changed, self.task = changed, asyncio.current_task()
        if self.at_start is not None:
            await changed(self.at_start)
        self.told.append("source begins")
        yield
        assert asyncio.current_task() is self.task, "left by another task than the one that entered"
        self.told.append("source ends")

    async def has(self, *names: str, note: str = "") -> None:
        assert self.changed is not None
        await self.changed(goods(names, note))


async def listed(client: Client) -> list[str]:
    return [row["name"] for row in await client.list_tools()]


def text(result: dict[str, Any]) -> str:
    return str(result["content"][0]["text"])


async def test_own_given_and_mounted_rows_are_one_catalog_with_one_search() -> None:
    server = Own(catalog=goods(["open_garden"]))
    server.mount(goods(["water_garden"]))
    server.mount(Depot("find_invoice"), prefix="office")
    async with Client(server) as client:
        assert await listed(client) == ["help", "open_garden", "water_garden", "office__find_invoice"]
        assert text(await client.call_tool("office__find_invoice")).startswith("find_invoice")
    async with Client(server, context="a", intent="find an invoice") as client:
        found = await client.call_tool("search_tools", query="find the invoice", limit=1)
        assert [row["name"] for row in found["structuredContent"]["tools"]] == ["office__find_invoice"]


async def test_a_prefix_keeps_requirements_and_uris() -> None:
    found, made = good("find"), replace(good("make"), requires=("find",))
    page = Resource(name="page", uri="file:///page")
    server = Own()
    server.mount(Catalog([found, made, page]), prefix="crm")
    assert [row.requires for row in server.catalog.of("tool").named("crm__make")] == [("crm__find",)]
    assert [row.identity for row in server.catalog.of("resource")] == ["file:///page"]


def test_a_name_that_is_too_long_behind_its_prefix_ends_in_a_digest() -> None:
    names = [f"{'n' * 58}_{number}" for number in range(2)]
    servers = [Own(), Own()]
    for server in servers:
        server.mount(goods(names), prefix="prefix")
    of_each = [[row.name for row in server.catalog.of("tool")][-2:] for server in servers]
    assert of_each[0] == of_each[1]
    assert len(set(of_each[0])) == 2
    assert all(len(name) == 64 for name in of_each[0])


def test_a_name_that_is_taken_cannot_be_mounted_and_nothing_has_changed() -> None:
    server = Own(catalog=goods(["open_garden"]))
    before = server.catalog.version
    for name in ("help", "open_garden", "search_tools"):
        with pytest.raises(DefinitionError, match=f"the tool '{name}' is there already; .*prefix="):
            server.mount(goods([name]))
    assert server.catalog.version == before
    server.mount(goods(["help"]), prefix="other")
    assert server.catalog.find("tool", "other__help") is not None


def test_a_name_that_is_taken_does_not_stop_the_start_where_rows_may_change(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, depot = Own(), Depot("help", "open_garden")
    depot.may_change = True
    server.mount(depot)
    assert [row.name for row in server.catalog.of("tool")][-2:] == ["help", "open_garden"]
    assert "another has the name, the first is the tool 'help'" in caplog.text


def test_what_is_no_source_is_refused() -> None:
    with pytest.raises(DefinitionError, match="only catalogs and sources can be mounted, got Own"):
        Own().mount(Own())  # type: ignore[arg-type]


async def test_a_server_that_runs_takes_no_more_sources() -> None:
    server = Own()
    async with server:
        with pytest.raises(RuntimeError, match="runs already: mount sources before it starts"):
            server.mount(goods(["open_garden"]))


async def test_a_change_of_a_source_changes_its_rows_alone() -> None:
    depot, server = Depot("open_garden"), Own()
    server.mount(depot, prefix="one")
    server.mount(Depot("open_garden", note="other"), prefix="two")
    async with Client(server) as client:
        await depot.has("water_garden", "open_garden", note="new")
        assert await listed(client) == ["help", "one__water_garden", "one__open_garden", "two__open_garden"]
        assert text(await client.call_tool("one__open_garden")) == "open_garden new"
        assert text(await client.call_tool("two__open_garden")) == "open_garden other"


async def test_rows_that_the_author_replaces_leave_mounted_ones_alone() -> None:
    server = Own(catalog=goods(["open_garden"]))
    server.mount(goods(["find_invoice"]))
    async with Client(server) as client:
        await server.update(goods(["water_garden"]))
        assert await listed(client) == ["help", "water_garden", "find_invoice"]


async def test_of_two_rows_with_one_name_the_one_that_was_there_first_stays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second, server = Depot("open_garden"), Depot("find_invoice"), Own()
    server.mount(first)
    server.mount(second)
    async with Client(server) as client:
        with caplog.at_level(logging.WARNING):
            await first.has("open_garden", "find_invoice", note="displaces")
        assert "left out" in caplog.text
        assert "find_invoice" in caplog.text
        assert await listed(client) == ["help", "open_garden", "find_invoice"]
        assert text(await client.call_tool("find_invoice")) == "find_invoice "
        await first.has("find_invoice", note="again")  # another change does not displace it either
        assert text(await client.call_tool("find_invoice")) == "find_invoice "
        await second.has()
        assert text(await client.call_tool("find_invoice")) == "find_invoice again"


async def test_sources_begin_after_the_server_and_end_before_it() -> None:
    server = Own()
    server.mount(Depot("open_garden", told=server.told))
    async with server:
        pass
    assert server.told == ["lifespan begins", "source begins", "source ends", "lifespan ends"]


async def test_what_a_source_has_when_it_begins_is_there_for_the_first_request() -> None:
    depot, server = Depot(), Own()
    depot.at_start = goods(["open_garden"])
    server.mount(depot)
    async with Client(server) as client:
        assert await listed(client) == ["help", "open_garden"]


async def test_sources_begin_side_by_side() -> None:
    class Waiting(Depot):
        @asynccontextmanager
        async def running(self, _changed: Changed) -> AsyncIterator[None]:
            await barrier.wait()
            yield

    barrier = asyncio.Barrier(3)
    server = Own()
    for number in range(3):
        server.mount(Waiting(f"open_{number}"))
    async with asyncio.timeout(10), server:
        pass


async def test_a_source_that_cannot_begin_stops_the_start_and_the_others_end() -> None:
    class Broken(Depot):
        @asynccontextmanager
        async def running(self, _changed: Changed) -> AsyncIterator[None]:
            raise OSError("no such place")
            yield

    server = Own()
    server.mount(Depot("open_garden", told=server.told))
    server.mount(Broken("water_garden"))
    with pytest.raises(OSError, match="no such place"):
        async with server:
            pytest.fail("it has started")
    assert server.told == ["lifespan begins", "source begins", "source ends"]


async def test_a_start_that_is_called_off_ends_what_is_beginning_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Slow(Depot):
        @asynccontextmanager
        async def running(self, _changed: Changed) -> AsyncIterator[None]:
            try:
                beginning.set()
                await asyncio.Event().wait()
                yield
            finally:
                self.told.append("called off")

    beginning, server = asyncio.Event(), Own()
    server.mount(Slow("open_garden", told=server.told))
    server.mount(Depot("water_garden", told=server.told))
    start = asyncio.create_task(server.__aenter__())
    await beginning.wait()
    start.cancel()
    done, _ = await asyncio.wait([start], timeout=10)
    assert start in done
    assert start.cancelled()
    assert "called off" in server.told
    assert not caplog.records


async def test_a_mounted_row_completes_its_own_arguments() -> None:
    async def complete(_ctx: Any, argument: str, value: str, _filled: Mapping[str, str]) -> Sequence[str]:
        return [f"{argument} {value}"]

    greet = Prompt(name="greet", arguments=(PromptArgument("name"),), complete=complete)
    server = Own()
    server.mount(Catalog([greet]), prefix="crm")
    async with Client(server) as client:
        ref = {"type": "ref/prompt", "name": "crm__greet"}
        result = await client.request("completion/complete", ref=ref, argument={"name": "name", "value": "A"})
        assert result["completion"]["values"] == ["name A"]


def test_a_server_is_bound_to_its_process_where_a_source_is() -> None:
    depot, server = Depot("open_garden"), Own()
    server.mount(depot)
    assert not server.is_bound_to_process
    depot.is_bound_to_process = True
    assert server.is_bound_to_process
