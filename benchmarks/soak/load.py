"""Everybody who uses the server at the same time, from a beginning to an end."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Final, Protocol

import httpx2

from benchmarks.soak.faults import Faults
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.legacy import LegacyUser
from benchmarks.soak.memory import Sample, sample
from benchmarks.soak.modern import Listening, ModernUser
from benchmarks.soak.wire import TIMEOUT_S, Unexpected, Wire
from scopedtools.protocol import meta

SAMPLE_S: Final = 5.0
_DRAIN_S: Final = 2.0
_UPDATE_S: Final = 10.0
_FAULT_S: Final = 0.5
_MODERN: Final = 16
_LISTENING: Final = 8
_LEGACY: Final = {"2025-11-25": 6, "2025-06-18": 4, "2025-03-26": 4}
_END_S: Final = 60.0
_FILLING: Final = 8
_AGAIN: Final = 4


class User(Protocol):
    """Somebody who does one thing after the other."""

    async def work(self) -> None:
        """Do one of them."""
        ...


def new_client() -> httpx2.AsyncClient:
    """Make a client with connections for everybody."""
    limits = httpx2.Limits(max_connections=500, max_keepalive_connections=50, keepalive_expiry=3)
    return httpx2.AsyncClient(timeout=TIMEOUT_S, limits=limits)


class Load:
    """Users of all kinds, and what looks after them.

    Args:
        wire: To the server.
        ledger: Counts.
        rate: Requests a second, about.
    """

    def __init__(self, wire: Wire, ledger: Ledger, *, rate: float) -> None:
        self._wire = wire
        self._ledger = ledger
        self._stopping = asyncio.Event()
        units = itertools.count(1)
        pause_s = (_MODERN + sum(_LEGACY.values())) / rate
        self._users: Sequence[User] = (
            *(ModernUser(wire, pause_s=pause_s, units=units) for _ in range(_MODERN)),
            *(Listening(wire, units=units) for _ in range(_LISTENING)),
            *(
                LegacyUser(wire, revision, pause_s=pause_s, units=units)
                for revision, count in _LEGACY.items()
                for _ in range(count)
            ),
            Faults(wire, pause_s=_FAULT_S),
        )

    async def fill(self, units: int) -> None:
        """Fill what is kept by context, by head and by request: each of many units of work lists often.

        A head is remembered when it comes again, and a request when it comes again with such a head.
        """
        names = iter([f"first-{number}" for number in range(units)])

        async def list_all() -> None:
            for name in names:
                message, headers = self._wire.modern_request("tools/list", {}, context=name)
                for _ in range(_AGAIN):
                    async with self._wire.sent(message, {**headers, meta.ID_HEADER: name}) as response:
                        await response.aread()

        await asyncio.gather(*(list_all() for _ in range(_FILLING)))

    async def run(self, pid: int, seconds: float) -> list[Sample]:
        """Use the server for some time.

        Args:
            pid: Its process.
            seconds: For how long; what is under way then is finished.

        Returns:
            What the process took, every few seconds.
        """
        began, every_s = time.monotonic(), min(SAMPLE_S, seconds / 40)
        samples: list[Sample] = []
        users = [asyncio.create_task(self._use(user)) for user in self._users]
        others = [asyncio.create_task(self._drain_again()), asyncio.create_task(self._update())]
        while (at_s := time.monotonic() - began) < seconds:
            samples.append(sample(pid, at_s=at_s, requests=self._ledger.requests.total()))
            await asyncio.sleep(min(every_s, seconds - at_s))
        self._stopping.set()
        _, late = await asyncio.wait(users, timeout=_END_S)
        for task in (*late, *others):
            task.cancel()
        for task in others:
            try:
                await task
            except asyncio.CancelledError:
                continue
            except Exception as error:  # noqa: BLE001 - as with users
                self._ledger.problem(f"nobody looked after the load any longer: {error!r}")
        await asyncio.wait(users)
        if late:
            self._ledger.problem(f"{len(late)} users did not come to an end")
        return samples

    async def _use(self, user: User) -> None:
        while not self._stopping.is_set():
            try:
                await user.work()
            except Unexpected:
                self._ledger.outcomes["unexpected"] += 1
            except httpx2.TransportError as error:
                self._ledger.problem(f"{type(user).__name__}: {error!r}")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what the soak looks for
                self._ledger.problem(f"{type(user).__name__}: {error!r}")

    async def _drain_again(self) -> None:
        while True:
            await asyncio.sleep(_DRAIN_S)
            await self.drain()

    async def drain(self) -> None:
        """Compare what was carried out with what was asked for."""
        asked = time.monotonic()
        drained = await self._wire.modern("tools/call", {"name": "drain", "arguments": {}})
        self._ledger.compare(drained["structuredContent"], asked)

    async def forget(self) -> None:
        """Have the server forget what was carried out for others before."""
        await self._wire.modern("tools/call", {"name": "drain", "arguments": {}})

    async def _update(self) -> None:
        while True:
            await asyncio.sleep(_UPDATE_S)
            await self._wire.modern("tools/call", {"name": "replace_catalog", "arguments": {}})
            self._ledger.outcomes["catalog replaced"] += 1
