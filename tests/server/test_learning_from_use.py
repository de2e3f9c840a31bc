"""A server whose selector learns: what one context called comes sooner in the next."""

from __future__ import annotations

import pytest

from scopedtools import ScopedServer, ToolError, ViewSettings, tool
from scopedtools.retrieval import HashingEncoder, HybridSelector, Learning
from scopedtools.testing import Client

pytestmark = pytest.mark.anyio

SAID = "the quarterly thing for the board"


class Office(ScopedServer):
    @tool
    def render_slides(self) -> str:
        """Turn an outline into a presentation."""
        return "done"

    @tool
    def book_room(self) -> str:
        """Reserve a meeting room."""
        return "done"

    @tool
    def order_lunch(self) -> str:
        """Order food for a meeting."""
        raise ToolError("closed")

    @tool
    def print_badges(self) -> str:
        """Print badges of the board for visitors."""
        return "done"


def office(learning: Learning | None) -> Office:
    selector = HybridSelector(HashingEncoder(), learning=learning)
    return Office(selector=selector, views=ViewSettings(whole_rows=0, rows={"tool": 2}))


async def shown(server: Office, context: str) -> set[str]:
    async with Client(server, context=context, intent=SAID) as client:
        return {row["name"] for row in await client.list_tools()} - {"search_tools", "call_tool"}


async def used(server: Office, name: str, *, intent: str = SAID, times: int = 16) -> None:
    for number in range(times):
        async with Client(server, context=f"{name}-{number}", intent=intent) as client:
            await client.list_tools()
            await client.call_tool(name)


async def test_what_contexts_called_is_shown_to_the_next_with_the_same_need() -> None:
    server = office(Learning())
    async with server:
        assert "render_slides" not in await shown(server, "before")
        await used(server, "render_slides")
        await used(server, "book_room", intent="we need somewhere to sit on Friday")
        await used(server, "print_badges", intent="guests are coming and need to get in")
    async with server:
        assert "render_slides" in await shown(server, "after")


async def test_without_learning_calls_change_nothing() -> None:
    server = office(None)
    async with server:
        await used(server, "render_slides")
        assert "render_slides" not in await shown(server, "after")


async def test_a_call_that_failed_teaches_nothing() -> None:
    learning = Learning()
    server = office(learning)
    async with server:
        await used(server, "order_lunch")
    assert len(learning._uses) == 0


async def test_a_context_that_was_shown_its_view_keeps_it() -> None:
    server = office(Learning())
    async with server:
        await shown(server, "before")
        await used(server, "render_slides")
        assert "render_slides" not in await shown(server, "before")
