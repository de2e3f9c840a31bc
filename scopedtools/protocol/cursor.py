"""Cursors: where a page begins, and of which list."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from scopedtools.exceptions import InvalidParamsError

_CURSOR: Final = re.compile(rb"([0-9a-f]{1,64}):([0-9]{1,12})")


def encode_cursor(revision: str, offset: int) -> str:
    """Make the cursor of a page."""
    return base64.urlsafe_b64encode(f"{revision}:{offset}".encode()).decode()


def decode_cursor(cursor: str, revision: str) -> int:
    """Return the offset at which a page begins.

    Args:
        cursor: From the client.
        revision: Of the list as it is now.

    Raises:
        InvalidParamsError: It was not made here, or for a list that has changed since.
    """
    try:
        found = _CURSOR.fullmatch(base64.b64decode(cursor.encode(), altchars=b"-_", validate=True))
    except (binascii.Error, UnicodeEncodeError):
        found = None
    if found is None:
        raise InvalidParamsError(f"Invalid cursor {cursor[:80]!r}; pass nextCursor as it was given")
    if found[1].decode() != revision:
        raise InvalidParamsError("The list has changed since this cursor was given; begin without one")
    return int(found[2])
