"""A server of sixty tools, and a selector whose choices can be told by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from scopedtools import ScopedServer, tool, tools_from
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.protocol import meta
from scopedtools.testing import Client
from scopedtools.types import Describable, Hit, Ranking, Rows, Selector, Turn

NOUNS: Final = (
    *("invoice", "payment", "refund", "flight", "hotel", "visa"),
    *("message", "newsletter", "mailbox", "folder", "document", "archive"),
)
VERBS: Final = ("create", "find", "update", "cancel", "export")
PIN: Final = "help"


def of(noun: str) -> list[str]:
    """Return the names of the tools for a noun."""
    return [f"{verb}_{noun}" for verb in VERBS]


class Asked(NamedTuple):
    """What the selector was asked to rank, and what it was told of the time before."""

    text: str
    history: tuple[Turn, ...]


class Words:
    """Ranks rows by the words that they share with a text, and among equals those like the called ones.

    Remembers what it was asked; waits at the gate; fails as long as it is told to.
    """

    def __init__(self) -> None:
        self.searched: list[Asked] = []
        self.selected: list[Asked] = []
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.failing = False
        self._words: list[set[str]] = []

    async def prepare(self, rows: Sequence[Describable]) -> None:
        self._words = [set(row.name.split("_")) for row in rows]

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        self.searched.append(Asked(text, tuple(history)))
        hits = await self._hits(text, within, history)
        return Ranking(tuple(hits[:limit]), fits=bool(hits))

    async def select(
        self,
        intent: str,
        *,
        within: Rows,
        limit: int,
        costs: Sequence[int],
        budget_tokens: int,
        history: Sequence[Turn] = (),
    ) -> tuple[Hit, ...]:
        self.selected.append(Asked(intent, tuple(history)))
        chosen: list[Hit] = []
        for hit in await self._hits(intent, within, history):
            if (
                len(chosen) < limit
                and costs[hit.row] + sum(costs[one.row] for one in chosen) <= budget_tokens
            ):
                chosen.append(hit)
        return tuple(chosen)

    async def _hits(self, text: str, within: Rows, history: Iterable[Turn]) -> list[Hit]:
        self.arrived.set()
        await self.gate.wait()
        if self.failing:
            raise RuntimeError("no selection today")
        said = set(text.split())
        liked: set[str] = set()
        for turn in history:
            liked = liked.union(*(self._words[row] for row in turn.called))
        hits = []
        for row, words in enumerate(self._words):
            score = (len(words & said) + len(words & liked) / 10) / max(1, len(said))
            if within >> row & 1 and words & said:
                hits.append(Hit(row, min(score, 1.0), vector=0.0, lexical=score, clause=text))
        return sorted(hits, key=lambda hit: (-hit.lexical, hit.row))


def doing(name: str) -> Callable[[str], str]:
    def run(what: str) -> str:
        return f"{name}: {what}"

    run.__name__ = name
    run.__doc__ = f"Do {name}."
    return run


class Office(ScopedServer):
    """Twelve nouns, five verbs, and a tool that is always shown."""

    def __init__(self, selector: Selector | None = None, **options: Any) -> None:
        super().__init__(selector=selector or Words(), **options)

    work = tools_from([doing(name) for noun in NOUNS for name in of(noun)])

    @tool(pinned=True)
    def help(self, what: str) -> str:
        """Help."""
        if what == "fail":
            raise RuntimeError(what)
        return what


def growing(office: ScopedServer, context: str = "a", *, growth: bool = True, **more: Any) -> Client:
    """Make a client that follows a list that grows, unless told otherwise."""
    return Client(office, context=context, growth=growth, **more)


async def listed(client: Client, intent: str | None = None, reply: str | None = None) -> list[str]:
    """Return the names that are listed, without those that every narrowed list begins with."""
    said = {meta.INTENT: intent, meta.REPLY: reply}
    page = await client.request(
        "tools/list", meta={key: value for key, value in said.items() if value is not None}
    )
    names = [row["name"] for row in page["tools"]]
    assert names[:3] == [*SEARCH_TOOLS, PIN]
    assert len(set(names)) == len(names)
    return names[3:]


async def search(client: Client, query: str, limit: int = 5) -> list[str]:
    """Search for tools; return the names of those found."""
    result = await client.call_tool("search_tools", query=query, limit=limit)
    assert not result.get("isError")
    return [row["name"] for row in result.get("structuredContent", {"tools": []})["tools"]]
