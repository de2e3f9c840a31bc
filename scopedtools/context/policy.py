"""What a context is shown: pins, then what its intent needs, chosen once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import KINDS, Kind
from scopedtools.catalog.view import View, bits_of
from scopedtools.context.context import Context
from scopedtools.exceptions import DefinitionError
from scopedtools.types import ContextRecord, ContextStore, Hit, Selector, Turn

_log: Final = logging.getLogger(__name__)

_SCORES: Final = ("score", "vector", "lexical", "clause")

_ROWS: Final[Mapping[Kind, int]] = MappingProxyType({"tool": 16, "resource": 8, "template": 8, "prompt": 8})

Intent = Callable[[Context], Awaitable[str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSettings:
    """How large views are, and when lists are narrowed at all.

    Attributes:
        rows: Most catalog rows of each kind in a narrowed list, pins included; kinds that are left out keep
            their default. ``search_tools`` and ``call_tool`` come on top.
        budget_tokens: Most tokens, estimated, that the chosen rows of a kind take in a list.
        whole_rows: A kind with at most this many permitted rows is listed whole.
        without_context: What a request without an ID is shown: the ``full`` list, or pins and ``search``.
        enforce: Whether a tool that is not in the view is unknown; otherwise hidden tools stay callable.
        page_rows: Rows in one page of a list.
        list_ttl_ms: Milliseconds for which clients may keep a full list.
    """

    rows: Mapping[Kind, int] = field(default_factory=lambda: _ROWS)
    budget_tokens: int = 4000
    whole_rows: int = 20
    without_context: Literal["full", "search"] = "full"
    enforce: bool = False
    page_rows: int = 100
    list_ttl_ms: int = 60_000

    def __post_init__(self) -> None:
        for name, least in (("budget_tokens", 1), ("whole_rows", 0), ("page_rows", 1), ("list_ttl_ms", 0)):
            if (value := getattr(self, name)) < least:
                raise DefinitionError(f"{name} must be >= {least}, got {value}")
        if self.without_context not in ("full", "search"):
            raise DefinitionError(f"without_context must be 'full' or 'search', got {self.without_context!r}")
        if unknown := set(self.rows) - set(KINDS):
            raise DefinitionError(f"rows must name some of {', '.join(KINDS)}, got {sorted(unknown)}")
        if (least := min(self.rows.values(), default=0)) < 0:
            raise DefinitionError(f"rows must be >= 0, got {least}")
        object.__setattr__(self, "rows", MappingProxyType({**_ROWS, **self.rows}))


class ViewPolicy:
    """Seeds the view of a context once and remembers it.

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

    def narrows(self, permitted: View, kind: Kind) -> bool:
        """Tell whether a kind has too many rows to be listed whole."""
        return len(permitted.of(kind)) > self._settings.whole_rows

    async def listed(self, ctx: Context, permitted: View, intent: Intent) -> View:
        """Return what a context is shown, as far as it is permitted when it is listed.

        Args:
            ctx: The context.
            permitted: The rows that it may use.
            intent: Tells what it is about; asked only while there is no view of the context.
        """
        if not any(self.narrows(permitted, kind) for kind in KINDS):
            return permitted
        if ctx.key is None:
            return permitted if self._settings.without_context == "full" else self._default(permitted)
        # A record is of one catalog: while a new one is rolled out, servers of both share the store.
        key = ctx.key + bytes.fromhex(self._catalog.version)
        record = await self._recall(key)
        if record is None:
            record = await self._seed_once(ctx, key, permitted, intent)
        if record is None:
            return self._default(permitted)
        kept = View(self._catalog, order=record.rows)
        shown = self._search_first(permitted).then(kept)
        # What was permitted or became few of its kind only later: nothing else leads to such rows.
        late = self._whole(permitted) - kept
        return shown.then(late) if late else shown

    async def choose(
        self, permitted: View, intent: str, *, shown: View | None = None, history: Sequence[Turn] = ()
    ) -> tuple[View, dict[int, Hit]]:
        """Choose rows for an intent: a pure function of catalog, permission, settings and arguments.

        Args:
            permitted: The rows that the context may use.
            intent: What it is about now.
            shown: What it is shown already, which stays as it is: new rows are appended while there is room.
            history: What came before the intent in the context, oldest first.

        Returns:
            What is shown already or the pins, then small kinds and chosen rows in catalog order; and the hit
            behind each chosen row.
        """
        first = self._pins(permitted) if shown is None else shown
        hits = {
            hit.row: hit
            for kind in KINDS
            for hit in await self._hits(permitted, first, kind, intent, history)
        }
        chosen = View(self._catalog, bits_of(hits))
        return first.then((self._whole(permitted) | chosen) - first), hits

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

    async def _seed_once(
        self, ctx: Context, key: bytes, permitted: View, intent: Intent
    ) -> ContextRecord | None:
        """Seed a context; requests that come meanwhile wait for the same seed."""
        text = await intent(ctx)
        if text is None or not text.strip():
            return None
        pending = self._seeding.get(key)
        if pending is None:
            pending = asyncio.ensure_future(self._seed(key, permitted, text))
            self._seeding[key] = pending
            pending.add_done_callback(lambda _: self._seeding.pop(key, None))
        # A client that goes away must not take the seed of the others with it.
        return await asyncio.shield(pending)

    async def _seed(self, key: bytes, permitted: View, intent: str) -> ContextRecord | None:
        chosen = await self._try_choose(permitted, intent)
        if chosen is None:
            return None
        record = ContextRecord(self._catalog.version, chosen[0].order)
        try:
            return await self._store.add(key, record)
        except Exception:  # noqa: BLE001 - the next request seeds the same view again
            _log.exception("the context store failed, a view is not kept")
            return record

    async def _try_choose(self, permitted: View, intent: str) -> tuple[View, dict[int, Hit]] | None:
        try:
            return await self.choose(permitted, intent)
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

    async def _hits(
        self, permitted: View, first: View, kind: Kind, intent: str, history: Sequence[Turn]
    ) -> tuple[Hit, ...]:
        if not self.narrows(permitted, kind):
            return ()
        listed = first.of(kind)
        selector = await self._selector()
        return await selector.select(
            intent,
            within=(permitted.of(kind) - listed).bits,
            limit=max(0, self._settings.rows[kind] - len(listed)),
            costs=self._catalog.costs,
            budget_tokens=self._settings.budget_tokens,
            history=history,
        )
