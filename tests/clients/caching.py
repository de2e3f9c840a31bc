"""Clients that keep what they listed: what they are told to do, and mcp 2.3.0 that does it.

A round is told to both official clients in the same words; caching.mjs is the other one.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, Final, Self, TypedDict

import httpx2
from mcp import Client, MCPError
from mcp.client import advertise
from mcp.client.caching import CacheConfig, InMemoryResponseCacheStore
from mcp.client.streamable_http import streamable_http_client
from pydantic import ValidationError

from tests.clients.driving import REQUEST_S, Params, all_pages

LISTS: Final = {
    "tools": ("list_tools", "tools"),
    "resources": ("list_resources", "resources"),
    "resources/templates": ("list_resource_templates", "resourceTemplates"),
    "prompts": ("list_prompts", "prompts"),
}

INVALID: Final = "invalid result"
"""Instead of names: the client refuses the result for what it says."""


class Step(TypedDict):
    """One client reads some lists to the last page.

    Attributes:
        client: Which.
        headers: Sent with these requests.
        meta: Sent with these requests.
        kinds: Which lists, such as ``tools``.
    """

    client: int
    headers: dict[str, str]
    meta: Params | None
    kinds: list[str]


class Keeper(TypedDict):
    """A client.

    Attributes:
        user: Whose it is.
        extensions: Settings that it declares, by extension.
    """

    user: str
    extensions: Params


class Round(TypedDict):
    """What clients do, one step after the other.

    Attributes:
        url: Of the server.
        shared: Whether all clients keep what they list in one place; each in its own otherwise.
        clients: Those who list.
        steps: What they list.
    """

    url: str
    shared: bool
    clients: list[Keeper]
    steps: list[Step]


async def play(played: Round) -> list[list[str]]:
    """Return the names in all lists of each step, as they stand in the lists; or what went wrong."""
    store = InMemoryResponseCacheStore() if played["shared"] else None
    async with AsyncExitStack() as stack:
        hands = [await stack.enter_async_context(Hand(keeper, played, store)) for keeper in played["clients"]]
        return [await hands[step["client"]].take(step) for step in played["steps"]]


class Hand:
    """One client with its connection."""

    def __init__(self, keeper: Keeper, played: Round, store: InMemoryResponseCacheStore | None) -> None:
        self._headers: dict[str, str] = {}
        self._http = httpx2.AsyncClient(timeout=REQUEST_S, event_hooks={"request": [self._sign]})
        self._client = Client(
            streamable_http_client(played["url"], http_client=self._http),
            extensions=[advertise(name, settings) for name, settings in keeper["extensions"].items()],
            cache=CacheConfig(
                store=store, partition=keeper["user"], target_id=played["url"], share_public=store is not None
            ),
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._http)
        await self._stack.enter_async_context(self._client)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _sign(self, request: httpx2.Request) -> None:
        request.headers.update(self._headers)

    async def take(self, step: Step) -> list[str]:
        """Read the lists of a step."""
        self._headers = step["headers"]
        return [name for kind in step["kinds"] for name in await self._names(kind, step["meta"])]

    async def _names(self, kind: str, meta: Any) -> list[str]:
        verb, field = LISTS[kind]
        list_page = getattr(self._client, verb)
        try:
            page = await all_pages(lambda cursor: list_page(cursor=cursor, meta=meta), field)
        except ValidationError:
            return [INVALID]
        except MCPError as error:
            return [f"error {error.code}"]
        return [row["name"] for row in page[field]]
