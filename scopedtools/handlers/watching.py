"""Resources whose changes are known elsewhere, for as long as somebody here wants to hear of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress

from scopedtools.catalog.primitives import Primitive, Resource, ResourceTemplate
from scopedtools.exceptions import ProtocolError
from scopedtools.protocol.session import Push


async def watch(row: Primitive, uri: str, push: Push) -> Callable[[], None]:
    """Have a resource tell of its changes; returns what ends that.

    Args:
        row: The resource, or the template that it follows.
        uri: Of the resource.
        push: Sends a notification.

    Raises:
        ProtocolError: It cannot be, such as where too many are watched.
    """
    if not isinstance(row, Resource | ResourceTemplate) or row.watch is None:
        return _nothing

    async def updated(changed: str) -> None:
        await push("notifications/resources/updated", {"uri": changed})

    return await row.watch(uri, updated)


@asynccontextmanager
async def watching(rows: Mapping[str, Primitive], push: Push) -> AsyncIterator[list[str]]:
    """Have resources tell of their changes, for as long as this is held.

    Args:
        rows: What answers each URI.
        push: Sends a notification.

    Yields:
        The URIs, without those of which nothing can be told.
    """
    honoured: set[str] = set()
    with ExitStack() as ends:

        async def begin(uri: str) -> None:
            with suppress(ProtocolError):
                ends.callback(await watch(rows[uri], uri, push))
                honoured.add(uri)

        async with asyncio.TaskGroup() as group:
            for uri in rows:
                group.create_task(begin(uri))
        yield [uri for uri in rows if uri in honoured]


def _nothing() -> None:
    return
