"""What a context is shown: pins, then what its intent needs, chosen once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import KINDS, Kind
from scopedtools.catalog.view import View, bits_of
from scopedtools.context.context import Context
from scopedtools.context.growth import STEP_ROWS, additions, called, is_new, said, seed_rows
from scopedtools.context.settings import ViewSettings
from scopedtools.types import ContextRecord, ContextStore, Hit, Selector, Turn

_log: Final = logging.getLogger(__name__)

_SCORES: Final = ("score", "vector", "lexical", "clause")

Intent = Callable[[Context], Awaitable[str | None]]


class ViewPolicy:
    """Seeds the view of a context once, remembers it, and lets it grow where that is asked for.

    Args:
        catalog: What there is.
        search: The search tools, listed first in narrowed lists.
        store: Keeps what contexts were shown.
        selector: Ranks rows for an intent, once it is ready.
        settings: Sizes and rules.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        search: View,
        store: ContextStore,
        selector: Callable[[], Awaitable[Selector]],
        settings: ViewSettings,
    ) -> None:
        self._catalog = catalog
        self._search = search
        self._store = store
        self._selector = selector
        self._settings = settings
        self._seeding: dict[bytes, asyncio.Future[ContextRecord | None]] = {}
        self._changing: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    def narrows(self, permitted: View, kind: Kind) -> bool:
        """Tell whether a kind has too many rows to be listed whole."""
        return len(permitted.of(kind)) > self._settings.whole_rows

    async def listed(self, ctx: Context, permitted: View, intent: Intent) -> View:
        """Return what a context is shown, as far as it is permitted when it is listed.

        Args:
            ctx: The context.
            permitted: The rows that it may use.
            intent: Tells what it is about; asked once, and only while there is no view or the view grows.
        """
        if not any(self.narrows(permitted, kind) for kind in KINDS):
            return permitted
        if ctx.key is None:
            return permitted if self._settings.without_context == "full" else self._default(permitted)
        key = self._key(ctx.key)
        record = await self._recall(key)
        if record is None or self.grows(ctx):
            record = await self._heard(ctx, key, record, permitted, intent)
        if record is None:
            return self._default(permitted)
        kept = View(self._catalog, order=record.rows)
        shown = self._search_first(permitted).then(kept)
        # What was permitted or became few of its kind only later: nothing else leads to such rows.
        late = self._whole(permitted) - kept
        return shown.then(late) if late else shown

    def grows(self, ctx: Context) -> bool:
        """Tell whether the view of a context grows."""
        return ctx.key is not None and (
            self._settings.growth == "always" or (self._settings.growth == "negotiated" and ctx.grows)
        )

    async def choose(
        self, permitted: View, intent: str, *, grows: bool = False
    ) -> tuple[View, dict[int, Hit]]:
        """Choose rows for an intent: a pure function of catalog, permission, settings and arguments.

        Args:
            permitted: The rows that the context may use.
            intent: What it is about.
            grows: Whether to leave room for what comes later.

        Returns:
            Pins, then small kinds and chosen rows in catalog order; and the hit behind each chosen row.
        """
        hits = {
            hit.row: hit for kind in KINDS for hit in await self._hits(permitted, kind, intent, grows=grows)
        }
        chosen = View(self._catalog, bits_of(hits))
        return self._pins(permitted).then(self._whole(permitted) | chosen), hits

    async def grow(self, permitted: View, shown: View, text: str, history: Sequence[Turn]) -> View:
        """Return what a context is shown after something new was said: what it was, and new rows behind it.

        Args:
            permitted: The rows that the context may use.
            shown: What it is shown.
            text: What was said.
            history: What came before, oldest first.
        """
        for kind in KINDS:
            if self.narrows(permitted, kind) and len(shown.of(kind)) < self._settings.rows[kind]:
                selector = await self._selector()
                ranking = await selector.search(
                    text, within=permitted.of(kind).bits, limit=STEP_ROWS, history=history
                )
                shown = self._with_hits(shown, kind, ranking.hits)
        return shown

    async def history(self, ctx: Context) -> tuple[Turn, ...]:
        """Return what was said and called so far, oldest first; nothing where the view does not grow."""
        record = await self._recall(self._key(ctx.key)) if ctx.key is not None and self.grows(ctx) else None
        return record.turns if record is not None else ()

    async def searched(self, ctx: Context, query: str, hits: Sequence[Hit]) -> None:
        """Let the view of a context grow by what a search for tools found."""

        def grown(record: ContextRecord) -> ContextRecord:
            shown = View(self._catalog, order=record.rows)
            rows = self._with_hits(shown, "tool", hits).order
            return record._replace(rows=rows, turns=said(record.turns, query))

        await self._change(ctx, grown)

    async def called(self, ctx: Context, row: int) -> None:
        """Remember that a row was called, where that helps to choose what comes next."""
        if row not in self._search:
            await self._change(ctx, lambda record: called(record, row))

    async def explain(self, permitted: View, shown: View, intent: str | None) -> list[dict[str, Any]]:
        """Say why each row is in a list.

        Args:
            permitted: The rows that the context may use.
            shown: The list.
            intent: What the context is about now; rows that it does not account for came from an earlier one.

        Returns:
            ``{"name", "reason"}`` a row; chosen rows also have ``score``, ``vector``, ``lexical`` and
            ``clause``, as in `Hit`.
        """
        chosen = None if intent is None else await self._try_choose(permitted, intent)
        hits = {} if chosen is None else chosen[1]
        return [self._reason(row, permitted, hits) for row in shown.order]

    def _reason(self, row: int, permitted: View, hits: Mapping[int, Hit]) -> dict[str, Any]:
        primitive = self._catalog.rows[row]
        if row in hits:
            scores = hits[row]._asdict()
            return {"name": primitive.name, "reason": "intent"} | {key: scores[key] for key in _SCORES}
        if row in self._search:
            reason = "search"
        elif primitive.pinned:
            reason = "pin"
        else:
            reason = "earlier intent" if self.narrows(permitted, primitive.kind) else "few of its kind"
        return {"name": primitive.name, "reason": reason}

    async def _heard(
        self, ctx: Context, key: bytes, record: ContextRecord | None, permitted: View, intent: Intent
    ) -> ContextRecord | None:
        """Return what is kept of a context after it was asked what it is about."""
        text = await intent(ctx)
        if text is None or not text.strip():
            return record
        if record is None:
            record = await self._seed_once(key, permitted, text, grows=self.grows(ctx))
        if record is not None and self.grows(ctx) and is_new(record.turns, text):
            return await self._grown_by_intent(ctx, key, permitted, text) or record
        return record

    async def _seed_once(
        self, key: bytes, permitted: View, intent: str, *, grows: bool
    ) -> ContextRecord | None:
        """Seed a context; requests that come meanwhile wait for the same seed."""
        pending = self._seeding.get(key)
        if pending is None:
            pending = asyncio.ensure_future(self._seed(key, permitted, intent, grows=grows))
            self._seeding[key] = pending
            pending.add_done_callback(lambda _: self._seeding.pop(key, None))
        # A client that goes away must not take the seed of the others with it.
        return await asyncio.shield(pending)

    async def _seed(self, key: bytes, permitted: View, intent: str, *, grows: bool) -> ContextRecord | None:
        chosen = await self._try_choose(permitted, intent, grows=grows)
        if chosen is None:
            return None
        turns = said((), intent) if grows else ()
        record = ContextRecord(self._catalog.version, chosen[0].order, turns)
        try:
            return await self._store.add(key, record)
        except Exception:  # noqa: BLE001 - the next request seeds the same view again
            _log.exception("the context store failed, a view is not kept")
            return record

    async def _grown_by_intent(
        self, ctx: Context, key: bytes, permitted: View, text: str
    ) -> ContextRecord | None:
        """Return what is kept of a context after it grew by a new intent, or ``None`` where that failed."""
        try:
            await self._selector()  # takes long at the start, and calls in the context wait for the lock
            async with self._lock(key):
                record = await self._recall(key)
                if record is None or not is_new(record.turns, text):
                    return record
                turns = said(record.turns, text, ctx.reply)
                shown = View(self._catalog, order=record.rows)
                grown = await self.grow(permitted, shown, text, turns[:-1])
                return await self._keep(key, record, record._replace(rows=grown.order, turns=turns))
        except Exception:  # noqa: BLE001 - selection fails open: what was shown stays
            _log.exception("selection failed, a view does not grow")
            return None

    async def _change(self, ctx: Context, change: Callable[[ContextRecord], ContextRecord]) -> None:
        """Change what is kept of a context that grows, if anything is."""
        if ctx.key is None or not self.grows(ctx):
            return
        key = self._key(ctx.key)
        async with self._lock(key):
            record = await self._recall(key)
            if record is not None:
                await self._keep(key, record, change(record))

    def _lock(self, key: bytes) -> asyncio.Lock:
        # One change of a context at a time, or one of two would be lost and a row that was shown with it.
        return self._changing.setdefault(key, asyncio.Lock())

    async def _keep(self, key: bytes, record: ContextRecord, changed: ContextRecord) -> ContextRecord:
        """Keep what a context has become; return what is kept, since nothing else may be listed."""
        try:
            await self._store.put(key, changed)
        except Exception:  # noqa: BLE001 - the view is as it was, and search leads to every tool
            _log.exception("the context store failed, a view does not grow")
            return record
        return changed

    def _key(self, key: bytes) -> bytes:
        # A record is of one catalog: while a new one is rolled out, servers of both share the store.
        return key + bytes.fromhex(self._catalog.version)

    def _with_hits(self, shown: View, kind: Kind, hits: Sequence[Hit]) -> View:
        listed, costs = shown.of(kind), self._catalog.costs
        # Pins take rows, but nothing of the budget: that is for what is chosen.
        pins = sum(costs[row] for row in (listed & self._catalog.pinned).order)
        added = additions(
            hits,
            listed.order,
            limit=self._settings.rows[kind],
            costs=costs,
            budget_tokens=self._settings.budget_tokens + pins,
        )
        return shown.then(View(self._catalog, order=added)) if added else shown

    async def _try_choose(
        self, permitted: View, intent: str, *, grows: bool = False
    ) -> tuple[View, dict[int, Hit]] | None:
        try:
            return await self.choose(permitted, intent, grows=grows)
        except Exception:  # noqa: BLE001 - selection fails open: pins and search lead to every tool
            _log.exception("selection failed, showing pins and search tools")
            return None

    async def _recall(self, key: bytes) -> ContextRecord | None:
        try:
            return await self._store.get(key)
        except Exception:  # noqa: BLE001 - what was kept can be chosen again
            _log.exception("the context store failed, choosing a view again")
            return None

    def _default(self, permitted: View) -> View:
        """Return what is shown where nothing is known: search tools, pins, small kinds."""
        return self._search_first(permitted).then(self._pins(permitted)).then(self._whole(permitted))

    def _search_first(self, permitted: View) -> View:
        return self._search if self.narrows(permitted, "tool") else View(self._catalog, 0)

    def _pins(self, permitted: View) -> View:
        # A kind that is listed whole is the same list for everybody, pins in their places.
        return (self._catalog.pinned & permitted) - self._whole(permitted)

    def _whole(self, permitted: View) -> View:
        whole = View(self._catalog, 0)
        for kind in KINDS:
            if not self.narrows(permitted, kind):
                whole |= permitted.of(kind)
        return whole

    async def _hits(self, permitted: View, kind: Kind, intent: str, *, grows: bool) -> tuple[Hit, ...]:
        if not self.narrows(permitted, kind):
            return ()
        pins = self._pins(permitted).of(kind)
        limit = self._settings.rows[kind]
        selector = await self._selector()
        return await selector.select(
            intent,
            within=(permitted.of(kind) - pins).bits,
            limit=max(0, (seed_rows(limit) if grows else limit) - len(pins)),
            costs=self._catalog.costs,
            budget_tokens=self._settings.budget_tokens,
        )
