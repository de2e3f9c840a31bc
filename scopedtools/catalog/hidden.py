"""Characters that do not show, or turn others around: what a person approves is not what a model reads."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

_TURNING: Final = re.compile(
    "[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\U000e0000-\U000e007f]"
)
"""What turns the direction of text or does not show."""

_SELECTORS: Final = re.compile("[\ufe00-\ufe0f]{2,}|[\U000e0100-\U000e01ef]+")
"""Variants of the character before: one alone is part of many emoji, several hide text."""


def visible(text: str) -> str:
    """Return a text without control characters and without such as hide or turn other characters."""
    text = _SELECTORS.sub("", text)
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text  # as nearly all is: half of the time of a list
    text = _TURNING.sub("", text)
    return "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cs"))


def hides(schema: Any) -> bool:
    """Tell whether a name or a value in a schema holds something that does not show.

    It cannot be taken out there, as of a description: the name is what callers have to send. Control
    characters in values are seen, since JSON writes them down as escapes.
    """
    if isinstance(schema, str):
        return not schema.isascii() and bool(_TURNING.search(schema) or _SELECTORS.search(schema))
    if isinstance(schema, dict):
        return any(visible(key) != key for key in schema) or any(map(hides, schema.values()))
    return isinstance(schema, list | tuple) and any(map(hides, schema))
