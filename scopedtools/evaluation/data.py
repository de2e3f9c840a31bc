"""Requests with known answers, from JSON-lines files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from scopedtools.catalog.jsonl import read_lines
from scopedtools.exceptions import ScopedToolsError

Slot = tuple[str, ...]
"""Names of rows any one of which meets a need; most needs can be met by one row alone."""


class QueryFileError(ScopedToolsError):
    """A file of requests cannot be read, or a line of it is not a request."""


class Ask(NamedTuple):
    """One request, or one turn of a dialogue.

    Attributes:
        text: What the user says.
        needed: What has to be found, in the order of the calls, once each; empty where nothing is called.
        called: Names of the rows that were called in answer, in order.
        reply: What the assistant answered, or ``""``.
    """

    text: str
    needed: tuple[Slot, ...]
    called: tuple[str, ...] = ()
    reply: str = ""


class Query(NamedTuple):
    """A unit of work: a single request, or the turns of a dialogue.

    Attributes:
        id: Names it in results.
        asks: In order; one for a single request.
        dialogue: Whether it is a dialogue, however many turns it has.
        kind: What the file calls it, such as ``single`` or ``multi``.
        part: Part of the set that it belongs to, or ``""``.
    """

    id: str
    asks: tuple[Ask, ...]
    dialogue: bool = False
    kind: str = ""
    part: str = ""


class _Asked(msgspec.Struct):
    relevant: list[str] | None = None
    any_of: list[list[str]] | None = None
    reply: str | None = None


class _Turn(_Asked, kw_only=True):
    query: str


class _Line(_Asked, kw_only=True):
    id: str
    query: str | None = None
    turns: list[_Turn] | None = None
    kind: str | None = None
    part: str | None = None


_line: Final = msgspec.json.Decoder(_Line)


def read_queries(path: Path | str) -> Iterator[Query]:
    """Read one request or dialogue a line.

    Args:
        path: JSON lines, gzipped if the name ends in ``.gz``: ``{"id", "query", "relevant"}`` with the names
            of the rows that were called, or ``{"id", "turns": [{"query", "relevant", "reply"?}]}``.
            ``any_of`` beside ``relevant`` gives the alternatives of each need instead; ``kind`` and ``part``
            are kept.

    Raises:
        QueryFileError: The file cannot be read, a line is not a request, or an ID comes twice.
    """
    return read_lines(Path(path), _query, name_of=lambda query: query.id, error=QueryFileError)


def _query(line: bytes) -> Query:
    row = _line.decode(line)
    if row.turns is not None:
        asks = tuple(_ask(turn.query, turn) for turn in row.turns)
    elif row.query is not None:
        asks = (_ask(row.query, row),)
    else:
        raise msgspec.ValidationError("neither query nor turns")
    return Query(row.id, asks, dialogue=row.turns is not None, kind=row.kind or "", part=row.part or "")


def _ask(text: str, asked: _Asked) -> Ask:
    called = tuple(asked.relevant or ())
    slots = map(tuple, asked.any_of) if asked.any_of else ((name,) for name in called)
    # Nothing could meet a need without alternatives.
    needed = dict.fromkeys(slot for slot in slots if slot)
    return Ask(text, tuple(needed), called, asked.reply or "")
