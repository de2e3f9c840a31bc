"""A2A's ``contextId``: kept as it is and repeated on every result, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.exchange import ENVELOPE, LEGACY, Answer, legacy, modern
from tests.wire.hosts import NOVEMBER, OverStdio, Seen, Shape, over_stdio

pytestmark = pytest.mark.anyio

REVISIONS = ("2026-07-28", *LEGACY)
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("tools/list", {}),
    ("tools/call", {"name": "where"}),
    ("tools/call", {"name": "search_tools", "arguments": {"query": "invoice"}}),
    ("prompts/list", {}),
    ("resources/list", {}),
]


async def ask(
    server: Seen, revision: str, method: str, params: dict[str, Any], said: dict[str, Any]
) -> Answer:
    if revision in LEGACY:
        return await legacy(server, revision, method, {**params, "_meta": said})
    return await modern(server, method, {**params, "_meta": ENVELOPE | said})


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(("method", "params"), ASKED)
async def test_every_result_repeats_the_context_that_a2a_named(
    revision: str, method: str, params: dict[str, Any]
) -> None:
    server = Seen()
    async with server:
        for context_id in ("ctx-conversation-abc-123", "~" * 256):
            answer = await ask(server, revision, method, params, {"contextId": context_id})
            assert answer.result["_meta"]["contextId"] == context_id
        for said in ({}, {"contextId": None}, {"contextId": ""}, {"clientSessionId": "a"}):
            answer = await ask(server, revision, method, params, said)
            assert "contextId" not in answer.result.get("_meta", {})


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("x" * 257, "257 characters"),
        ("two words", "U+0020 as character 4"),
        ("a\r\nb", "U+000D as character 2"),
        ("é", "U+00E9 as character 1"),
        (7, "a value of type int"),
        ({"id": "a"}, "a value of type dict"),
    ],
)
async def test_a_context_of_a2a_that_cannot_be_kept_is_refused(revision: str, value: Any, got: str) -> None:
    server = Seen()
    async with server:
        for method, params in ASKED:
            # Even where another carrier names one: it would be put in the place of the client's.
            for others in ((), (("clientSessionId", "well-formed"),)):
                answer = await ask(server, revision, method, params, {"contextId": value, **dict(others)})
                assert answer.refusal == (400, -32600)
                assert answer.error["message"] == (
                    f"The context ID in meta:contextId is malformed: got {got}; "
                    "send 1 to 256 visible ASCII characters"
                )


async def test_the_context_of_a2a_is_not_repeated_where_another_was_used() -> None:
    server = Seen()
    async with server:
        said = {"contextId": "theirs", "clientSessionId": "ours"}
        answer = await ask(server, REVISIONS[0], "tools/call", {"name": "where"}, said)
    assert answer.result["structuredContent"]["result"] == ["ours", "meta:clientSessionId"]
    assert "contextId" not in answer.result["_meta"]


@pytest.mark.parametrize("revision", [NOVEMBER, "2026-07-28"])
async def test_a2a_is_served_on_stdio_alike(revision: str) -> None:
    async def asked(conversation: OverStdio) -> dict[str, Any]:
        return await conversation.ask("tools/call", name="where")

    shapes = [Shape("a2a", None, (), meta={"contextId": one}) for one in ("kept", "two words")]
    async with over_stdio(Seen(), shapes, revision) as (kept, refused):
        assert (await asked(kept))["result"]["_meta"]["contextId"] == "kept"
        assert (await asked(refused))["error"]["code"] == -32600
        assert (await asked(kept))["result"]["_meta"]["contextId"] == "kept"


async def test_the_context_of_a2a_is_repeated_where_another_carrier_says_the_same() -> None:
    server = Seen()
    async with server:
        said = {"contextId": "same", "clientSessionId": "same"}
        answer = await ask(server, REVISIONS[0], "tools/call", {"name": "where"}, said)
    assert answer.result["structuredContent"]["result"] == ["same", "meta:clientSessionId"]
    assert answer.result["_meta"]["contextId"] == "same"
