"""Those who see every request: telemetry, the audit trail, or an author's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from scopedtools.context.context import Context
from scopedtools.protocol.request import Request
from scopedtools.types import Outcome

Ended: TypeAlias = Callable[[Outcome], None]
"""Told how a request ended; called exactly once, in the asyncio task in which it began."""


class Observer(Protocol):
    """Sees each request begin and end.

    `begin` and what it returns run on the path of every request: they must be quick and must not wait.
    """

    async def start(self) -> None:
        """Make ready. The server calls it when it starts, before any request."""
        ...

    async def stop(self) -> None:
        """Finish what is pending. The server calls it when it stops, after the last request."""
        ...

    def begin(self, request: Request, ctx: Context) -> Ended:
        """See a request begin.

        Args:
            request: What is asked.
            ctx: Who asks, and in which context.

        Returns:
            What to call when the request has ended.
        """
        ...
