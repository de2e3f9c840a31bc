"""Systems that get the same requests in turns, each turn beside one of the floor."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.serving.load import AnswerError, Client, Taken, connected
from benchmarks.serving.processes import cpu_s
from benchmarks.serving.wire import Template

_SETTLE_S = 0.005
"""What a server does after its last answer belongs to its requests."""


class Pace(NamedTuple):
    """How long things are measured.

    Attributes:
        rounds: How often each system gets its turn.
        turn_s: About how long a turn takes.
        slow_s: A system whose turn takes longer, since one request for each connection does, is left out.
        budget_s: A system that has taken so long, has two rounds at least and gets no more.
    """

    rounds: int
    turn_s: float
    slow_s: float
    budget_s: float


FULL = Pace(rounds=7, turn_s=0.2, slow_s=5, budget_s=5)
QUICK = Pace(rounds=3, turn_s=0.06, slow_s=1.5, budget_s=1)


class Side(NamedTuple):
    """One system in a contest.

    Attributes:
        system: Its name.
        port: Where it listens.
        pid: Whose CPU time counts.
        template: What it is asked.
    """

    system: str
    port: int
    pid: int
    template: Template


@dataclass
class Measured:
    """What was measured of one system.

    Attributes:
        system: Its name.
        bytes: Of an answer.
        cpu_us: CPU microseconds of the server for a request, by round.
        requests_s: Requests a second, by round.
        latencies_ms: Of all requests.
        client_share: Share of the time in which this process was busy, by round.
    """

    system: str
    bytes: int = 0
    cpu_us: list[float] = field(default_factory=list)
    requests_s: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    client_share: list[float] = field(default_factory=list)

    def ratio(self, floor: Measured) -> float:
        """Return the median over rounds of the CPU time of a request by that of the floor."""
        return statistics.median(
            ours / theirs for ours, theirs in zip(self.cpu_us, floor.cpu_us, strict=False)
        )


class _Entrant:
    def __init__(self, side: Side, client: Client) -> None:
        self.measured = Measured(side.system)
        self.spent_s = 0.0
        self._side = side
        self._client = client
        self._times = 1

    async def warm_up(self, connections: int, pace: Pace) -> str | None:
        """Ask until it is known how long it takes; returns why it is left out, if it is."""
        start = time.perf_counter()
        answer = await self._client.ask(self._side.template)
        alone_s = time.perf_counter() - start
        if alone_s * connections > 3 * pace.slow_s:  # the first one may take longer than others
            return f"one request took {alone_s:.1f} s, {connections} at a time are too many"
        self.measured.bytes = len(answer.body)
        times = connections if alone_s > pace.turn_s / 4 else max(4 * connections, 20)
        took_s = (await self._ask(times)).wall_s
        if took_s / times * connections > pace.slow_s:
            return f"{connections} requests took {took_s:.1f} s"
        self._times = max(connections, int(pace.turn_s / (took_s / times)))
        return None

    async def turn(self) -> None:
        """Measure one turn."""
        own, server = time.process_time(), cpu_s(self._side.pid)
        taken = await self._ask(self._times)
        own = time.process_time() - own
        await asyncio.sleep(_SETTLE_S)
        found = self.measured
        found.cpu_us.append((cpu_s(self._side.pid) - server) / self._times * 1e6)
        found.requests_s.append(self._times / taken.wall_s)
        found.latencies_ms.extend(taken.latencies_ms)
        found.client_share.append(own / taken.wall_s)
        self.spent_s += taken.wall_s

    async def _ask(self, times: int) -> Taken:
        return await self._client.run(self._side.template, times, length=self.measured.bytes)


async def contest(
    sides: Sequence[Side], *, connections: int, pace: Pace, numbers: Iterator[int]
) -> tuple[list[Measured], list[str]]:
    """Ask all systems in turns, forth and back (A B C, C B A).

    Args:
        sides: The systems; the first one is the floor.
        connections: Requests under way at a time.
        pace: How long.
        numbers: Of the requests.

    Returns:
        What was measured, the floor first; and which systems were left out, and why.
    """
    notes: list[str] = []
    async with AsyncExitStack() as stack:
        entrants: list[_Entrant] = []
        for side in sides:
            client = await stack.enter_async_context(connected(side.port, numbers, connections))
            entrant = _Entrant(side, client)
            try:
                why = await entrant.warm_up(connections, pace)
            except AnswerError as error:
                why = str(error)
            if why is None:
                entrants.append(entrant)
            else:
                notes.append(f"{side.system}: {why}")
        for number in range(pace.rounds):
            for entrant in entrants if number % 2 == 0 else reversed(entrants):
                if number < 2 or entrant.spent_s < pace.budget_s:
                    await entrant.turn()
    return [entrant.measured for entrant in entrants], notes
