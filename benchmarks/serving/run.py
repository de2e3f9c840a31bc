"""Requests of all kinds to all systems over all catalogs."""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.serving.contest import FULL, QUICK, Measured, Pace, Side, contest
from benchmarks.serving.load import AnswerError
from benchmarks.serving.processes import memory_mib
from benchmarks.serving.results import FLOOR, OURS, Line, MemoryLine, Results
from benchmarks.serving.rows import SIZES, rows, write
from benchmarks.serving.systems import SAME_VIEW, SYSTEMS, System, give, headers_of, result, start
from benchmarks.serving.wire import ERAS, MODERN, OPERATIONS, Era, Operation, Template, template


class Plan(NamedTuple):
    """What is measured.

    Attributes:
        operations: Kinds of requests.
        eras: Protocol revisions.
        sizes: Rows of the catalogs.
        concurrency: Requests under way at a time.
        systems: Besides the floor; ours is always there.
        pace: How long.
        starts: Rows of the catalogs that starts are measured with.
        saved: Rows of a catalog that ours starts with, its index saved before; none where 0.
        times: How often starts and imports are measured.
    """

    operations: Sequence[Operation] = OPERATIONS
    eras: Sequence[Era] = ERAS
    sizes: Sequence[int] = SIZES
    concurrency: Sequence[int] = (1, 8, 64)
    systems: Sequence[str] = SYSTEMS
    pace: Pace = FULL
    starts: Sequence[int] = (100, 1_000, 10_000)
    saved: int = 45_000
    times: int = 5

    @property
    def reference(self) -> int:
        """The size at which peers also serve what ours shows in its view."""
        return 1_000 if 1_000 in self.sizes else max(self.sizes)


QUICK_PLAN = Plan(sizes=(100, 1_000), concurrency=(8,), pace=QUICK, starts=(100,), saved=0, times=2)


class _Run:
    def __init__(self, plan: Plan, results: Results, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._results = results
        self._say = say
        self._numbers = itertools.count(1)

    async def size(self, size: int, folder: Path, stack: AsyncExitStack) -> None:
        """Measure with one catalog."""
        tools = write(rows(size), folder / "tools.jsonl")
        wanted = [name for name in self._plan.systems if name not in SAME_VIEW and name != OURS]
        floor, *systems = await self._start((FLOOR, OURS, *wanted), tools, folder, stack)
        if size == self._plan.reference and (same := set(SAME_VIEW) & set(self._plan.systems)):
            _, shown = await result(systems[0], template("view", MODERN), self._numbers)
            view = write(_plain(shown["tools"]), folder / "view.jsonl")
            systems += await self._start(sorted(same), view, folder, stack)
        for era in self._plan.eras:
            for operation in self._plan.operations:
                sides = [side async for side in self._sides(operation, era, floor, systems, size)]
                for connections in self._plan.concurrency:
                    where = (operation, era, size, connections)
                    await self._contest(sides, where)
        for one in (floor, *systems):
            memory = memory_mib(one.process.pid)
            self._results.memory.append(MemoryLine(one.name, size, memory.rss, memory.pss))

    async def _start(
        self, names: Sequence[str], tools: Path, folder: Path, stack: AsyncExitStack
    ) -> list[System]:
        systems, notes = await start(names, tools, folder, stack, self._numbers)
        self._results.notes += notes
        return systems

    async def _sides(
        self, operation: Operation, era: Era, floor: System, systems: Sequence[System], size: int
    ) -> AsyncIterator[Side]:
        path = f"/{operation}-{era}"
        for system in systems:
            if not system.answers(operation):
                continue
            request = template(operation, era, headers=headers_of(system, era))
            try:
                answer, _ = await result(system, request, self._numbers)
            except AnswerError as error:
                self._results.notes.append(f"{system.name}, {operation}, {era}, {size} rows: {error}")
                continue
            if system.name == OURS:
                await give(floor, path, answer.body, self._numbers)
                yield _side(floor, template(operation, era, path=path))
            yield _side(system, request)

    async def _contest(self, sides: Sequence[Side], where: tuple[Operation, Era, int, int]) -> None:
        operation, era, size, connections = where
        if not sides:
            return
        measured, notes = await contest(
            sides, connections=connections, pace=self._plan.pace, numbers=self._numbers
        )
        named = f"{operation}, {era}, {size} rows, {connections} at a time"
        self._results.notes += [f"{named}: {note}" for note in notes]
        if not measured or measured[0].system != FLOOR:
            return
        floor = measured[0]
        found = [_line(one, floor, where) for one in measured]
        self._results.lines += found
        said = ", ".join(f"{line.system} {line.ratio:,.2f}" for line in found[1:])
        self._say(f"{named}: floor {floor_us(found):.0f} us; {said}")


async def measure_requests(plan: Plan, results: Results, *, say: Callable[[str], None] = print) -> None:
    """Measure all requests of a plan; what is measured is added to the results as it comes."""
    run = _Run(plan, results, say)
    for size in plan.sizes:
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            await run.size(size, folder, stack)


def floor_us(lines: Sequence[Line]) -> float:
    """Return what the floor among some lines took, in microseconds."""
    return next(line.cpu_us for line in lines if line.system == FLOOR)


def _plain(tools: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: one[name] for name in ("name", "description", "inputSchema")} for one in tools]


def _side(system: System, request: Template) -> Side:
    return Side(system.name, system.process.port, system.process.pid, request)


def _line(one: Measured, floor: Measured, where: tuple[Operation, Era, int, int]) -> Line:
    operation, era, size, connections = where
    cuts = statistics.quantiles(one.latencies_ms, n=100, method="inclusive")
    return Line(
        operation=operation,
        era=era,
        rows=size,
        concurrency=connections,
        system=one.system,
        cpu_us=round(statistics.median(one.cpu_us), 2),
        ratio=round(one.ratio(floor), 4),
        requests_s=round(statistics.median(one.requests_s), 2),
        p50_ms=round(cuts[49], 4),
        p99_ms=round(cuts[98], 4),
        bytes=one.bytes,
        requests=len(one.latencies_ms),
        rounds=len(one.cpu_us),
        client_share=round(statistics.median(one.client_share), 3),
    )
