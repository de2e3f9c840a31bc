"""Runs a selector and the view policy on requests with known answers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.view import View
from scopedtools.context.policy import ViewPolicy
from scopedtools.context.settings import ViewSettings
from scopedtools.context.store import MemoryStore
from scopedtools.evaluation.data import Ask, Query
from scopedtools.types import Ranking, Selector, Turn


class Outcome(NamedTuple):
    """What was found for a request or for a turn of a dialogue, and what its context was shown.

    Attributes:
        query: What the line is of.
        turn: Which turn, from 0; 0 for a single request.
        ranked: Names of the rows found, best first. Kept where the selector abstained: a server offers
            nothing then, but how well it ranks and when it abstains are measured apart.
        view: Names of the rows that the context is shown at this turn, as listed.
        before: What it was shown at the turn before, or ``None`` at the first.
        abstained: Whether the selector judged that nothing fits.
        ms: Milliseconds that the search took beside the encoder.
        wall_ms: Milliseconds that the search took with the encoder, as a user waits for it.
    """

    query: Query
    turn: int
    ranked: tuple[str, ...]
    view: tuple[str, ...]
    before: tuple[str, ...] | None
    abstained: bool
    ms: float
    wall_ms: float

    @property
    def id(self) -> str:
        """ID of the request or dialogue."""
        return self.query.id

    @property
    def ask(self) -> Ask:
        """What was asked, and what it needs."""
        return self.query.asks[self.turn]


class _Parts(NamedTuple):
    """What answers."""

    catalog: Catalog
    selector: Selector
    policy: ViewPolicy
    k: int


async def run(
    catalog: Catalog, queries: Iterable[Query], *, selector: Selector, settings: ViewSettings, k: int = 20
) -> AsyncIterator[Outcome]:
    """Run requests and dialogues one after the other; one outcome a request or turn, in order.

    A turn sees the words, replies and calls of the turns before it, and nothing of its own answer.

    Args:
        catalog: The rows, all permitted; without the search tools that a server would add.
        queries: What to run.
        selector: Ready: ``prepare(catalog.rows)`` has been awaited.
        settings: Sizes of views.
        k: Rows to rank.
    """
    parts = _Parts(catalog, selector, view_policy(catalog, selector, settings), k)
    for query in queries:
        async for outcome in _followed(parts, query):
            yield outcome


def view_policy(catalog: Catalog, selector: Selector, settings: ViewSettings) -> ViewPolicy:
    """Return the policy of a server without its search tools.

    Args:
        catalog: The rows.
        selector: Ready: ``prepare(catalog.rows)`` has been awaited.
        settings: Sizes of views.
    """

    async def ready() -> Selector:
        return selector

    nothing = View(catalog, 0)
    return ViewPolicy(catalog, search=nothing, store=MemoryStore(), selector=ready, settings=settings)


async def _followed(parts: _Parts, query: Query) -> AsyncIterator[Outcome]:
    history: tuple[Turn, ...] = ()
    shown: View | None = None
    for turn, ask in enumerate(query.asks):
        ranking, ms, wall_ms = await _timed(parts, ask.text, history)
        view = await _shown(parts, ask.text, shown, history, dialogue=query.dialogue)
        yield Outcome(
            query=query,
            turn=turn,
            ranked=_names(parts.catalog, [hit.row for hit in ranking.hits]),
            view=_names(parts.catalog, view.order),
            before=None if shown is None else _names(parts.catalog, shown.order),
            abstained=not ranking.fits,
            ms=ms,
            wall_ms=wall_ms,
        )
        shown = view
        history = (*history, Turn(ask.text, ask.reply, _ordinals(parts.catalog, ask.called)))


async def _shown(
    parts: _Parts, text: str, shown: View | None, history: Sequence[Turn], *, dialogue: bool
) -> View:
    """Return what a context is shown: seeded where it is shown nothing yet, and grown from then on.

    A dialogue is the context of a client that negotiated growth, a single request of one that asks once.
    """
    everything = parts.catalog.all
    if shown is not None:
        return await parts.policy.grow(everything, shown, text, history)
    view, _ = await parts.policy.choose(everything, text, grows=dialogue)
    return view


async def _timed(parts: _Parts, text: str, history: Sequence[Turn]) -> tuple[Ranking, float, float]:
    """Search twice, and return the milliseconds of the second time, then of the first.

    The selector keeps the vectors of a request, so that the second time is what it takes beside the encoder.
    """
    _, wall_ms = await _search(parts, text, history)
    ranking, ms = await _search(parts, text, history)
    return ranking, ms, wall_ms


async def _search(parts: _Parts, text: str, history: Sequence[Turn]) -> tuple[Ranking, float]:
    start = time.perf_counter()
    ranking = await parts.selector.search(text, within=parts.catalog.all.bits, limit=parts.k, history=history)
    return ranking, (time.perf_counter() - start) * 1000


def _names(catalog: Catalog, rows: Iterable[int]) -> tuple[str, ...]:
    return tuple(catalog.rows[row].name for row in rows)


def _ordinals(catalog: Catalog, names: Iterable[str]) -> tuple[int, ...]:
    # What was called may be of a larger catalog than the one that is evaluated.
    found = (catalog.find("tool", name) for name in names)
    return tuple(row for row in found if row is not None)
