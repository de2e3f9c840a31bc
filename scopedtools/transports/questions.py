"""Requests to clients, before 2026-07-28, and their answers."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import msgspec
from msgspec import UNSET

from scopedtools.exceptions import ToolError
from scopedtools.protocol.envelope import Message
from scopedtools.types import Principal


class Questions:
    """Requests that were sent to clients and wait for an answer.

    IDs are random: an answer comes in a message of its own, and whoever could guess an ID could answer
    for another client.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[str, asyncio.Future[Message]]] = {}
        self._over = False

    def put(self, principal: Principal) -> tuple[str, asyncio.Future[Message]]:
        """Make the ID of a question and the future of its answer.

        Raises:
            ToolError: Nobody is there to answer.
        """
        if self._over:
            raise _nobody()
        question = secrets.token_urlsafe(16)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[question] = (principal.name, future)
        future.add_done_callback(lambda _: self._waiting.pop(question, None))
        return question, future

    def answer(self, message: Message, principal: Principal) -> None:
        """Take an answer; one to a question that nobody waits for, or of somebody else, is dropped."""
        asked, future = self._waiting.get(str(message.id), (None, None))
        if future is not None and asked == principal.name and not future.done():
            future.set_result(message)

    def give_up(self) -> None:
        """Tell those who wait, and those who ask later, that no answer will come."""
        self._over = True
        for _, future in tuple(self._waiting.values()):
            if not future.done():
                future.set_exception(_nobody())


def _nobody() -> ToolError:
    return ToolError("The client is gone")


def result_of(message: Message, method: str) -> dict[str, Any]:
    """Return the result in an answer.

    Raises:
        ToolError: It is an error, or no object.
    """
    failed = message.error is not UNSET
    raw = message.error or message.result or b"null"
    try:
        answer = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ToolError(f"The client's answer to {method} cannot be read: {error}") from error
    if failed:
        text = answer.get("message") if isinstance(answer, dict) else None
        raise ToolError(f"The client refused {method}: {text or 'without a reason'}")
    if not isinstance(answer, dict):
        raise ToolError(f"The client answered {method} with {type(answer).__name__}, not an object")
    return answer
