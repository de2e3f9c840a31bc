"""A server of one of each, so that what is sent at random is answered fast."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from scopedtools import Context, ScopedServer, ToolError, prompt, resource, tool
from tests.contract.judge import MODERN
from tests.contract.peers import ABLE


class Book(BaseModel):
    """A book."""

    title: str
    copies: int


class Small(ScopedServer):
    """Sells books."""

    @tool
    async def find(self, title: str, limit: int = 1) -> Book:
        """Find a book."""
        if limit < 1:
            raise ToolError(f"limit must be >= 1, got {limit}")
        return Book(title=title, copies=limit)

    @tool
    async def ship(
        self, region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})], note: str = ""
    ) -> str:
        """Ship something."""
        return f"{region} {note}"

    @tool
    async def ask(self, ctx: Context) -> str:
        """Ask for a name."""
        return str((await ctx.elicit("Name?", Book)).action) if ctx.protocol_version == MODERN else "no"

    @tool(task="optional")
    async def compute(self, ctx: Context) -> str:
        """Compute for a while."""
        await ctx.report_progress(1, 1)
        await ctx.log("info", "computing")
        return "42"

    @resource("shelf://all")
    async def shelves(self) -> str:
        """All shelves."""
        return "all"

    @resource("shelf://{room}/{+path}")
    async def shelf(self, room: str, path: str) -> list[str]:
        """A shelf."""
        return [room, path]

    @prompt
    async def recommend(self, taste: Literal["crime", "comics"] = "crime") -> str:
        """Recommend a book."""
        return taste


REQUESTS: dict[str, tuple[dict[str, Any], ...]] = {
    "tools/list": ({}, {"cursor": ""}),
    "tools/call": (
        {"name": "find", "arguments": {"title": "Dune", "limit": 2}},
        {"name": "ship", "arguments": {"region": "eu", "note": "fast"}},
        {"name": "ask", "arguments": {}, "inputResponses": {"a": {"action": "accept"}}, "requestState": "x"},
        {"name": "compute"},
    ),
    "resources/list": ({},),
    "resources/templates/list": ({},),
    "resources/read": ({"uri": "shelf://all"}, {"uri": "shelf://a/b/c"}),
    "prompts/list": ({},),
    "prompts/get": ({"name": "recommend", "arguments": {"taste": "crime"}},),
    "completion/complete": (
        {
            "ref": {"type": "ref/prompt", "name": "recommend"},
            "argument": {"name": "taste", "value": "c"},
            "context": {"arguments": {"other": "x"}},
        },
        {
            "ref": {"type": "ref/resource", "uri": "shelf://{room}/{+path}"},
            "argument": {"name": "room", "value": ""},
        },
    ),
}
"""Requests of every method that all revisions have."""

EARLIER: dict[str, tuple[dict[str, Any], ...]] = {
    "initialize": (
        {
            "protocolVersion": "2025-11-25",
            "capabilities": {"roots": {"listChanged": True}, "elicitation": {}},
            "clientInfo": {"name": "contract", "version": "1"},
        },
    ),
    "ping": ({},),
    "logging/setLevel": ({"level": "debug"},),
    "resources/subscribe": ({"uri": "shelf://all"},),
    "resources/unsubscribe": ({"uri": "shelf://all"},),
}
LATER: dict[str, tuple[dict[str, Any], ...]] = {
    "server/discover": ({},),
    "subscriptions/listen": (
        {"notifications": {"toolsListChanged": True, "resourceSubscriptions": ["shelf://all"]}},
        {"notifications": {"taskIds": ["unknown"]}},
    ),
    "tasks/get": ({"taskId": "unknown"},),
    "tasks/update": ({"taskId": "unknown", "inputResponses": {"a": {"action": "accept"}}},),
    "tasks/cancel": ({"taskId": "unknown"},),
}
NOTIFICATIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "notifications/cancelled": ({"requestId": 1, "reason": "none"},),
    "notifications/progress": ({"progressToken": 1, "progress": 0.5, "total": 1},),
    "notifications/initialized": ({},),
}


def valid_messages(revision: str) -> list[dict[str, Any]]:
    """Return good messages of every method of a revision."""
    around: dict[str, Any] = {"progressToken": "p"}
    if revision == MODERN:
        around |= {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": ABLE,
            "io.modelcontextprotocol/clientInfo": {"name": "contract", "version": "1"},
            "io.modelcontextprotocol/logLevel": "debug",
        }
    requests = REQUESTS | (LATER if revision == MODERN else EARLIER)
    made = [
        {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": around}}
        for method, examples in requests.items()
        for params in examples
    ]
    made += [
        {"jsonrpc": "2.0", "method": method, "params": params}
        for method, examples in NOTIFICATIONS.items()
        for params in examples
    ]
    return [*made, {"jsonrpc": "2.0", "id": "unknown", "result": {"action": "accept", "content": {}}}]
