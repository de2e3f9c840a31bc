"""The faults of servers, each over standard input and output and over HTTP, in real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from scopedtools.catalog.catalog import Catalog
from scopedtools.gateway import Gateway
from scopedtools.testing import Client
from tests.gateway import upstream_server
from tests.gateway.faulty import endpoint_of, faulty_over
from tests.gateway.fronted import asking, configured, serving, stdio, text, until
from tests.gateway.test_faults import names, state, works

pytestmark = pytest.mark.anyio

WAYS: Final = ("stdio", "json", "events")
UPSTREAM: Final = str(Path(upstream_server.__file__))
LONGEST_S: Final = 1.0
"""For which nothing else may run. The messages of these tests, read without bounds, take 1.4 to 3 seconds."""

MOST_MIB: Final = 100
"""Of memory that one message may cost. Without bounds these take 130 to 1,500."""


async def test_an_endpoint_that_is_killed_is_down_and_comes_back() -> None:
    async with endpoint_of(UPSTREAM, "http", "PORT") as endpoint:
        config = configured({"bad": endpoint.described, "good": stdio()})
        async with Gateway(config).running() as gateway, serving(gateway) as server, Client(server) as client:
            before = names(gateway)
            endpoint.end()
            result = await client.call_tool("bad__add", a=1, b=2)
            assert result["isError"] is True
            await until(lambda: state(gateway, "bad") == "down")
            assert await works(client)
            assert names(gateway) == before
            await endpoint.start()
            await until(lambda: state(gateway, "bad") == "up")
            assert (await client.call_tool("bad__add", a=1, b=2))["structuredContent"] == {"result": 3}


async def test_an_endpoint_that_is_frozen_answers_errors_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scopedtools.gateway.upstream._PROBE_S", 0.5)
    async with endpoint_of(UPSTREAM, "http", "PORT") as endpoint:
        options = {"timeout_ms": 500, "connect_timeout_ms": 2000}
        config = configured({"bad": endpoint.described | options, "good": stdio()})
        async with Gateway(config).running() as gateway, serving(gateway) as server, Client(server) as client:
            before = names(gateway)
            os.kill(endpoint.process, signal.SIGSTOP)
            assert "did not answer in time" in text(await client.call_tool("bad__add", a=1, b=2))
            assert await works(client)
            await until(lambda: state(gateway, "bad") == "down")
            assert names(gateway) == before
            os.kill(endpoint.process, signal.SIGCONT)
            await until(lambda: state(gateway, "bad") == "up")
            assert (await client.call_tool("bad__add", a=1, b=2))["structuredContent"] == {"result": 3}


async def test_an_endpoint_that_takes_no_notifications_is_used_all_the_same() -> None:
    async with faulty_over("json", "deaf") as bad, Gateway(configured({"bad": bad})).running() as gateway:
        assert names(gateway) == {"bad__fine", "bad__other"}


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_that_is_slow_holds_up_its_own_callers_alone(way: str) -> None:
    async with faulty_over(way, "slow") as bad:
        config = configured({"bad": bad, "good": stdio()})
        async with Gateway(config).running() as gateway, serving(gateway) as server:
            clients = (Client(server, context=name) for name in ("one", "two"))
            async with asking(*clients) as (one, two):
                slow = asyncio.create_task(one.call_tool("bad__fine"))
                for _ in range(10):
                    assert await works(two)
                    assert "bad__fine" in {tool["name"] for tool in await two.list_tools()}
                assert not slow.done()
                assert text(await slow).startswith("fine")


@pytest.mark.parametrize("way", WAYS)
async def test_a_tool_that_is_renamed_is_known_by_its_new_name_alone(way: str, tmp_path: Path) -> None:
    async with (
        faulty_over(way, "renames", tmp_path / "mark") as bad,
        Gateway(configured({"bad": bad})).running() as gateway,
    ):
        async with serving(gateway) as server, Client(server) as client:
            await client.call_tool("bad__fine")
        await until(lambda: names(gateway) == {"bad__renamed"})


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_may_grow_to_five_thousand_tools(way: str) -> None:
    told: list[Catalog] = []

    async def changed(catalog: Catalog) -> None:
        told.append(catalog)

    async with faulty_over(way, "grows") as bad:
        config = configured({"bad": bad, "good": stdio()})
        async with (
            Gateway(config).running(changed) as gateway,
            serving(gateway) as server,
            Client(server) as client,
        ):
            assert len(names(gateway)) < 20
            await client.call_tool("bad__fine")
            await until(lambda: "bad__tool_4999" in names(gateway))
            assert await works(client)
        assert len(told[-1]) > 5000


@pytest.mark.parametrize("way", ["json", "events"])
@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("large-schema", {"bad__fine"}),
        ("junk-rows", {"bad__fine"}),
        ("chatter", {"bad__fine", "bad__other"}),
        ("junk-results", {"bad__fine", "bad__other"}),
        ("huge-results", {"bad__fine", "bad__other"}),
    ],
)
async def test_junk_of_an_endpoint_is_left_out_and_the_rest_works(
    way: str, case: str, expected: set[str]
) -> None:
    async with faulty_over(way, case) as bad:
        config = configured({"bad": bad | {"timeout_ms": 5000}, "good": stdio()})
        async with Gateway(config).running() as gateway, serving(gateway) as server, Client(server) as client:
            if case == "junk-rows" or (case == "chatter" and way == "events"):
                # The official transport reads all of a message or nothing: not where JSON does not stand, and
                # nothing that is nested as deeply.
                expected = set()
            assert {name for name in names(gateway) if name.startswith("bad")} == expected
            if case in ("junk-results", "huge-results"):
                assert (await client.call_tool("bad__fine"))["isError"] is True
            assert await works(client)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ["huge-schema", "many-values"])
async def test_a_message_that_is_too_much_keeps_nobody_waiting(way: str, case: str) -> None:
    waits: list[float] = []
    loop = asyncio.get_running_loop()

    async def beat() -> None:
        while True:
            began = loop.time()
            await asyncio.sleep(0.005)
            waits.append(loop.time() - began)

    async with (
        faulty_over(way, case) as bad,
        Gateway(configured({"good": stdio()})).running() as good,
        serving(good) as server,
        Client(server) as client,
    ):
        beating = asyncio.create_task(beat())
        async with Gateway(configured({"bad": bad})).running() as gateway:
            assert names(gateway) == set()
            assert await works(client)
        beating.cancel()
    assert max(waits) < LONGEST_S


SCRIPT: Final = """
import asyncio, json, resource, sys
from scopedtools.gateway import Gateway, GatewayConfig

async def main():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    config = GatewayConfig.of({"mcpServers": {"bad": json.loads(sys.argv[1])}}, variables={})
    async with Gateway(config).running() as gateway:
        assert len(gateway.catalog) == 0
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)

asyncio.run(main())
"""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ["huge-schema", "many-values"])
async def test_a_message_that_is_too_much_takes_little_memory(way: str, case: str) -> None:
    async with faulty_over(way, case) as bad:
        command = [sys.executable, "-c", SCRIPT, json.dumps(bad)]
        done: Any = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MOST_MIB
