"""What one principal can learn of the contexts of another, or do to them."""

from __future__ import annotations

import asyncio
import base64
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools.protocol.cursor import encode_cursor
from scopedtools.transports.sessions import Sessions
from scopedtools.types import Principal
from tests.security.vault import ANN, BOB, Vault, Watched, in_context
from tests.wire.exchange import JSON_HEADERS, ask, http, message

pytestmark = pytest.mark.anyio

GOLD = "count the gold of shelf 7"


def without_id(body: bytes) -> bytes:
    return re.sub(rb"reference [0-9a-f]+", b"", body)


async def test_whether_another_principal_has_a_context_changes_neither_answer_nor_work() -> None:
    store = Watched()
    vault = Vault(store=store)
    taken = in_context("taken-context", GOLD)
    assert (await ask(vault, "tools/list", taken, ANN)).status == 200
    requests: list[tuple[str, dict[str, object]]] = [
        ("tools/list", {}),
        ("tools/call", {"name": "search_tools", "arguments": {"query": "gold"}}),
        ("tools/call", {"name": "open_vault"}),
        ("resources/read", {"uri": "vault://ledger"}),
    ]
    seen: list[list[object]] = []
    for name in ("taken-context", "fresh-context"):
        store.steps.clear()
        answers = [
            await ask(vault, method, {**params, **in_context(name, GOLD)}, BOB) for method, params in requests
        ]
        seen.append([[(one.status, without_id(one.body)) for one in answers], list(store.steps)])
    assert seen[0] == seen[1]


async def test_who_opens_an_id_first_decides_nothing_for_another_principal() -> None:
    vault, alone = Vault(), Vault()
    await ask(vault, "tools/list", in_context("agreed-context", "count the paper of shelf 2"), BOB)
    fixed = await ask(vault, "tools/list", in_context("agreed-context", GOLD), ANN)
    own = await ask(alone, "tools/list", in_context("agreed-context", GOLD), ANN)
    assert fixed.result["tools"] == own.result["tools"]
    assert any(row["name"].startswith("secret") for row in own.result["tools"])


async def test_nothing_that_is_forbidden_is_named_in_lists_searches_or_errors() -> None:
    vault = Vault()
    answers = [
        await ask(vault, "tools/list", in_context("mine-alone", GOLD), BOB),
        await ask(vault, "tools/list", {}, BOB),
        await ask(vault, "resources/list", {}, BOB),
        await ask(
            vault,
            "tools/call",
            {"name": "search_tools", "arguments": {"query": "gold"}, **in_context("mine-alone")},
            BOB,
        ),
    ]
    for answer in answers:
        assert answer.status == 200
        assert b"secret" not in answer.body
        assert b"open_vault" not in answer.body
        assert b"ledger" not in answer.body


async def test_what_is_forbidden_is_told_like_what_is_not_there() -> None:
    vault = Vault()
    forbidden = await ask(vault, "tools/call", {"name": "open_vault"}, BOB)
    missing = await ask(vault, "tools/call", {"name": "none_vault"}, BOB)
    assert forbidden.body.replace(b"open_vault", b"") == missing.body.replace(b"none_vault", b"")
    assert vault.opened == []


@given(offset=st.integers(0, 10**13), revision=st.text("0123456789abcdef", min_size=1, max_size=64))
@settings(max_examples=60, deadline=None)
def test_a_forged_cursor_opens_nothing(offset: int, revision: str) -> None:
    async def page() -> None:
        vault = Vault()
        first = (await ask(vault, "tools/list", {}, BOB)).result
        own = decode_own(first.get("nextCursor"))
        for said in (revision, own or revision):
            answer = await ask(vault, "tools/list", {"cursor": encode_cursor(said, offset)}, BOB)
            assert b"secret" not in answer.body
            assert answer.status in (200, 400)

    asyncio.run(page())


def decode_own(cursor: str | None) -> str:
    """Return the revision in a cursor, which is no secret."""
    return "" if cursor is None else base64.urlsafe_b64decode(cursor).decode().partition(":")[0]


async def test_a_session_of_another_principal_is_as_unknown_as_one_that_never_was() -> None:
    vault = Vault(sessions=True)
    async with vault:
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        opened = await http(vault, msgspec.json.encode(message("initialize", hello)), JSON_HEADERS | ANN)
        body = msgspec.json.encode(message("ping"))
        taken, unknown = [
            await http(
                vault,
                body,
                JSON_HEADERS | BOB | {"mcp-session-id": session, "mcp-protocol-version": "2025-11-25"},
            )
            for session in (opened.headers["mcp-session-id"], "x" * 32)
        ]
        assert (taken.status, taken.body) == (unknown.status, unknown.body)
        assert taken.status == 404


def test_sessions_of_one_principal_do_not_take_the_places_of_anothers() -> None:
    sessions = Sessions(max_sessions=20, max_of_principal=5)
    ann, bob = Principal("ann"), Principal("bob")
    kept = sessions.new(ann)
    sessions.keep(kept)
    flood = [sessions.new(bob) for _ in range(100)]
    for one in flood:
        sessions.keep(one)
    assert sessions.get(kept.id, ann) is kept
    assert sum(sessions.get(one.id, bob) is not None for one in flood) == 5


@pytest.mark.parametrize(
    "uri",
    [
        "vault://LEDGER",
        "VAULT://ledger",
        "vault://ledger/",
        "vault:///ledger",
        "vault://x/../ledger",
        "vault://./ledger",
        "vault://user@ledger",
        "vault://ledger?x",
        "vault://ledger#x",
        "vault://ledger%00",
        "vault://%6cedger",
        "vault://ledger\u200b",
        "file:///etc/passwd",
        "vault://../../etc/passwd",
    ],
)
async def test_no_spelling_of_a_uri_leads_to_a_resource_that_is_forbidden(uri: str) -> None:
    vault = Vault()
    answer = await ask(vault, "resources/read", {"uri": uri}, BOB | {"mcp-name": encoded(uri)})
    assert "the ledger" not in vault.opened
    assert b"gold" not in answer.body
    if answer.status == 200:  # a shelf of that name, which is a text to the author and nothing else
        assert vault.opened == [re.sub("%6c", "l", uri.removeprefix("vault://")).replace("%00", "\0")]


def encoded(text: str) -> str:
    return text if text.isascii() else f"=?base64?{base64.b64encode(text.encode()).decode()}?="
