"""What a unit of work has said and done so far, cut into what is looked for, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from scopedtools.retrieval.text import clauses
from scopedtools.types import Turn

MAX_CHARACTERS: Final = 8192
"""A request is read up to here: encoders see less, and work on it must not grow with what a client sends."""

MEMORY_TURNS: Final = 6
"""Earlier turns that still count. Measured on dialogues: 2 lose 4 points of recall@5, more gain none."""

_KEPT: Final = 512
"""Utterances kept as they were cut, the least recently used go first: turns come again with later ones."""

_TURN_DECAY: Final = 0.7
_REPLY_WEIGHT: Final = 0.6
_CALL_DECAY: Final = 0.8


class Utterance(NamedTuple):
    """One thing that was said.

    Attributes:
        parts: The whole, then its clauses; encoded together.
        weight: What it counts, 1 for what is said now.
        searched: How many of the parts are looked for: of what was said earlier, the whole alone.
    """

    parts: tuple[str, ...]
    weight: float = 1.0
    searched: int = 1


class Heard(NamedTuple):
    """What speaks for a row besides itself.

    Attributes:
        utterances: What was said: now first, then what came before.
        called: Rows called so far, each with a weight in 0..1 that falls with its age.
    """

    utterances: tuple[Utterance, ...]
    called: Mapping[int, float]

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Where the parts of each utterance begin and end in ``texts``; its whole is the first."""
        return tuple(pairwise(accumulate((one.searched for one in self.utterances), initial=0)))

    @property
    def texts(self) -> tuple[str, ...]:
        """All parts that are looked for, in order."""
        return tuple(part for one in self.utterances for part in one.parts[: one.searched])


def hear(text: str, history: Sequence[Turn] = ()) -> Heard | None:
    """Cut a request and what came before it into what is looked for.

    Args:
        text: What is said now.
        history: What came before, oldest first.

    Returns:
        What to look for; ``None`` where nothing but blanks is said now.
    """
    parts = _parts(text[:MAX_CHARACTERS])
    if not parts:
        return None
    now = Utterance(parts, 1.0, len(parts))
    if not history:
        return Heard((now,), {})
    earlier = list(reversed(history))[:MEMORY_TURNS]
    past = (one for age, turn in enumerate(earlier, start=1) for one in _turn(turn, age) if one is not None)
    called: dict[int, float] = {}
    for age, turn in enumerate(earlier):
        for row in turn.called:
            called.setdefault(row, _CALL_DECAY**age)
    return Heard((now, *past), called)


def _turn(turn: Turn, age: int) -> tuple[Utterance | None, Utterance | None]:
    weight: float = _TURN_DECAY**age
    return (
        _utterance(turn.reply, _TURN_DECAY ** (age - 1) * _REPLY_WEIGHT, whole=True),
        _utterance(turn.text, weight),
    )


def _utterance(text: str, weight: float, *, whole: bool = False) -> Utterance | None:
    # What was said is encoded as it was when it was said, clauses and all: its vectors are still cached.
    parts = _parts(text[:MAX_CHARACTERS])
    return Utterance(parts[:1] if whole else parts, weight) if parts else None


@lru_cache(maxsize=_KEPT)
def _parts(text: str) -> tuple[str, ...]:
    """Return the whole and its clauses; nothing of blanks."""
    joined = " ".join(text.split())
    return (joined, *clauses(text)) if joined else ()
