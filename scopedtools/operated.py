"""What those who host a server tell it, while it runs."""

from __future__ import annotations

from scopedtools.health import Health
from scopedtools.searchable import Searchable


class Operated(Searchable):
    """A server that is told to read its data again, and that it is about to stop."""

    _health: Health

    async def reload(self) -> None:
        """Read again what the server was made of, while requests go on.

        ``scopedtools serve`` calls it on SIGHUP.

        By default the data of mounted sources, such as the file of a `Gateway` or the description of an
        `OpenApi`, and the saved index, which another process may have built anew. A request sees what was
        there before or what is there now. Override it to read more::

            async def reload(self) -> None:
                await self.update(Catalog.from_jsonl("tools.jsonl"))
                await super().reload()

        Raises:
            Exception: Something cannot be read, or does not fit. What was served before is served still.
        """
        await self._updates.reload()

    def drain(self) -> None:
        """Say at ``/readyz`` that the server is about to stop; requests are answered as before."""
        self._health.drain()
