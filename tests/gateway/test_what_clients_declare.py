"""What a client declares and answers counts behind the gateway as it does in front."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client as OfficialClient
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult
from pydantic import BaseModel

from scopedtools import Context, ScopedServer, tool
from scopedtools.gateway import Gateway
from scopedtools.gateway.errors import RefusedError
from tests.gateway.fronted import configured, serving, until
from tests.hosting import hosted

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]


class Seats(BaseModel):
    count: int


class Theatre(ScopedServer):
    """Asks, and says what it does."""

    @tool
    async def book(self, ctx: Context) -> str:
        """Book seats."""
        answer = await ctx.elicit("How many?", Seats)
        return f"{answer.data.count if answer.data else 0} seats"

    @tool
    async def announce(self, ctx: Context) -> str:
        """Write to the log of the client."""
        await ctx.log("info", "curtain")
        await ctx.log("debug", "dust")
        return "announced"


@asynccontextmanager
async def theatre() -> AsyncIterator[str]:
    """Yield the URL of a gateway in front of a theatre."""
    async with hosted(Theatre()) as (host, port):
        config = configured({"hall": {"url": f"http://{host}:{port}/mcp", "prefix": ""}})
        async with (
            Gateway(config).running() as gateway,
            serving(gateway) as server,
            hosted(server) as (own_host, own_port),
        ):
            yield f"http://{own_host}:{own_port}/mcp"


async def test_a_question_that_is_asked_again_gets_another_answer() -> None:
    answers: Iterator[dict[str, Any]] = iter(({"count": "many"}, {"count": 3}))

    async def elicit(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content=next(answers))

    async with theatre() as url, OfficialClient(url, elicitation_callback=elicit) as client:
        result = await client.call_tool("book")
    assert result.content[0].text == "3 seats"  # type: ignore[union-attr]


async def test_a_client_hears_which_capability_its_call_needs() -> None:
    async with theatre() as url, OfficialClient(url) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("book")
    assert caught.value.error.code == -32021
    assert caught.value.error.data == {"requiredCapabilities": {"elicitation": {}}}


def test_a_capability_that_the_client_has_and_the_gateway_lacks_is_not_asked_of_the_client() -> None:
    needed: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    error = RefusedError("no", code=-32021, data={"requiredCapabilities": needed})
    assert error.to_client(needed) is None
    lacking: tuple[dict[str, Any] | None, ...] = (None, {}, {"extensions": {}})
    for declared in lacking:
        told = error.to_client(declared)
        assert told is not None
        assert (told.code, told.data) == (-32021, {"requiredCapabilities": needed})


@pytest.mark.parametrize("malformed", [None, [], "sampling", {"requiredCapabilities": ["sampling"]}])
def test_a_missing_capability_that_is_not_named_stays_between_gateway_and_server(malformed: Any) -> None:
    assert RefusedError("no", code=-32021, data=malformed).to_client({}) is None


async def test_a_client_of_an_earlier_revision_gets_the_log_messages_of_its_level() -> None:
    heard: list[Any] = []

    async def hear(params: Any) -> None:
        heard.append((params.level, params.data))

    async with (
        theatre() as url,
        OfficialClient(url, mode="legacy", logging_callback=hear) as client,
    ):
        await client.call_tool("announce")
        await until(lambda: bool(heard))
        assert heard == [("info", "curtain")]
        await client.set_logging_level("debug")
        await client.call_tool("announce")
        await until(lambda: len(heard) == 3)
        assert heard[1:] == [("info", "curtain"), ("debug", "dust")]
