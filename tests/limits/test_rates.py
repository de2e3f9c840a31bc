"""Requests in a window of time, of one principal and of one context."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from contextlib import AsyncExitStack

import msgspec
import pytest

from scopedtools.admission.gate import network_of
from scopedtools.admission.rates import Windows
from scopedtools.admission.windows import ProcessStorage
from scopedtools.transports.stdio import StdioTransport
from tests.limits.mill import ANN, BOB, Mill, assert_refused, call
from tests.stores.running import redis_server
from tests.wire.exchange import JSON_HEADERS, ask, http, message

pytestmark = pytest.mark.anyio


def context(name: str) -> dict[str, str]:
    return {"mcp-client-session-id": name}


async def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    mill = Mill(rate_per_principal="3/hour")
    for _ in range(3):
        assert (await call(mill, "weigh", ANN)).status == 200
    for _ in range(2):
        refused = await call(mill, "weigh", ANN)
        assert_refused(refused, 429)
        assert int(refused.headers["retry-after"]) <= 7200
    assert_refused(await ask(mill, "tools/list", headers=ANN), 429)
    assert (await call(mill, "weigh", BOB)).status == 200


async def test_one_context_can_be_slowed_down_without_the_others() -> None:
    mill = Mill(rate_per_context="2/hour")
    for _ in range(2):
        assert (await call(mill, "weigh", ANN | context("busy-context"))).status == 200
    assert_refused(await call(mill, "weigh", ANN | context("busy-context")), 429)
    assert (await call(mill, "weigh", ANN | context("calm-context"))).status == 200
    assert (await call(mill, "weigh", BOB | context("busy-context"))).status == 200, "another's of that name"
    assert (await call(mill, "weigh", ANN)).status == 200, "who has no context has no limit of one"


async def test_several_windows_hold_at_the_same_time() -> None:
    mill = Mill(rate_per_principal="100/second; 2/hour")
    assert [(await call(mill, "weigh", ANN)).status for _ in range(3)] == [200, 200, 429]


async def test_a_refused_request_runs_nothing() -> None:
    mill = Mill(rate_per_principal="1/hour")
    await call(mill, "weigh", ANN)
    assert_refused(await call(mill, "grind", ANN), 429)
    assert mill.started.empty()


async def test_messages_of_a_batch_and_lines_are_counted_one_by_one() -> None:
    mill = Mill(authorized=False, rate_per_principal="2/hour")
    pings = [message("ping", message_id=number) for number in range(4)]
    batch = JSON_HEADERS | {"mcp-protocol-version": "2025-03-26"}
    answer = await http(mill, msgspec.json.encode(pings), batch)
    assert [reply.get("error", {}).get("code") for reply in msgspec.json.decode(answer.body)] == [
        None,
        None,
        429,
        429,
    ]
    sink, source = io.BytesIO(), io.BytesIO(b"\n".join(map(msgspec.json.encode, pings)) + b"\n")
    await StdioTransport(Mill(authorized=False, rate_per_principal="2/hour").dispatcher).serve(source, sink)
    replies = {reply["id"]: reply for reply in map(msgspec.json.decode, sink.getvalue().splitlines())}
    assert ["error" in replies[number] for number in range(4)] == [False, False, True, True]
    assert replies[3]["error"]["data"]["retryAfter"] >= 1


async def test_without_authorization_callers_are_told_apart_by_address() -> None:
    mill = Mill(authorized=False, rate_per_principal="1/hour")
    asking = message("ping")
    body = msgspec.json.encode(asking)

    async def from_(address: str) -> int:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body}

        sent: list[int] = []

        async def send(event: dict[str, object]) -> None:
            sent.append(int(str(event.get("status", 0))))

        headers = [(name.encode(), value.encode()) for name, value in JSON_HEADERS.items()]
        scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": headers, "client": (address, 1)}
        await mill(scope, receive, send)  # type: ignore[arg-type]
        return sent[0]

    assert [await from_("192.0.2.1"), await from_("192.0.2.1"), await from_("192.0.2.2")] == [200, 429, 200]
    # Whoever has one address of IPv6 has more than anybody can count.
    assert [await from_("2001:db8::1"), await from_("2001:db8::2"), await from_("2001:db8:1::1")] == [
        200,
        429,
        200,
    ]


def test_an_address_that_is_none_stands_for_itself() -> None:
    assert network_of("fe80::1%eth0") == network_of("fe80::2%eth0") or "%" in network_of("fe80::1%eth0")
    assert network_of("not:an:address") == "not:an:address"
    assert network_of("") == ""


def test_clients_of_ipv4_are_told_apart_on_a_socket_for_both() -> None:
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1")
    assert network_of("::ffff:192.0.2.1") != network_of("::ffff:192.0.2.2")


async def test_counters_are_bounded_whatever_keys_come() -> None:
    windows = Windows("1/hour")
    windows._own.storage = ProcessStorage(max_keys=100)
    for number in range(2_000):
        assert await windows.take(b"%d" % number) is None
    storage = windows._own.storage
    assert isinstance(storage, ProcessStorage)
    assert await storage.reset() == 100


async def test_a_window_slides_instead_of_beginning_anew() -> None:
    now = 7200.0
    storage = ProcessStorage(max_keys=10, clock=lambda: now)

    async def taken(count: int) -> int:
        return sum([await storage.acquire_sliding_window_entry("k", 60, 3600) for _ in range(count)])

    assert await taken(100) == 60
    now += 3600
    assert await taken(100) == 0, "all of the hour before counts at its end"
    now += 1800
    assert await taken(100) == 30
    now += 2 * 3600
    assert await taken(100) == 60


@pytest.mark.parametrize("rate", ["1/hour", "3/hour", "60/minute", "7/second; 100/minute"])
async def test_whoever_comes_back_when_told_is_let_in(rate: str) -> None:
    now = 7000.5
    windows = Windows(rate, clock=lambda: now)
    for _ in range(5):
        while (after_s := await windows.take(b"k")) is None:
            now += 0.001
        now += after_s
        assert await windows.take(b"k") is None


def test_rates_are_counted_only_where_there_are_any() -> None:
    program = "import sys, scopedtools; scopedtools.ScopedServer(); print('limits' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"


async def test_replicas_on_one_redis_count_together_and_go_on_without_it() -> None:
    async with redis_server() as engine, AsyncExitStack() as stack:
        one, other = (Mill(rate_per_principal="4/hour", rate_store=engine.url) for _ in range(2))
        for mill in (one, other):
            await stack.enter_async_context(mill)
        answers = [await call(mill, "weigh", ANN) for mill in (one, other, one, other, one, other)]
        assert [answer.status for answer in answers] == [200, 200, 200, 200, 429, 429]
        assert (await call(other, "weigh", BOB)).status == 200
        keys = b" ".join(await engine.ask("KEYS", "*"))
        assert b"ann" not in keys, "names are hashed"
        assert keys.count(b"scopedtools:rate") == len(keys.split())
        engine.freeze()
        assert (await call(one, "weigh", BOB)).status == 200, "nobody is refused since something else is down"
        engine.thaw()
        engine.kill()
        assert [(await call(one, "weigh", BOB)).status for _ in range(4)] == [200, 200, 200, 429]


async def test_a_redis_that_fails_is_tried_by_one_request_a_second_and_keeps_no_other_waiting() -> None:
    now = 0.0
    async with redis_server() as engine:
        windows = Windows("100/hour", engine.url, clock=lambda: now)
        assert await windows.take(b"ann") is None
        engine.freeze()
        assert await windows.take(b"ann") is None
        now = 2.0
        taking = [asyncio.create_task(windows.take(b"ann")) for _ in range(20)]
        done, waiting = await asyncio.wait(taking, timeout=0.1)
        assert (len(done), len(waiting)) == (19, 1)
        engine.thaw()
        assert [await one for one in taking] == [None] * 20
        now = 4.0
        assert await windows.take(b"ann") is None
        assert windows._is_failing is False
        await windows.close()
