"""What rows have to do with each other: groups, and the rows that others need first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from scopedtools.retrieval.lexical import stem
from scopedtools.retrieval.text import words
from scopedtools.types import Describable

_SEARCHES: Final = frozenset(map(stem, ("search", "find", "list", "lookup", "query", "discover")))
_FINDS: Final = _SEARCHES | frozenset(map(stem, ("get", "fetch", "all")))

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


class Relations(NamedTuple):
    """Relations between the rows of a catalog.

    Attributes:
        groups: Number of each row's group, int32, shape ``(rows,)``; -1 where it belongs to none.
        required: For each row, the rows that it says it requires.
        finders: For each row, the rows that find what its arguments name by an ID.
    """

    groups: npt.NDArray[np.int32]
    required: tuple[tuple[int, ...], ...]
    finders: tuple[tuple[int, ...], ...]

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


class _Shape(NamedTuple):
    """A row as far as finders are concerned.

    Attributes:
        group: Its group.
        words: Stems of the words of its name.
        things: What it needs the IDs of.
    """

    group: str
    words: frozenset[str]
    things: frozenset[str]


def relate(rows: Sequence[Describable]) -> Relations:
    """Read the relations of a catalog's rows. Names of rows that are not in the catalog mean nothing."""
    numbers = {
        group: number for number, group in enumerate(dict.fromkeys(row.group for row in rows if row.group))
    }
    first = {row.name: ordinal for ordinal, row in reversed(list(enumerate(rows)))}
    return Relations(
        groups=np.array([numbers.get(row.group, -1) for row in rows], dtype=np.int32),
        required=tuple(
            tuple(first[name] for name in dict.fromkeys(row.requires) if name in first) for row in rows
        ),
        finders=_finders([_shape(row) for row in rows]),
    )


def _shape(row: Describable) -> _Shape:
    required = (parameter.name for parameter in row.parameters() if parameter.required)
    # APIs that were described path by path have their IDs in their names: ``GET /movie/{movie_id}/credits``.
    named = (*_PLACEHOLDER.findall(row.name), *_PLACEHOLDER.findall(row.title or ""), *required)
    own = words(_named(row)).replace("{", " ").replace("}", " ").split()
    things = frozenset(thing for thing in map(_thing, named) if thing)
    return _Shape(row.group, frozenset(stem(word.lower()) for word in own), things)


def _named(row: Describable) -> str:
    # Where the name is an ID in a joint catalog, the title is what the row is called at home.
    return row.title or row.name


def _thing(parameter: str) -> str:
    """Return what a parameter names by an ID, as a stem: ``movi`` for ``movie_id``; or ``""``."""
    parts = words(parameter).lower().split()
    return stem(parts[-2]) if len(parts) > 1 and parts[-1] in ("id", "ids") else ""


def _finders(shapes: Sequence[_Shape]) -> tuple[tuple[int, ...], ...]:
    """Find, for each ID that a row takes, the row of its group that most plainly searches for its thing."""
    finding: dict[tuple[str, str], list[int]] = {}
    for ordinal, shape in enumerate(shapes):
        if shape.words & _FINDS:
            for word in shape.words:
                finding.setdefault((shape.group, word), []).append(ordinal)
    best: dict[tuple[str, str], int | None] = {}
    for group, thing in {(shape.group, thing) for shape in shapes for thing in shape.things}:
        able = [row for row in finding.get((group, thing), ()) if thing not in shapes[row].things]
        best[group, thing] = min(able, key=lambda row: _plainness(shapes[row], row), default=None)
    return tuple(
        tuple(
            finder
            for thing in sorted(shape.things)
            if (finder := best[shape.group, thing]) is not None and finder != ordinal
        )
        for ordinal, shape in enumerate(shapes)
    )


def _plainness(shape: _Shape, row: int) -> tuple[bool, int, int]:
    return not shape.words & _SEARCHES, len(shape.words), row
