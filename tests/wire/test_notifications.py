"""Messages that have no answer: notifications, and replies of the client."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scopedtools import ScopedServer, tool
from tests.wire.exchange import ENVELOPE, JSON_HEADERS, LEGACY, MODERN, Answer, assert_still_answers, http

pytestmark = pytest.mark.anyio


class Shop(ScopedServer):
    """Sells books."""

    @tool
    async def find(self) -> str:
        """Find books."""
        return "found"


SHOP = Shop()


async def notify(message: dict[str, Any], revision: str | None, **headers: str) -> Answer:
    version = {} if revision is None else {"mcp-protocol-version": revision}
    return await http(
        SHOP, msgspec.json.encode({"jsonrpc": "2.0"} | message), JSON_HEADERS | version | headers
    )


@pytest.mark.parametrize("revision", [None, MODERN, *LEGACY])
@pytest.mark.parametrize(
    "method",
    [
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/progress",
        "notifications/roots/list_changed",
        "notifications/no/such/thing",
        "no/such/thing",
        "",
    ],
)
async def test_a_notification_is_accepted_without_a_body_known_or_not(
    method: str, revision: str | None
) -> None:
    for params in ({}, {"requestId": 1, "reason": "tired"}):
        answer = await notify({"method": method, "params": params}, revision)
        assert (answer.status, answer.body) == (202, b"")
        assert "content-type" not in answer.headers
    await assert_still_answers(SHOP)


async def test_a_stateless_notification_needs_neither_envelope_nor_mirrored_headers() -> None:
    plain = await notify({"method": "notifications/cancelled"}, MODERN)
    full = await notify(
        {"method": "notifications/cancelled", "params": {"_meta": ENVELOPE, "requestId": 1}},
        MODERN,
        **{"mcp-method": "notifications/cancelled"},
    )
    assert (plain.status, full.status) == (202, 202)


async def test_a_notification_of_an_unknown_revision_is_refused_without_an_id() -> None:
    answer = await notify({"method": "notifications/cancelled"}, "2099-01-01")
    assert answer.refusal == (400, -32022)
    assert "id" not in answer.reply


async def test_a_notification_that_names_two_revisions_is_refused_without_an_id() -> None:
    answer = await notify({"method": "notifications/cancelled", "params": {"_meta": ENVELOPE}}, LEGACY[0])
    assert answer.refusal == (400, -32020)
    assert "id" not in answer.reply


@pytest.mark.parametrize("params", [[], 5, "x", {"_meta": 5}])
async def test_a_notification_with_wrong_params_is_refused_without_an_id(params: Any) -> None:
    answer = await notify({"method": "notifications/cancelled", "params": params}, LEGACY[0])
    assert answer.error["code"] == -32602
    assert "id" not in answer.reply


@pytest.mark.parametrize("revision", [None, MODERN, *LEGACY])
@pytest.mark.parametrize(
    "reply",
    [
        {"id": 1, "result": {}},
        {"id": "a", "result": None},
        {"id": 1, "error": {"code": -32601, "message": "no"}},
        {"error": {"code": -32700, "message": "no"}},
        {"result": 5},
    ],
)
async def test_a_reply_of_the_client_is_accepted_and_ignored(
    reply: dict[str, Any], revision: str | None
) -> None:
    answer = await notify(reply, revision)
    assert (answer.status, answer.body) == (202, b"")
    await assert_still_answers(SHOP)
