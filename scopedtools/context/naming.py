"""Records by the names of rows, as stores keep them, and by ordinals, as one catalog counts them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.view import View
from scopedtools.storage import ContextRecord

_GONE: Final = 256
"""Rows of other catalogs whose places a view keeps; rows may come and go for as long as a context lives."""

_Name: TypeAlias = Callable[[int], int | None]
"""Takes what one side calls a row; returns what the other does, ``None`` where it does not have it."""


def stored(record: ContextRecord, catalog: Catalog) -> ContextRecord:
    """Return a record as stores keep it: rows by `Catalog.ids` instead of ordinals."""
    return _mapped(record, catalog.ids.__getitem__)


def placed(record: ContextRecord, catalog: Catalog, choosable: View) -> ContextRecord:
    """Return a record of a store in ordinals of a catalog, without the rows that it does not have.

    Where none of the rows that were chosen is left, the view counts as not seeded, so that the next intent
    chooses again, once in each catalog.

    Args:
        record: As the store keeps it.
        catalog: What there is.
        choosable: Rows that no view shows unless they were chosen.
    """
    here = _mapped(record, catalog.by_id.get)
    lost = len(here.rows) < len(record.rows) and record.catalog != catalog.version
    if lost and here.seeded and not any(row in choosable for row in here.rows):
        return here._replace(seeded=False)
    return here


def merged(
    kept: ContextRecord, before: ContextRecord, after: ContextRecord, catalog: Catalog
) -> ContextRecord:
    """Return what a store keeps after a change, the rows of other catalogs included.

    Args:
        kept: What it keeps now.
        before: The same as `placed`.
        after: What that has become; rows and additions were only appended.
        catalog: What there is.
    """
    begun = after._replace(
        rows=after.rows[len(before.rows) :], additions=after.additions[len(before.additions) :]
    )
    new = stored(begun, catalog)
    return ContextRecord(
        # Whoever has to choose again has not done so yet.
        catalog.version if after.seeded or not kept.seeded else kept.catalog,
        _bounded(kept.rows, catalog) + new.rows,
        new.turns,
        kept.additions + new.additions,
        kept.seeded or after.seeded,
    )


def _bounded(rows: tuple[int, ...], catalog: Catalog) -> tuple[int, ...]:
    """Return the rows of a view without those that went away long ago, where they are many."""
    surplus = sum(row not in catalog.by_id for row in rows) - _GONE
    if surplus <= 0:
        return rows
    left: list[int] = []
    for row in rows:
        if surplus > 0 and row not in catalog.by_id:
            surplus -= 1
        else:
            left.append(row)
    return tuple(left)


def _mapped(record: ContextRecord, name: _Name) -> ContextRecord:
    return record._replace(
        rows=_rows(record.rows, name),
        turns=tuple([turn._replace(called=_rows(turn.called, name)) for turn in record.turns]),
        additions=tuple(
            [one._replace(row=row) for one in record.additions if (row := name(one.row)) is not None]
        ),
    )


def _rows(rows: Iterable[int], name: _Name) -> tuple[int, ...]:
    return tuple([row for one in rows if (row := name(one)) is not None])
