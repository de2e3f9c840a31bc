"""What the trail holds, as it is read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from scopedtools.types import JSON


class Event(Struct, frozen=True, kw_only=True):
    """One request, or a gap in the trail.

    Attributes:
        id: Unique; of two events of one machine the later has the greater one.
        started_at: When the request began, in UTC, to the microsecond.
        duration_ms: Milliseconds until it ended, or ``None`` where no end is recorded.
        principal: Who asked.
        context_id: The client's name for the unit of work, or ``None``.
        context_digest: What logs and spans call the context. It depends on the ``secret`` of the server,
            which is another after each start unless it was given.
        parent: ID of the context that this one was forked from, or ``None``.
        carrier: Where on the request the ID was, such as ``header:Mcp-Client-Session-Id``.
        method: Such as ``tools/call``.
        target: The tool, prompt or URI that the request named, or ``None``.
        tool: The tool that was called in the end, through ``call_tool`` too, or ``None``.
        protocol_version: Revision of the protocol.
        rpc_id: JSON-RPC ID, as text.
        client_name: What the client calls itself, where it said so on this request.
        client_version: Likewise.
        trace_id: Of the W3C trace context that the request carried, or ``None``.
        span_id: Likewise, of the caller's span.
        view: Revision of the list in the answer; for a call, a read or a get that of the latest list of its
            kind that the client had been given before, in the same context.
        shown: Rows of that list, where it is of one context.
        total: Rows that it was chosen from.
        status: As in `scopedtools.types.Outcome`; ``unfinished`` where no end is recorded, because the
            request still runs or its process was killed; or ``gap``.
        code: JSON-RPC code of an error, else ``None``.
        server: Name of the server.
        process: Machine and process ID that answered.
        arguments: Of the call, if recorded.
        result: Likewise.
        missing: Of a gap: how many requests are missing between ``started_at`` and ``duration_ms`` later, in
            any context.
    """

    id: str
    started_at: datetime
    duration_ms: float | None
    principal: str
    context_id: str | None
    context_digest: str | None
    parent: str | None
    carrier: str | None
    method: str
    target: str | None
    tool: str | None
    protocol_version: str
    rpc_id: str | None
    client_name: str | None
    client_version: str | None
    trace_id: str | None
    span_id: str | None
    view: str | None
    shown: int | None
    total: int | None
    status: str
    code: int | None
    server: str
    process: str
    arguments: JSON
    result: JSON
    missing: int

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, or ``None``."""
        return (
            None if self.duration_ms is None else self.started_at + timedelta(milliseconds=self.duration_ms)
        )


class ContextSummary(NamedTuple):
    """A context that the trail knows.

    Attributes:
        context_id: Its ID, or ``None`` for the requests that named no context.
        principal: Whose it is.
        requests: How many are recorded.
        first_at: When the first began, in UTC.
        last_at: When the last began, in UTC.
    """

    context_id: str | None
    principal: str
    requests: int
    first_at: datetime
    last_at: datetime
