"""Credentials kept out of what comes back: APIs repeat them in messages, headers and redirects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus, unquote_plus, urlsplit, urlunsplit

_LEAST_CHARACTERS: Final = 8
"""A shorter text stands in too many answers for other reasons, and guards nothing."""

_PUT_INSTEAD: Final = "[credential]"

_SECRET: Final = re.compile(r"auth|cookie|credential|key|passw|secret|session|signature|token", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Tell whether a header is named like one that carries a credential."""
    return _SECRET.search(name) is not None


def redacted(body: bytes, secrets: Iterable[str]) -> bytes:
    """Return a body in which nobody can read the secrets, however the API wrote them."""
    for written in _written(secrets):
        body = body.replace(written.encode(), _PUT_INSTEAD.encode())
    return body


def redacted_text(text: str, secrets: Iterable[str]) -> str:
    """Return a text in which nobody can read the secrets."""
    for written in _written(secrets):
        text = text.replace(written, _PUT_INSTEAD)
    return text


def _written(secrets: Iterable[str]) -> Iterator[str]:
    for secret in dict.fromkeys(secrets):
        if len(secret) >= _LEAST_CHARACTERS:
            in_json = json.dumps(secret)[1:-1]
            encoded = (quote(secret, safe=""), quote_plus(secret), in_json.replace("/", "\\/"), in_json)
            yield from dict.fromkeys((*encoded, secret))


def without_pairs(url: str, query: str) -> str:
    """Return a URL without those names and values in its query that stand in another query, too."""
    if not query:
        return url
    parts = urlsplit(url)
    others = {unquote_plus(pair) for pair in query.split("&")}
    kept = [pair for pair in parts.query.split("&") if unquote_plus(pair) not in others]
    return urlunsplit(parts._replace(query="&".join(kept)))
