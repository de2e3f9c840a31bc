"""Two replicas on Redis behind the proxies of ``examples/deploy``: one server, whoever answers.

Run: python -m benchmarks.scale [--contexts 1000] [--out FOLDER]

Writes scale.json and scale.md.

Ends with status 1 where a figure is not as expected.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.machine import machine
from benchmarks.scale import checks
from benchmarks.scale.asking import call
from benchmarks.scale.proxies import KINDS, Kind, Program, proxied
from benchmarks.scale.replicas import Replica, replicated
from benchmarks.scale.report import Figure, Results
from benchmarks.serving.processes import cpu_s
from tests.engines import engine, environment
from tests.stores.running import RedisServer

_MODULE: Final = "benchmarks.scale"
_RESULTS: Final = Path(__file__).parent / "results"
_ROWS: Final = 1000
_SHARE: Final = 0.08
"""By how much a share of a thousand contexts may miss what it would be."""

_STRAY: Final[dict[Kind, float]] = {"haproxy": 0, "nginx": 0, "envoy": 0.03}
"""Share of contexts that may move although nothing happened to their process."""

_WEIGHED: Final = 200
"""Contexts of which the memory is looked at."""

_DETECTED_S: Final = 3.0

_PATIENCE_S: Final = 5
"""Seconds that replicas wait for Redis. By default they wait for 0.2 s, then list without it and say so; on
cores that all of this shares, that is no outage."""


class Run:
    """A run: replicas, proxies before them, and figures.

    Args:
        store: Redis.
        folder: Takes files and logs.
        count: Contexts of each check.
    """

    def __init__(self, store: RedisServer, folder: Path, count: int) -> None:
        self.figures: list[Figure] = []
        self._store = store
        self._folder = folder
        self._count = count
        self._secret = secrets.token_hex(32)

    def note(
        self,
        name: str,
        value: float,
        unit: str = "",
        *,
        least: float | None = None,
        most: float | None = None,
    ) -> None:
        """Take down a figure, and print it."""
        figure = Figure(name, value, unit, least, most)
        self.figures.append(figure)
        print(
            f"{'ok    ' if figure.holds else 'MISSED'} {name}: {value:.4g} {unit} ({figure.expected})",
            flush=True,
        )

    async def all(self) -> None:
        """Run everything."""
        with ExitStack() as held:
            replicas = [await self._replica(held) for _ in range(2)]
            async with self._proxies(replicas, "two") as proxies:
                await self._splits(proxies)
                asked = await self._lists(replicas)
                await self._told(replicas)
                await self._costs(replicas[0], asked)
                third = await self._replica(held)
                await self._adding(proxies, [*replicas, third])
                await self._killing(proxies, replicas, asked)

    async def _replica(self, held: ExitStack) -> Replica:
        url = f"{self._store.url}?timeout_s={_PATIENCE_S}"
        replica = held.enter_context(replicated(url, self._secret, self._folder, rows=_ROWS))
        await replica.ready()
        return replica

    @asynccontextmanager
    async def _proxies(self, replicas: Sequence[Replica], name: str) -> AsyncIterator[dict[Kind, int]]:
        ports = [replica.port for replica in replicas]
        with ExitStack() as held:
            proxies = {
                kind: held.enter_context(proxied(kind, _program(kind), ports, self._folder / name / kind))
                for kind in KINDS
            }
            for port in proxies.values():
                await _all_there(port, len(replicas))
            yield proxies

    async def _splits(self, proxies: dict[Kind, int]) -> None:
        several = f"contexts of {self._count} whose {checks.AT_ONCE} parallel first calls met several objects"
        for kind, port in proxies.items():
            found = await checks.split(port, f"form-{kind}", self._count)
            self.note(f"{several}, {kind}", found, least=0, most=0)

    async def _lists(self, replicas: Sequence[Replica]) -> list[checks.Listed]:
        ports = [replica.port for replica in replicas]
        others = await self._records()
        asked = checks.contexts("wf", self._count)
        name = f"contexts of {self._count} whose lists differ between replicas"
        self.note(
            f"{name}, first lists at the same time", await checks.different(ports, asked), least=0, most=0
        )
        some = sorted(await self._records() - others)[:_WEIGHED]
        kept_bytes = await self._bytes_of(some)
        self.note("memory of Redis for a context", statistics.mean(kept_bytes), "bytes", most=1000)
        seeded = await checks.lists(ports[0], asked)
        await checks.grow(ports, asked)
        self.note(f"{name}, grown", await checks.different(ports, asked), least=0, most=0)
        grown = await checks.lists(ports[1], asked)
        longer = sum(len(after) > len(before) for before, after in zip(seeded, grown, strict=True))
        self.note(
            "contexts whose list grew, of those that follow growth", longer / (self._count / 2), least=0.9
        )
        both = zip(kept_bytes, await self._bytes_of(some), strict=True)
        grown_bytes = statistics.mean(after for before, after in both if after > before)
        self.note("memory of Redis for a context whose view has grown", grown_bytes, "bytes", most=3000)
        return asked

    async def _records(self) -> frozenset[bytes]:
        """Return the keys of all records of contexts."""
        return frozenset(await self._store.ask("KEYS", "*}c*"))

    async def _bytes_of(self, keys: Sequence[bytes]) -> list[int]:
        """Return what Redis takes for each key and what it holds; memory as a whole comes in steps."""
        return [await self._store.ask("MEMORY", "USAGE", key) for key in keys]

    async def _told(self, replicas: Sequence[Replica]) -> None:
        asked = checks.contexts("told", max(self._count // 5, 20))[::2]
        took_ms = await checks.told_ms(replicas[0].port, replicas[1].port, asked)
        name = "from a search at one replica to a listener at the other"
        self.note(f"{name}, p50", statistics.median(took_ms), "ms", most=50)
        self.note(f"{name}, p99", checks.percentile(took_ms, 0.99), "ms")

    async def _costs(self, replica: Replica, asked: Sequence[checks.Listed]) -> None:
        some = [one.sent for one in asked[1::2]]
        kinds = {
            "list of 16 rows": some,
            "call": [call("where", context=one.context) for one in asked[1::2]],
            "first list of a context": [one.sent for one in checks.contexts("cost", len(some))],
        }
        for kind, requests in kinds.items():
            before_s = cpu_s(replica.pid), cpu_s(self._store.pid)
            await checks.all_of(replica.port, requests)
            for name, begun_s, pid in zip(
                ("a replica", "Redis"), before_s, (replica.pid, self._store.pid), strict=True
            ):
                took_us = (cpu_s(pid) - begun_s) * 1e6 / len(requests)
                self.note(f"CPU of {name} for a {kind}", took_us, "us")

    async def _adding(self, proxies: dict[Kind, int], replicas: Sequence[Replica]) -> None:
        names = [f"wf-{number}" for number in range(self._count)]
        async with self._proxies(replicas, "three") as wider:
            for kind in KINDS:
                before = await checks.placed(proxies[kind], names)
                after = await checks.placed(wider[kind], names)
                moved = [one for one in names if before[one] != after[one]]
                stray = sum(after[one] != replicas[-1].pid for one in moved) / self._count
                share = 1 / len(replicas)
                self.note(
                    f"share of contexts that a third replica takes, {kind}",
                    len(moved) / self._count - stray,
                    least=share - _SHARE,
                    most=share + _SHARE,
                )
                self.note(
                    f"share of contexts that move elsewhere then, {kind}", stray, least=0, most=_STRAY[kind]
                )

    async def _killing(
        self, proxies: dict[Kind, int], replicas: Sequence[Replica], asked: Sequence[checks.Listed]
    ) -> None:
        before = await checks.lists(replicas[0].port, asked)
        gone, left = replicas
        gone.kill()
        errors = {kind: await checks.lost_after(port, _DETECTED_S) for kind, port in proxies.items()}
        for kind, (within, later) in errors.items():
            self.note(f"calls that failed once a killed replica was detected, {kind}", later, least=0, most=0)
            self.note(f"calls that failed in the {_DETECTED_S:g} s before, {kind}", within)
        after = await checks.lists(left.port, asked)
        changed = sum(one != other for one, other in zip(before, after, strict=True))
        self.note(
            "contexts whose list is lost or another after a replica was killed", changed, least=0, most=0
        )
        for kind, port in proxies.items():
            through = await checks.lists(port, asked)
            changed = sum(one != other for one, other in zip(before, through, strict=True))
            self.note(f"the same, asked through {kind}", changed, least=0, most=0)


async def _all_there(port: int, count: int) -> None:
    """Wait until a proxy sends requests to so many replicas, and its own threads agree which go where."""
    names = [str(number) for number in range(16 * count)]
    async with asyncio.timeout(30):
        while True:
            found = [await checks.placed(port, names) for _ in range(3)]
            if len(set(found[0].values()) - {0}) == count and found[0] == found[1] == found[2]:
                return


def _program(kind: Kind) -> Program:
    if kind == "envoy":
        return Program(Path(sys.executable).with_name("envoy"))
    return Program(engine(kind), {"LD_LIBRARY_PATH": environment()["LD_LIBRARY_PATH"]})


async def _main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--contexts", type=int, default=1000, help="contexts of each check")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder of the report")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        store = RedisServer("redis-server", folder)
        await store.start()
        try:
            run = Run(store, folder, given.contexts)
            await run.all()
        finally:
            store.kill()
    Results(machine(_MODULE, arguments), run.figures).write(given.out)
    return 0 if all(figure.holds for figure in run.figures) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(sys.argv[1:])))
