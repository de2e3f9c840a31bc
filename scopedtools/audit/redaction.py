"""What is masked where arguments and results are recorded."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from scopedtools.types import JSON

Redact: TypeAlias = Callable[[str, JSON], JSON]
"""Takes the tool, URI or prompt that is called, and its arguments or its result; returns what may be kept.

Runs in the thread that writes the trail. Where it raises, nothing is kept of that value.
"""

MASK: Final = "***"

_SECRET: Final = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|cookie|bearer|authorization|apikey|accesskey|privatekey"
    r"|signingkey|encryptionkey|sessionid|cvv|cvc"
)
_SECRET_WHOLE: Final = frozenset({"auth", "key", "pin", "otp", "jwt", "ssn", "signature"})
_NOT_A_LETTER: Final = re.compile(r"[^a-z0-9]")

_CHARACTERS: Final = 1000
_ITEMS: Final = 100
_DEPTH: Final = 20


def mask_secrets(_: str, value: JSON) -> JSON:
    """Return a copy in which secrets are masked and what is large is cut; the default of an `AuditTrail`.

    Masked is every value under a key that looks like one of a secret, however deep, also in text that is
    JSON, and ``value`` beside such a ``name``. Texts are cut after 1000 characters, objects and arrays after
    100 members, and what lies deeper than 20 levels is left out. Secrets in sentences are not found.
    """
    return _masked(value, _DEPTH)


def is_secret(key: str) -> bool:
    """Tell whether a key looks like that of a secret, such as ``apiKey`` or ``X-Auth-Token``."""
    plain = _NOT_A_LETTER.sub("", key.lower())
    return plain in _SECRET_WHOLE or _SECRET.search(plain) is not None


def _masked(value: JSON, depth: int) -> JSON:
    if isinstance(value, str):
        return _masked_text(value, depth)
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        return "…"
    if isinstance(value, list):
        kept = [_masked(item, depth - 1) for item in value[:_ITEMS]]
        return kept if len(value) <= _ITEMS else [*kept, f"… ({len(value)} items)"]
    return _masked_object(value, depth)


def _masked_object(value: dict[str, Any], depth: int) -> dict[str, Any]:
    named = value.get("name", value.get("key"))
    pair = isinstance(named, str) and is_secret(named)
    kept = {
        _cut(key): MASK if is_secret(key) or (pair and key == "value") else _masked(held, depth - 1)
        for key, held in list(value.items())[:_ITEMS]
    }
    return kept if len(value) <= _ITEMS else kept | {"…": f"({len(value)} members)"}


def _masked_text(text: str, depth: int) -> str:
    if text.lstrip()[:1] in ("{", "[") and depth > 0:
        try:
            held = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return _cut(text)
        return _cut(msgspec.json.encode(_masked(held, depth - 1)).decode())
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}… ({len(text)} characters)"
