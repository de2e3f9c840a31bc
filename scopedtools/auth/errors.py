"""Refusals of a request by who asks, as HTTP says them.

::

    AuthorizationError
    ├── Unauthorized       401  no token, or one that is not good here
    ├── InsufficientScope  403  a good token that grants too little
    └── Unavailable        503  tokens cannot be judged at the moment
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from scopedtools.exceptions import ScopedToolsError


class AuthorizationError(ScopedToolsError):
    """A request is refused by who asks. The message is for the client and names no token.

    Attributes:
        status: HTTP status of the answer.
        headers: What the answer says besides, as ASGI has it.
    """

    status: ClassVar[int]

    def __init__(self, message: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.headers = headers


class Unauthorized(AuthorizationError):  # noqa: N818 - the name of the status
    """There is no token, or none that is good here; the client is to get one.

    Args:
        challenge: Value of ``WWW-Authenticate``.
    """

    status = 401

    def __init__(self, message: str, *, challenge: str) -> None:
        super().__init__(message, headers=((b"www-authenticate", challenge.encode()),))
        self.challenge = challenge


class InsufficientScope(AuthorizationError):  # noqa: N818 - the name of the OAuth error
    """The token grants too little; the client is to get one that grants `scopes`.

    Args:
        challenge: Value of ``WWW-Authenticate``.
        scopes: All that the request needs, whatever the token has of it.
    """

    status = 403

    def __init__(self, message: str, *, challenge: str, scopes: Iterable[str]) -> None:
        super().__init__(message, headers=((b"www-authenticate", challenge.encode()),))
        self.challenge = challenge
        self.scopes = frozenset(scopes)


class Unavailable(AuthorizationError):  # noqa: N818 - the name of the status
    """A verifier cannot judge tokens now, good or not; nobody is to throw a token away for that.

    Args:
        retry_after_s: When to ask again.
    """

    status = 503

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message, headers=((b"retry-after", b"%d" % retry_after_s),))
        self.retry_after_s = retry_after_s
