"""Tools, resources and prompts that need OAuth scopes of their own."""

from __future__ import annotations

from typing import Any, Final

import httpx2
import msgspec
import pytest

from scopedtools import (
    Catalog,
    Context,
    Principal,
    ScopedServer,
    View,
    ViewSettings,
    prompt,
    resource,
    tool,
    tools_from,
)
from scopedtools.auth import ResourceServer, StaticTokens
from scopedtools.catalog.primitives import Tool
from scopedtools.exceptions import DefinitionError
from scopedtools.retrieval import HashingEncoder, HybridSelector
from scopedtools.tasks import TaskSettings
from tests.auth.issuer import RESOURCE
from tests.transports.test_stdio_transport import connected
from tests.wire.exchange import ENVELOPE, JSON_HEADERS, LEGACY, Answer, http, message, mirrored

pytestmark = pytest.mark.anyio

METADATA_URL: Final = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

TOKENS: Final = {
    "reader": Principal("ann", frozenset({"mcp"})),
    "writer": Principal("ann", frozenset({"mcp", "orders:write"})),
    "clerk": Principal("ann", frozenset({"mcp", "orders:write", "orders:refund"})),
    "admin": Principal("ann", frozenset({"mcp", "admin"})),
}


def audit(day: str) -> str:
    """Return the books of a day."""
    return f"books of {day}"


@tool(scopes={"books:sign"})
def sign(day: str) -> str:
    """Sign the books of a day."""
    return f"signed {day}"


class Shop(ScopedServer):
    """Sells books."""

    ran: list[str]

    def __init__(self, **options: Any) -> None:
        self.ran = []
        super().__init__(selector=HybridSelector(HashingEncoder()), **options)

    books = tools_from([audit, sign], scopes={"books:read"})

    @tool
    async def find(self) -> str:
        """Find a book."""
        return "found"

    @tool(scopes={"orders:write"})
    async def order(self, ctx: Context) -> str:
        """Order a book."""
        self.ran.append("order")
        await ctx.report_progress(1)
        return "ordered"

    @tool(scopes=["orders:write", "orders:refund"])
    async def refund(self) -> str:
        """Pay back an order."""
        return "refunded"

    @tool(scopes={"orders:write"}, tags={"closed"})
    async def closed(self) -> str:
        """Do what nobody may."""
        return "done"

    @tool(scopes={"orders:write"}, task="optional")
    async def restock(self) -> str:
        """Order many books."""
        return "restocked"

    @resource("orders://all", scopes={"orders:read"})
    def orders(self) -> str:
        """All orders."""
        return "1, 2"

    @resource("orders://{number}", scopes={"orders:read", "orders:one"})
    def one(self, number: str) -> str:
        """An order."""
        return number

    @resource("shelf://{number}")
    def shelf(self, number: str) -> str:
        """A shelf."""
        return number

    @prompt(scopes={"orders:read"})
    def dun(self, who: str) -> str:
        """Remind somebody to pay."""
        return f"Remind {who}."

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows - rows.tagged("closed")


def guard(**changes: Any) -> ResourceServer:
    settings: dict[str, Any] = {
        "verifier": StaticTokens(TOKENS),
        "resource": RESOURCE,
        "authorization_servers": ["https://auth.example.com"],
        "required_scopes": {"mcp"},
        "implies": {"admin": {"orders:write", "orders:refund", "orders:read", "orders:one", "books:read"}},
    }
    return ResourceServer(**settings | changes)


SHOP: Final = Shop(resource_server=guard())


async def ask(
    server: ScopedServer, token: str | None, method: str, params: dict[str, Any] | None = None, **more: str
) -> Answer:
    request = message(method, {"_meta": ENVELOPE, **(params or {})})
    headers = mirrored(request) | more | ({"authorization": f"Bearer {token}"} if token else {})
    return await http(server, msgspec.json.encode(request), headers)


async def call(server: ScopedServer, token: str | None, name: str, /, **arguments: Any) -> Answer:
    return await ask(server, token, "tools/call", {"name": name, "arguments": arguments})


