"""What rows have to do with each other: groups, and the rows that others need first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from scopedtools.retrieval.lexical import stem
from scopedtools.retrieval.text import words
from scopedtools.types import Describable

_SEARCH: Final = stem("search")
_SEARCHES: Final = frozenset(map(stem, ("search", "find", "list", "lookup", "query", "discover")))
_FINDS: Final = _SEARCHES | frozenset(map(stem, ("get", "fetch", "all")))
_CHANGES: Final = frozenset(
    map(stem, ("add", "cancel", "create", "delete", "edit", "insert", "patch", "post", "put", "remove"))
) | frozenset(map(stem, ("send", "set", "update")))

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_BRACES: Final = re.compile(r"[{}]")
_IDS: Final = ("id", "ids", "Id", "Ids", "ID", "IDs")

_FINDERS: Final = 3
"""Finders kept of one thing: whoever may not use the best gets the next."""


class Relations(NamedTuple):
    """Relations between the rows of a catalog.

    Attributes:
        groups: Number of each row's group, int32, shape ``(rows,)``; -1 where it belongs to none.
        required: For each row, the rows that it says it requires.
        finders: For each row, and each thing that it takes the ID of, the rows that find it, best first.
    """

    groups: npt.NDArray[np.int32]
    required: Sequence[tuple[int, ...]]
    finders: Sequence[tuple[tuple[int, ...], ...]]

    def closure(self, row: int) -> Iterator[int]:
        """Yield a row, then all that it requires, directly or not, each once."""
        seen: set[int] = set()
        left = [row]
        while left:
            one = left.pop()
            if one not in seen:
                seen.add(one)
                yield one
                left.extend(reversed(self.required[one]))


class _Search(NamedTuple):
    """A row that may find things.

    Attributes:
        row: Its ordinal.
        words: Stems of the words of its name.
        things: What it needs the IDs of itself.
    """

    row: int
    words: frozenset[str]
    things: frozenset[str]

    def finds(self, thing: str) -> bool:
        """Tell whether it finds a thing: by its name, without knowing one and without changing any."""
        changes = bool(self.words & _CHANGES) and _SEARCH not in self.words
        return bool((self.words - {thing}) & _FINDS) and thing not in self.things and not changes

    @property
    def plainness(self) -> tuple[bool, int, int]:
        """What the plainest search for a thing has least of."""
        return not self.words & _SEARCHES, len(self.words), self.row


def relate(rows: Sequence[Describable]) -> Relations:
    """Read the relations of a catalog's rows. Names of rows that are not in the catalog mean nothing."""
    groups = {
        group: number for number, group in enumerate(dict.fromkeys(row.group for row in rows if row.group))
    }
    named: dict[str, list[int]] = {}
    for ordinal, row in enumerate(rows):
        named.setdefault(row.name, []).append(ordinal)
    return Relations(
        groups=np.array([groups.get(row.group, -1) for row in rows], dtype=np.int32),
        # Kinds may share a name: all that have it, and permission keeps them apart.
        required=tuple(
            tuple(one for name in dict.fromkeys(row.requires) for one in named.get(name, ())) for row in rows
        ),
        finders=_finders(rows),
    )


def _finders(rows: Sequence[Describable]) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """Find, for each ID that a row takes, the rows of its group that most plainly search for its thing."""
    things = [_things(row) for row in rows]
    wanted = {(row.group, thing) for row, own in zip(rows, things, strict=True) for thing in own}
    groups = {group for group, _ in wanted}
    by_word: dict[tuple[str, str], list[_Search]] = {}
    for ordinal, (row, own) in enumerate(zip(rows, things, strict=True)):
        # Words are costly to cut, and most groups take no IDs.
        if row.group in groups:
            search = _Search(ordinal, _words(row), own)
            for word in search.words:
                by_word.setdefault((row.group, word), []).append(search)
    best = {key: _plainest(by_word.get(key, ()), key[1]) for key in wanted}
    return tuple(
        tuple(
            found
            for thing in sorted(own)
            if (found := tuple(one for one in best[row.group, thing] if one != ordinal))
        )
        for ordinal, (row, own) in enumerate(zip(rows, things, strict=True))
    )


def _plainest(searches: Iterable[_Search], thing: str) -> tuple[int, ...]:
    able = sorted((one for one in searches if one.finds(thing)), key=lambda one: one.plainness)
    return tuple(one.row for one in able[:_FINDERS])


def _things(row: Describable) -> frozenset[str]:
    """Return what a row names by an ID, as stems: ``movi`` for ``movie_id``."""
    required = (one.name for one in row.parameters() if one.required and one.name.endswith(_IDS))
    # APIs that were described path by path have their IDs in their names: ``GET /movie/{movie_id}/credits``.
    named = (*_PLACEHOLDER.findall(row.name), *_PLACEHOLDER.findall(row.title or ""), *required)
    return frozenset(thing for thing in map(_thing, named) if thing)


def _thing(parameter: str) -> str:
    parts = words(parameter).lower().split()
    return stem(parts[-2]) if len(parts) > 1 and parts[-1] in ("id", "ids") else ""


def _words(row: Describable) -> frozenset[str]:
    # Where the name is made of a server's and of the tool's own, which is the title then, the server's words
    # say nothing about the tool. Any other title is for people.
    own = row.title if row.title and row.name.endswith(row.title) else row.name
    return frozenset(stem(word.lower()) for word in words(_BRACES.sub(" ", own)).split())
