"""Bearer tokens: the form they have in a header, and a fixed table of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from scopedtools.types import Principal

MAX_TOKEN_CHARS: Final = 16 * 1024
"""Longer credentials are refused unread."""

_CREDENTIALS: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.ASCII | re.IGNORECASE)
_BEARER: Final = re.compile(r"bearer(?: |$)", re.IGNORECASE)


class StaticTokens:
    """A fixed table of tokens, for a handful of known callers. A ``types.TokenVerifier``.

    Args:
        tokens: Principal of each token.
    """

    def __init__(self, tokens: Mapping[str, Principal]) -> None:
        # Looking up a digest takes the same time whatever part of the token is right.
        self._principals = {_digest(token): principal for token, principal in tokens.items()}

    async def verify(self, token: str) -> Principal | None:
        """Return whose token it is, or ``None``."""
        return self._principals.get(_digest(token))


def uses_bearer(authorization: str | None) -> bool:
    """Tell whether a value of ``Authorization`` names the Bearer scheme, well formed or not."""
    return authorization is not None and _BEARER.match(authorization.strip(" \t")) is not None


def bearer_token(authorization: str) -> str | None:
    """Return the token of a value of ``Authorization``, or ``None`` where it is not well formed.

    Source: RFC 6750 section 2.1, RFC 9110 section 11.4. The scheme may be written in any case.
    """
    if len(authorization) > MAX_TOKEN_CHARS:
        return None
    match = _CREDENTIALS.fullmatch(authorization.strip(" \t"))
    return match and match[1]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
