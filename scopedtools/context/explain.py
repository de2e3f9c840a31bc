"""Why each row is in the list of a context, or out of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import KINDS, Kind
from scopedtools.catalog.view import View
from scopedtools.context.carriers import is_context_id
from scopedtools.context.choice import Chooser
from scopedtools.context.context import Context, ContextResolver
from scopedtools.context.growth import inherited
from scopedtools.protocol import meta
from scopedtools.protocol.methods import METHODS, ListParams
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import LATEST
from scopedtools.storage import ContextRecord
from scopedtools.types import Hit, Principal

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)

_ADDED: Final[Mapping[str, str]] = {
    "intent": "grown by intent",
    "search": "grown by search",
    "parent": "parent",
    "permission": "permitted later",
}

_SCORES: Final = ("score", "vector", "lexical", "clause")


class Reason(NamedTuple):
    """Why a row is in a list or out of it.

    Attributes:
        name: Of the row.
        kind: Of the row.
        shown: Whether it is in.
        reason: In: ``search`` for a search tool; ``pin``; ``intent``: chosen for the present intent;
            ``earlier intent``: chosen for one that the view began with; ``grown by intent``; ``grown by
            search``; ``parent``: in the view that this context was forked from; ``few of its kind``;
            ``permitted later``: permitted, or few of its kind, only after the view began.
            Out: ``not permitted``; ``no room``: it ranks high enough, and the rows or the budget are taken;
            ``score``: others rank higher; ``no intent``: nothing tells what the context is about; ``not
            ranked``: selection fails.
        rank: Its place among the rows of its kind, from 1, for the present intent; or ``None``.
        score: Its score, as in `Hit`, or ``None`` where it has none.
        vector: As in `Hit`.
        lexical: As in `Hit`.
        clause: As in `Hit`.
        text: The beginning of the intent or search that brought it, where it was added later.
    """

    name: str
    kind: Kind
    shown: bool
    reason: str
    rank: int | None = None
    score: float | None = None
    vector: float | None = None
    lexical: float | None = None
    clause: str = ""
    text: str = ""

    def wire(self) -> dict[str, Any]:
        """Return what a client is told."""
        told: dict[str, Any] = {"name": self.name, "reason": self.reason}
        if self.score is not None:
            told |= {field: getattr(self, field) for field in _SCORES}
        return told | ({"text": self.text} if self.text else {})


class Explainer:
    """Gives reasons. It changes nothing.

    Args:
        catalog: What there is.
        search: The search tools.
        chooser: Chooses and ranks.
    """

    def __init__(self, catalog: Catalog, *, search: View, chooser: Chooser) -> None:
        self._catalog = catalog
        self._search = search
        self._chooser = chooser

    async def listed(
        self, permitted: View, shown: View, record: ContextRecord | None, intent: str | None
    ) -> list[Reason]:
        """Say why each row is in a list.

        Args:
            permitted: The rows that the context may use.
            shown: The list.
            record: What is kept of the context, if anything is.
            intent: What it is about now; rows that it does not account for came from an earlier one.
        """
        theirs = inherited(record) if record is not None else ()
        before = View(self._catalog, order=theirs)
        chosen = (
            await _tried(lambda text: self._chooser.choose(permitted, text, before, inherited=theirs), intent)
            or ()
        )
        hits = {hit.row: hit for hit in chosen}
        added = {one.row: one for one in reversed(record.additions)} if record is not None else {}
        reasons = []
        for row in shown.order:
            one = added.get(row)
            reason = self._fixed(row) or (one and _ADDED[one.cause]) or self._chosen(row, permitted, hits)
            reasons.append(self._reason(row, reason, hits.get(row), shown=True, text=one.text if one else ""))
        return reasons

    async def all(
        self,
        permitted: View,
        shown: View,
        record: ContextRecord | None,
        intent: str | None,
        *,
        grows: bool,
    ) -> list[Reason]:
        """Say why each row is in a list or out of it: those that are in as listed, then the others by rank.

        Args:
            permitted: The rows that the context may use.
            shown: The list.
            record: What is kept of the context, if anything is.
            intent: What it is about.
            grows: Whether half of the room is left for what comes later.
        """
        ranking = await _tried(lambda text: self._chooser.rank(permitted, text), intent)
        places = {
            hit.row: (rank, hit)
            for hits in (ranking or {}).values()
            for rank, hit in enumerate(hits, start=1)
        }
        reasons = [
            _ranked(reason, places.get(row))
            for row, reason in zip(
                shown.order, await self.listed(permitted, shown, record, intent), strict=True
            )
        ]
        room = self._room(permitted, record, grows=grows)

        def why(row: int) -> str:
            if row not in permitted:
                return "not permitted"
            if ranking is None:
                return "no intent" if intent is None else "not ranked"
            place = places.get(row)
            return "no room" if place and place[0] <= room[self._catalog.kinds[row]] else "score"

        out = (self._catalog.all - shown - self._search).order
        worst = len(self._catalog) + 1

        def order(row: int) -> tuple[int, bool, int, int]:
            kind = KINDS.index(self._catalog.kinds[row])
            return kind, row not in permitted, places[row][0] if row in places else worst, row

        return reasons + [
            _ranked(self._reason(row, why(row), None, shown=False), places.get(row))
            for row in sorted(out, key=order)
        ]

    def _room(self, permitted: View, record: ContextRecord | None, *, grows: bool) -> Mapping[Kind, int]:
        """Return how many rows of each kind the first intent may choose."""
        theirs = inherited(record) if record is not None else ()
        before = View(self._catalog, order=theirs)
        return {
            kind: self._chooser.room(permitted, before, kind, grows=grows, inherited=theirs).rows
            for kind in KINDS
        }

    def _fixed(self, row: int) -> str | None:
        if row in self._search:
            return "search"
        return "pin" if row in self._catalog.pinned else None

    def _chosen(self, row: int, permitted: View, hits: Mapping[int, Hit]) -> str:
        if row in hits:
            return "intent"
        narrowed = self._chooser.narrows(permitted, self._catalog.kinds[row])
        return "earlier intent" if narrowed else "few of its kind"

    def _reason(self, row: int, reason: str, hit: Hit | None, *, shown: bool, text: str = "") -> Reason:
        primitive = self._catalog.rows[row]
        return _scored(Reason(primitive.name, primitive.kind, shown, reason, text=text), hit)


def asking(
    resolver: ContextResolver,
    context_id: str,
    *,
    intent: str | None,
    principal: Principal,
    parent: str | None,
    growth: bool,
) -> Context:
    """Return a context as if its client asked for a list now, where there is no request to explain.

    Args:
        resolver: Makes contexts.
        context_id: The client's name for it.
        intent: What the client says that it is about.
        principal: Who is asking.
        parent: ID of the context that it was forked from.
        growth: Whether the client follows a list that grows.

    Raises:
        ValueError: The ID is malformed.
    """
    if not is_context_id(context_id):
        raise ValueError(f"context_id must be 1 to 256 visible ASCII characters, got {context_id!r}")
    settings = {"contextId": context_id, "parent": parent, "growth": growth}
    own = {meta.CLIENT_CAPABILITIES: {"extensions": {meta.EXTENSION: settings}}}
    request = Request(
        METHODS["tools/list"], ListParams(meta=own), LATEST, Ingress(principal=principal), id=None
    )
    return Context(request, resolver, context_id=context_id, carrier=None, intent=intent)


def _scored(reason: Reason, hit: Hit | None) -> Reason:
    if hit is None:
        return reason
    return reason._replace(score=hit.score, vector=hit.vector, lexical=hit.lexical, clause=hit.clause)


def _ranked(reason: Reason, place: tuple[int, Hit] | None) -> Reason:
    if place is None:
        return reason
    scored = reason if reason.score is not None else _scored(reason, place[1])
    return scored._replace(rank=place[0])


async def _tried(ask: Callable[[str], Awaitable[T]], intent: str | None) -> T | None:
    """Return an answer, or ``None`` where there is no intent or selection fails."""
    if intent is None or not intent.strip():
        return None
    try:
        return await ask(intent)
    except Exception:  # noqa: BLE001 - an explanation lacks scores; the list is what it is
        _log.exception("selection failed, explaining without scores")
        return None