async def listed(server: ScopedServer, token: str | None, kind: str = "tools") -> list[str]:
    answer = await ask(server, token, f"{kind}/list")
    return [row["name"] for row in answer.result["resourceTemplates" if "/" in kind else kind]]


def assert_needs(answer: Answer, *scopes: str) -> None:
    """The refusal names all scopes at once, those that every request needs among them."""
    needed = sorted({"mcp", *scopes})
    assert answer.status == 403
    assert answer.headers["www-authenticate"] == (
        f'Bearer error="insufficient_scope", scope="{" ".join(needed)}", resource_metadata="{METADATA_URL}"'
    )
    assert answer.headers["content-type"] == "application/json"
    assert answer.reply["id"] == 1
    assert answer.error == {"code": -32600, "message": f"The request needs the scopes {', '.join(needed)}"}


# Lists


@pytest.mark.parametrize(
    ("token", "tools"),
    [
        ("reader", ["find"]),
        ("writer", ["find", "order", "restock"]),
        ("clerk", ["find", "order", "refund", "restock"]),
        ("admin", ["audit", "find", "order", "refund", "restock"]),
    ],
)
async def test_tools_whose_scopes_were_not_granted_are_not_listed(token: str, tools: list[str]) -> None:
    assert await listed(SHOP, token) == tools


async def test_nor_are_resources_templates_and_prompts() -> None:
    for kind, names in {
        "resources": ["orders"],
        "resources/templates": ["one", "shelf"],
        "prompts": ["dun"],
    }.items():
        assert await listed(SHOP, "admin", kind) == names
        assert await listed(SHOP, "reader", kind) == [name for name in names if name == "shelf"]


async def test_lists_that_vary_by_scope_are_not_kept() -> None:
    class Plain(ScopedServer):
        """One tool."""

        @tool(scopes={"a"})
        async def one(self) -> str:
            """Do one thing."""
            return ""

    for server in (SHOP, Plain(resource_server=guard()), Plain()):
        result = (await ask(server, "reader", "tools/list")).result
        assert (result["ttlMs"], result["cacheScope"]) == (0, "private")


async def test_search_finds_only_what_the_scopes_open() -> None:
    async def found(token: str) -> list[str]:
        answer = await call(SHOP, token, "search_tools", query="order a book", limit=20)
        tools = answer.result.get("structuredContent", {}).get("tools", [])
        return sorted(row["name"] for row in tools)

    async with SHOP:
        assert "order" in await found("writer")
        assert {"order", "refund", "audit", "closed"}.isdisjoint(await found("reader"))


# Calls


async def test_a_tool_that_only_lacks_scopes_says_which() -> None:
    SHOP.ran.clear()
    assert_needs(await call(SHOP, "reader", "order"), "orders:write")
    assert_needs(await call(SHOP, "reader", "refund"), "orders:write", "orders:refund")
    assert_needs(await call(SHOP, "writer", "refund"), "orders:write", "orders:refund")
    assert_needs(await call(SHOP, "reader", "restock"), "orders:write")
    assert_needs(await call(SHOP, "reader", "audit", day="today"), "books:read")
    assert_needs(await call(SHOP, "admin", "sign", day="today"), "books:read", "books:sign")
    assert SHOP.ran == []


async def test_it_says_so_where_it_is_called_through_another_as_well() -> None:
    assert_needs(await call(SHOP, "reader", "call_tool", name="order"), "orders:write")
    assert_needs(
        await call(SHOP, "reader", "call_tool", name="refund", arguments={}), "orders:write", "orders:refund"
    )


@pytest.mark.parametrize("token", ["writer", "clerk", "admin"])
async def test_with_its_scopes_a_tool_runs(token: str) -> None:
    for answer in (await call(SHOP, token, "order"), await call(SHOP, token, "call_tool", name="order")):
        assert answer.result["content"][0]["text"] == "ordered"


