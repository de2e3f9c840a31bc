"""What the tests of tasks share: a server whose tools wait for the test, and a client that looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message

from scopedtools import Context, Principal, ScopedServer, ToolError, tool
from scopedtools.auth import StaticTokens
from scopedtools.exceptions import InternalError
from scopedtools.protocol import meta
from scopedtools.protocol.inputs import Question
from scopedtools.testing import Client
from tests.wire.exchange import ENVELOPE, message, mirrored

TOKENS = StaticTokens({"a": Principal("ann"), "b": Principal("bob")})
FORM: dict[str, Any] = {"type": "object", "properties": {"filling": {"type": "string"}}}
FOLLOWING = ENVELOPE | {meta.CLIENT_CAPABILITIES: {"extensions": {meta.TASKS: {}}}}


class Kitchen(ScopedServer):
    """Bakes, which takes its time."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self.ended = asyncio.Event()
        self.runs = 0

    @tool(task="optional")
    async def bake(self, loaves: int = 1) -> str:
        """Bake bread."""
        self.started.set()
        try:
            await self.gate.wait()
        finally:
            self.ended.set()
        return f"{loaves} loaves"

    @tool(task="required")
    async def roast(self) -> str:
        """Roast for hours."""
        await self.gate.wait()
        return "roast"

    @tool
    async def boil(self) -> str:
        """Boil an egg."""
        return "egg"

    @tool(task="optional")
    async def burn(self, how: str) -> str:
        """Fail in one of several ways."""
        if how == "told":
            raise ToolError("the oven is cold")
        if how == "protocol":
            raise InternalError("no gas", data={"pipe": 3})
        raise RuntimeError("secret")

    @tool(task="optional")
    async def fill(self, ctx: Context) -> str:
        """Ask for the filling."""
        self.runs += 1
        answer = await ctx.elicit("Which filling?", FORM, key="filling")
        return f"{answer.action}: {answer.data and answer.data.get('filling')}"

    @tool(task="optional")
    async def fill_two(self, ctx: Context) -> str:
        """Ask two things at once."""
        params = {"mode": "form", "message": "Which?", "requestedSchema": FORM}
        answers = await ctx.ask(
            first=Question("elicitation/create", params), second=Question("elicitation/create", params)
        )
        return " and ".join(answer["content"]["filling"] for answer in answers.values())

    @tool(task="optional", detached=False)
    async def order(self, ctx: Context) -> str:
        """Ask first, then take some time, unless nothing is wanted."""
        answer = await ctx.elicit("Which filling?", FORM, key="filling")
        if answer.data is None:
            return "nothing"
        await ctx.detach()
        await ctx.detach()
        await self.gate.wait()
        return f"pie with {answer.data['filling']}"

    @tool(task="optional")
    async def knead(self, ctx: Context) -> str:
        """Say how far it is."""
        await ctx.report_progress(1, 3)
        await ctx.report_progress(1, 3, "again")
        await ctx.report_progress(2, message="nearly")
        await ctx.log("error", "dropped")
        self.started.set()
        await self.gate.wait()
        return "dough"


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def follower(server: ScopedServer, **options: Any) -> Client:
    """Make a client that can follow tasks and ask its user."""
    return Client(server, tasks=True, capabilities={"elicitation": {}}, **options)


async def begin(client: Client, name: str, /, **arguments: Any) -> str:
    """Call a tool that becomes a task; return the ID."""
    created = await client.call_tool(name, **arguments)
    assert created["resultType"] == "task"
    task_id: str = created["taskId"]
    return task_id


async def look(client: Client, task_id: str, status: str) -> dict[str, Any]:
    """Look at a task until it has a status."""
    async with asyncio.timeout(5):
        while (state := await client.request("tasks/get", taskId=task_id))["status"] != status:  # noqa: ASYNC110
            await asyncio.sleep(0)  # an in-process client gives nobody else a turn
    assert state["resultType"] == "complete"
    return state


async def answered(client: Client, task_id: str, **answers: Any) -> dict[str, Any]:
    """Answer a task; return the acknowledgement."""
    return await client.request("tasks/update", taskId=task_id, inputResponses=answers)


def filling(what: str) -> dict[str, Any]:
    """Make an answer to the form."""
    return {"action": "accept", "content": {"filling": what}}


@asynccontextmanager
async def stream(
    app: ASGIApp, method: str, params: dict[str, Any], **headers: str
) -> AsyncIterator[asyncio.Queue[dict[str, Any]]]:
    """Send a request and take the messages of its answer as they come; leaving closes the connection."""
    request = message(method, {"_meta": FOLLOWING, **params})
    lines = [(name.encode(), value.encode()) for name, value in (mirrored(request) | headers).items()]
    came: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent = False
    gone = asyncio.Event()

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await gone.wait()
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": msgspec.json.encode(request)}

    async def send(part: Message) -> None:
        body: bytes = part.get("body", b"").removeprefix(b"event: message\ndata: ")
        if body.startswith(b"{"):
            await came.put(msgspec.json.decode(body))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "raw_path": b"/mcp",
        "query_string": b"",
        "root_path": "",
        "headers": lines,
    }
    serving = asyncio.ensure_future(app(scope, receive, send))
    try:
        async with asyncio.timeout(5):
            yield came
    finally:
        gone.set()
        await serving
