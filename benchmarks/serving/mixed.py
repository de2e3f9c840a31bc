"""How long requests of several kinds take while they come in together.

Run: python -m benchmarks.serving.mixed [--load 0.2 0.5 0.8] [--seconds 15] [--encoder minilm|hashing]
     [--cold SHARE] [--capacity RATE] [--switch-ms MS] [--frozen] [--out FOLDER]

Of 100 requests 95 are lists of one of 1,000 contexts that have their view, 4 call a tool, and one is the
first of a new context, with an intent that nobody had before: requests of the public set MetaTool and, if
more are needed, of Seal-Tools; made-up ones where the sets are not there. The catalog has 1,000 rows.

First all are asked as fast as answers come: the capacity. Then they come at random moments (exponential gaps)
at shares of it, whatever is still under way. A request is timed from its moment, so one that has to wait
because others are slow is as late as its user finds it. "Late" is how late this client itself was.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import os
import random
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from benchmarks.machine import Machine, machine
from benchmarks.selection.sample import SampleError, take_sample
from benchmarks.serving.arrivals import Arrival, Client, Served, connected, precise_loop
from benchmarks.serving.load import AnswerError
from benchmarks.serving.load import connected as asking
from benchmarks.serving.processes import core_wait_s, cpu_s, served
from benchmarks.serving.rows import rows, write
from benchmarks.serving.warm_list import NOUNS, VERBS
from benchmarks.serving.wire import MODERN, template

OUT: Final = Path(__file__).parent / "results"
ROWS: Final = 1_000
CONTEXTS: Final = 1_000
CONNECTIONS: Final = 64
CALLS: Final = 0.04
CAPACITY_S: Final = 5
CUTS: Final = (50, 90, 99, 99.9)


class Line(msgspec.Struct):
    """Requests of one kind at one rate.

    Attributes:
        load: Share of the capacity.
        rate: Requests a second of all kinds.
        kind: Of the request.
        requests: How many.
        latency_ms: Of which 50, 90, 99 and 99.9 of 100 took less.
        late_ms: By how much the client was late itself, 99 of 100 less.
        cpu: CPU seconds of the server a second.
        core_wait_us: For which the thread that answers had no core, for a request of whatever kind.
    """

    load: float
    rate: float
    kind: str
    requests: int
    latency_ms: list[float]
    late_ms: float
    cpu: float
    core_wait_us: float


class Results(msgspec.Struct):
    """What was measured, and on what; ``capacity`` is in requests a second."""

    machine: Machine
    capacity: float
    lines: list[Line]


class Mix(NamedTuple):
    """Which requests come.

    Attributes:
        cold: Share of first requests of contexts.
        intents: Not used before.
        chance: Decides.
        numbers: Of requests.
    """

    cold: float
    intents: Iterator[str]
    chance: random.Random
    numbers: Iterator[int]

    def arrivals(self, rate: float, seconds: float) -> list[Arrival]:
        """Make requests at random moments, so many a second."""
        moments = itertools.accumulate(self.chance.expovariate(rate) for _ in itertools.count())
        return [self._one(at_s) for at_s in itertools.takewhile(lambda at_s: at_s < seconds, moments)]

    def at_once(self, count: int) -> list[Arrival]:
        """Make requests that all come at the beginning."""
        return [self._one(0.0) for _ in range(count)]

    def _one(self, at_s: float) -> Arrival:
        drawn = self.chance.random()
        if drawn < self.cold:
            request = template("first", MODERN, intent=next(self.intents))
            return Arrival(at_s, "first", request.numbered(next(self.numbers)))
        if drawn < self.cold + CALLS:
            return Arrival(at_s, "call", template("call", MODERN).numbered(next(self.numbers)))
        return Arrival(at_s, "list", template("first", MODERN).numbered(self.chance.randrange(CONTEXTS)))


def intents() -> Iterator[str]:
    """Yield requests of people, each once."""
    try:
        for name in ("metatool", "seal-tools"):
            yield from dict.fromkeys(one.text for one in take_sample(name, 0).requests)
    except SampleError as error:
        print(f"made-up intents: {error}")
    for number in itertools.count():
        yield f"{VERBS[number % 10]} the {NOUNS[number // 10 % 10]} of batch {number}, then split the tokens"


async def measure(given: argparse.Namespace, about: Machine) -> Results:
    """Start the server, find its capacity, and ask at shares of it."""
    with tempfile.TemporaryDirectory() as created:
        tools = write(rows(ROWS), Path(created) / "tools.jsonl")
        command = [sys.executable, "-m", "benchmarks.serving.tuned", "--encoder", given.encoder]
        command += [] if given.switch_ms is None else ["--switch-ms", str(given.switch_ms)]
        async with served([*command, str(tools)], Path(created) / "log") as process:
            mix = Mix(given.cold, intents(), random.Random(1), itertools.count(CONTEXTS))  # noqa: S311
            await _warm_up(process.port, mix)
            if given.frozen:
                os.kill(process.pid, signal.SIGUSR1)
            async with connected(process.port, CONNECTIONS) as client:
                results = Results(about, given.capacity or round(await _capacity(client, mix)), [])
                print(f"capacity: {results.capacity:,.0f} requests a second", flush=True)
                for load in given.load:
                    arrivals = mix.arrivals(load * results.capacity, given.seconds)
                    before = cpu_s(process.pid), core_wait_s(process.pid)
                    took = await client.run(arrivals)
                    cpu = (cpu_s(process.pid) - before[0]) / given.seconds
                    waited_us = (core_wait_s(process.pid) - before[1]) / len(took) * 1e6
                    results.lines += _lines(took, load, results.capacity, (cpu, waited_us))
                    print(table(results.lines[-3:]), flush=True)
    return results


async def _warm_up(port: int, mix: Mix) -> None:
    """Begin the contexts that are listed later, and see that every request gets a good answer."""
    async with asking(port, iter(range(CONTEXTS)), CONNECTIONS) as client:
        await client.run(template("first", MODERN), CONTEXTS)
    async with asking(port, mix.numbers) as client:
        for request in (template("call", MODERN), template("first", MODERN, intent=next(mix.intents))):
            answer = await client.ask(request)
            if answer.status != 200 or b'"error"' in answer.body or b'"isError":true' in answer.body:
                raise AnswerError(f"{answer.status} {answer.body[:300]!r}")


async def _capacity(client: Client, mix: Mix) -> float:
    rate = 500.0
    for seconds in (1, CAPACITY_S):
        arrivals = mix.at_once(int(rate * seconds))
        start = asyncio.get_running_loop().time()
        await client.run(arrivals)
        rate = len(arrivals) / (asyncio.get_running_loop().time() - start)
    return rate


def _lines(
    took: Sequence[Served], load: float, capacity: float, server: tuple[float, float]
) -> Iterator[Line]:
    for kind in ("list", "call", "first"):
        some = [one for one in took if one.kind == kind]
        if not some:
            continue
        latencies = [one.latency_ms for one in some]
        yield Line(
            load=load,
            rate=round(load * capacity),
            kind=kind,
            requests=len(some),
            latency_ms=[round(cut(latencies, percent), 2) for percent in CUTS],
            late_ms=round(cut([one.late_ms for one in some], 99), 2),
            cpu=round(server[0], 2),
            core_wait_us=round(server[1], 1),
        )


def cut(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent are not above."""
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def table(lines: Sequence[Line]) -> str:
    """Return lines as a Markdown table."""
    heads = "load|requests/s|kind|requests|p50 ms|p90|p99|p99.9|late p99|server CPU|no core us"
    return "\n".join(
        [f"|{heads}|", "|---:|---:|---|" + "---:|" * 8]
        + [
            f"| {one.load:.0%} | {one.rate:,.0f} | {one.kind} | {one.requests:,} | "
            f"{' | '.join(f'{value:.2f}' for value in one.latency_ms)} | {one.late_ms:.2f} | {one.cpu:.2f} "
            f"| {one.core_wait_us:.0f} |"
            for one in lines
        ]
    )


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--load", nargs="+", type=float, default=(0.2, 0.5, 0.8), help="of the capacity")
    parser.add_argument("--seconds", type=float, default=15, help="for each load")
    parser.add_argument("--capacity", type=float, help="requests a second, where it is known")
    parser.add_argument("--encoder", choices=("minilm", "hashing"), default="minilm")
    parser.add_argument("--cold", type=float, default=0.01, help="share of first requests")
    parser.add_argument("--switch-ms", type=float, help="sys.setswitchinterval of the server")
    parser.add_argument("--frozen", action="store_true", help="gc.freeze in the server once it is warm")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    about = machine("benchmarks.serving.mixed", sys.argv[1:])
    gc.freeze()
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        results = runner.run(measure(given, about))
    given.out.mkdir(parents=True, exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(results), indent=1)
    (given.out / "mixed.json").write_bytes(encoded + b"\n")
    report = f"capacity: {results.capacity:,.0f} requests a second\n\n{table(results.lines)}\n"
    (given.out / "mixed.md").write_text(report, encoding="utf-8")
    print(f"\n{report}")


if __name__ == "__main__":
    main()
