"""A server whose resources change, over both transports and in both eras: ``python watched_server.py``."""

from __future__ import annotations

import asyncio

from scopedtools import ScopedServer, resource, tool


class Watched(ScopedServer):
    """Holds notes."""

    @tool
    async def touch(self, uri: str) -> str:
        """Change a note."""
        await self.resource_updated(uri)
        return "touched"

    @resource("note://today")
    async def today(self) -> str:
        """The note of today."""
        return "rain"

    @resource("note://days/{day}")
    async def day(self, day: str) -> str:
        """The note of a day."""
        return day


if __name__ == "__main__":
    asyncio.run(Watched().serve_stdio())
