"""What each revision of the protocol gets: the handshake, the shape of lists and of results."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from scopedtools import Principal, ScopedServer, View, prompt, resource, tool
from scopedtools.context.context import Context
from scopedtools.protocol.content import Text
from scopedtools.protocol.results import CallResult
from tests.wire.exchange import ENVELOPE, LEGACY, MODERN, Answer, http, judged, legacy, message, modern

pytestmark = pytest.mark.anyio

SERVER_INFO = "io.modelcontextprotocol/serverInfo"
ONLY_STATELESS = {"resultType", "ttlMs", "cacheScope"}


class Book(BaseModel):
    title: str
    copies: int


class Shop(ScopedServer):
    """Sells books."""

    kept = CallResult(content=[Text("kept")])

    @tool(title="Find books", read_only=True)
    async def find(self, title: str) -> Book:
        """Find a book."""
        return Book(title=title, copies=7)

    @tool
    async def count(self) -> int:
        """Count the books."""
        return 7

    @tool
    async def greet(self) -> str:
        """Greet."""
        return "hello"

    @tool
    async def keep(self) -> CallResult:
        """Return one and the same result again and again."""
        return self.kept

    @tool
    async def say_nothing(self) -> None:
        """Do it silently."""

    @resource("shelf://all", title="All shelves", mime_type="application/json")
    async def all_shelves(self) -> dict[str, int]:
        """All shelves."""
        return {"Dune": 7}

    @resource("shelf://cover")
    async def cover(self) -> bytes:
        """A picture."""
        return b"\x89PNG"

    @resource("shelf://{room}/{+path}", title="One shelf")
    async def shelf(self, room: str, path: str) -> str:
        """One shelf."""
        return f"{room} {path}"

    @prompt(title="Recommend")
    async def recommend(self, taste: str, mood: str = "calm") -> list[str]:
        """Recommend a book."""
        return [f"I like {taste}", f"I am {mood}"]


SHOP = Shop(name="shop", version="1.2.3")

READS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    *((method, {}) for method in READS),
    ("tools/call", {"name": "find", "arguments": {"title": "Dune"}}),
    ("tools/call", {"name": "find", "arguments": {"wrong": "Dune"}}),
    ("tools/call", {"name": "count"}),
    ("tools/call", {"name": "greet", "arguments": {}}),
    ("tools/call", {"name": "keep"}),
    ("tools/call", {"name": "say_nothing"}),
    ("resources/read", {"uri": "shelf://all"}),
    ("resources/read", {"uri": "shelf://cover"}),
    ("resources/read", {"uri": "shelf://attic/top/left%20side"}),
    ("prompts/get", {"name": "recommend", "arguments": {"taste": "sand"}}),
]


async def initialize(revision: Any, header: str | None = None) -> Answer:
    opening = message(
        "initialize",
        {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}},
    )
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    if header is not None:
        headers["mcp-protocol-version"] = header
    return await http(SHOP, msgspec.json.encode(opening), headers)


@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize("with_header", [True, False])
async def test_initialize_agrees_on_the_revision_that_the_client_asks_for(
    revision: str, *, with_header: bool
) -> None:
    answer = judged(await initialize(revision, revision if with_header else None), "initialize", revision)
    result = answer.result
    assert result["protocolVersion"] == revision
    assert result["serverInfo"] == {"name": "shop", "version": "1.2.3"}
    assert result["instructions"] == "Sells books."
    extension = result["capabilities"].pop("experimental")["io.github.scopedtools/context"]
    assert (extension["version"], extension["cacheScopes"]) == (1, ["context"])
    assert result["capabilities"] == {"tools": {}, "resources": {}, "prompts": {}, "logging": {}}
    assert not ONLY_STATELESS & set(result)
    assert "mcp-session-id" not in answer.headers


@pytest.mark.parametrize("revision", ["2024-11-05", "2099-01-01", MODERN, "", "newest"])
async def test_initialize_offers_the_newest_handshake_revision_to_a_client_that_asks_for_another(
    revision: str,
) -> None:
    assert (await initialize(revision)).result["protocolVersion"] == LEGACY[0]


@pytest.mark.parametrize("revision", [None, 5, ["2025-06-18"]])
async def test_initialize_needs_a_revision_that_is_text(revision: Any) -> None:
    assert (await initialize(revision)).error["code"] == -32602


async def test_a_handshake_is_followed_by_a_notification_and_requests() -> None:
    assert (await initialize("2025-06-18")).status == 200
    done = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    assert (await http(SHOP, done)).status == 202
    assert (await legacy(SHOP, "2025-06-18", "tools/list")).result["tools"]


@pytest.mark.parametrize("revision", LEGACY)
async def test_ping_is_answered_with_an_empty_result(revision: str) -> None:
    assert (await legacy(SHOP, revision, "ping")).result == {}
    assert (await legacy(SHOP, revision, "ping", {"_meta": {"progressToken": 1}})).result == {}


@pytest.mark.parametrize(("method", "params"), REQUESTS)
async def test_stateless_results_say_that_they_are_complete_and_who_answers(
    method: str, params: dict[str, Any]
) -> None:
    result = (await modern(SHOP, method, params)).result
    assert result["resultType"] == "complete"
    assert result["_meta"][SERVER_INFO] == {"name": "shop", "version": "1.2.3"}
    cacheable = method in (*READS, "resources/read")
    assert ("ttlMs" in result) is cacheable
    assert ("cacheScope" in result) is cacheable


@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize(("method", "params"), REQUESTS)
async def test_results_of_earlier_revisions_have_none_of_the_stateless_fields(
    method: str, params: dict[str, Any], revision: str
) -> None:
    result = (await legacy(SHOP, revision, method, params)).result
    assert not ONLY_STATELESS & set(result)
    assert SERVER_INFO not in result.get("_meta", {})


async def test_a_request_without_a_version_header_is_served_as_the_revision_before_that_header() -> None:
    answer = await http(SHOP, msgspec.json.encode(message("tools/list")))
    assert answer.result == (await legacy(SHOP, "2025-03-26", "tools/list")).result


@pytest.mark.parametrize("revision", [MODERN, "2025-11-25", "2025-06-18"])
async def test_tools_have_titles_and_output_schemas(revision: str) -> None:
    answer = await (
        modern(SHOP, "tools/list") if revision == MODERN else legacy(SHOP, revision, "tools/list")
    )
    find = answer.result["tools"][0]
    assert set(find) == {"name", "title", "description", "inputSchema", "outputSchema", "annotations"}
    assert find["title"] == "Find books"
    assert find["annotations"] == {"readOnlyHint": True}
    assert find["outputSchema"]["type"] == "object"


async def test_the_first_revision_knows_no_titles_and_no_output_schemas() -> None:
    tools = (await legacy(SHOP, "2025-03-26", "tools/list")).result["tools"]
    assert set(tools[0]) == {"name", "description", "inputSchema", "annotations"}
    for method, rows in (
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
    ):
        for row in (await legacy(SHOP, "2025-03-26", method)).result[rows]:
            assert not {"title", "icons", "_meta"} & set(row)


async def test_lists_are_in_the_order_of_declaration_at_every_revision() -> None:
    expected = ["find", "count", "greet", "keep", "say_nothing"]
    answers = [await modern(SHOP, "tools/list")]
    answers += [await legacy(SHOP, revision, "tools/list") for revision in LEGACY]
    for answer in answers:
        assert [row["name"] for row in answer.result["tools"]] == expected


async def test_structured_content_is_sent_where_the_revision_has_it() -> None:
    call = {"name": "find", "arguments": {"title": "Dune"}}
    structured = {"title": "Dune", "copies": 7}
    assert (await modern(SHOP, "tools/call", call)).result["structuredContent"] == structured
    for revision in ("2025-11-25", "2025-06-18"):
        assert (await legacy(SHOP, revision, "tools/call", call)).result["structuredContent"] == structured
    result = (await legacy(SHOP, "2025-03-26", "tools/call", call)).result
    assert "structuredContent" not in result
    assert msgspec.json.decode(result["content"][0]["text"]) == structured


async def test_a_value_that_is_no_object_is_wrapped_as_its_schema_says() -> None:
    tools = {row["name"]: row for row in (await modern(SHOP, "tools/list")).result["tools"]}
    assert tools["count"]["outputSchema"]["required"] == ["result"]
    assert (await modern(SHOP, "tools/call", {"name": "count"})).result["structuredContent"] == {"result": 7}


async def test_text_alone_is_not_structured() -> None:
    result = (await modern(SHOP, "tools/call", {"name": "greet"})).result
    assert result["content"] == [{"type": "text", "text": "hello"}]
    assert "structuredContent" not in result
    assert "isError" not in result or result["isError"] is False


async def test_a_result_that_an_author_keeps_is_never_changed() -> None:
    call = {"name": "keep"}
    before = (await legacy(SHOP, LEGACY[0], "tools/call", call)).result
    assert (await modern(SHOP, "tools/call", call)).result["resultType"] == "complete"
    assert (await legacy(SHOP, LEGACY[0], "tools/call", call)).result == before


async def test_resources_are_read_as_text_bytes_and_json() -> None:
    async def read(uri: str) -> dict[str, Any]:
        [contents] = (await modern(SHOP, "resources/read", {"uri": uri})).result["contents"]
        assert contents["uri"] == uri
        return dict(contents)

    assert msgspec.json.decode((await read("shelf://all"))["text"]) == {"Dune": 7}
    assert (await read("shelf://all"))["mimeType"] == "application/json"
    assert (await read("shelf://cover"))["blob"] == "iVBORw=="
    assert (await read("shelf://attic/top/left%20side"))["text"] == "attic top/left side"


async def test_a_prompt_is_filled_in_with_its_defaults() -> None:
    result = (await modern(SHOP, "prompts/get", {"name": "recommend", "arguments": {"taste": "sand"}})).result
    assert [part["content"]["text"] for part in result["messages"]] == ["I like sand", "I am calm"]
    assert result["description"] == "Recommend a book."
    [row] = (await modern(SHOP, "prompts/list")).result["prompts"]
    assert [(one["name"], one["required"]) for one in row["arguments"]] == [("taste", True), ("mood", False)]


async def test_discover_says_who_answers_which_revisions_and_what_there_is() -> None:
    result = (await modern(SHOP, "server/discover")).result
    assert result["supportedVersions"][0] == MODERN
    assert set(result["supportedVersions"]) == {MODERN, *LEGACY}
    assert set(result["capabilities"]) == {"tools", "resources", "prompts", "extensions", "logging"}
    assert result["capabilities"]["extensions"]["io.github.scopedtools/context"]["version"] == 1
    assert result["instructions"] == "Sells books."
    assert result["resultType"] == "complete"
    assert result["cacheScope"] == "public"
    assert result["ttlMs"] > 0


class OnlyPrompts(ScopedServer):
    @prompt
    async def ask(self) -> str:
        """Ask."""
        return "?"


class OnlyTemplates(ScopedServer):
    @resource("shelf://{room}")
    async def room(self, room: str) -> str:
        """A room."""
        return room


class OnlyTools(ScopedServer):
    @tool
    async def count(self) -> int:
        """Count."""
        return 1


class Nothing(ScopedServer):
    pass


@pytest.mark.parametrize(
    ("server", "capabilities"),
    [
        (OnlyPrompts(), {"prompts": {}}),
        (OnlyTemplates(), {"resources": {}}),
        (OnlyTools(), {"tools": {}}),
        (Nothing(), {}),
    ],
)
async def test_capabilities_name_only_what_there_is(
    server: ScopedServer, capabilities: dict[str, Any]
) -> None:
    found = dict((await modern(server, "server/discover")).result["capabilities"])
    del found["extensions"]
    assert set(found) == {*capabilities, "logging"}
    assert all(found[name]["listChanged"] for name in capabilities)
    opening = {"protocolVersion": LEGACY[0], "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}
    opened = (await legacy(server, LEGACY[0], "initialize", opening)).result["capabilities"]
    assert set(opened.pop("experimental")) == {"io.github.scopedtools/context"}
    assert opened == {
        **capabilities,
        "logging": {},
    }


@pytest.mark.parametrize("method", READS)
async def test_lists_of_what_there_is_not_are_empty(method: str) -> None:
    result = (await modern(Nothing(), method)).result
    assert [value for value in result.values() if isinstance(value, list)] == [[]]


async def test_a_server_without_a_docstring_gives_no_instructions() -> None:
    assert "instructions" not in (await modern(Nothing(), "server/discover")).result


class Guarded(ScopedServer):
    @tool(tags={"open"})
    async def look(self) -> str:
        """Look."""
        return "a book"

    @tool
    async def buy(self) -> str:
        """Buy."""
        return "sold"

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows.tagged("open")


async def test_lists_that_depend_on_the_caller_are_not_for_everybody() -> None:
    result = (await modern(Guarded(), "tools/list")).result
    assert [row["name"] for row in result["tools"]] == ["look"]
    assert result["cacheScope"] == "private"
    assert result["ttlMs"] == 0
    assert (await modern(Guarded(), "tools/call", {"name": "buy"})).refusal == (400, -32602)


class Nobody:
    async def verify(self, token: str) -> Principal | None:
        return Principal(token)


async def test_lists_behind_authorization_are_private() -> None:
    request = message("tools/list", {"_meta": ENVELOPE})
    headers = {
        "content-type": "application/json",
        "authorization": "Bearer me",
        "mcp-protocol-version": MODERN,
        "mcp-method": "tools/list",
    }
    answer = await http(Shop(verifier=Nobody()), msgspec.json.encode(request), headers)
    assert answer.result["cacheScope"] == "private"
