"""The way back to the client while its request runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from scopedtools.exceptions import MissingCapabilityError


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
