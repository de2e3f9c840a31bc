"""The way back to the client while its request runs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
from msgspec import UNSET

from scopedtools.exceptions import MissingCapabilityError, ToolError
from scopedtools.protocol.envelope import Message
from scopedtools.types import Principal


class Exchange(Protocol):
    """What a transport lets a handler send besides its result."""

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification that belongs to this request."""
        ...

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request to the client and wait for its result. Only before 2026-07-28.

        Raises:
            ToolError: The client answered with an error.
        """
        ...

    async def detach(self) -> None:
        """End the connection before the call; the client comes back for the rest, where it can."""
        ...


class TaskExchange(Protocol):
    """What is open to a call that its client can follow as a task."""

    @property
    def began(self) -> bool:
        """Whether the call is a task by now; until then it is a call like any other."""
        ...

    async def begin(self) -> None:
        """Make the call a task: its request is answered now, and the client looks for the rest.

        Raises:
            ToolError: There are too many tasks.
        """
        ...

    async def ask(self, questions: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Wait for the client's answers, by key."""
        ...

    async def report(self, message: str) -> None:
        """Say how far the task is."""
        ...


class Silence:
    """An exchange with nobody: notifications are dropped, questions refused."""

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Drop it."""

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - refused
        """Refuse it."""
        raise MissingCapabilityError(f"This client cannot be asked for {method}")

    async def detach(self) -> None:
        """Do nothing."""


SILENCE: Final = Silence()


class Questions:
    """Requests that were sent to clients and wait for an answer.

    IDs are random: an answer comes in a message of its own, and whoever could guess an ID could answer
    for another client.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Principal, asyncio.Future[Message]]] = {}

    def put(self, principal: Principal) -> tuple[str, asyncio.Future[Message]]:
        """Make the ID of a question and the future of its answer."""
        question = secrets.token_urlsafe(16)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[question] = (principal, future)
        future.add_done_callback(lambda _: self._waiting.pop(question, None))
        return question, future

    def answer(self, message: Message, principal: Principal) -> None:
        """Take an answer; one to a question that nobody waits for, or of somebody else, is dropped."""
        asked, future = self._waiting.get(str(message.id), (None, None))
        if future is not None and asked == principal and not future.done():
            future.set_result(message)

    def give_up(self) -> None:
        """Tell those who wait that no answer will come."""
        for _, future in tuple(self._waiting.values()):
            future.set_exception(ToolError("The client is gone"))


def result_of(message: Message, method: str) -> dict[str, Any]:
    """Return the result in an answer.

    Raises:
        ToolError: It is an error, or no object.
    """
    if message.error is not UNSET:
        error = msgspec.json.decode(message.error)
        text = error.get("message") if isinstance(error, dict) else None
        raise ToolError(f"The client refused {method}: {text or 'without a reason'}")
    result = msgspec.json.decode(message.result or b"null")
    if not isinstance(result, dict):
        raise ToolError(f"The client answered {method} with {type(result).__name__}, not an object")
    return result
