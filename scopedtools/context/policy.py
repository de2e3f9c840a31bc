"""What a context is shown: chosen once, kept, and grown where its client follows that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final
from weakref import WeakValueDictionary

from cachetools import LRUCache

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Kind
from scopedtools.catalog.view import View, bits_of
from scopedtools.context.choice import Chooser
from scopedtools.context.context import Context
from scopedtools.context.explain import Explainer, Reason
from scopedtools.context.growth import called, inherited, is_new, said, seeded
from scopedtools.context.records import Changed, Records
from scopedtools.context.settings import ViewSettings
from scopedtools.context.steps import Steps
from scopedtools.exceptions import StoreUnavailableError
from scopedtools.memo import Memo
from scopedtools.storage import ContextRecord, ContextStore
from scopedtools.types import Hit, Selector, Turn

_log: Final = logging.getLogger(__name__)

_WHOLE_LISTS: Final = 4096
"""Contexts that keep their list, the last ones to ask, when a small catalog becomes a large one."""

_COMPLETE: Final = 4096
"""Views that are remembered to lack nothing, by what is kept of them and by permission."""

Intent = Callable[[Context], Awaitable[str | None]]


class ViewPolicy:
    """Chooses the view of a context once, remembers it, and lets it grow where that is asked for.

    A list of a context only ever gets longer at its end, unless permission or the catalog takes a row away; a
    row that is permitted again, or comes back into the catalog, returns to its place.

    Args:
        catalog: What there is.
        search: The search tools, listed first in narrowed lists.
        store: Keeps what contexts were shown.
        selector: Ranks rows for an intent, once it is ready.
        settings: Sizes and rules.
        grown: Told the key of each context whose view began or got more rows.
        name: Of the server; others may use the same store.
        whole: What contexts were shown of catalogs that were listed whole, for the policies of later ones.
        narrowed: Whether an earlier catalog of this server was narrowed, so that views of it may be kept.

    Attributes:
        search: The search tools.
        may_narrow: Whether any list of this catalog can be narrowed.
        has_narrowed: Whether any of this or of an earlier catalog could.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        search: View,
        store: ContextStore,
        selector: Callable[[], Awaitable[Selector]],
        settings: ViewSettings,
        grown: Callable[[bytes], None] = lambda _: None,
        name: str = "",
        whole: MutableMapping[bytes, View] | None = None,
        narrowed: bool = False,
    ) -> None:
        self._catalog = catalog
        self.search = search
        self._settings = settings
        self._grown = grown
        self._chooser = Chooser(catalog, search=search, selector=selector, settings=settings)
        self._steps = Steps(catalog, self._chooser)
        self._records = Records(store, catalog, choosable=self._chooser.choosable, name=name)
        self._explainer = Explainer(catalog, search=search, chooser=self._chooser)
        self._beginning: dict[bytes, asyncio.Future[ContextRecord | None]] = {}
        self._saying: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._complete: Memo[View] = Memo(max_items=_COMPLETE)
        self._whole = whole if whole is not None else whole_lists()
        self.may_narrow = self._chooser.may_narrow
        self.has_narrowed = narrowed or self.may_narrow

    @property
    def may_grow(self) -> bool:
        """Whether the view of any context may grow."""
        return self._chooser.may_narrow and self._settings.growth != "never"

    def narrows(self, permitted: View, kind: Kind) -> bool:
        """Tell whether a kind has too many rows to be listed whole."""
        return self._chooser.narrows(permitted, kind)

    def grows(self, ctx: Context) -> bool:
        """Tell whether the view of a context grows."""
        return ctx.key is not None and (
            self._settings.growth == "always" or (self._settings.growth == "negotiated" and ctx.grows)
        )

    async def listed(self, ctx: Context, permitted: View, intent: Intent) -> View:
        """Return what a context is shown, as far as it is permitted when it is listed.

        Args:
            ctx: The context.
            permitted: The rows that it may use.
            intent: Tells what it is about; asked once, and only while there is no view or the view grows.
        """
        if ctx.key is None:
            return self._unnamed(permitted)
        if not self.has_narrowed:
            self._whole[ctx.key] = permitted
            return permitted
        record = await self._records.get(ctx.key)
        if record is None and (before := self._whole.pop(ctx.key, None)) is not None:
            record = await self._records.add(ctx.key, self._steps.continued(permitted, before))
        grows = self.grows(ctx)
        if self.may_narrow and not ctx.listens and (grows or record is None or not record.seeded):
            record = await self._heard(ctx, ctx.key, permitted, intent, record)
        if record is None:
            return self._unknown(permitted)
        key = (record, id(permitted), grows) if permitted.lasting else None
        known = self._complete.get(key)
        if known is not None:
            return known
        shown = self._visible(ctx, record)
        missing = self._chooser.missing(permitted, shown)
        if not missing:
            if key is not None and self._complete.admits(key):
                self._complete.put(key, shown, holds=permitted)
            return shown
        changed = await self._records.change(
            ctx.key, lambda now: self._steps.completed(now, missing - self._visible(ctx, now))
        )
        return (shown if changed is None else self._visible(ctx, changed.after)).then(missing)

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
        nothing = View(self._catalog, 0)
        hits = {hit.row: hit for hit in await self._chooser.choose(permitted, intent, nothing, grows=grows)}
        chosen = self._chooser.whole(permitted) | View(self._catalog, bits_of(hits))
        return self._chooser.pins(permitted).then(chosen), hits

    async def grow(self, permitted: View, shown: View, text: str, history: Sequence[Turn]) -> View:
        """Return what a context is shown after something new was said: what it was, and new rows behind it.

        Args:
            permitted: The rows that the context may use.
            shown: What it is shown.
            text: What was said.
            history: What came before, oldest first.
        """
        found = await self._chooser.find(permitted, shown, text, history)
        rows = self._chooser.additions(permitted, shown, found)
        return shown.then(View(self._catalog, order=rows)) if rows else shown

    async def history(self, ctx: Context) -> tuple[Turn, ...]:
        """Return what was said and called so far, oldest first; nothing where the view does not grow."""
        record = await self._records.get(ctx.key) if ctx.key is not None and self.grows(ctx) else None
        return record.turns if record is not None else ()

    async def searched(self, ctx: Context, query: str, hits: Sequence[Hit], permitted: View) -> None:
        """Let the view of a context grow by what a search for tools found; the first may begin it.

        Args:
            ctx: The context.
            query: What was searched for.
            hits: What was found, best first.
            permitted: The rows that the context may use.
        """
        if ctx.key is None or not self.grows(ctx) or not self.narrows(permitted, "tool"):
            return
        more = partial(self._steps.grown_by_search, permitted=permitted, hits=hits, query=query)
        if self._told(ctx.key, await self._records.change(ctx.key, more)) is not None:
            return
        begun = more(await self._base(ctx, permitted))
        if await self._records.add(ctx.key, begun) != begun:  # another request was faster
            await self._records.change(ctx.key, more)
        self._grown(ctx.key)

    async def called(self, ctx: Context, row: int) -> None:
        """Remember that a row was called, where that helps to choose what comes next."""
        if ctx.key is not None and self.grows(ctx) and row not in self.search:
            # The call is done, whatever becomes of what is remembered of it.
            with suppress(StoreUnavailableError):
                await self._records.change(ctx.key, lambda record: called(record, row))

    async def explain_listed(
        self, ctx: Context, permitted: View, shown: View, intent: str | None
    ) -> list[dict[str, Any]]:
        """Say why each row is in a list, as clients are told; see `Explainer.listed`."""
        record = await self._records.get(ctx.key) if ctx.key is not None else None
        reasons = await self._explainer.listed(permitted, shown, record, intent)
        return [reason.wire() for reason in reasons]

    async def explain(self, ctx: Context, permitted: View, intent: str | None) -> list[Reason]:
        """Say of every row why it is in the list of a context or out of it, now or if it were listed now.

        Args:
            ctx: The context. Nothing is begun or changed for it.
            permitted: The rows that it may use.
            intent: What it is about, or ``None``.

        Returns:
            Rows that are shown, as listed; then the others, best first of each kind.
        """
        intent = _text(intent)
        record = await self._records.get(ctx.key) if ctx.key is not None else None
        if record is None and ctx.key is not None and self.may_narrow:
            record = await self._draft(ctx, permitted, intent)
        if record is not None:
            shown = self._visible(ctx, record)
            shown = shown.then(self._chooser.missing(permitted, shown))
        else:
            shown = self._unnamed(permitted) if ctx.key is None else self._unknown(permitted)
        shown &= permitted | self.search
        return await self._explainer.all(permitted, shown, record, intent, grows=self.grows(ctx))

    def _unnamed(self, permitted: View) -> View:
        """Return what a request without an ID is shown."""
        return permitted if self._settings.without_context == "full" else self._unknown(permitted)

    def _unknown(self, permitted: View) -> View:
        """Return what is shown of a context of which nothing is known."""
        return self._chooser.default(permitted) if self._chooser.narrows_any(permitted) else permitted

    def _visible(self, ctx: Context, record: ContextRecord) -> View:
        # To a client that does not follow growth, what others of its context caused must not show.
        return self._steps.view(record) if self.grows(ctx) else View(self._catalog, order=seeded(record))

    async def _heard(
        self, ctx: Context, key: bytes, permitted: View, intent: Intent, record: ContextRecord | None
    ) -> ContextRecord | None:
        """Return what is kept of a context after it was heard what it is about."""
        text = _text(await intent(ctx))
        if record is None and (text is not None or ctx.parent_key is not None):
            record = await self._begin_once(ctx, key, permitted, text)
        if record is None or text is None:
            return record
        if not record.seeded:
            return await self._seed(ctx, key, permitted, text) or record
        if not self.grows(ctx) or not is_new(record.turns, text):
            return record
        return await self._grow(ctx, key, permitted, text) or record

    async def _begin_once(
        self, ctx: Context, key: bytes, permitted: View, text: str | None
    ) -> ContextRecord | None:
        """Begin the view of a context; requests that come meanwhile wait for the same."""
        pending = self._beginning.get(key)
        if pending is None:
            pending = asyncio.ensure_future(self._begin(ctx, key, permitted, text))
            self._beginning[key] = pending
            pending.add_done_callback(lambda _: self._beginning.pop(key, None))
        # A client that goes away must not take the view of the others with it.
        return await asyncio.shield(pending)

    async def _begin(
        self, ctx: Context, key: bytes, permitted: View, text: str | None
    ) -> ContextRecord | None:
        record = await self._draft(ctx, permitted, text)
        if record is None:
            return None
        kept = await self._records.add(key, record)
        self._grown(key)
        return kept

    async def _draft(self, ctx: Context, permitted: View, text: str | None) -> ContextRecord | None:
        """Return how a view begins: its parent's, then what its intent needs. ``None`` without either."""
        base = await self._base(ctx, permitted)
        chosen = await self._chosen(ctx, permitted, text, base) if text is not None else None
        if text is None or chosen is None:
            return base if inherited(base) else None
        return self._steps.begun(base, chosen, said((), text) if self.grows(ctx) else ())

    async def _base(self, ctx: Context, permitted: View) -> ContextRecord:
        parent = await self._records.get(ctx.parent_key) if ctx.parent_key is not None else None
        return self._steps.base(permitted, self._visible(ctx, parent) if parent is not None else None)

    async def _chosen(
        self, ctx: Context, permitted: View, text: str, base: ContextRecord
    ) -> tuple[Hit, ...] | None:
        try:
            return await self._chooser.choose(
                permitted, text, self._steps.view(base), grows=self.grows(ctx), inherited=inherited(base)
            )
        except Exception:  # noqa: BLE001 - selection fails open: pins and search lead to every tool
            _log.exception("selection failed, showing pins and search tools")
            return None

    async def _seed(self, ctx: Context, key: bytes, permitted: View, text: str) -> ContextRecord | None:
        """Return what is kept of a context whose view began without an intent, after its first."""
        async with self._lock(key):
            record = await self._records.get(key)
            if record is None or record.seeded:
                return record
            chosen = await self._chosen(ctx, permitted, text, record)
            if chosen is None:
                return record
            turn = (text, ctx.reply) if self.grows(ctx) else None
            more = partial(self._steps.seeded, permitted=permitted, chosen=chosen, turn=turn)
            return self._told(key, await self._records.change(key, more))

    async def _grow(self, ctx: Context, key: bytes, permitted: View, text: str) -> ContextRecord | None:
        """Return what is kept of a context after it grew by a new intent, or ``None`` where that failed."""
        # One search at a time: a new intent is searched once however many requests carry it, and those that
        # come side by side each know of the ones before.
        async with self._lock(key):
            record = await self._records.get(key)
            if record is None or not is_new(record.turns, text):
                return record
            turn = (text, ctx.reply)
            shown, history = self._steps.view(record), said(record.turns, *turn)[:-1]
            try:
                found = await self._chooser.find(permitted, shown, text, history, inherited=inherited(record))
            except Exception:  # noqa: BLE001 - selection fails open: what was shown stays
                _log.exception("selection failed, a view does not grow")
                return None
            more = partial(self._steps.grown_by_intent, permitted=permitted, found=found, turn=turn)
            return self._told(key, await self._records.change(key, more))

    def _told(self, key: bytes, changed: Changed | None) -> ContextRecord | None:
        """Return what a record has become, after it was told that its view grew."""
        if changed is None:
            return None
        if changed.after.rows != changed.before.rows:
            self._grown(key)
        return changed.after

    def _lock(self, key: bytes) -> asyncio.Lock:
        return self._saying.setdefault(key, asyncio.Lock())


def whole_lists() -> MutableMapping[bytes, View]:
    """Return an empty memory of what contexts were shown of catalogs that are listed whole; bounded."""
    return LRUCache(_WHOLE_LISTS)


def _text(intent: str | None) -> str | None:
    return intent if intent is not None and intent.strip() else None
