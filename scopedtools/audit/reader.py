"""Reading the trail. Needs the extra ``audit``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from msgspec.structs import replace

from scopedtools.audit.errors import AuditError
from scopedtools.audit.event import ContextSummary, Event
from scopedtools.audit.sql import sa
from scopedtools.audit.tables import (
    ENDED,
    EVENTS,
    GAP,
    IS_GAP,
    parse_url,
    reading_engine,
    reason,
)

_T: Final = EVENTS.c

_EPOCH: Final = datetime.fromtimestamp(0, UTC)

_FROM_LISTS: Final = frozenset({"tools/call", "resources/read", "prompts/get"})
"""What a client asks for after it chose from a list of the same kind."""


class AuditReader:
    """Answers what happened in a context. Changes nothing, and makes no file.

    Args:
        url: As of `AuditTrail`.

    Raises:
        AuditError: There is no such file.
        DefinitionError: The URL is of no trail.
        MissingDependencyError: The extra ``audit`` is not installed.
    """

    def __init__(self, url: str = "sqlite:///audit.db") -> None:
        self._url = parse_url(url)
        self._engine = reading_engine(self._url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def timeline(
        self, context_id: str | None, *, principal: str | None = None, children: bool = False
    ) -> list[Event]:
        """Return every request of a unit of work in the order in which they began, and the gaps between them.

        Args:
            context_id: Its ID, or ``None`` for the requests that named none.
            principal: Whose it is. By default all who used the ID; each had a context of their own.
            children: With the contexts that were forked from it, and from those.

        Raises:
            AuditError: The trail cannot be read.
        """
        events = self._events((_T.context_id == context_id) & (_T.phase != GAP) & _owned(principal))
        if children and context_id is not None:
            units = {(event.principal, context_id) for event in events}
            if principal is not None:
                units.add((principal, context_id))
            forked = self._descendants(units) - units
            for owner, child in forked:
                events += self._events((_T.context_id == child) & (_T.principal == owner))
            events.sort(key=_order)
        if not events:
            return []
        gaps = self._gaps(events[0].started_at, max(one.ended_at or one.started_at for one in events))
        return sorted([*_with_views(events), *gaps], key=_order)

    def contexts(self, *, principal: str | None = None, limit: int = 20) -> list[ContextSummary]:
        """Return the contexts of the latest requests, the latest first.

        Args:
            principal: Whose; by default everybody's.
            limit: Most contexts to return.

        Raises:
            AuditError: The trail cannot be read.
        """
        first, last = sa.func.min(_T.started_at), sa.func.max(_T.started_at)
        requests = sa.func.count(sa.distinct(_T.id))
        wanted = (
            sa.select(_T.context_id, _T.principal, requests, first, last)
            .where(_T.phase != GAP, _owned(principal))
            .group_by(_T.context_id, _T.principal)
            .order_by(last.desc())
            .limit(limit)
        )
        return [
            ContextSummary(row[0], row[1], row[2], _time(row[3]), _time(row[4])) for row in self._read(wanted)
        ]

    def _descendants(self, units: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return principals and IDs of the contexts that come from others, however far."""
        found: set[tuple[str, str]] = set()
        waiting = list(units)
        while waiting:
            owner, parent = waiting.pop()
            wanted = sa.select(_T.context_id).distinct().where(_T.parent == parent, _T.principal == owner)
            fresh = {(owner, row[0]) for row in self._read(wanted)} - found
            found |= fresh
            waiting += fresh
        return found

    def _events(self, which: sa.ColumnElement[bool]) -> list[Event]:
        """Return requests in order; of one that is there twice, since it ran long, the row with its end."""
        merged: dict[str, Any] = {}
        for row in self._read(sa.select(EVENTS).where(which).order_by(_T.started_at, _T.id)):
            if row.id not in merged or row.phase == ENDED:
                merged[row.id] = row
        return [_event(row) for row in merged.values()]

    def _gaps(self, since: datetime, until: datetime) -> list[Event]:
        ends = _T.started_at + _T.duration_us
        overlap = (_T.started_at <= _microseconds(until)) & (ends >= _microseconds(since))
        return [_event(row) for row in self._read(sa.select(EVENTS).where(IS_GAP, overlap))]

    def _read(self, wanted: sa.Select[Any]) -> Sequence[Any]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(wanted).all()
        except sa.exc.SQLAlchemyError as error:
            where = self._url.render_as_string(hide_password=True)
            raise AuditError(f"cannot read an audit trail from {where}: {reason(error)}") from error


def _owned(principal: str | None) -> sa.ColumnElement[bool]:
    return sa.true() if principal is None else _T.principal == principal


def _event(row: Any) -> Event:
    ended = row.duration_us is not None
    return Event(
        id=row.id,
        started_at=_time(row.started_at),
        duration_ms=row.duration_us / 1000 if ended else None,
        principal=row.principal,
        context_id=row.context_id,
        context_digest=row.context_digest,
        parent=row.parent,
        carrier=row.carrier,
        method=row.method,
        target=row.target,
        tool=row.tool,
        protocol_version=row.protocol_version,
        rpc_id=row.rpc_id,
        client_name=row.client_name,
        client_version=row.client_version,
        trace_id=row.trace_id,
        span_id=row.span_id,
        view=row.view,
        shown=row.shown,
        total=row.total,
        status=row.status or "unfinished",
        code=row.code,
        server=row.server,
        process=row.process,
        arguments=_json(row.arguments),
        result=_json(row.result),
        missing=row.missing,
    )


def _with_views(events: Iterable[Event]) -> list[Event]:
    """Fill in which list the client had last been given, of the kind and in the context of each request."""
    held: dict[tuple[str, str | None, str], str] = {}
    filled: list[Event] = []
    # A list counts from when its answer went out, a request from when it came.
    for event in sorted(events, key=lambda one: (_matters_at(one), one.id)):
        kind = (event.principal, event.context_id, event.method.partition("/")[0])
        if event.method in _FROM_LISTS:
            filled.append(replace(event, view=held.get(kind)))
            continue
        if event.view is not None:
            held[kind] = event.view
        filled.append(event)
    return filled


def _matters_at(event: Event) -> datetime:
    return event.started_at if event.method in _FROM_LISTS else event.ended_at or event.started_at


def _order(event: Event) -> tuple[datetime, str]:
    return event.started_at, event.id


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _json(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
