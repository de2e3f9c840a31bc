"""``scopedtools audit``: what happened in a context."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scopedtools.audit.errors import AuditError
from scopedtools.audit.event import ContextSummary, Event
from scopedtools.cli.output import cells, plain_table, visible

STORE_VARIABLE: Final = "SCOPEDTOOLS_AUDIT"
"""Environment variable that names the trail where no option does, here and of ``serve``: a URL may hold a
password, and others see the options of a process."""

_STYLES: Final = {
    "ok": "green",
    "error": "red",
    "tool_error": "red",
    "unfinished": "yellow",
    "gap": "bold red",
}

_NUMBERS: Final = frozenset({"after s", "ms", "rows", "requests"})

_WIDTH: Final = 200
"""Columns of a table that goes to a file or a pipe."""


def audit(
    context_id: Annotated[
        str | None, typer.Argument(help="Context ID; without one, the latest contexts are listed.")
    ] = None,
    store: Annotated[
        str, typer.Option(envvar=STORE_VARIABLE, help="The trail: an SQLite file, or the URL of a database.")
    ] = "audit.db",
    principal: Annotated[str | None, typer.Option(help="Only what this principal asked.")] = None,
    limit: Annotated[int, typer.Option(help="Most contexts to list.", min=1)] = 20,
    *,
    children: Annotated[
        bool, typer.Option("--children", help="With the contexts that were forked from it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, one event or context a line.")] = False,
) -> None:
    """Print every request of a context in order, or the latest contexts."""
    from scopedtools.audit.reader import AuditReader  # noqa: PLC0415 - brings SQLAlchemy

    with AuditReader(store) as reader:
        if context_id is None:
            contexts = reader.contexts(principal=principal, limit=limit)
            if not contexts:
                raise AuditError("the trail is empty" + _of(principal))
            _print(contexts, _contexts_table, as_json=as_json)
            return
        events = reader.timeline(context_id, principal=principal, children=children)
        if not events:
            raise AuditError(
                f"the trail has no request in context {context_id!r}{_of(principal)}; "
                "without an ID, the contexts that it has are listed"
            )
        _print(events, _timeline_table, as_json=as_json)


def _of(principal: str | None) -> str:
    return "" if principal is None else f" of {principal!r}"


def _print(found: Sequence[Any], table: Callable[[Sequence[Any]], Table], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            plain = one._asdict() if isinstance(one, ContextSummary) else msgspec.structs.asdict(one)
            # Escaped, since terminals obey more characters than JSON has to escape.
            sys.stdout.write(json.dumps(plain, default=datetime.isoformat) + "\n")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table(found))


def _contexts_table(contexts: Sequence[ContextSummary]) -> Table:
    table = plain_table("context", "principal", "requests", "first", "last", right=_NUMBERS)
    for one in contexts:
        name = "(none named)" if one.context_id is None else one.context_id
        times = (f"{time:%Y-%m-%d %H:%M:%S}" for time in (one.first_at, one.last_at))
        table.add_row(*cells(name, one.principal, one.requests, *times))
    return table


def _timeline_table(events: Sequence[Event]) -> Table:
    several = len({event.principal for event in events if event.status != "gap"}) > 1
    forked = len({event.context_id for event in events if event.status != "gap"}) > 1
    who = [name for name, wanted in (("principal", several), ("context", forked)) if wanted]
    columns = ("time", "after s", *who, "method", "target", "outcome", "ms", "view", "rows")
    table = plain_table(*columns, right=_NUMBERS)
    first = events[0].started_at
    for event in events:
        asked = {"principal": event.principal, "context": event.context_id or ""}
        milliseconds = "" if event.duration_ms is None else f"{event.duration_ms:.1f}"
        rows = "" if event.shown is None else f"{event.shown}/{event.total}"
        row = cells(
            f"{event.started_at:%H:%M:%S.%f}"[:-3],
            f"{(event.started_at - first).total_seconds():+.3f}",
            *(asked[name] for name in who),
            event.method,
            _target(event),
            _outcome(event),
            milliseconds,
            event.view or "",
            rows,
        )
        row[4 + len(who)].stylize(_STYLES.get(event.status, ""))
        table.add_row(*row)
    table.caption = _caption(events)
    return table


def _target(event: Event) -> str:
    if event.status == "gap":
        return f"up to {event.missing} requests are missing here"
    target = event.target or ""
    return target if event.tool in (None, event.target) else f"{target} > {event.tool}"


def _outcome(event: Event) -> str:
    return event.status if event.code is None else f"{event.status} {event.code}"


def _caption(events: Sequence[Event]) -> Text:
    requests = [event for event in events if event.status != "gap"]
    failed = sum(event.status in ("error", "tool_error") for event in requests)
    names = sorted({event.principal for event in requests})
    context = requests[0].context_id if requests else ""
    said = f"context {context} of {', '.join(names)}: {len(requests)} requests, {failed} failed, "
    return Text(visible(f"{said}from {events[0].started_at:%Y-%m-%d %H:%M:%S} UTC"))
