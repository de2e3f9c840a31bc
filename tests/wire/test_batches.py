"""Several messages in one array, which only 2025-03-26 has."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scopedtools import ScopedServer, tool
from tests.wire.exchange import Answer, http, message

pytestmark = pytest.mark.anyio


class Shop(ScopedServer):
    """Sells books."""

    @tool
    async def echo(self, text: str) -> str:
        """Repeat a text."""
        return text


SHOP = Shop()

HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


async def send(batch: Any, revision: str | None = "2025-03-26") -> Answer:
    headers = HEADERS if revision is None else HEADERS | {"mcp-protocol-version": revision}
    return await http(SHOP, msgspec.json.encode(batch), headers)


def call(message_id: int, text: Any) -> dict[str, Any]:
    return message("tools/call", {"name": "echo", "arguments": {"text": text}}, message_id=message_id)


@pytest.mark.parametrize("revision", ["2025-03-26", None])
async def test_each_request_of_a_batch_is_answered_and_notifications_are_not(revision: str | None) -> None:
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    answer = await send([call(1, "a"), initialized, message("ping", message_id=2), call(3, "b")], revision)
    assert answer.status == 200
    replies = msgspec.json.decode(answer.body)
    assert [reply["id"] for reply in replies] == [1, 2, 3]
    assert replies[2]["result"]["content"] == [{"type": "text", "text": "b"}]


async def test_one_bad_message_does_not_take_the_others_with_it() -> None:
    answer = await send(
        [5, message("no/such", message_id=7), message("initialize", {}, message_id=8), call(9, "x")]
    )
    replies = msgspec.json.decode(answer.body)
    assert [reply.get("error", {}).get("code") for reply in replies] == [-32600, -32601, -32600, None]
    assert [reply.get("id") for reply in replies] == [None, 7, 8, 9]


async def test_a_batch_of_notifications_is_accepted_without_an_answer() -> None:
    answer = await send([{"jsonrpc": "2.0", "method": "notifications/initialized"}])
    assert (answer.status, answer.body) == (202, b"")


@pytest.mark.parametrize("batch", [[], [{"jsonrpc": "2.0", "id": 1, "method": "ping"}] * 101])
async def test_an_empty_or_endless_batch_is_refused(batch: list[Any]) -> None:
    answer = await send(batch)
    assert answer.status == 400
    assert msgspec.json.decode(answer.body)["error"]["code"] == -32600


async def test_a_broken_batch_is_a_parse_error() -> None:
    answer = await http(SHOP, b'[{"jsonrpc"', HEADERS | {"mcp-protocol-version": "2025-03-26"})
    assert answer.status == 400
    assert msgspec.json.decode(answer.body)["error"]["code"] == -32700


@pytest.mark.parametrize("revision", ["2025-06-18", "2025-11-25", "2026-07-28"])
async def test_later_revisions_have_no_batches(revision: str) -> None:
    answer = await send([call(1, "a")], revision)
    assert answer.status == 400
    assert msgspec.json.decode(answer.body)["error"]["code"] == -32600
