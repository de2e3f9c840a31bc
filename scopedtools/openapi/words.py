"""Names and texts from a description, made fit for clients and models."""

from __future__ import annotations

import hashlib
import re
import unicodedata
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


def tool_names(wanted: list[tuple[str, str]], *, prefix: str = "", taken: Collection[str] = ()) -> list[str]:
    """Name tools.

    A name that is wanted once, and is one already, stays as it is whatever else the description holds. Of
    several that become the same the later ones end in a digest of method and path, which another order of
    operations does not change.

    Args:
        wanted: For each tool its ``operationId``, or ``""``, and ``"METHOD path"``.
        prefix: Put before each name.
        taken: Names that no tool may have.

    Returns:
        Names of ``[a-zA-Z0-9_-]{1,64}``, no two alike.
    """
    plans = [(prefix + (identifier or key), key) for identifier, key in wanted]
    names: list[str] = [""] * len(plans)
    used = set(taken)
    for exact in (True, False):
        for place, (text, key) in enumerate(plans):
            if names[place] or exact != (fit(text) == text and text not in used):
                continue
            names[place] = _free(fit(text), f"{text} {key}", used)
            used.add(names[place])
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
