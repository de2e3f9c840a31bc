"""From what a request left behind to a row of the table. Runs in the thread that writes."""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
from typing import Any, Final

import msgspec

from scopedtools.audit.entry import MOST_BYTES, Answered, Asked, Entry, Recording, asked_of
from scopedtools.audit.redaction import Redact
from scopedtools.audit.tables import ENDED, GAP, STARTED

Row = dict[str, Any]

_log: Final = logging.getLogger(__name__)

# W3C Trace Context: IDs of zeros, and version ff, are invalid.
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_RUNNING: Final = Answered(None, None, None, None, None, None)


class Rows:
    """Makes rows.

    Args:
        server: Name of the server.
        recording: What is recorded of the content of requests.
        redact: Decides what may be kept of it.
    """

    def __init__(self, server: str, *, recording: Recording, redact: Redact) -> None:
        self._server = server
        self._host = socket.gethostname()
        self._recording = recording
        self._redact = redact
        self._redaction_failed = False

    def started(self, entry: Entry) -> Row | None:
        """Return the row of a request that still runs, or ``None`` where it has ended by now."""
        live = entry.live
        if live is None:
            return None
        return self._row(STARTED, entry, asked_of(*live, recording=self._recording), _RUNNING)

    def ended(self, entry: Entry) -> Row:
        """Return the row of a request that has ended."""
        assert entry.asked is not None  # noqa: S101 - it has ended
        assert entry.answered is not None  # noqa: S101 - likewise
        return self._row(ENDED, entry, entry.asked, entry.answered)

    def gap(self, since_ns: int, until_ns: int, missing: int) -> Row:
        """Return the row that says that requests are missing."""
        empty = dict.fromkeys(Asked._fields + Answered._fields)
        del empty["digest"], empty["client_info"], empty["traceparent"]
        nothing = dict.fromkeys(("context_digest", "client_name", "client_version", "trace_id", "span_id"))
        return (
            empty
            | nothing
            | {
                "id": event_id(since_ns),
                "phase": GAP,
                "started_at": since_ns // 1000,
                "duration_us": (until_ns - since_ns) // 1000,
                "principal": "",
                "method": "",
                "protocol_version": "",
                "status": "gap",
                "server": self._server,
                "process": self._process(),
                "missing": missing,
            }
        )

    def _row(self, phase: str, entry: Entry, asked: Asked, answered: Answered) -> Row:
        if not entry.id:
            entry.id = event_id(entry.started_ns)
        traced = _TRACEPARENT.fullmatch(asked.traceparent) if asked.traceparent else None
        name = asked.tool or asked.target or ""
        return {
            "id": entry.id,
            "phase": phase,
            "started_at": entry.started_ns // 1000,
            "duration_us": None if entry.duration_ns is None else entry.duration_ns // 1000,
            "principal": storable(asked.principal.name),
            "context_id": asked.context_id,
            "context_digest": asked.digest,
            "parent": asked.parent,
            "carrier": str(asked.carrier) if asked.carrier is not None else None,
            "method": asked.method,
            "target": storable(asked.target),
            "tool": storable(asked.tool),
            "protocol_version": asked.protocol_version,
            "rpc_id": None if asked.rpc_id is None else storable(str(asked.rpc_id)),
            "client_name": storable(asked.client_info[0]),
            "client_version": storable(asked.client_info[1]),
            "trace_id": traced[1] if traced else None,
            "span_id": traced[2] if traced else None,
            "view": answered.view,
            "shown": answered.shown,
            "total": answered.total,
            "status": answered.status,
            "code": answered.code,
            "server": self._server,
            "process": self._process(),
            "arguments": self._redacted(name, asked.arguments),
            "result": self._redacted(name, answered.result),
            "missing": 0,
        }

    def _process(self) -> str:
        # Asked anew: a server may be made before its workers are forked.
        return f"{self._host}/{os.getpid()}"

    def _redacted(self, name: str, encoded: bytes | None) -> str | None:
        if encoded is None:
            return None
        try:
            kept = msgspec.json.encode(self._redact(name, msgspec.json.decode(encoded)))
        except Exception as error:  # noqa: BLE001 - an author's function; nothing is kept rather than too much
            if not self._redaction_failed:
                self._redaction_failed = True
                # Without its message, which could show what must not be shown.
                _log.error("redaction failed, so the audit trail leaves values out: %s", type(error).__name__)
            return '{"omitted":"redaction failed"}'
        if len(kept) > MOST_BYTES:
            return f'{{"omitted":"{len(kept)} bytes"}}'
        return kept.decode()  # JSON has neither NUL nor surrogates


def event_id(at_ns: int) -> str:
    """Make a UUID of version 7: milliseconds, then their fraction, then chance."""
    milliseconds, rest = divmod(at_ns, 1_000_000)
    value = (
        milliseconds << 80
        | 0x7000 << 64
        | (rest << 12) // 1_000_000 << 64
        | 0b10 << 62
        | secrets.randbits(62)
    )
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def storable(text: Any) -> Any:
    """Return a text without what a database refuses: NUL, and halves of surrogate pairs."""
    return text if text is None or (text.isascii() and "\0" not in text) else _UNSTORABLE.sub("\ufffd", text)
