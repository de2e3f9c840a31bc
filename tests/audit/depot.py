"""What the tests of the trail share: a server to ask, and ways to wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from scopedtools import Context, ScopedServer, ToolError, View, prompt, resource, tool
from scopedtools.audit import AuditTrail, Event
from scopedtools.audit.reader import AuditReader

LIMIT_S = 30


class Depot(ScopedServer):
    """Keeps parcels."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.closed = False
        self.slow = False
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()

    @tool
    async def weigh(self, parcel: str, password: str = "") -> dict[str, str]:
        """Weigh a parcel."""
        return {"parcel": parcel, "token": f"token of {parcel}"}

    @tool
    async def drop(self, parcel: str) -> str:
        """Drop a parcel."""
        raise ToolError(f"{parcel} is fragile")

    @tool
    async def hold(self) -> str:
        """Hold a parcel until it is released."""
        self.arrived.set()
        await self.released.wait()
        return "held"

    @tool(tags={"night"})
    async def ship(self, parcel: str) -> str:
        """Ship a parcel."""
        return parcel

    @resource("depot://rules")
    async def rules(self) -> str:
        """Return the rules."""
        return "No lithium."

    @prompt
    async def label(self, name: str) -> str:
        """Write a label."""
        return f"To {name}"

    async def permitted(self, ctx: Context, rows: View) -> View:
        if self.slow:
            self.slow = False
            self.arrived.set()
            await self.released.wait()
        return rows - rows.tagged("night") if self.closed else rows


def depot(store: str, **options: Any) -> Depot:
    """Make a server that keeps a trail."""
    return Depot(observers=[AuditTrail(store, **options)])


def timeline(store: str, context_id: str | None, **options: Any) -> list[Event]:
    with AuditReader(store) as reader:
        return reader.timeline(context_id, **options)


def brief(events: list[Event]) -> list[tuple[str, str | None, str]]:
    return [(event.method, event.target, event.status) for event in events]


async def until(met: Callable[[], Any]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + LIMIT_S
    while not met():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)
