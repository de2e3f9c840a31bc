"""What the tests of the wire share: messages of both eras, raw requests, and the official types as judge."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from mcp_types.methods import validate_server_result
from starlette.types import ASGIApp, Message

MODERN: Final = "2026-07-28"
LEGACY: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
ENVELOPE: Final = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
JSON_HEADERS: Final = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
NAMED_BY: Final = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}

Lines = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as it left the app."""

    status: int
    lines: Lines
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.lines}

    @property
    def reply(self) -> dict[str, Any]:
        reply = msgspec.json.decode(self.body)
        assert isinstance(reply, dict)
        assert reply["jsonrpc"] == "2.0"
        assert ("result" in reply) != ("error" in reply)
        return reply

    @property
    def result(self) -> dict[str, Any]:
        assert self.status == 200, self.body
        result: dict[str, Any] = self.reply["result"]
        return result

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.reply["error"]
        assert isinstance(error["code"], int)
        assert error["message"]
        assert set(error) <= {"code", "message", "data"}
        return error

    @property
    def refusal(self) -> tuple[int, int]:
        """HTTP status and JSON-RPC code."""
        return self.status, self.error["code"]


async def http(
    app: ASGIApp,
    body: bytes | Iterable[bytes] = b"",
    headers: Mapping[str, str] | Lines = JSON_HEADERS,
    *,
    method: str = "POST",
    path: str = "/mcp",
) -> Answer:
    """Send one HTTP request as an ASGI server would, in as many chunks as ``body`` has."""
    lines = headers if isinstance(headers, list) else [(n.encode(), v.encode()) for n, v in headers.items()]
    chunks = [body] if isinstance(body, bytes) else list(body)
    events = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks[:-1]]
    events.append({"type": "http.request", "body": chunks[-1]})
    sent: list[Message] = []

    async def receive() -> Message:
        if not events:
            await asyncio.Event().wait()  # the client stays until it has its answer
        return events.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": lines,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    start, *rest = sent
    answer = Answer(start["status"], list(start.get("headers", [])), b"".join(part["body"] for part in rest))
    if answer.status != 404 or answer.headers.get("content-type") == "application/json":
        assert answer.headers["content-length"] == str(len(answer.body))
    return answer


def message(method: str, params: Any = None, *, message_id: Any = 1) -> dict[str, Any]:
    """Make a request."""
    made = {"jsonrpc": "2.0", "id": message_id, "method": method}
    return made if params is None else made | {"params": params}


def mirrored(request: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that a stateless client sends with a request."""
    headers = JSON_HEADERS | {"mcp-protocol-version": MODERN, "mcp-method": request["method"]}
    named_by = NAMED_BY.get(request["method"])
    named = request.get("params", {}).get(named_by) if named_by else None
    return headers | {"mcp-name": named} if isinstance(named, str) else headers


async def modern(app: ASGIApp, method: str, params: Mapping[str, Any] | None = None) -> Answer:
    """Send a request of the stateless revision; a result must be one by the official types."""
    request = message(method, {"_meta": ENVELOPE, **(params or {})})
    answer = await http(app, msgspec.json.encode(request), mirrored(request))
    return judged(answer, method, MODERN)


async def legacy(app: ASGIApp, revision: str, method: str, params: Mapping[str, Any] | None = None) -> Answer:
    """Send a request of an earlier revision; a result must be one by the official types."""
    headers = JSON_HEADERS | {"mcp-protocol-version": revision}
    answer = await http(app, msgspec.json.encode(message(method, params)), headers)
    return judged(answer, method, revision)


def judged(answer: Answer, method: str, revision: str) -> Answer:
    """Have the official types check a result."""
    if answer.status == 200 and "result" in answer.reply:
        validate_server_result(method, revision, answer.result)
    return answer


async def assert_still_answers(app: ASGIApp) -> None:
    """Whatever came before, a good request of either era is answered."""
    async with asyncio.timeout(10):
        assert (await modern(app, "tools/list")).result["tools"]
        assert (await legacy(app, LEGACY[0], "ping")).result == {}


async def ask(
    app: ASGIApp,
    method: str,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request of the stateless revision."""
    request = message(method, {"_meta": ENVELOPE, **(params or {})})
    return await http(app, msgspec.json.encode(request), mirrored(request) | dict(headers or {}))
