"""Names and texts from a description, made fit for clients and models."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from functools import lru_cache
from typing import Final

DESCRIPTION_CHARACTERS: Final = 1024
"""Of a tool."""

MEMBER_CHARACTERS: Final = 400
"""Of a description inside a schema."""

_TITLE_CHARACTERS: Final = 120
_NAME_CHARACTERS: Final = 64
_DIGEST_CHARACTERS: Final = 8
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@lru_cache(4096)
def plain(text: str, limit: int) -> str:
    """Return a text without control and format characters, cut at a word where it is longer than ``limit``.

    A description is data of somebody else's: what terminals obey and readers do not see has no place in it.
    """
    shown = text[: 4 * limit]
    if not shown.isascii() or _CONTROL.search(shown):
        shown = "".join(char for char in shown if char in "\n\t" or unicodedata.category(char)[0] != "C")
    shown = shown.strip()
    if len(shown) <= limit:
        return shown
    cut = shown[: limit - 1]
    return (cut.rsplit(None, 1)[0] if " " in cut[limit // 2 :] else cut).rstrip() + "…"


def title(text: str) -> str | None:
    """Return a short title, or ``None`` where there is none."""
    line = " ".join(plain(text, 4 * _TITLE_CHARACTERS).split())
    return line if 0 < len(line) <= _TITLE_CHARACTERS else None


def joined(summary: str, description: str) -> str:
    """Return what an operation does: its summary, then its description where that says more."""
    parts = [part.strip() for part in (summary, description) if part.strip()]
    if len(parts) > 1 and parts[1].startswith(parts[0].rstrip(".")):
        parts = parts[1:]
    return plain("\n\n".join(parts), DESCRIPTION_CHARACTERS)


def tool_names(wanted: list[tuple[str, str]], *, taken: Collection[str] = ()) -> list[str]:
    """Name tools.

    A name that one tool alone wants, and that is one already, stays as it is whatever else the description
    holds. Where several want the same, each of them ends in a digest of its method and path: with another
    order, or fewer of them, none would be called by the name of another.

    Args:
        wanted: For each tool its ``operationId``, or ``""``, and ``"METHOD path"``.
        taken: Names that no tool may have.

    Returns:
        Names of ``[a-zA-Z0-9_-]{1,64}``, no two alike.
    """
    plans = [(identifier or key, key) for identifier, key in wanted]
    fitting = [fit(text) for text, _ in plans]
    exact = Counter(name for name, (text, _) in zip(fitting, plans, strict=True) if name == text)
    alike = Counter(fitting)
    clear = [
        name not in taken and (exact[name] == 1 if name == text else alike[name] == 1)
        for name, (text, _) in zip(fitting, plans, strict=True)
    ]
    used = {*taken, *(name for name, is_clear in zip(fitting, clear, strict=True) if is_clear)}
    names: list[str] = []
    for name, is_clear, (text, key) in zip(fitting, clear, plans, strict=True):
        names.append(name if is_clear else _free(_with_digest(name, f"{text} {key}"), f"{text} {key}", used))
        used.add(names[-1])
    return names


def _free(name: str, key: str, used: Collection[str]) -> str:
    candidate, number = name, 0
    while candidate in used:
        salt = key if not number else f"{key} {number}"
        candidate, number = _with_digest(name, salt), number + 1
    return candidate


def fit(text: str) -> str:
    """Return a text as a name of ``[a-zA-Z0-9_-]{1,64}``; of long ones the end becomes a digest."""
    name = re.sub(r"_+", "_", re.sub(r"[^a-zA-Z0-9_-]", "_", text)).strip("_") if not _is_name(text) else text
    if not name:
        return _with_digest("unnamed", text)
    return name if len(name) <= _NAME_CHARACTERS else _with_digest(name, text)


def _is_name(text: str) -> bool:
    return re.fullmatch(r"[a-zA-Z0-9_-]+", text) is not None


def _with_digest(name: str, text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{name[: _NAME_CHARACTERS - 1 - len(digest)].rstrip('_-')}_{digest}"


def argument_name(text: str, place: str, used: Collection[str]) -> str:
    """Name an argument after a parameter.

    Args:
        text: What the API calls it, such as ``filter[name]``.
        place: Where it goes, such as ``query``; it tells parameters of one name apart.
        used: Names of the other arguments.

    Returns:
        A name of ``[a-zA-Z0-9_.-]{1,64}``, which is what hosts take.
    """
    name = text if is_argument_name(text) else fit(text)
    if name in used:
        name = fit(f"{name}_{place}")
    return _free(name, f"{place} {text}", used)


def is_argument_name(text: str) -> bool:
    """Tell whether hosts take a text as the name of an argument."""
    return re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", text) is not None
