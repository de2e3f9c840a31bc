"""How much of the tool list a provider's prompt cache keeps, over long units of work.

Run: python -m benchmarks.context.prompt_cache [--set sgd-dev+toucan] [--contexts 100] [--turns 20]

Each context is one user's work of 20 turns: dialogues of a public set, one after the other, whose words are
the intents. Every fifth turn searches as well, as a model does that misses a tool. Lists come from a real
server, over ASGI. Before each turn the host sends its model the tools that it was listed last.

The model of the cache: providers keep the prompt up to the first byte that differs from an earlier one, and
tools stand first in it. So of a list as many tools are cached as it has in common, from its beginning, with
any earlier list of the same context. A list that loses a tool, or moves one, also loses everything behind it,
the conversation too: "prefix broken" counts such turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.selection.sample import data_folder
from benchmarks.selection.sets import SPECS, load
from benchmarks.selection.vectors import CachingEncoder
from scopedtools import Catalog, ScopedServer, ViewSettings
from scopedtools.evaluation.data import Ask, Query
from scopedtools.protocol.meta import INTENT
from scopedtools.protocol.revisions import LATEST
from scopedtools.retrieval import HybridSelector
from scopedtools.retrieval.encoders import default_encoder
from scopedtools.testing import Client
from scopedtools.types import Selector

HERE: Final = Path(__file__).parent
SEARCH_EVERY: Final = 5
READ_PRICE, WRITE_PRICE = 0.1, 1.25
"""Of a cached and of a newly cached token, in uncached ones: what Anthropic asked for in 2025."""

Tools = Sequence[bytes]
"""A list: the definition of each tool, encoded."""

Lists = AsyncIterator[Tools]
System = Callable[[ScopedServer, str, Sequence[Ask]], Lists]


class Row(NamedTuple):
    """What one system showed, over all turns but the first of each context.

    Attributes:
        system: Its name.
        rows: Mean tools in a list.
        tokens: Mean tokens of a list, estimated at four bytes each.
        cached: Share of these tokens that were cached.
        new: Mean tokens of a list that were not.
        broken: Share of turns at which a list did not begin with the one before it.
        complete: Share of turns, the first too, whose list had every tool that the turn needs.
        cost: Price of the lists, as a multiple of what the full list costs.
    """

    system: str
    rows: float
    tokens: float
    cached: float
    new: float
    broken: float
    complete: float
    cost: float


async def full(server: ScopedServer, context: str, asks: Sequence[Ask]) -> Lists:  # noqa: ARG001 - as others
    """List everything, each turn."""
    async with Client(server) as client:
        tools = encoded(await client.list_tools())
    for _ in asks:
        yield tools


async def ranked(server: ScopedServer, context: str, asks: Sequence[Ask]) -> Lists:  # noqa: ARG001 - as others
    """List the best 16 tools for the turn's words, best first: retrieval without contexts."""
    rows = server.catalog.encoded(LATEST)
    for ask in asks:
        ranking = await server.rank(ask.text, limit=16)
        yield [rows[hit.row] for hit in ranking.hits]


async def chosen(server: ScopedServer, context: str, asks: Sequence[Ask]) -> Lists:
    """List a view for the turn's words in catalog order, as a server that forgets the context would."""
    for turn, ask in enumerate(asks):
        async with Client(server, context=f"{context}-{turn}", intent=ask.text) as client:
            yield encoded(await client.list_tools())


async def viewed(server: ScopedServer, context: str, asks: Sequence[Ask], *, growth: bool = False) -> Lists:
    """List the view of the context."""
    async with Client(server, context=context, growth=growth) as client:
        for turn, ask in enumerate(asks):
            said = {INTENT: ask.text}
            yield encoded((await client.request("tools/list", meta=said))["tools"])
            if turn % SEARCH_EVERY == SEARCH_EVERY - 1:
                await client.request(
                    "tools/call", name="search_tools", arguments={"query": ask.text[:400]}, meta=said
                )


async def grown(server: ScopedServer, context: str, asks: Sequence[Ask]) -> Lists:
    """List the view of a context that grows."""
    async for tools in viewed(server, context, asks, growth=True):
        yield tools


SYSTEMS: Final[dict[str, System]] = {
    "full list": full,
    "ranked anew each turn": ranked,
    "chosen anew each turn": chosen,
    "view of the context": viewed,
    "view that grows": grown,
}


def encoded(tools: Sequence[Any]) -> list[bytes]:
    """Return each tool as JSON."""
    return [msgspec.json.encode(tool) for tool in tools]


