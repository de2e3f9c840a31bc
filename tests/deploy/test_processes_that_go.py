"""A process behind the proxies of ``examples/deploy`` goes away, at once or in order, while clients call."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import pytest

from benchmarks.scale.asking import LostError
from benchmarks.scale.proxies import KINDS, Kind
from tests.deploy.fleet import DRAIN_S, SIZE, Fleet, await_all, eventually, placed, refused
from tests.deploy.load import Load, calling

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("kind", KINDS)]

CONTEXTS: Final = [f"wf-{number}" for number in range(120)]
NUMBERS: Final = itertools.count(1)

DETECTED_S: Final = 2.5
"""Two checks a second apart, and a little."""

Placed = Mapping[Kind, Mapping[str, int]]


class Episode(NamedTuple):
    """What clients saw while a process went.

    Attributes:
        gone: The process.
        gone_s: When it was told to go.
        load: What clients saw.
        before: Process of each context, by proxy.
        after: The same without it.
        again: The same once it was replaced.
        entered: How often each number was entered.
        left: Proxies that had left the process alone before it stopped to listen.
    """

    gone: int
    gone_s: float
    load: Load
    before: Placed
    after: Placed
    again: Placed
    entered: Counter[int]
    left: frozenset[Kind]


def _placed(fleet: Fleet) -> Placed:
    return {kind: asyncio.run(placed(port, CONTEXTS)) for kind, port in fleet.proxies.items()}


def _episode(fleet: Fleet, with_signal: signal.Signals, for_s: float) -> Episode:
    before, processes = _placed(fleet), fleet.processes()
    gone = processes[fleet.ports[1]]

    own = {kind: [one for one in CONTEXTS if before[kind][one] == gone] for kind in KINDS}

    async def run() -> tuple[Load, float, frozenset[Kind]]:
        async with calling(fleet.proxies, CONTEXTS, NUMBERS) as load:
            await asyncio.sleep(0.5)
            gone_s = time.monotonic()
            os.kill(gone, with_signal)
            closed = asyncio.create_task(refused(fleet.ports[1]))
            left = await _left_before(closed, fleet, {kind: own[kind][:4] for kind in KINDS}, gone)
            await asyncio.sleep(for_s)
        return load, gone_s, left

    with fleet.unreplaced():
        load, gone_s, left = asyncio.run(run())
        after = _placed(fleet)
    eventually(lambda: len(set(fleet.processes().values())) == SIZE)
    for port in fleet.proxies.values():
        await_all(port, SIZE)
    names = dict(zip(fleet.processes().values(), processes.values(), strict=True))
    again = {
        kind: {context: names[process] for context, process in found.items()}
        for kind, found in _placed(fleet).items()
    }
    return Episode(gone, gone_s, load, before, after, again, Counter(fleet.entered()), left)


async def _left_before(
    closed: asyncio.Task[None], fleet: Fleet, own: Mapping[Kind, Sequence[str]], gone: int
) -> frozenset[Kind]:
    """Return the proxies that send nothing to a process any more before it has stopped to listen."""
    left: set[Kind] = set()
    drained_s = time.monotonic() + DRAIN_S
    while not closed.done():
        for kind, port in fleet.proxies.items():
            with suppress(LostError):
                found = await placed(port, own[kind])
                if gone not in found.values() and time.monotonic() < drained_s:
                    left.add(kind)
    return frozenset(left)


@pytest.fixture(scope="module")
def killed(fleet: Fleet) -> Episode:
    return _episode(fleet, signal.SIGKILL, DETECTED_S + 0.5)


@pytest.fixture(scope="module")
def stopped(fleet: Fleet) -> Episode:
    return _episode(fleet, signal.SIGTERM, 1)


def test_a_killed_process_costs_at_most_the_calls_that_it_had(kind: Kind, killed: Episode) -> None:
    errors = killed.load.errors(kind)
    assert [one for one in errors if one.sent_s > killed.gone_s + DETECTED_S] == []
    assert len(errors) <= 8, errors
    assert len(killed.load.answered(kind)) > 200


def test_no_call_runs_twice_and_every_answered_one_ran(kind: Kind, killed: Episode) -> None:
    assert {killed.entered[number] for number in killed.load.answered(kind)} == {1}
    assert {killed.entered[one.number] for one in killed.load.errors(kind)} <= {0, 1}


def test_only_the_contexts_of_a_killed_process_move_and_come_back_to_its_successor(
    kind: Kind, killed: Episode
) -> None:
    before, after = killed.before[kind], killed.after[kind]
    own = [context for context in CONTEXTS if before[context] == killed.gone]
    assert own
    assert killed.gone not in after.values()
    others = [context for context in CONTEXTS if context not in own and before[context] != after[context]]
    # Envoy's table moves a few others, too.
    assert len(others) <= (0.05 if kind == "envoy" else 0) * len(CONTEXTS)
    assert killed.again[kind] == before


def test_a_process_that_stops_in_order_costs_no_call(kind: Kind, stopped: Episode) -> None:
    assert stopped.load.errors(kind) == []
    assert {stopped.entered[one.number] for one in stopped.load.calls[kind]} == {1}
    assert stopped.gone not in stopped.after[kind].values()
    # nginx has no checks of its own: it comes to the process until that stops to listen.
    assert kind == "nginx" or kind in stopped.left
    assert stopped.again[kind] == stopped.before[kind]
