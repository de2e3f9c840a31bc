"""A server is started once and stopped once, however it is hosted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Message

from scopedtools import ScopedServer, tool
from scopedtools.testing import Client
from tests.wire.exchange import ENVELOPE, LEGACY, message, mirrored

pytestmark = pytest.mark.anyio


class Shop(ScopedServer):
    """Sells books."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.is_open = False
        self.fails = False

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self.events.append("open")
        await asyncio.sleep(0)
        if self.fails:
            raise RuntimeError("no key")
        self.is_open = True
        yield
        self.is_open = False
        self.events.append("closed")

    @tool
    async def look(self) -> bool:
        """Tell whether the shop is open."""
        return self.is_open


@asynccontextmanager
async def hosted(app: ASGIApp) -> AsyncIterator[str]:
    """Run the lifespan of an app as an ASGI server does; yield what the app says of its start."""
    receive: asyncio.Queue[Message] = asyncio.Queue()
    sent: asyncio.Queue[Message] = asyncio.Queue()

    async def run() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive.get, sent.put)

    running = asyncio.create_task(run())
    await receive.put({"type": "lifespan.startup"})
    yield (await sent.get())["type"]
    await receive.put({"type": "lifespan.shutdown"})
    await asyncio.gather(running, return_exceptions=True)


async def is_open(server: ScopedServer) -> bool:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=server)) as http:
        request = message("tools/call", {"_meta": ENVELOPE, "name": "look"})
        response = await http.post("http://shop/mcp", json=request, headers=mirrored(request))
        found: bool = response.json()["result"]["structuredContent"]["result"]
        return found


async def test_an_asgi_server_starts_and_stops_it() -> None:
    shop = Shop()
    async with hosted(shop) as started:
        assert started == "lifespan.startup.complete"
        assert await is_open(shop)
    assert shop.events == ["open", "closed"]


async def test_async_with_starts_and_stops_it() -> None:
    shop = Shop()
    async with shop:
        assert await is_open(shop)
    assert not shop.is_open
    assert shop.events == ["open", "closed"]


async def test_it_can_be_started_again() -> None:
    shop = Shop()
    for _ in range(2):
        async with shop:
            assert shop.is_open
    assert shop.events == ["open", "closed"] * 2


async def test_it_runs_until_the_last_of_those_who_started_it_is_done() -> None:
    shop = Shop()
    async with shop:
        async with hosted(shop), Client(shop) as client:
            assert (await client.call_tool("look"))["structuredContent"] == {"result": True}
        assert shop.is_open
    assert shop.events == ["open", "closed"]


async def test_clients_side_by_side_share_one_start() -> None:
    shop = Shop()

    async def visit() -> Any:
        async with Client(shop) as client:
            return (await client.call_tool("look"))["structuredContent"]

    assert await asyncio.gather(*(visit() for _ in range(10))) == [{"result": True}] * 10
    assert shop.events.count("open") == shop.events.count("closed")
    assert not shop.is_open


async def test_a_failure_to_start_is_told_and_the_next_start_is_a_new_one() -> None:
    shop = Shop()
    shop.fails = True
    async with hosted(shop) as told:
        assert told == "lifespan.startup.failed"
    with pytest.raises(RuntimeError, match="no key"):
        async with shop:
            pass
    shop.fails = False
    async with shop:
        assert shop.is_open
    assert shop.events == ["open", "open", "open", "closed"]


async def test_an_error_while_it_runs_stops_it_and_comes_out() -> None:
    shop = Shop()
    with pytest.raises(KeyError):
        async with shop:
            raise KeyError
    assert shop.events == ["open"]  # the hook has no finally, as any generator sees the error
    async with shop:
        assert shop.is_open


async def test_mounted_in_another_app_it_is_that_apps_lifespan_and_answers_below_its_path() -> None:
    shop = Shop()
    app = Starlette(routes=[Mount("/mcp", app=shop)], lifespan=lambda app: shop)
    async with hosted(app) as started:
        assert started == "lifespan.startup.complete"
        assert shop.is_open
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, follow_redirects=True) as http:
            request = message("tools/list", {"_meta": ENVELOPE})
            for path, status in (
                ("/mcp", 200),
                ("/mcp/", 200),
                ("/mcp/other", 404),
                ("/", 404),
                ("/mc", 404),
            ):
                response = await http.post(f"http://host{path}", json=request, headers=mirrored(request))
                assert response.status_code == status, path
    assert shop.events == ["open", "closed"]


async def test_mounted_deeper_or_at_the_root_it_answers_where_it_is() -> None:
    shop = Shop()
    for routes, path in (
        ([Mount("/a", routes=[Mount("/b", app=shop)])], "/a/b/"),
        ([Mount("/", app=shop)], "/mcp"),
        ([Mount("/mcp", app=shop)], "/mcp/mcp"),
    ):
        transport = httpx2.ASGITransport(app=Starlette(routes=routes))
        async with httpx2.AsyncClient(transport=transport) as http:
            request = message("ping")
            headers = {"mcp-protocol-version": LEGACY[0]}
            assert (await http.post(f"http://host{path}", json=request, headers=headers)).json()[
                "result"
            ] == {}


async def test_behind_a_proxy_that_takes_a_prefix_off_it_answers_at_its_path() -> None:
    for root_path, path in (("/api", "/api/mcp"), ("/api", "/mcp"), ("/mcp", "/mcp"), ("/mcp", "/mcp/")):
        transport = httpx2.ASGITransport(app=Shop(), root_path=root_path)
        async with httpx2.AsyncClient(transport=transport) as http:
            assert (await http.post(f"http://host{path}", json=message("ping"))).json()["result"] == {}
