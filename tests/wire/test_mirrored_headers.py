"""Headers that mirror the body of a stateless request: missing, wrong, encoded, doubled."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from scopedtools import ScopedServer, prompt, resource, tool
from tests.wire.exchange import (
    ENVELOPE,
    JSON_HEADERS,
    LEGACY,
    MODERN,
    Answer,
    Lines,
    assert_still_answers,
    http,
    message,
    mirrored,
)

pytestmark = pytest.mark.anyio


class Shop(ScopedServer):
    """Sells books."""

    @tool
    async def find(self) -> str:
        """Find books."""
        return "found"

    @resource("shelf://{+title}")
    async def shelf(self, title: str) -> str:
        """A shelf."""
        return title

    @prompt(name="Größe =?base64?eA==?=")
    async def size(self) -> str:
        """Ask for the size."""
        return "How large is it?"


SHOP = Shop()

FIND = message("tools/call", {"_meta": ENVELOPE, "name": "find"})
SIZE = message("prompts/get", {"_meta": ENVELOPE, "name": "Größe =?base64?eA==?="})


async def send(request: dict[str, Any], changes: dict[str, str | None] | None = None) -> Answer:
    headers = {name: value for name, value in mirrored(request).items() if value.isascii()}
    changed = {**headers, **(changes or {})}
    return await http(
        SHOP,
        msgspec.json.encode(request),
        {name: value for name, value in changed.items() if value is not None},
    )


def encoded(text: str) -> str:
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


@pytest.mark.parametrize(
    "changes",
    [
        {"mcp-protocol-version": None},
        {"mcp-protocol-version": LEGACY[0]},
        {"mcp-protocol-version": "2099-01-01"},
        {"mcp-protocol-version": ""},
        {"mcp-method": None},
        {"mcp-method": ""},
        {"mcp-method": "tools/list"},
        {"mcp-method": "Tools/Call"},
        {"mcp-method": encoded("tools/call")},
        {"mcp-name": None},
        {"mcp-name": ""},
        {"mcp-name": "Find"},
        {"mcp-name": "find, find"},
        {"mcp-name": encoded("other")},
    ],
)
async def test_a_header_that_is_missing_or_says_something_else_is_a_mismatch(
    changes: dict[str, str | None],
) -> None:
    answer = await send(FIND, changes)
    assert answer.refusal == (400, -32020)
    assert answer.reply["id"] == 1
    await assert_still_answers(SHOP)


@pytest.mark.parametrize("name", ["find", encoded("find"), " \t find \t", "\t" + encoded("find")])
async def test_a_name_may_be_encoded_and_blanks_around_it_do_not_count(name: str) -> None:
    assert (await send(FIND, {"mcp-name": name})).result["content"][0]["text"] == "found"


@pytest.mark.parametrize("name", ["MCP-NAME", "Mcp-Name", "mCp-nAmE"])
async def test_values_are_compared_with_regard_to_case(name: str) -> None:
    assert (await send(FIND, {"mcp-name": name})).refusal == (400, -32020)


@pytest.mark.parametrize(
    "broken",
    [
        "=?base64?Zmlu ZA==?=",
        "=?base64?ZmluZA=?=",
        "=?base64?ZmluZA?=",
        "=?base64?ZmluZA==ZmluZA==?=",
        "=?base64?Zm!uZA==?=",
        "=?base64?Zmlu-_==?=",
        "=?base64?//79?=",
        "=?BASE64?ZmluZA==?=",
        "=?base64?ZmluZA==",
        "ZmluZA==",
        "=?base64?ZmluZB==?=",
    ],
)
async def test_a_badly_encoded_name_is_a_mismatch(broken: str) -> None:
    assert (await send(FIND, {"mcp-name": broken})).refusal == (400, -32020)
    await assert_still_answers(SHOP)


async def test_a_name_beyond_ascii_is_found_when_it_is_encoded() -> None:
    answer = await send(SIZE, {"mcp-name": encoded("Größe =?base64?eA==?=")})
    assert answer.result["messages"]


async def test_a_name_that_looks_encoded_has_to_be_encoded_itself() -> None:
    uri = "=?base64?c2hlbGY6Ly9h?="
    request = message("resources/read", {"_meta": ENVELOPE, "uri": uri})
    assert (await send(request, {"mcp-name": uri})).refusal == (400, -32020)
    unknown = await send(request, {"mcp-name": encoded(uri)})
    assert unknown.refusal == (400, -32602)
    assert unknown.error["data"] == {"uri": uri}


async def test_a_uri_is_mirrored_as_a_name_is() -> None:
    request = message("resources/read", {"_meta": ENVELOPE, "uri": "shelf://Größe"})
    assert (await send(request, {"mcp-name": encoded("shelf://Größe")})).result["contents"][0][
        "text"
    ] == "Größe"
    assert (await send(request, {"mcp-name": encoded("shelf://Grosse")})).refusal == (400, -32020)
    assert (await send(request)).refusal == (400, -32020)


@pytest.mark.parametrize("raw", ["Größe".encode("latin-1"), "Größe".encode(), b"gr\x7f", b"gr\x01"])
async def test_a_name_with_characters_that_no_header_may_have_is_a_mismatch(raw: bytes) -> None:
    request = message("prompts/get", {"_meta": ENVELOPE, "name": raw.decode("latin-1")})
    lines = [*lines_of(request), (b"mcp-name", raw)]
    assert (await http(SHOP, msgspec.json.encode(request), lines)).refusal == (400, -32020)


@pytest.mark.parametrize("name", [b"mcp-method", b"mcp-name", b"mcp-protocol-version"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("same", [True, False])
async def test_a_header_in_two_lines_is_a_mismatch_since_proxies_may_read_either(
    name: bytes, *, first: bool, same: bool
) -> None:
    lines = [*lines_of(FIND), (b"mcp-name", b"find")]
    right = dict(lines)[name]
    more = (name, right if same else b"other")
    answer = await http(SHOP, msgspec.json.encode(FIND), [more, *lines] if first else [*lines, more])
    assert answer.refusal == (400, -32020)


async def test_headers_of_parameters_that_nobody_declared_are_ignored() -> None:
    changes: dict[str, str | None] = {"mcp-param-region": "=?base64?!?=", "x-other": "1"}
    assert (await send(FIND, changes)).status == 200


async def test_session_ids_and_event_ids_are_ignored_and_never_minted() -> None:
    answer = await send(FIND, {"mcp-session-id": "from-before", "last-event-id": "7"})
    assert answer.status == 200
    assert "mcp-session-id" not in answer.headers


async def test_earlier_revisions_mirror_nothing() -> None:
    body = msgspec.json.encode(message("tools/call", {"name": "find"}))
    headers = JSON_HEADERS | {"mcp-protocol-version": LEGACY[0], "mcp-method": "other", "mcp-name": "other"}
    assert (await http(SHOP, body, headers)).status == 200


async def test_a_stateless_body_without_the_version_header_is_a_mismatch_not_a_legacy_request() -> None:
    body = msgspec.json.encode(message("tools/list", {"_meta": ENVELOPE}))
    assert (await http(SHOP, body)).refusal == (400, -32020)


async def test_a_revision_that_is_no_text_is_a_mismatch() -> None:
    meta = ENVELOPE | {"io.modelcontextprotocol/protocolVersion": 20260728}
    request = message("tools/list", {"_meta": meta})
    headers = JSON_HEADERS | {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"}
    assert (await http(SHOP, msgspec.json.encode(request), headers)).refusal == (400, -32020)


def lines_of(request: dict[str, Any]) -> Lines:
    headers = {name: value for name, value in mirrored(request).items() if name != "mcp-name"}
    return [(name.encode(), value.encode()) for name, value in headers.items()]
