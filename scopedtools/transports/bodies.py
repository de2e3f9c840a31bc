"""Reads the bodies of HTTP requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.types import Receive

from scopedtools.deadline import DeadlineError, within
from scopedtools.exceptions import InvalidRequestError
from scopedtools.limits import Limits
from scopedtools.transports.answers import Headers, Refusal

_CLOSE: Headers = ((b"connection", b"close"),)
"""What was not read yet would be taken for the next request, so the connection ends."""

_DIGITS: Final = 18
"""Python reads no number of thousands of them."""


class Bodies:
    """Reads bodies, bounded in size and time.

    Args:
        limits: Size and time.
    """

    def __init__(self, limits: Limits) -> None:
        self._max_bytes = limits.max_body_bytes
        self._timeout_s = limits.body_timeout_s

    async def read(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """Return the body of a request.

        Raises:
            Refusal: It is too large, comes too slowly, or not to its end.
        """
        announced = headers.get("content-length", "")
        if announced.isdecimal() and (len(announced) > _DIGITS or int(announced) > self._max_bytes):
            raise self._too_large()
        try:
            return await within(self._timeout_s, self._chunks(receive))
        except DeadlineError:
            told = f"The body did not come within {self._timeout_s:g} s"
            raise Refusal(408, InvalidRequestError(told), _CLOSE) from None

    async def _chunks(self, receive: Receive) -> bytes:
        read = bytearray()  # not a list: of chunks of two bytes that would take 25 times as much
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise Refusal(400, InvalidRequestError("The client went away before its request ended"))
            chunk: bytes = event.get("body", b"")
            if len(read) + len(chunk) > self._max_bytes:
                raise self._too_large()
            if not event.get("more_body"):
                return bytes(read) + chunk if read else chunk
            read += chunk

    def _too_large(self) -> Refusal:
        return Refusal(413, InvalidRequestError(f"The body is larger than {self._max_bytes} bytes"), _CLOSE)
