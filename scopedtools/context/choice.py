"""Which rows fit a context: pure functions of catalog, permission, settings and arguments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from cachetools import LRUCache

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import KINDS, Kind
from scopedtools.catalog.view import View
from scopedtools.context.growth import STEP_ROWS, additions, half, widened
from scopedtools.context.settings import ViewSettings
from scopedtools.memo import MemoOf
from scopedtools.types import Hit, Rows, Selector, Turn

_PERMISSIONS: Final = 128
"""Sets of permitted rows for which it is remembered what every view shows."""


class Room(NamedTuple):
    """How much a view may hold of a kind.

    Attributes:
        rows: Most rows, pins included.
        tokens: Most tokens of the rows that are not pinned.
    """

    rows: int
    tokens: int


class Chooser:
    """Chooses rows.

    Args:
        catalog: What there is.
        search: The search tools, listed first in narrowed lists.
        selector: Ranks rows for a text, once it is ready.
        settings: Sizes and rules.

    Attributes:
        may_narrow: Whether any list of this catalog can be narrowed.
        choosable: Rows that no view shows unless they were chosen, whoever asks.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        search: View,
        selector: Callable[[], Awaitable[Selector]],
        settings: ViewSettings,
    ) -> None:
        self._catalog = catalog
        self._search = search
        self._selector = selector
        self._settings = settings
        self._of_lasting: MemoOf[View] = MemoOf(max_items=_PERMISSIONS)
        self._of_bits: LRUCache[Rows, View] = LRUCache(_PERMISSIONS)
        rows = catalog.all - search
        self.may_narrow = self.narrows_any(rows)
        self.choosable = rows - self.whole(rows) - catalog.pinned

    def narrows(self, permitted: View, kind: Kind) -> bool:
        """Tell whether a kind has too many rows to be listed whole."""
        return len(permitted.of(kind)) > self._settings.whole_rows

    def narrows_any(self, permitted: View) -> bool:
        """Tell whether any kind has too many rows to be listed whole."""
        return any(self.narrows(permitted, kind) for kind in KINDS)

    def default(self, permitted: View) -> View:
        """Return what every view of these rows shows: search tools, pins, small kinds."""
        search = self._search if self.narrows(permitted, "tool") else View(self._catalog, 0)
        return search.then(self.pins(permitted)).then(self.whole(permitted))

    def pins(self, permitted: View) -> View:
        """Return the pinned rows of the kinds that are narrowed."""
        # A kind that is listed whole is the same list for everybody, pins in their places.
        return (self._catalog.pinned & permitted) - self.whole(permitted)

    def whole(self, permitted: View) -> View:
        """Return the rows of small kinds."""
        bits = 0
        for kind in KINDS:
            if not self.narrows(permitted, kind):
                bits |= permitted.of(kind).bits
        return View(self._catalog, bits)

    def missing(self, permitted: View, shown: View) -> View:
        """Return what a view should show in any case and does not."""
        have = set(shown.order)
        order = [row for row in self._default(permitted).order if row not in have]
        return View(self._catalog, order=tuple(order))

    def _default(self, permitted: View) -> View:
        # Asked for on every list, and nearly always about the same few sets of permitted rows.
        if permitted.lasting:
            known = self._of_lasting.get(permitted)
            return known if known is not None else self._of_lasting.put(self.default(permitted), permitted)
        known = self._of_bits.get(permitted.bits)
        if known is None:
            known = self._of_bits[permitted.bits] = self.default(permitted)
        return known

    async def choose(
        self, permitted: View, intent: str, shown: View, *, grows: bool = False, inherited: Iterable[int] = ()
    ) -> tuple[Hit, ...]:
        """Choose the rows for the first intent of a context.

        Args:
            permitted: The rows that the context may use.
            intent: What it is about.
            shown: What it is shown already.
            grows: Whether to leave half of the room for what comes later.
            inherited: Rows of ``shown`` that came from a parent.
        """
        chosen: list[Hit] = []
        for kind in KINDS:
            room = self.room(permitted, shown, kind, grows=grows, inherited=inherited)
            if room.rows > 0 and room.tokens > 0:
                selector = await self._selector()
                chosen += await selector.select(
                    intent,
                    within=(permitted.of(kind) - self._catalog.pinned - shown).bits,
                    limit=room.rows,
                    costs=self._catalog.costs,
                    budget_tokens=room.tokens,
                )
        return tuple(chosen)

    def room(
        self, permitted: View, shown: View, kind: Kind, *, grows: bool = False, inherited: Iterable[int] = ()
    ) -> Room:
        """Return how much the first intent may add to a view."""
        if not self.narrows(permitted, kind):
            return Room(0, 0)
        listed, pinned = self._listed(shown, kind), self._catalog.pinned
        others = (listed - pinned).order
        most = self._most(listed, kind, inherited)
        rows, tokens = most.rows - len(others), most.tokens - self._cost(others)
        if grows:
            rows, tokens = half(rows), half(tokens)
        return Room(rows - len((listed | permitted.of(kind)) & pinned), tokens)

    def fitting(
        self,
        permitted: View,
        shown: View,
        hits: Sequence[Hit],
        *,
        grows: bool = False,
        inherited: Iterable[int] = (),
    ) -> tuple[int, ...]:
        """Return the rows of hits that a view has room for, in catalog order; all, if chosen for it."""
        rows: list[int] = []
        for kind in KINDS:
            left, tokens = self.room(permitted, shown, kind, grows=grows, inherited=inherited)
            for hit in hits:
                cost = self._catalog.costs[hit.row]
                is_new = self._catalog.kinds[hit.row] == kind and hit.row not in shown
                if is_new and left > 0 and cost <= tokens:
                    rows.append(hit.row)
                    left, tokens = left - 1, tokens - cost
        return tuple(sorted(rows))

    async def find(
        self,
        permitted: View,
        shown: View,
        text: str,
        history: Sequence[Turn],
        *,
        inherited: Iterable[int] = (),
    ) -> Mapping[Kind, Sequence[Hit]]:
        """Return the best rows for a new intent, of each kind that has room."""
        found: dict[Kind, Sequence[Hit]] = {}
        for kind in KINDS:
            listed = self._listed(shown, kind)
            if self.narrows(permitted, kind) and len(listed) < self._most(listed, kind, inherited).rows:
                selector = await self._selector()
                within = permitted.of(kind).bits
                found[kind] = (
                    await selector.search(text, within=within, limit=STEP_ROWS, history=history)
                ).hits
        return found

    def additions(
        self,
        permitted: View,
        shown: View,
        found: Mapping[Kind, Sequence[Hit]],
        *,
        inherited: Iterable[int] = (),
    ) -> tuple[int, ...]:
        """Return the rows that a view grows by, of those that were found."""
        rows: list[int] = []
        for kind, hits in found.items():
            listed = self._listed(shown, kind)
            most = self._most(listed, kind, inherited)
            # Pins take rows, but nothing of the budget: that is for what is chosen.
            pins = self._cost((listed & self._catalog.pinned).order)
            rows += additions(
                [hit for hit in hits if hit.row in permitted],
                listed.order,
                limit=most.rows,
                costs=self._catalog.costs,
                budget_tokens=most.tokens + pins,
            )
        return tuple(rows)

    async def rank(self, permitted: View, text: str) -> Mapping[Kind, Sequence[Hit]]:
        """Rank all permitted rows of the kinds that are narrowed, but pins."""
        ranked: dict[Kind, Sequence[Hit]] = {}
        for kind in KINDS:
            if self.narrows(permitted, kind):
                rows = permitted.of(kind) - self._catalog.pinned
                selector = await self._selector()
                ranked[kind] = (await selector.search(text, within=rows.bits, limit=max(1, len(rows)))).hits
        return ranked

    def _listed(self, shown: View, kind: Kind) -> View:
        listed = shown.of(kind)
        return listed - self._search if kind == "tool" else listed

    def _most(self, listed: View, kind: Kind, inherited: Iterable[int]) -> Room:
        """Return how much a view may hold of a kind."""
        limit, budget_tokens = self._settings.rows[kind], self._settings.budget_tokens
        theirs = [row for row in inherited if self._catalog.kinds[row] == kind]
        if not theirs:
            return Room(limit, budget_tokens)
        pins = len(listed & self._catalog.pinned)
        return Room(widened(limit, pins + len(theirs)), widened(budget_tokens, self._cost(theirs)))

    def _cost(self, rows: Iterable[int]) -> int:
        costs = self._catalog.costs
        return sum(costs[row] for row in rows)
