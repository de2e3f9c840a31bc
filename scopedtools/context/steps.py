"""How the view of a context begins and what it becomes: records from records, and nothing kept here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Kind
from scopedtools.catalog.view import View, bits_of
from scopedtools.context.choice import Chooser
from scopedtools.context.growth import grown, inherited, is_new, said
from scopedtools.storage import Addition, ContextRecord
from scopedtools.types import Hit, Turn


class Steps:
    """The steps that a view takes. Each is applied to what is kept at that moment, again if need be.

    Args:
        catalog: What there is.
        chooser: Says what there is room for.
    """

    def __init__(self, catalog: Catalog, chooser: Chooser) -> None:
        self._catalog = catalog
        self._chooser = chooser

    def view(self, record: ContextRecord) -> View:
        """Return all rows of a record, each where it stands first."""
        return View(self._catalog, order=tuple(dict.fromkeys(record.rows)))

    def base(self, permitted: View, parent: View | None) -> ContextRecord:
        """Return a view for which nothing was chosen yet: its parent's rows, then what every view shows."""
        default = self._chooser.default(permitted)
        if parent is None:
            return ContextRecord(self._catalog.version, default.order)
        added = tuple(Addition(row, "parent") for row in (parent - default).order)
        return ContextRecord(self._catalog.version, parent.then(default).order, additions=added)

    def continued(self, permitted: View, before: View) -> ContextRecord:
        """Return the view of a context that was shown a whole list of an earlier, smaller catalog."""
        places = self._catalog.by_id
        ids = (before.catalog.ids[row] for row in before.order)
        shown = View(self._catalog, order=tuple([places[one] for one in ids if one in places]))
        return ContextRecord(self._catalog.version, shown.then(self._chooser.default(permitted)).order)

    def begun(self, base: ContextRecord, chosen: Sequence[Hit], turns: tuple[Turn, ...]) -> ContextRecord:
        """Return a view with the rows that were chosen for its first intent, in catalog order."""
        rows = View(self._catalog, bits_of(hit.row for hit in chosen)).order
        return base._replace(rows=base.rows + rows, turns=turns, seeded=True)

    def seeded(
        self, record: ContextRecord, permitted: View, chosen: Sequence[Hit], turn: tuple[str, str] | None
    ) -> ContextRecord:
        """Return a view that began without an intent, with the rows that were chosen for the first.

        Args:
            record: The view.
            permitted: The rows that the context may use.
            chosen: For the view as it was a moment ago.
            turn: The intent and the reply before it, where the view grows.
        """
        if record.seeded:
            return record
        rows = self._chooser.fitting(
            permitted, self.view(record), chosen, grows=turn is not None, inherited=inherited(record)
        )
        turns = said(record.turns, *turn) if turn is not None else record.turns
        return record._replace(rows=record.rows + rows, turns=turns, seeded=True)

    def grown_by_intent(
        self,
        record: ContextRecord,
        permitted: View,
        found: Mapping[Kind, Sequence[Hit]],
        turn: tuple[str, str],
    ) -> ContextRecord:
        """Return a view after a new intent; ``turn`` is that, and the reply before it."""
        if not is_new(record.turns, turn[0]):
            return record
        rows = self._additions(record, permitted, found)
        return grown(record, rows, cause="intent", text=turn[0])._replace(turns=said(record.turns, *turn))

    def grown_by_search(
        self, record: ContextRecord, permitted: View, hits: Sequence[Hit], query: str
    ) -> ContextRecord:
        """Return a view after a search for tools."""
        rows = self._additions(record, permitted, {"tool": hits})
        return grown(record, rows, cause="search", text=query)._replace(turns=said(record.turns, query))

    def completed(self, record: ContextRecord, missing: View) -> ContextRecord:
        """Return a view with rows that became permitted, or few of their kind, after it began.

        Args:
            record: The view.
            missing: Rows that are not in it yet, as its client sees it.
        """
        return grown(record, missing.order, cause="permission") if missing else record

    def _additions(
        self, record: ContextRecord, permitted: View, found: Mapping[Kind, Sequence[Hit]]
    ) -> tuple[int, ...]:
        return self._chooser.additions(permitted, self.view(record), found, inherited=inherited(record))
