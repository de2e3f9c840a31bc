"""``/livez`` and ``/readyz``: what those who watch over a server are told."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from scopedtools import ScopedServer, ViewSettings
from scopedtools.auth import StaticTokens
from scopedtools.context.store import MemoryStore
from scopedtools.types import Principal
from tests.server.live_shop import Gated, goods

pytestmark = pytest.mark.anyio

READY = {"status": "ready", "ranking": "not needed", "store": "ok"}


async def get(app: Any, path: str, **headers: str) -> tuple[int, dict[str, str], httpx2.Headers]:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://10.1.2.3") as http:
        answer = await http.get(path, headers=headers)
        return answer.status_code, answer.json(), answer.headers


async def test_a_server_is_ready_from_the_end_of_its_start_until_it_is_to_stop() -> None:
    server = ScopedServer()
    assert (await get(server, "/readyz"))[:2] == (503, READY | {"status": "starting"})
    async with server:
        status, said, headers = await get(server, "/readyz")
        assert (status, said, headers["cache-control"]) == (200, READY, "no-store")
        server.drain()
        assert (await get(server, "/readyz"))[:2] == (503, READY | {"status": "draining"})
        assert (await get(server, "/livez"))[:2] == (200, {"status": "alive"})


async def test_a_server_whose_lists_wait_for_a_ranking_is_not_ready() -> None:
    selector = Gated()
    server = ScopedServer(catalog=goods(), selector=selector)
    selector.gate.clear()
    async with server:
        assert (await get(server, "/readyz"))[:2] == (
            503,
            {"status": "starting", "ranking": "preparing", "store": "ok"},
        )
        selector.gate.set()
        async with asyncio.timeout(10):
            while (await get(server, "/readyz"))[0] != 200:  # noqa: ASYNC110 - what is asked for here
                await asyncio.sleep(0.01)
        assert (await get(server, "/readyz"))[1]["ranking"] == "ready"


async def test_lists_do_without_a_ranking_that_failed_and_so_the_server_is_ready() -> None:
    selector = Gated()
    selector.fails = True
    async with ScopedServer(catalog=goods(), selector=selector) as _, asyncio.timeout(10):
        pass


class Degraded(MemoryStore):
    is_degraded = True


async def test_a_store_that_is_degraded_is_told_and_no_reason_to_go_elsewhere() -> None:
    async with (server := ScopedServer(store=Degraded())):
        assert (await get(server, "/readyz"))[:2] == (200, READY | {"store": "degraded"})


async def test_probes_need_no_token_and_may_name_any_host() -> None:
    verifier = StaticTokens({"t" * 32: Principal("ann")})
    server = ScopedServer(verifier=verifier, allowed_hosts=["mcp.example.com"])
    async with server:
        assert (await get(server, "/readyz"))[0] == 200
        assert (await get(server, "/livez", host="evil.example"))[0] == 200


async def test_an_app_around_a_server_serves_its_routes_at_the_root() -> None:
    server = ScopedServer(views=ViewSettings())
    app = Starlette(routes=[*server.health_routes, Mount("/mcp", server)])
    async with server:
        assert (await get(app, "/readyz"))[:2] == (200, READY)
