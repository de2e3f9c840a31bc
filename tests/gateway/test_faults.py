"""A server that is broken harms neither the others nor the list."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp

from scopedtools import ScopedServer
from scopedtools.catalog.catalog import Catalog
from scopedtools.gateway import Gateway
from scopedtools.testing import Client
from tests.gateway import upstream_server
from tests.gateway.faulty import FAULTY, faulty
from tests.gateway.fronted import asking, configured, serving, stdio, text, until
from tests.hosting import hosted

pytestmark = pytest.mark.anyio


def state(gateway: Gateway, name: str) -> str:
    return next(one.state for one in gateway.status if one.name == name)


def names(gateway: Gateway) -> set[str]:
    return {row.name for row in gateway.catalog.of("tool")}


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def works(client: Client) -> bool:
    return (await client.call_tool("good__add", a=1, b=2)).get("structuredContent") == {"result": 3}


async def test_a_server_that_is_down_at_the_start_leaves_the_others_as_they_are() -> None:
    config = configured(
        {
            "gone": {"command": "/no/such/program"},
            "nobody": {"url": "http://127.0.0.1:9/mcp"},
            "good": stdio(),
        }
    )
    async with Gateway(config).running() as gateway, serving(gateway) as server, Client(server) as client:
        assert [one.state for one in gateway.status] == ["down", "down", "up"]
        assert "cannot start '/no/such/program'" in gateway.status[0].problem
        assert "cannot be reached" in gateway.status[1].problem
        assert await works(client)


async def test_rows_of_the_last_start_are_there_while_their_server_is_down(tmp_path: Path) -> None:
    options = {"state_dir": str(tmp_path)}
    script = tmp_path / "server.py"
    shutil.copy(FAULTY, script)
    described_server = {"command": sys.executable, "args": [str(script), "plain"], "protocol": "legacy"}
    async with Gateway(configured({"one": described_server}, **options)).running() as gateway:
        known = names(gateway)
    script.unlink()
    gateway = Gateway(configured({"one": described_server}, **options))
    assert names(gateway) == known == {"one__fine", "one__other"}
    async with gateway.running(), serving(gateway) as server, Client(server) as client:
        result = await client.call_tool("one__fine")
        assert result["isError"] is True
        assert "'one' is down" in text(result)


async def test_a_server_that_is_killed_keeps_its_rows_and_is_started_again() -> None:
    config = configured({"bad": stdio(), "good": stdio()})
    async with Gateway(config).running() as gateway, serving(gateway) as server, Client(server) as client:
        before = names(gateway)
        process = (await client.call_tool("bad__seen"))["structuredContent"]["pid"]
        os.kill(process, signal.SIGKILL)
        await until(lambda: state(gateway, "bad") == "down")
        result = await client.call_tool("bad__add", a=1, b=1)
        assert result["isError"] is True or result["structuredContent"] == {"result": 2}
        assert await works(client)
        await until(lambda: state(gateway, "bad") == "up")
        assert (await client.call_tool("bad__seen"))["structuredContent"]["pid"] != process
        assert names(gateway) == before


async def test_a_server_that_dies_of_a_call_fails_that_call_alone() -> None:
    config = configured({"bad": faulty("dies"), "good": stdio()})
    async with Gateway(config).running() as gateway, serving(gateway) as server, Client(server) as client:
        result = await client.call_tool("bad__fine")
        assert result["isError"] is True
        assert "down" in text(result)
        assert await works(client)
        await until(lambda: state(gateway, "bad") == "up")


async def test_a_server_that_is_frozen_answers_errors_in_time_and_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scopedtools.gateway.upstream._PROBE_S", 0.5)
    config = configured({"bad": faulty("plain", timeout_ms=500), "good": stdio()})
    async with Gateway(config).running() as gateway, serving(gateway) as server, Client(server) as client:
        process = int(text(await client.call_tool("bad__fine")).split()[1])
        os.kill(process, signal.SIGSTOP)
        result = await client.call_tool("bad__fine")
        assert "did not answer in time" in text(result)
        assert await works(client)
        assert {"bad__fine", "bad__other"} <= names(gateway)
        await until(lambda: not alive(process))
        await until(lambda: state(gateway, "bad") == "up")
        assert int(text(await client.call_tool("bad__fine")).split()[1]) != process


async def test_a_server_that_never_speaks_does_not_hold_up_the_start() -> None:
    config = configured({"bad": faulty("silent"), "good": stdio()}, startup_timeout_ms=3000)
    began = time.monotonic()
    async with Gateway(config).running() as gateway, serving(gateway) as server, Client(server) as client:
        assert time.monotonic() - began < 10
        assert state(gateway, "bad") == "connecting"
        assert await works(client)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("huge-schema", set()),
        ("large-schema", {"bad__fine"}),
        ("junk-rows", {"bad__fine"}),
        ("chatter", {"bad__fine", "bad__other"}),
        ("noisy", {"bad__fine", "bad__other"}),
        ("junk-results", {"bad__fine", "bad__other"}),
        ("huge-results", {"bad__fine", "bad__other"}),
    ],
)
async def test_junk_is_left_out_and_the_rest_works(case: str, expected: set[str]) -> None:
    config = configured({"bad": faulty(case), "good": stdio()})
    async with Gateway(config).running() as gateway, serving(gateway) as server, Client(server) as client:
        assert {name for name in names(gateway) if name.startswith("bad")} == expected
        assert await works(client)
        if case in ("junk-results", "huge-results"):
            assert (await client.call_tool("bad__fine"))["isError"] is True
        elif expected:
            assert text(await client.call_tool("bad__fine")).startswith("fine")


async def test_texts_are_cleaned_and_references_to_elsewhere_dropped() -> None:
    async with Gateway(configured({"bad": faulty("dirty-texts")})).running() as gateway:
        tool = gateway.catalog.rows[0].wire()
    assert tool["description"].startswith("ABCd")
    assert len(tool["description"]) <= 16_384
    properties = tool["inputSchema"]["properties"]
    assert properties == {"a": {"description": "odd[31m"}, "b": {"$ref": "#/$defs/b"}}


async def test_a_server_may_have_five_thousand_tools() -> None:
    config = configured({"big": faulty("five-thousand"), "good": stdio()})
    async with Gateway(config).running() as gateway, serving(gateway) as server, Client(server) as client:
        assert len(gateway.catalog) > 5000
        assert text(await client.call_tool("big__tool_4999")).startswith("tool_4999")
        assert await works(client)


async def test_a_tool_that_is_renamed_is_known_by_its_new_name_alone(tmp_path: Path) -> None:
    told: list[Catalog] = []

    async def changed(catalog: Catalog) -> None:
        told.append(catalog)

    config = configured({"bad": faulty("renames", str(tmp_path / "mark"))})
    async with Gateway(config).running(changed) as gateway:
        server = ScopedServer(catalog=gateway.catalog)
        async with Client(server) as client:
            await client.call_tool("bad__fine")
        await until(lambda: names(gateway) == {"bad__renamed"})
    assert [row.name for row in told[-1].rows] == ["bad__renamed"]


async def test_what_a_server_started_ends_with_it(tmp_path: Path) -> None:
    mark = tmp_path / "child"
    async with Gateway(configured({"bad": faulty("parent", str(mark))})).running():
        child = int(mark.read_text())
        assert alive(child)
    try:
        await until(lambda: not alive(child))
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


@asynccontextmanager
async def at_port(app: ASGIApp, port: int) -> AsyncIterator[None]:
    host = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=1))
    running = asyncio.create_task(host.serve())
    await until(lambda: host.started)
    try:
        yield
    finally:
        host.should_exit = True
        await running


async def test_an_endpoint_that_goes_away_keeps_its_rows_and_comes_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = configured({"up": {"url": f"http://127.0.0.1:{port}/mcp"}, "good": stdio()})
    gateway = Gateway(config)
    async with AsyncExitStack() as stack:
        async with at_port(upstream_server.made().streamable_http_app(), port):
            await stack.enter_async_context(gateway.running())
            server = await stack.enter_async_context(serving(gateway))
            client = await stack.enter_async_context(Client(server))
            assert (await client.call_tool("up__add", a=1, b=2))["structuredContent"] == {"result": 3}
            before = names(gateway)
        result = await client.call_tool("up__add", a=1, b=2)
        assert result["isError"] is True
        assert "'up' is down" in text(result)
        await until(lambda: state(gateway, "up") == "down")
        assert await works(client)
        assert names(gateway) == before
        async with at_port(upstream_server.made().streamable_http_app(), port):
            await until(lambda: state(gateway, "up") == "up")
            assert (await client.call_tool("up__add", a=1, b=2))["structuredContent"] == {"result": 3}
            await stack.aclose()


async def endpoint(scope: Any, receive: Any, send: Any) -> None:
    """Answer what stands in the path."""
    case = scope["path"].strip("/")
    body = {"huge": b"", "page": b"<html>", "empty": b"", "login": b"no"}[case]
    if case == "huge":  # a good answer, were it not for its size
        asked = json.loads((await receive())["body"])
        found = {"supportedVersions": ["2026-07-28"], "capabilities": {}, "instructions": "x" * (50 * 2**20)}
        body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": found}).encode()
    kind = b"text/html" if case == "page" else b"application/json"
    status = 401 if case == "login" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    for start in range(0, len(body), 2**20):
        await send({"type": "http.response.body", "body": body[start : start + 2**20], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("case", ["huge", "page", "empty", "login"])
async def test_an_endpoint_that_is_no_server_is_down(case: str) -> None:
    async with hosted(endpoint) as (host, port):
        config = configured({"bad": {"url": f"http://{host}:{port}/{case}"}, "good": stdio()})
        async with Gateway(config).running() as gateway, serving(gateway) as server, Client(server) as client:
            assert state(gateway, "bad") == "down"
            assert "credentials" in gateway.status[0].problem or case != "login"
            assert await works(client)


async def test_a_question_that_may_be_of_two_contexts_is_asked_of_neither() -> None:
    config = configured({"up": stdio(protocol="legacy")})
    async with Gateway(config).running() as gateway, serving(gateway) as server:
        asks: dict[str, Any] = {"elicitation": {}}
        clients = (Client(server, context=name, capabilities=asks) for name in ("one", "two"))
        async with asking(*clients) as (one, two):
            slow = asyncio.create_task(one.call_tool("up__slow", seconds=1))
            connection = gateway._upstreams["up"]._connection
            await until(lambda: connection is not None and connection.is_busy)
            refused = await two.call_tool("up__wipe")
            assert refused["isError"] is True
            await slow
            assert (await two.call_tool("up__wipe"))["resultType"] == "input_required"


async def test_many_calls_at_once_have_their_own_answers() -> None:
    async with (
        Gateway(configured({"good": stdio()})).running() as gateway,
        serving(gateway) as server,
        Client(server) as client,
    ):
        results = await asyncio.gather(*(client.call_tool("good__add", a=one, b=0) for one in range(50)))
    assert [one["structuredContent"]["result"] for one in results] == list(range(50))
