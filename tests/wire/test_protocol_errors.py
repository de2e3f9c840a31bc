"""What is wrong with a message, and how the client is told: HTTP status, code, id."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scopedtools import Context, ScopedServer, ToolError, prompt, resource, tool
from scopedtools.exceptions import MissingCapabilityError
from tests.wire.exchange import (
    ENVELOPE,
    JSON_HEADERS,
    LEGACY,
    MODERN,
    assert_still_answers,
    http,
    legacy,
    message,
    mirrored,
    modern,
)

pytestmark = pytest.mark.anyio


class Shop(ScopedServer):
    """Sells books."""

    @tool
    async def find(self, title: str, limit: int = 3) -> list[str]:
        """Find books."""
        return [title] * limit

    @tool
    async def break_down(self) -> str:
        """Fail as no author foresaw."""
        raise RuntimeError("the password is swordfish")

    @tool
    async def refuse(self) -> str:
        """Fail as the author foresaw."""
        raise ToolError("we are closed")

    @tool
    async def ask_the_user(self) -> str:
        """Need what the client cannot do."""
        raise MissingCapabilityError(
            "this needs elicitation", data={"requiredCapabilities": {"elicitation": {}}}
        )

    @resource("shelf://{room}/{number}")
    async def shelf(self, room: str, number: int) -> str:
        """A shelf."""
        if number == 13:
            raise ToolError("nobody goes there")
        if number == 14:
            raise RuntimeError("the password is swordfish")
        return f"{room} {number}"

    @prompt
    async def recommend(self, taste: str, ctx: Context) -> str:
        """Recommend a book."""
        return f"Recommend a book to somebody who likes {taste}"


SHOP = Shop()

NOT_JSON = {
    "nothing": b"",
    "blanks": b" \r\n\t",
    "cut off": b'{"jsonrpc":"2.0","id":1,"method":"ping"',
    "two messages": b'{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}',
    "a comment": b'{"jsonrpc":"2.0","id":1,"method":"ping" /* now */}',
    "single quotes": b"{'jsonrpc':'2.0','id':1,'method':'ping'}",
    "NaN": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}',
    "a leading zero": b'{"jsonrpc":"2.0","id":01,"method":"ping"}',
    "a raw newline in a text": b'{"jsonrpc":"2.0","id":1,"method":"pi\nng"}',
    "half a surrogate pair": b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
    "UTF-16": '{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16"),
    "latin-1": '{"jsonrpc":"2.0","id":"é","method":"ping"}'.encode("latin-1"),
    "a byte order mark": b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}',
    "params 100,000 deep": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":'
    + b'{"a":' * 100_000
    + b"1"
    + b"}" * 100_001,
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
@pytest.mark.parametrize("revision", [None, MODERN, *LEGACY])
async def test_what_is_not_json_is_a_parse_error_without_an_id(body: bytes, revision: str | None) -> None:
    headers = JSON_HEADERS | ({} if revision is None else {"mcp-protocol-version": revision})
    answer = await http(SHOP, body, headers)
    assert answer.refusal == (400, -32700)
    assert "id" not in answer.reply
    await assert_still_answers(SHOP)


NOT_JSON_RPC: dict[str, tuple[Any, Any]] = {
    "a number": (1, None),
    "null": (None, None),
    "a text": ("ping", None),
    "an empty batch": ([], None),
    "an empty object": ({}, None),
    "only an id": ({"jsonrpc": "2.0", "id": 7}, 7),
    "no jsonrpc": ({"id": 7, "method": "ping"}, 7),
    "jsonrpc 1.0": ({"jsonrpc": "1.0", "id": 7, "method": "ping"}, 7),
    "jsonrpc as a number": ({"jsonrpc": 2.0, "id": 7, "method": "ping"}, 7),
    "no method": ({"jsonrpc": "2.0", "id": "seven", "params": {}}, "seven"),
    "method null": ({"jsonrpc": "2.0", "id": 7, "method": None}, 7),
    "method 5": ({"jsonrpc": "2.0", "id": 7, "method": 5}, 7),
    "id null": (message("ping", message_id=None), None),
    "id 1.5": (message("ping", message_id=1.5), None),
    "id true": (message("ping", message_id=True), None),
    "id an object": (message("ping", message_id={"n": 1}), None),
    "id an array": (message("ping", message_id=[1]), None),
}


@pytest.mark.parametrize(("body", "known_id"), NOT_JSON_RPC.values(), ids=NOT_JSON_RPC)
@pytest.mark.parametrize("revision", [None, MODERN, *LEGACY])
async def test_json_that_is_no_message_is_an_invalid_request_with_its_id_where_it_has_one(
    body: Any, known_id: Any, revision: str | None
) -> None:
    headers = JSON_HEADERS | ({} if revision is None else {"mcp-protocol-version": revision})
    answer = await http(SHOP, msgspec.json.encode(body), headers)
    assert answer.refusal == (400, -32600)
    assert answer.reply.get("id") == known_id
    await assert_still_answers(SHOP)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000])
async def test_arrays_100000_deep_are_refused(body: bytes) -> None:
    assert (await http(SHOP, body)).refusal == (400, -32700)
    await assert_still_answers(SHOP)


@pytest.mark.parametrize("digits", [5_000, 100_000])
async def test_an_id_too_large_for_a_number_is_refused(digits: int) -> None:
    body = b'{"jsonrpc":"2.0","method":"ping","id":%s}' % (b"9" * digits)
    assert (await http(SHOP, body)).refusal == (400, -32600)
    await assert_still_answers(SHOP)


@pytest.mark.parametrize(
    "message_id",
    [0, -1, 2**31, 2**53 + 1, 2**63, -(2**63), 2**64, 10**100, "", "a", "1", "é\x00\n", "x" * 9999],
)
async def test_results_and_errors_have_the_id_of_their_request(message_id: int | str) -> None:
    good, bad = message("ping", message_id=message_id), message("nope", message_id=message_id)
    assert (await http(SHOP, msgspec.json.encode(good))).reply["id"] == message_id
    assert (await http(SHOP, msgspec.json.encode(bad))).reply["id"] == message_id


@pytest.mark.parametrize(
    "params", [None, [], [1], "x", 5, True, {"_meta": None}, {"_meta": []}, {"_meta": 1}]
)
@pytest.mark.parametrize("method", ["tools/list", "tools/call", "server/discover"])
async def test_params_of_the_wrong_type_are_invalid(method: str, params: Any) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = JSON_HEADERS | {"mcp-protocol-version": MODERN, "mcp-method": method, "mcp-name": "find"}
    answer = await http(SHOP, msgspec.json.encode(request), headers)
    assert answer.refusal == (400, -32602)
    assert answer.reply["id"] == 1
    await assert_still_answers(SHOP)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/list", {"cursor": 5}),
        ("tools/list", {"cursor": ["a"]}),
        ("tools/call", {}),
        ("tools/call", {"name": None}),
        ("tools/call", {"name": 5}),
        ("tools/call", {"name": "find", "arguments": []}),
        ("tools/call", {"name": "find", "arguments": "title"}),
        ("tools/call", {"name": "find", "arguments": None}),
        ("resources/read", {}),
        ("resources/read", {"uri": {}}),
        ("prompts/get", {"name": "recommend", "arguments": {"taste": 5}}),
        ("prompts/get", {"name": "recommend", "arguments": []}),
        ("prompts/get", {"name": "recommend"}),
        ("prompts/get", {"name": "recommend", "arguments": {"other": "x"}}),
    ],
)
async def test_wrong_parameters_are_invalid_at_every_revision(method: str, params: dict[str, Any]) -> None:
    request = message(method, {"_meta": ENVELOPE, **params})
    assert (await http(SHOP, msgspec.json.encode(request), mirrored(request))).refusal == (400, -32602)
    for revision in LEGACY:
        answer = await legacy(SHOP, revision, method, params)
        assert answer.refusal == (200, -32602)
        assert answer.reply["id"] == 1
    await assert_still_answers(SHOP)


@pytest.mark.parametrize(
    "meta",
    [
        None,
        {},
        {"io.modelcontextprotocol/clientCapabilities": {}},
        {"io.modelcontextprotocol/clientCapabilities": {}, "io.modelcontextprotocol/protocolVersion": None},
        {"io.modelcontextprotocol/protocolVersion": MODERN},
        {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": None,
        },
        {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": []},
        {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": "x",
        },
    ],
)
@pytest.mark.parametrize("method", ["server/discover", "tools/list", "tools/call"])
async def test_a_stateless_request_without_its_envelope_is_invalid(
    method: str, meta: dict[str, Any] | None
) -> None:
    params = {"name": "find"} if meta is None else {"name": "find", "_meta": meta}
    request = message(method, params, message_id="mine")
    answer = await http(SHOP, msgspec.json.encode(request), mirrored(request))
    assert answer.refusal == (400, -32602)
    assert answer.reply["id"] == "mine"


async def test_client_info_is_not_required() -> None:
    assert (await modern(SHOP, "tools/list")).status == 200


@pytest.mark.parametrize("requested", ["2024-11-05", "2099-01-01", "1", "", "latest"])
@pytest.mark.parametrize("method", ["tools/list", "initialize", "no/such/method"])
async def test_an_unknown_revision_is_refused_with_those_that_are_served(requested: str, method: str) -> None:
    meta = ENVELOPE | {"io.modelcontextprotocol/protocolVersion": requested}
    request = message(method, {"_meta": meta})
    headers = mirrored(request) | {"mcp-protocol-version": requested}
    answer = await http(SHOP, msgspec.json.encode(request), headers)
    assert answer.refusal == (400, -32022)
    assert answer.reply["id"] == 1
    data = answer.error["data"]
    assert data["requested"] == requested
    assert {MODERN, *LEGACY} == set(data["supported"])
    await assert_still_answers(SHOP)


@pytest.mark.parametrize(
    "method",
    [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "no/such/method",
        "",
        "TOOLS/LIST",
        "tools/list ",
        "rpc.discover",
        "__init__",
    ],
)
async def test_a_method_that_the_stateless_revision_has_not_is_not_found(method: str) -> None:
    answer = await modern(SHOP, method, {"protocolVersion": LEGACY[0], "capabilities": {}, "level": "info"})
    assert answer.refusal == (404, -32601)
    assert answer.reply["id"] == 1
    await assert_still_answers(SHOP)


@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize("method", ["server/discover", "no/such/method", "subscriptions/listen"])
async def test_earlier_revisions_say_so_in_a_200(method: str, revision: str) -> None:
    answer = await legacy(SHOP, revision, method, {})
    assert answer.refusal == (200, -32601)


async def test_an_unknown_tool_is_invalid_params() -> None:
    assert (await modern(SHOP, "tools/call", {"name": "nope"})).refusal == (400, -32602)
    assert (await legacy(SHOP, LEGACY[0], "tools/call", {"name": "nope"})).refusal == (200, -32602)


async def test_an_unknown_prompt_is_invalid_params() -> None:
    assert (await modern(SHOP, "prompts/get", {"name": "nope"})).refusal == (400, -32602)
    assert (await legacy(SHOP, LEGACY[0], "prompts/get", {"name": "nope"})).refusal == (200, -32602)


@pytest.mark.parametrize("uri", ["shelf://nowhere", "file:///etc/passwd", "", "not a uri", "shelf://a/x/y"])
async def test_an_unknown_resource_is_invalid_params_with_its_uri(uri: str) -> None:
    for answer in (
        await modern(SHOP, "resources/read", {"uri": uri}),
        await legacy(SHOP, LEGACY[0], "resources/read", {"uri": uri}),
    ):
        assert answer.error["code"] == -32602
        assert answer.error["data"] == {"uri": uri}


async def test_a_resource_that_cannot_be_read_says_why() -> None:
    refused = await modern(SHOP, "resources/read", {"uri": "shelf://attic/13"})
    assert refused.refusal == (400, -32602)
    assert "nobody goes there" in refused.error["message"]
    wrong = await modern(SHOP, "resources/read", {"uri": "shelf://attic/many"})
    assert wrong.refusal == (400, -32602)
    assert wrong.error["data"] == {"uri": "shelf://attic/many"}


async def test_a_failing_resource_is_an_internal_error_that_tells_no_secrets() -> None:
    answer = await modern(SHOP, "resources/read", {"uri": "shelf://attic/14"})
    assert answer.refusal == (500, -32603)
    assert b"swordfish" not in answer.body
    assert (await legacy(SHOP, LEGACY[0], "resources/read", {"uri": "shelf://attic/14"})).refusal == (
        200,
        -32603,
    )


async def test_a_failing_tool_is_a_failed_call_that_tells_no_secrets() -> None:
    answer = await modern(SHOP, "tools/call", {"name": "break_down"})
    assert answer.result["isError"] is True
    assert b"swordfish" not in answer.body


async def test_a_tool_error_is_read_by_the_model() -> None:
    result = (await modern(SHOP, "tools/call", {"name": "refuse"})).result
    assert result["isError"] is True
    assert result["content"] == [{"type": "text", "text": "we are closed"}]


@pytest.mark.parametrize(
    "arguments", [{}, {"title": 5}, {"title": "a", "limit": "x"}, {"title": "a", "more": 1}]
)
async def test_arguments_that_do_not_fit_are_read_by_the_model(arguments: dict[str, Any]) -> None:
    answer = await modern(SHOP, "tools/call", {"name": "find", "arguments": arguments})
    assert answer.result["isError"] is True


async def test_deep_arguments_that_do_not_fit_are_read_by_the_model() -> None:
    nested = b'{"title":' + b"[" * 50 + b"]" * 50 + b"}"
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"find","arguments":%b}}' % nested
    assert (await http(SHOP, body)).result["isError"] is True
    await assert_still_answers(SHOP)


async def test_a_tool_may_answer_with_a_protocol_error() -> None:
    answer = await modern(SHOP, "tools/call", {"name": "ask_the_user"})
    assert answer.refusal == (400, -32021)
    assert answer.error["data"] == {"requiredCapabilities": {"elicitation": {}}}


async def test_a_notification_with_an_id_is_an_invalid_request() -> None:
    answer = await http(SHOP, msgspec.json.encode(message("notifications/initialized")))
    assert answer.refusal == (400, -32600)
    assert answer.reply["id"] == 1


async def test_a_request_without_an_id_is_refused_without_an_id() -> None:
    answer = await http(SHOP, b'{"jsonrpc":"2.0","method":"tools/list"}')
    assert answer.refusal == (400, -32600)
    assert "id" not in answer.reply
