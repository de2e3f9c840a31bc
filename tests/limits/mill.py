"""What the tests of limits share: a server whose tools wait for the test, and callers with tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp

from scopedtools import Principal, ScopedServer, resource, tool
from scopedtools.auth import StaticTokens
from scopedtools.limits import Limits
from tests.wire.exchange import Answer, ask

TOKENS = StaticTokens({"a": Principal("ann"), "b": Principal("bob")})
ANN, BOB = {"authorization": "Bearer a"}, {"authorization": "Bearer b"}


class Mill(ScopedServer):
    """Grinds for as long as the test likes."""

    def __init__(self, *, authorized: bool = True, sessions: bool = False, **limits: Any) -> None:
        super().__init__(
            limits=Limits(**limits),
            verifier=TOKENS if authorized else None,
            sessions=sessions,
            secret=b"mill",
        )
        self.gate = asyncio.Event()
        self.started: asyncio.Queue[None] = asyncio.Queue()
        self.cancelled = 0

    @tool(task="optional")
    async def grind(self) -> str:
        """Grind until the gate opens."""
        self.started.put_nowait(None)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "flour"

    @tool
    async def weigh(self) -> int:
        """Weigh the flour."""
        return 1

    @resource("mill://wheel")
    async def wheel(self) -> str:
        """Turn until the gate opens."""
        await self.gate.wait()
        return "turned"


def call(app: ASGIApp, name: str, headers: Mapping[str, str] | None = None) -> asyncio.Task[Answer]:
    """Begin to call a tool."""
    return asyncio.create_task(ask(app, "tools/call", {"name": name}, headers))


def assert_refused(answer: Answer, status: int) -> None:
    """Assert that a client was told to come back later, over HTTP and in the body."""
    assert answer.refusal == (status, status), answer.body
    assert answer.reply["id"] == 1
    after_s = int(answer.headers["retry-after"])
    assert after_s >= 1
    assert answer.error["data"] == {"retryAfter": after_s}