async def test_a_client_that_follows_tasks_is_told_as_well() -> None:
    shop = Shop(resource_server=guard(), tasks=TaskSettings(ttl_s=5))
    declared: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    envelope = ENVELOPE | {"io.modelcontextprotocol/clientCapabilities": declared}
    calls: dict[str, dict[str, str]] = {"restock": {}, "call_tool": {"name": "restock"}}
    for name, arguments in calls.items():
        params = {"_meta": envelope, "name": name, "arguments": arguments}
        assert_needs(await ask(shop, "reader", "tools/call", params), "orders:write")


@pytest.mark.parametrize("token", ["reader", "admin"])
@pytest.mark.parametrize("name", ["closed", "nothing"])
async def test_what_would_be_unknown_with_all_scopes_is_unknown_without(token: str, name: str) -> None:
    answer = await call(SHOP, token, name)
    assert answer.refusal == (400, -32602)
    assert "www-authenticate" not in answer.headers
    through = await call(SHOP, token, "call_tool", name=name)
    assert through.result["isError"]


@pytest.mark.parametrize("arguments", [None, [], {}, {"name": 1}, {"name": None}, {"tool": "order"}, "order"])
async def test_a_call_through_another_that_names_no_tool_is_an_ordinary_error(arguments: Any) -> None:
    answer = await ask(SHOP, "reader", "tools/call", {"name": "call_tool", "arguments": arguments})
    assert answer.status in (200, 400)
    assert answer.status == 400 or answer.result["isError"]


async def test_resources_prompts_and_completions_say_which_scopes_they_need() -> None:
    assert_needs(await ask(SHOP, "reader", "resources/read", {"uri": "orders://all"}), "orders:read")
    assert_needs(
        await ask(SHOP, "reader", "resources/read", {"uri": "orders://7"}), "orders:read", "orders:one"
    )
    dun = {"name": "dun", "arguments": {"who": "Bo"}}
    assert_needs(await ask(SHOP, "reader", "prompts/get", dun), "orders:read")
    typed = {"argument": {"name": "who", "value": ""}}
    for ref in ({"type": "ref/prompt", "name": "dun"}, {"type": "ref/resource", "uri": "orders://{number}"}):
        assert (await ask(SHOP, "reader", "completion/complete", {"ref": ref} | typed)).status == 403
        assert (await ask(SHOP, "admin", "completion/complete", {"ref": ref} | typed)).status == 200
    for uri in ("orders://all", "orders://7", "shelf://1"):
        assert (await ask(SHOP, "admin", "resources/read", {"uri": uri})).status == 200
    assert (await ask(SHOP, "reader", "resources/read", {"uri": "shelf://1"})).status == 200
    assert (await ask(SHOP, "reader", "resources/read", {"uri": "none://1"})).refusal == (400, -32602)


async def test_of_several_templates_at_a_uri_one_that_is_open_is_read() -> None:
    class Files(ScopedServer):
        """Files."""

        @resource("file://{+path}", scopes={"files"})
        def any_file(self, path: str) -> str:
            """Any file."""
            return path

        @resource("file://public/{name}")
        def public(self, name: str) -> str:
            """A public file."""
            return name

    files = Files(resource_server=guard())
    assert (await ask(files, "reader", "resources/read", {"uri": "file://public/a"})).status == 200
    assert_needs(await ask(files, "reader", "resources/read", {"uri": "file://private/a"}), "files")


@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize("sessions", [True, False])
async def test_earlier_revisions_get_the_same_status_before_a_stream_begins(
    revision: str, *, sessions: bool
) -> None:
    shop = Shop(resource_server=guard(), sessions=sessions)
    headers = JSON_HEADERS | {"mcp-protocol-version": revision}
    reader, writer = ({"authorization": f"Bearer {token}"} for token in ("reader", "writer"))
    hello = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}
    order = message("tools/call", {"name": "order"})
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(shop)) as client:
        begun = await client.post(RESOURCE, json=message("initialize", hello), headers=headers | reader)
        headers |= {"mcp-session-id": begun.headers["mcp-session-id"]} if sessions else {}
        refused = await client.post(RESOURCE, json=order, headers=headers | reader)
        answer = await client.post(RESOURCE, json=order, headers=headers | writer)  # the session goes on
    lines = [(name.encode(), value.encode()) for name, value in refused.headers.items()]
    assert_needs(Answer(refused.status_code, lines, refused.content), "orders:write")
    assert answer.status_code == 200
    assert "ordered" in answer.text


