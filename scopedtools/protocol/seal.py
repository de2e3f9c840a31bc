"""State that travels through the client and comes back as it was."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any, Final

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from scopedtools.exceptions import InvalidParamsError

_TTL_S: Final = 15 * 60


class Sealer:
    """Seals values so that clients can neither read, change nor keep them.

    Args:
        secret: Replicas that may get each other's retries share it; random by default.
        ttl_s: Seconds for which a sealed value is accepted.
    """

    def __init__(self, secret: bytes | None = None, *, ttl_s: int = _TTL_S) -> None:
        material = hashlib.blake2b(
            secret or secrets.token_bytes(32), digest_size=32, person=b"requestState"
        ).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(material))
        self._ttl_s = ttl_s

    def seal(self, value: Any, *, purpose: bytes) -> str:
        """Seal a JSON value.

        Args:
            value: What to keep.
            purpose: Who may use it for what; `open` must be given the same.
        """
        return self._fernet.encrypt(_digest(purpose) + msgspec.json.encode(value)).decode()

    def open(self, sealed: str, *, purpose: bytes) -> Any:
        """Return what was sealed.

        Raises:
            InvalidParamsError: It was not sealed here, for this purpose, or too long ago.
        """
        try:
            opened = self._fernet.decrypt(_strict(sealed), ttl=self._ttl_s)
        except (InvalidToken, ValueError) as error:
            raise InvalidParamsError(
                "requestState is not valid here, or no longer; begin again without it"
            ) from error
        bound, value = opened[:16], opened[16:]
        if not secrets.compare_digest(bound, _digest(purpose)):
            raise InvalidParamsError("requestState belongs to another request; begin again without it")
        return msgspec.json.decode(value)


def _strict(sealed: str) -> bytes:
    # Fernet decodes base64 leniently: what stands behind the padding would be ignored, not noticed.
    token = sealed.encode("ascii")
    if base64.urlsafe_b64encode(base64.b64decode(token, altchars=b"-_", validate=True)) != token:
        raise ValueError("not canonical base64")
    return token


def _digest(purpose: bytes) -> bytes:
    return hashlib.blake2b(purpose, digest_size=16).digest()
