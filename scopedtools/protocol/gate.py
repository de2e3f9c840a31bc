"""What lets requests in while there is room for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

from scopedtools.protocol.prepared import Prepared
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.results import Result

Handler: TypeAlias = Callable[[Request, Any], Awaitable[Result | Prepared]]
"""Takes a request and who asks, returns a result or raises."""


class Gate(Protocol):
    """Lets requests in while there is room for them."""

    async def admit(self, request: Request) -> None:
        """Count a request that was understood, before anything is done for it.

        Raises:
            LimitError: There is no room for it.
        """
        ...

    async def visit(self, ingress: Ingress) -> None:
        """Count what comes without a message, such as who follows a stream.

        Raises:
            LimitError: There is no room for it.
        """
        ...

    async def run(self, request: Request, ctx: Any, handler: Handler) -> Result | Prepared:
        """Run a handler.

        Raises:
            LimitError: There is no room for it.
            CallTimeoutError: It took too long.
        """
        ...

    async def close(self) -> None:
        """Let go of what it holds; the server calls it last."""
        ...


class OpenGate:
    """A gate with room for everything."""

    async def admit(self, request: Request) -> None:
        """Let it in."""

    async def visit(self, ingress: Ingress) -> None:
        """Let it in."""

    async def run(self, request: Request, ctx: Any, handler: Handler) -> Result | Prepared:
        """Run it."""
        return await handler(request, ctx)

    async def close(self) -> None:
        """Do nothing."""
