"""What goes wrong: an engine is killed, stands still, or a part of a cluster is lost."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.faults.desk import Client, Desk
from benchmarks.faults.load import Phase, is_so, load, openings, phase
from scopedtools.stores import open_store

# What starts engines is of use to tests first.
from tests.stores.running import RedisCluster, RedisServer, redis_cluster, redis_server, until, valkey_server

BEFORE_S: Final = 3.0
DOWN_S: Final = 3.0
AFTER_S: Final = 4.0
_PATIENCE_S: Final = 60.0


class Outcome(msgspec.Struct, frozen=True):
    """What a fault did.

    Attributes:
        scenario: What went wrong.
        phases: The requests before it, until the store was left alone, from then until it was used again, and
            afterwards.
        down_s: Seconds from the fault until the engine answered for itself again.
        recovered_s: Seconds from then until everything was answered with the store again.
        opened_ms: Milliseconds from the fault until the store was left alone.
    """

    scenario: str
    phases: tuple[Phase, ...]
    down_s: float
    recovered_s: float
    opened_ms: float


class Scenario(NamedTuple):
    """A fault.

    Attributes:
        name: What goes wrong.
        engine: Starts the engine.
        fault: Makes it go wrong, and returns once the engine answers again.
    """

    name: str
    engine: Callable[[], AbstractAsyncContextManager[Any]]
    fault: Callable[[Any], Awaitable[None]]


async def _killed(server: RedisServer) -> None:
    server.kill()
    await asyncio.sleep(DOWN_S)
    await server.start()


async def _frozen(server: RedisServer) -> None:
    server.freeze()
    await asyncio.sleep(DOWN_S)
    server.thaw()


async def _lost(cluster: RedisCluster) -> None:
    """Kill a primary; its replica takes over."""
    victim = cluster.servers[0]
    victim.kill()
    survivor = cluster.servers[1]

    async def all_slots_have_a_primary() -> bool:
        slots = await survivor.ask("CLUSTER", "SLOTS")
        owners = {entry[2][1] for entry in slots}
        covered = sum(entry[1] - entry[0] + 1 for entry in slots)
        return covered == 16_384 and victim.port not in owners

    await until(all_slots_have_a_primary)


SCENARIOS: Final = (
    Scenario("kill -9 of Redis, started again after 3 s", redis_server, _killed),
    Scenario("SIGSTOP of Redis for 3 s", redis_server, _frozen),
    Scenario("SIGSTOP of Valkey for 3 s", valkey_server, _frozen),
    Scenario("kill -9 of one of three primaries of a cluster", redis_cluster, _lost),
)


async def run(scenario: Scenario) -> Outcome:
    """Run a scenario under load."""
    async with scenario.engine() as engine, openings() as opened:
        store: Any = open_store(engine.url)
        server = Desk(store)
        async with server:
            client = Client(server)
            await client.begin()
            async with load(client) as samples:
                begin = time.monotonic()
                await asyncio.sleep(BEFORE_S)
                at = time.monotonic()
                await scenario.fault(engine)
                back = time.monotonic()
                recovered = await is_so(lambda: not store.is_degraded, within_s=_PATIENCE_S)
                await asyncio.sleep(AFTER_S)
                end = time.monotonic()
            left_alone = opened.first_after(at)
    opened_at = recovered if left_alone is None else left_alone
    return Outcome(
        scenario.name,
        (
            phase("before", samples, begin, at),
            phase("until the breaker opens", samples, at, opened_at),
            phase("breaker open", samples, opened_at, recovered),
            phase("after", samples, recovered, end),
        ),
        round(back - at, 2),
        round(max(0.0, recovered - back), 2),
        math.nan if left_alone is None else round((left_alone - at) * 1000, 1),
    )
