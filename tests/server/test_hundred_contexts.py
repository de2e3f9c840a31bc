"""A hundred units of work of one user at the same time: each is what it would be if it were alone."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec
import pytest
from anyio.lowlevel import checkpoint

from scopedtools import Context, tool
from scopedtools.context.local import ContextLocal
from scopedtools.protocol import meta
from scopedtools.retrieval import HybridSelector
from scopedtools.testing import HashingEncoder
from tests.context.office import NOUNS, VERBS, Office
from tests.wire.exchange import ENVELOPE, Answer, modern

pytestmark = pytest.mark.anyio

CONTEXTS: Final = 100
TURNS: Final = 20
FORKS: Final = 20
"""Contexts that are forks; each is of the context before it."""


class Desk(Office):
    """Fills in one form for each unit of work."""

    def __init__(self) -> None:
        super().__init__(HybridSelector(HashingEncoder()))
        self.opened: Counter[str] = Counter()
        self.forms = ContextLocal(self.open_form)

    @asynccontextmanager
    async def open_form(self, ctx: Context) -> AsyncIterator[dict[str, str]]:
        self.opened[ctx.id or ""] += 1
        await checkpoint()
        yield {}

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with self.forms:
            yield

    @tool
    async def fill(self, field: str, value: str, ctx: Context) -> int:
        """Fill in a field of the form; tells how many are filled in."""
        async with self.forms.use(ctx) as form:
            form[field] = value
            return len(form)


class Unit(NamedTuple):
    """One unit of work: a client, and what it does, which its number alone decides."""

    number: int
    parent: int | None = None

    @property
    def grows(self) -> bool:
        return (self.number if self.parent is None else self.number // 2) % 2 == 0

    @property
    def settings(self) -> dict[str, Any]:
        parent = {} if self.parent is None else {"parent": f"unit-{self.parent}"}
        return {"contextId": f"unit-{self.number}", "growth": self.grows, **parent}


def said(dice: random.Random) -> str:
    return f"{dice.choice(VERBS)} the {dice.choice(NOUNS)} and {dice.choice(VERBS)} the {dice.choice(NOUNS)}"


class Work:
    """Does the work of one unit, turn by turn; remembers each list, byte by byte."""

    def __init__(self, desk: Desk, unit: Unit) -> None:
        self.desk = desk
        self.unit = unit
        self.lists: list[bytes] = []
        self._dice = random.Random(unit.number)  # noqa: S311 - the same each time

    async def begin(self) -> None:
        """Make the first calls side by side."""
        intent = said(self._dice)
        calls = [self._call("fill", field=f"field {number}", value="x") for number in range(4)]
        if (
            self.unit.grows
        ):  # calls count for what comes next, so that their place among the lists must be fixed
            await asyncio.gather(*calls)
            calls = []
        answers = await asyncio.gather(*(self._list(intent) for _ in range(4)), *calls)
        lists = {answer.body for answer in answers[:4]}
        assert len(lists) == 1
        self.lists += lists

    async def turn(self) -> None:
        """Say, search or call something; then list twice."""
        what = self._dice.choice(["say", "search", "call", "fill", "look"])
        text = said(self._dice)
        name = f"{self._dice.choice(VERBS)}_{self._dice.choice(NOUNS)}"
        if what == "say":
            await self._list(text)
        elif what == "search":
            await self._call("search_tools", query=text)
        elif what == "call":
            await self._call(name, what="x")
        elif what == "fill":
            await self._call("fill", field=text, value="x")
        first, second = await asyncio.gather(self._list(), self._list())
        assert first.body == second.body
        self.lists.append(first.body)

    async def _list(self, intent: str | None = None) -> Answer:
        return await self._ask("tools/list", {} if intent is None else {meta.INTENT: intent})

    async def _call(self, name: str, **arguments: Any) -> Answer:
        answer = await self._ask("tools/call", {}, name=name, arguments=arguments)
        assert not answer.result.get("isError")
        return answer

    async def _ask(self, method: str, told: dict[str, Any], **params: Any) -> Answer:
        can = {meta.CLIENT_CAPABILITIES: {"extensions": {meta.EXTENSION: self.unit.settings}}}
        answer = await modern(self.desk, method, {**params, "_meta": {**ENVELOPE, **can, **told}})
        assert answer.status == 200
        return answer


async def family(desk: Desk, units: Iterable[Unit]) -> list[Work]:
    """Do the work of a unit and of its forks, turn by turn; forks begin in the middle of their parent's."""
    first, *forks = (Work(desk, unit) for unit in units)
    await first.begin()
    working = [first]
    for turn in range(TURNS + TURNS // 2):
        if turn == TURNS // 2:
            for fork in forks:
                await fork.begin()
                working.append(fork)
        for work in working:
            if len(work.lists) <= TURNS:
                await work.turn()
    return working


def families() -> list[list[Unit]]:
    alone = [[Unit(number)] for number in range(CONTEXTS - 2 * FORKS)]
    forked = [
        [Unit(number), Unit(number + FORKS, parent=number)]
        for number in range(CONTEXTS - 2 * FORKS, CONTEXTS - FORKS)
    ]
    return alone + forked


def names(body: bytes) -> list[str]:
    return [row["name"] for row in msgspec.json.decode(body)["result"]["tools"]]


async def test_a_hundred_contexts_side_by_side_are_each_what_they_are_alone() -> None:
    together = Desk()
    async with together:
        done = await asyncio.gather(*(family(together, units) for units in families()))
    works = [work for members in done for work in members]
    assert len({work.unit.number for work in works}) == len(works) == CONTEXTS

    grown = 0
    for work in works:
        assert len(work.lists) == TURNS + 1
        shown = [names(body) for body in work.lists]
        for before, after in pairwise(shown):
            assert after[: len(before)] == before
        grown += shown[0] != shown[-1]
        assert work.unit.grows or len(set(work.lists)) == 1
    assert grown > CONTEXTS / 3

    by_number = {work.unit.number: work for work in works}
    for work in works:
        if work.unit.parent is not None:
            theirs = [names(body) for body in by_number[work.unit.parent].lists]
            assert any(names(work.lists[0])[: len(one)] == one for one in theirs)

    assert together.opened == Counter({f"unit-{work.unit.number}": 1 for work in works})

    for units, members in zip(families(), done, strict=True):
        async with AsyncExitStack() as stack:
            alone = Desk()
            await stack.enter_async_context(alone)
            for single, work in zip(await family(alone, units), members, strict=True):
                assert single.lists == work.lists
