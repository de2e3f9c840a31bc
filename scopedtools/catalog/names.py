"""Names that every client and every provider of models takes."""

from __future__ import annotations

import hashlib
import re
from typing import Final

MOST_CHARACTERS: Final = 64

_FORBIDDEN: Final = re.compile(r"[^A-Za-z0-9_-]")
_MARK_CHARACTERS: Final = 9
"""Of the suffix: ``_`` and eight of a digest."""


def prefixed(prefix: str, name: str) -> str:
    """Return a name behind a prefix, or as it is where that is ``""``."""
    return f"{prefix}__{name}" if prefix else name


def fitting(wanted: str, *, of: tuple[str, str]) -> str:
    """Return a name in ``A-Z a-z 0-9 _ -``, of 64 characters at most: itself, where it is one.

    Args:
        wanted: What the name should be.
        of: Where the row comes from and what it is called there; makes a name that was changed its own.
    """
    plain = _FORBIDDEN.sub("_", wanted)
    return plain if plain == wanted and len(plain) <= MOST_CHARACTERS else marked(plain, of=of)


def marked(name: str, *, of: tuple[str, str]) -> str:
    """Return a name with a suffix that only this row has; see `fitting`."""
    return f"{name[: MOST_CHARACTERS - _MARK_CHARACTERS]}_{mark(*of)}"


def mark(origin: str, name: str) -> str:
    """Return eight hexadecimal digits for a name of somewhere."""
    material = f"{len(origin)} {origin} {name}".encode()
    return hashlib.blake2b(material, digest_size=4).hexdigest()