async def test_in_a_batch_what_lacks_scopes_is_unknown() -> None:
    headers = JSON_HEADERS | {"authorization": "Bearer reader", "mcp-protocol-version": "2025-03-26"}
    batch = msgspec.json.encode([message("tools/call", {"name": "order"})])
    answer = await http(SHOP, batch, headers)
    assert b"ordered" not in answer.body
    assert b"error" in answer.body


async def test_where_views_are_enforced_a_hidden_tool_is_unknown_whatever_it_lacks() -> None:
    shop = Shop(resource_server=guard(), views=ViewSettings(enforce=True))
    assert (await call(shop, "reader", "order")).refusal == (400, -32602)
    assert (await call(shop, "writer", "order")).status == 200


# Other ways in


async def test_a_verifier_alone_refuses_with_the_scopes_alone() -> None:
    shop = Shop(verifier=StaticTokens(TOKENS))
    answer = await call(shop, "reader", "refund")
    assert answer.status == 403
    assert answer.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", scope="orders:refund orders:write"'
    )
    assert (await call(shop, "clerk", "refund")).status == 200


async def test_without_authorization_nobody_has_scopes_and_nobody_is_sent_for_them() -> None:
    shop = Shop()
    assert await listed(shop, None) == ["find"]
    answer = await call(shop, "clerk", "order")
    assert answer.refusal == (400, -32602)
    assert "www-authenticate" not in answer.headers


async def test_over_stdio_scopes_do_not_apply() -> None:
    async with connected(SHOP) as pipes:
        reply = await pipes.ask("tools/list", {"_meta": ENVELOPE})
        names = [row["name"] for row in reply["result"]["tools"]]
        assert names == ["audit", "sign", "find", "order", "refund", "restock"]
        reply = await pipes.ask("tools/call", {"_meta": ENVELOPE, "name": "refund"})
        assert reply["result"]["content"][0]["text"] == "refunded"
        reply = await pipes.ask("tools/call", {"_meta": ENVELOPE, "name": "closed"})
        assert reply["error"]["code"] == -32602


# Declarations


def test_rows_of_a_catalog_have_scopes_too() -> None:
    catalog = Catalog([Tool(name="a", scopes=frozenset({"x"})), Tool(name="b")])
    assert catalog.has_scopes
    assert [row.name for row in catalog.locked(lambda scopes: scopes <= {"y"})] == ["a"]
    assert not catalog.locked(lambda scopes: scopes <= {"x", "y"})
    assert not Catalog([Tool(name="b")]).has_scopes


def test_scopes_are_not_sent() -> None:
    assert "scopes" not in Tool(name="a", scopes=frozenset({"x"})).wire()


def test_one_text_is_not_several_scopes() -> None:
    for decorate in (tool, prompt):
        with pytest.raises(DefinitionError, match="scopes takes several texts"):
            decorate(scopes="orders:write")
    with pytest.raises(DefinitionError, match="scopes takes several texts"):
        resource("a://b", scopes="x")
    with pytest.raises(DefinitionError, match="scopes takes several texts"):
        tools_from([audit], scopes="x")


@pytest.mark.parametrize("scope", ["", "a b", 'a"', "a\r\nx: y", "ä"])
def test_what_is_no_scope_is_reported_before_the_first_request(scope: str) -> None:
    with pytest.raises(DefinitionError, match="scopes of the tool 'a': a scope is visible ASCII"):
        ScopedServer(catalog=Catalog([Tool(name="a", scopes=frozenset({scope}))]))


def test_the_search_tools_take_no_scopes() -> None:
    class Closed(ScopedServer):
        """Searches."""

        @tool(scopes={"search"})
        async def search_tools(self, query: str, limit: int = 5, *, ctx: Context) -> Any:
            """Find tools."""
            return await super().search_tools(query, limit, ctx=ctx)

    with pytest.raises(DefinitionError, match="search_tools takes no scopes"):
        Closed()
