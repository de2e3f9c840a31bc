"""What only a cluster has: keys that move from server to server."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from scopedtools.storage import NOBODY, ContextRecord
from scopedtools.stores.redis import RedisStore
from scopedtools.stores.redis_topology import Topology, slot_of
from tests.stores.running import RedisCluster

pytestmark = pytest.mark.anyio

RECORD = ContextRecord("v", (1, 2))
SEEDS = [("a", 1), ("b", 2)]
SLOTS: list[Any] = [
    [5461, 16383, [b"b", 2, b"id"], [b"c", 3, b"id"]],
    [0, 5400, [b"", 1, b"id"], [b"?", 4, b"id"]],
]


@pytest.fixture
def cluster(started: Callable[[str], RedisCluster]) -> RedisCluster:
    """Return the cluster that all tests share."""
    return started("cluster")


async def test_a_key_is_found_while_it_moves_and_where_it_has_moved(cluster: RedisCluster) -> None:
    async with RedisStore(cluster.url, timeout_s=10) as store:
        key = NOBODY + secrets.token_bytes(32)
        kept = store._keys(key, b"c", b"C")[0][0]
        slot, source = slot_of(kept), await cluster.primary_of(kept)
        target = next(one for one in cluster.servers[:3] if one is not source)
        names = {one: await one.ask("CLUSTER", "MYID") for one in (source, target)}
        await store.get(key)  # knows the cluster from now on

        await target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
        await source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
        assert await store.add(key, RECORD) == RECORD
        assert await store.get(key) == RECORD
        assert await source.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 0

        for server in (target, source):
            await server.ask("CLUSTER", "SETSLOT", slot, "NODE", names[target])
        assert await store.get(key) == RECORD
        assert await store.replace(key, RECORD, RECORD._replace(seeded=True))
        assert await target.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 1


def test_the_slot_of_a_key_is_that_of_what_stands_in_braces() -> None:
    assert slot_of(b"123456789") == 0x31C3
    assert slot_of(b"x{123456789}y{z}") == 0x31C3
    assert slot_of(b"{}123") != slot_of(b"")
    assert slot_of(b"{a") == slot_of(b"{a")


def test_a_topology_knows_who_has_a_key_and_whom_to_ask() -> None:
    topology = Topology(SEEDS)
    assert (topology.is_current, topology.primary_of(b"x"), topology.to_ask()) == (False, None, SEEDS)
    topology.learn(SLOTS, ("a", 1))
    assert topology.is_current
    assert topology.servers == {("a", 1), ("b", 2), ("c", 3), ("a", 4)}
    by_slot = {slot_of(b"%d" % number): topology.primary_of(b"%d" % number) for number in range(2_000)}
    assert all(
        owner == (("a", 1) if slot <= 5400 else None if slot < 5461 else ("b", 2))
        for slot, owner in by_slot.items()
    )
    assert None in by_slot.values()
    topology.suspect = ("a", 1)
    assert topology.to_ask()[-1] == ("a", 1)
