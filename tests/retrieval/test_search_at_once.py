"""Small searches are answered on the event loop, others in threads; the answers are the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from anyio import to_thread

from scopedtools.retrieval import HashingEncoder, HybridSelector, Learning
from scopedtools.types import Ranking, Turn
from tests.retrieval.rows import ALL, COSTS, SHOP, Row

pytestmark = pytest.mark.anyio

ASKED = ("find books by title", "Find a book about Norway. Then tell me the weather in Oslo", "rain")
MANY = tuple(Row(f"{row.name}_{n}", f"{row.description} Number {n}.") for n in range(900) for row in SHOP)


async def ready(rows: Sequence[Row] = SHOP, learning: Learning | None = None) -> HybridSelector:
    selector = HybridSelector(HashingEncoder(), learning=learning)
    await selector.prepare(rows)
    return selector


@asynccontextmanager
async def no_threads() -> AsyncIterator[None]:
    """Let no work start in a worker thread meanwhile."""
    limiter = to_thread.current_default_thread_limiter()
    everything, taken = limiter.total_tokens, object()
    limiter.total_tokens = 1
    await limiter.acquire_on_behalf_of(taken)
    try:
        yield
    finally:
        limiter.release_on_behalf_of(taken)
        limiter.total_tokens = everything


async def begun(search: asyncio.Task[Ranking]) -> bool:
    """Tell whether a search whose vectors are cached needs no thread: then a few turns of the loop end it."""
    for _ in range(10):
        await asyncio.sleep(0)
    return search.done()


async def test_a_search_among_few_rows_needs_no_thread() -> None:
    selector = await ready()
    known = await selector.search(ASKED[0], within=ALL, limit=3)

    async with no_threads():
        assert await selector.search(ASKED[0], within=ALL, limit=3) == known


async def test_a_search_among_many_rows_does_not_hold_up_the_event_loop() -> None:
    selector = await ready(MANY)
    within = (1 << len(MANY)) - 1
    known = await selector.search(ASKED[0], within=within, limit=3)

    async with no_threads():
        search = asyncio.create_task(selector.search(ASKED[0], within=within, limit=3))
        assert not await begun(search)
    assert await search == known


async def test_what_is_permitted_is_first_looked_at_in_a_thread() -> None:
    selector = await ready()
    known = await selector.search(ASKED[0], within=ALL, limit=3)

    async with no_threads():
        # What requests on everything get from these rows alone is not known yet.
        search = asyncio.create_task(selector.search(ASKED[0], within=0b000111, limit=3))
        assert not await begun(search)
    found = await search
    async with no_threads():
        assert await selector.search(ASKED[0], within=0b000111, limit=3) == found
    assert found.hits[0].row == known.hits[0].row


async def test_a_search_with_what_was_learned_goes_to_a_thread() -> None:
    selector = await ready(learning=Learning())
    await selector.search("rain", within=ALL, limit=3)
    for _ in range(3):
        await selector.learn("rain", 4, by="someone")
    known = await selector.search("rain", within=ALL, limit=3)

    async with no_threads():
        search = asyncio.create_task(selector.search("rain", within=ALL, limit=3))
        assert not await begun(search)
    assert await search == known


@pytest.mark.parametrize("within", [ALL, 0b101101])
@pytest.mark.parametrize("history", [(), (Turn("cancel my order", "It is done.", (2,)),)])
async def test_answers_are_the_same_wherever_they_are_made(
    within: int, history: tuple[Turn, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answers() -> list[object]:
        selector = await ready()
        found: list[object] = []
        for text in ASKED * 2:
            found.append(await selector.search(text, within=within, limit=4, history=history))
            found.append(
                await selector.select(
                    text, within=within, limit=4, costs=COSTS, budget_tokens=350, history=history
                )
            )
        return found

    at_once = await answers()
    monkeypatch.setattr("scopedtools.retrieval.selector._AT_ONCE", 0)

    assert await answers() == at_once
