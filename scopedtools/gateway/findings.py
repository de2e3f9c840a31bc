"""What a person should look at before trusting the rows of a gateway."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from scopedtools.catalog.primitives import KINDS, Kind
from scopedtools.gateway.approval import Approvals
from scopedtools.gateway.listing import Definitions

Problem: TypeAlias = Literal["instructions", "near-duplicate", "oversized", "changed", "unapproved"]

_LARGE_BYTES: Final = 16 * 1024
"""A definition of this size takes about four thousand tokens of every list that it is in."""

_NEIGHBOURS: Final = 8
_LIKE: Final = 0.88

_SUSPICIOUS: Final[Mapping[str, re.Pattern[str]]] = {
    "speaks of other instructions": re.compile(
        r"\b(ignore|disregard|forget|override)\b.{0,40}"
        r"\b(previous|prior|earlier|above|other|system)\b.{0,20}\b(instruction|prompt|rule|tool)",
        re.IGNORECASE | re.DOTALL,
    ),
    "asks to keep something from the user": re.compile(
        r"\b(do not|don't|never|without)\b.{0,30}"
        r"\b(tell|telling|mention|mentioning|inform|informing|show|reveal)\b.{0,30}\buser",
        re.IGNORECASE | re.DOTALL,
    ),
    "has a block of instructions": re.compile(
        r"<\s*/?\s*(important|system|instructions?|secret)\s*>", re.IGNORECASE
    ),
    "names files with credentials": re.compile(
        r"(\.ssh\b|id_rsa|id_ed25519|\.aws/credentials|\.netrc|/etc/passwd|(^|[\s/'\"`])\.env\b)",
        re.IGNORECASE,
    ),
    "wants to be called before or instead of others": re.compile(
        r"\b(before|instead of)\b.{0,20}\b(using|calling|any|all|every)\b.{0,20}\btools?\b",
        re.IGNORECASE | re.DOTALL,
    ),
    "has a long encoded text": re.compile(r"[A-Za-z0-9+/]{200,}={0,2}"),
}


class Finding(NamedTuple):
    """Something to look at.

    Attributes:
        server: Whose row it is.
        kind: Of the row.
        name: Of the row, at its server.
        problem: What kind of thing it is.
        detail: What was found.
    """

    server: str
    kind: Kind
    name: str
    problem: Problem
    detail: str


class _Row(NamedTuple):
    server: str
    kind: Kind
    definition: Mapping[str, Any]

    def finding(self, problem: Problem, detail: str) -> Finding:
        return Finding(self.server, self.kind, str(self.definition["name"]), problem, detail)


def findings(known: Mapping[str, Definitions], approvals: Approvals) -> list[Finding]:
    """Look at all rows.

    Args:
        known: What each server has.
        approvals: What was approved.
    """
    rows = [
        _Row(server, kind, definition)
        for server, definitions in known.items()
        for kind in KINDS
        for definition in definitions[kind]
    ]
    found = [finding for row in rows for finding in _alone(row, approvals)]
    return found + list(_alike([row for row in rows if row.kind == "tool"]))


def _alone(row: _Row, approvals: Approvals) -> Iterator[Finding]:
    standing = approvals.standing(row.server, row.kind, row.definition)
    if standing == "changed":
        yield row.finding("changed", "its definition is another than the approved one")
    elif standing == "new":
        yield row.finding("unapproved", "nobody has approved it")
    text = "\n".join(_texts(row.definition))
    for said, pattern in _SUSPICIOUS.items():
        if (match := pattern.search(text)) is not None:
            yield row.finding("instructions", f"{said}: {' '.join(match[0].split())[:80]!r}")
    size = len(msgspec.json.encode(row.definition))
    if size > _LARGE_BYTES:
        yield row.finding("oversized", f"its definition has {size} bytes, about {size // 4} tokens")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _alike(tools: list[_Row]) -> Iterator[Finding]:
    """Find tools of different servers that a model may take for each other; near ones when sorted by name."""
    plain = sorted(
        (re.sub(r"[^a-z0-9]", "", str(row.definition["name"]).lower()), row.server, row) for row in tools
    )
    for place, (name, server, row) in enumerate(plain):
        for other_name, other_server, other in plain[place + 1 : place + 1 + _NEIGHBOURS]:
            if server != other_server and _are_alike(name, other_name):
                said = f"{other.definition['name']!r} of {other_server!r} has nearly the same name"
                yield row.finding("near-duplicate", said)


def _are_alike(name: str, other: str) -> bool:
    matcher = SequenceMatcher(None, name, other)
    return name == other or (matcher.quick_ratio() >= _LIKE and matcher.ratio() >= _LIKE)