def workflows(queries: Sequence[Query], *, contexts: int, turns: int) -> Iterator[tuple[Ask, ...]]:
    """Chain dialogues into units of work of a given length; the set is gone through as often as it takes."""
    asks = [ask for query in queries for ask in query.asks]
    for context in range(contexts):
        start = context * turns
        yield tuple(asks[(start + turn) % len(asks)] for turn in range(turns))


def common(one: Tools, other: Tools) -> int:
    """Return how many tools two lists have in common from their beginning."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


class Tally:
    """Adds up what a system showed.

    Attributes:
        new_per_list: For each list but the first of a context, tokens that were not cached.
    """

    def __init__(self) -> None:
        self.lists = self.first = self.rows = self.broken = self.complete = 0
        self.tokens = self.cached = self.written = 0.0
        self.new_per_list: list[float] = []

    def add(self, earlier: Sequence[Tools], tools: Tools, ask: Ask) -> None:
        """Count the list of a turn, after those of the turns before it."""
        names = {json.loads(tool)["name"] for tool in tools}
        self.complete += all(any(name in names for name in slot) for slot in ask.needed)
        kept = max((common(tools, one) for one in earlier), default=0)
        sizes = [len(tool) / 4 for tool in tools]
        self.written += sum(sizes[kept:])
        if not earlier:
            self.first += 1
            return
        self.lists += 1
        self.rows += len(tools)
        self.tokens += sum(sizes)
        self.cached += sum(sizes[:kept])
        self.new_per_list.append(sum(sizes[kept:]))
        self.broken += common(tools, earlier[-1]) < len(earlier[-1])

    @property
    def price(self) -> float:
        """What the lists cost, in uncached tokens."""
        return self.written * WRITE_PRICE + self.cached * READ_PRICE

    def row(self, system: str, full_price: float) -> Row:
        """Return means and shares."""
        n = self.lists
        return Row(
            system=system,
            rows=self.rows / n,
            tokens=self.tokens / n,
            cached=self.cached / self.tokens,
            new=sum(self.new_per_list) / n,
            broken=self.broken / n,
            complete=self.complete / (n + self.first),
            cost=self.price / full_price,
        )


async def tally(system: System, server: ScopedServer, works: Sequence[Sequence[Ask]]) -> Tally:
    """Run all units of work on one system."""
    counted = Tally()
    for number, asks in enumerate(works):
        earlier: list[Tools] = []
        turns = iter(asks)
        async for tools in system(server, f"context-{number}", asks):
            counted.add(earlier, tools, next(turns))
            earlier.append(tools)
    return counted


async def measure(
    catalog: Catalog, queries: Sequence[Query], *, contexts: int, turns: int, selector: Selector
) -> list[Row]:
    """Run every system over the same turns, each on a server of its own.

    Raises:
        ValueError: There are fewer than two turns, so that nothing could have been cached.
    """
    if turns < 2:
        raise ValueError(f"turns must be >= 2, got {turns}")
    works = list(workflows(queries, contexts=contexts, turns=turns))
    tallies: dict[str, Tally] = {}
    for name, system in SYSTEMS.items():
        server = ScopedServer(catalog=catalog, selector=selector, views=ViewSettings(page_rows=len(catalog)))
        async with server:
            tallies[name] = await tally(system, server, works)
        print(f"{name}: done", flush=True)
    full_price = tallies["full list"].price
    return [counted.row(name, full_price) for name, counted in tallies.items()]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    heads = "| list | tools | tokens | cached | new tokens a turn | prefix broken | complete | cost |"
    lines = [heads, "|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {row.system} | {row.rows:.1f} | {row.tokens:,.0f} | {row.cached:.1%} | {row.new:,.0f} "
        f"| {row.broken:.1%} | {row.complete:.1%} | {row.cost:.4f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and write it with its figures."""
    parser = argparse.ArgumentParser(description="What a provider's prompt cache keeps of tool lists.")
    parser.add_argument("--set", default="sgd-dev+toucan", choices=[n for n in SPECS if SPECS[n].dialogue])
    parser.add_argument("--contexts", type=int, default=100)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    bench = load(SPECS[options.set], data_folder(), 0)
    rows = asyncio.run(
        measure(
            bench.catalog,
            bench.queries,
            contexts=options.contexts,
            turns=options.turns,
            selector=HybridSelector(CachingEncoder(default_encoder())),
        )
    )
    report = (
        f"{options.set}, {len(bench.catalog)} tools, {options.contexts} contexts of {options.turns} turns, "
        f"a search every {SEARCH_EVERY} turns\n\n{table(rows)}\n"
    )
    print(f"\n{report}")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "prompt_cache.md").write_text(report)
    (options.out / "prompt_cache.json").write_text(json.dumps([row._asdict() for row in rows], indent=1))


if __name__ == "__main__":
    main()
