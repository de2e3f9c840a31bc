"""Targets: whole HTTP requests into the ASGI app, at every revision and of servers of every sort."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from starlette.types import Message

from scopedtools import ScopedServer
from scopedtools.protocol.methods import METHODS
from scopedtools.protocol.mirrors import encode_value
from scopedtools.protocol.revisions import LATEST, REVISIONS
from tests.fuzz.heads import lines_of
from tests.fuzz.messages import CALLS, ENVELOPE, METAS, PARAMS, WORDS, message
from tests.fuzz.server import TOKEN, running, servers
from tests.fuzz.target import Target, awaited, require

SESSION: Final = b"$SESSION"
"""Stands for the ID of a session that is there."""

_STATUSES: Final = frozenset({200, 202, 204, 400, 401, 403, 404, 405, 406, 413, 415, 421, 429})
_BODY_BYTES: Final = 8192
_LEFT_S: Final = 2.0


@dataclass(slots=True)
class Answer:
    """What an app sent."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream of events."""
        return self.headers.get(b"content-type", b"") == b"text/event-stream"


def check_request(data: bytes) -> None:
    """Any request is answered: never an exception, never a server error, never a wait without an end."""
    awaited(_checked(data))


async def _checked(data: bytes) -> None:
    head, _, body = data.partition(b"\n\n")
    first, _, rest = head.partition(b"\n")
    method, _, target = first.partition(b" ")
    path, _, query = target.partition(b"?")
    known = servers()
    server = known.get(path, known[b"/mcp"])
    await running(server)
    before = asyncio.all_tasks()
    session = await _session(server, path)
    lines = lines_of(rest.replace(SESSION, session))
    answer = await ask(server, method.decode("latin-1"), path, lines, query=query, body=body)
    _judge(answer, lines, data)
    if session != SESSION:
        ended = await ask(server, "DELETE", path, ((b"mcp-session-id", session),))
        require(ended.status in (204, 404), "a session ends")
    # That of the server's own is prepared beside the requests.
    left = {task for task in asyncio.all_tasks() - before if task.get_name() != "prepare selector"}
    if left:
        _, left = await asyncio.wait(left, timeout=_LEFT_S)
    require(not left, f"nothing goes on for a client that is gone: {left}")


async def ask(
    server: ScopedServer, method: str, path: bytes, lines: Any, *, query: bytes = b"", body: bytes = b""
) -> Answer:
    """Send a request as an ASGI server would; a client of a stream goes away after its first event."""
    answer, streams = Answer(), asyncio.Event()
    events: list[Message] = [{"type": "http.request", "body": body}]

    async def receive() -> Message:
        if events:
            return events.pop()
        await streams.wait()
        return {"type": "http.disconnect"}

    async def send(sent: Message) -> None:
        if sent["type"] == "http.response.start":
            require(not answer.status, "an answer begins once")
            answer.status, answer.headers = sent["status"], dict(sent.get("headers", ()))
            return
        require(answer.status and not answer.ended, "a body comes after its status, and before its end")
        answer.body += sent.get("body", b"")
        answer.ended = not sent.get("more_body", False)
        if answer.is_stream:
            streams.set()

    text = path.decode("latin-1")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": text,
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": list(lines),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await server(scope, receive, send)
    return answer


def _judge(answer: Answer, lines: Any, data: bytes) -> None:
    require(answer.status in _STATUSES, f"got HTTP {answer.status}: {answer.body[:300]!r}")
    if not answer.is_stream:
        require(answer.ended, "an answer has an end")
        length = answer.headers.get(b"content-length")
        require(length is None or int(length) == len(answer.body), "it is as long as it says")
    for value in answer.headers.values():
        require(b"\n" not in value and b"\r" not in value, "a header is one line")
    for name, value in lines:
        secret = value.split(b" ")[-1]
        if name == b"authorization" and len(secret) > 8 and data.count(secret) == 1:
            require(secret not in answer.body, "a credential is not repeated")
    media_type = answer.headers.get(b"content-type", b"")
    if media_type == b"application/json":
        read = msgspec.json.decode(answer.body)
        for reply in read if isinstance(read, list) else [read]:
            require(("result" in reply) != ("error" in reply), "a reply is a result or an error")
            code = reply.get("error", {}).get("code")
            require(code != -32603, f"nothing fails inside: {reply}")
    elif answer.is_stream:
        for event in answer.body.split(b"\n\n")[:-1]:
            require(all(line[:4] in _FIELDS for line in event.split(b"\n")), "an event has its fields")
    else:
        # Paths elsewhere are answered by the router.
        require(not answer.body or answer.status in (404, 405), "a body has a media type")


_FIELDS: Final = (b"data", b"even", b"id: ", b"retr", b": st")


async def _session(server: ScopedServer, path: bytes) -> bytes:
    """Begin a session, where the server keeps any."""
    if path != b"/sessions":
        return SESSION
    lines = ((b"content-type", b"application/json"),)
    opening = message("initialize", {**PARAMS["initialize"], "capabilities": {"elicitation": {}}})
    answer = await ask(server, "POST", path, lines, body=opening)
    require(answer.status == 200, "a session begins, whatever came before")
    return answer.headers[b"mcp-session-id"]


def _seed(revision: str, method: str, params: dict[str, Any], path: str) -> bytes:
    modern = revision == LATEST.name
    own = params.get("_meta", {})
    if modern:
        params = params | {"_meta": {**ENVELOPE, **own}}
    lines = [
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        "host: localhost",
        f"mcp-protocol-version: {revision}",
    ]
    if modern:
        lines.append(f"mcp-method: {method}")
        name = params.get("name", params.get("uri", params.get("taskId")))
        if isinstance(name, str):
            lines.append(f"mcp-name: {encode_value(name)}")
        if "room" in params.get("arguments", {}):
            lines.append(f"mcp-param-room: {params['arguments']['room']}")
    if path == "/closed":
        lines.append(f"authorization: Bearer {TOKEN}")
    if path == "/sessions":
        lines.append("mcp-session-id: $SESSION")
    head = "\n".join((f"POST {path}", *lines))
    return head.encode() + b"\n\n" + message(method, params)


def _seeds() -> tuple[bytes, ...]:
    asked = [(name, PARAMS.get(name, {})) for name in METHODS]
    asked += [("tools/call", call) for call in CALLS] + [("tools/list", {"_meta": one}) for one in METAS[:6]]
    seeds = [
        _seed(revision, name, params, path)
        for revision in REVISIONS
        for name, params in asked
        for path in ("/mcp", "/narrow", "/sessions", "/closed")
        if METHODS[name].exists_at(REVISIONS[revision]) and (path != "/sessions" or revision != LATEST.name)
    ]
    batch = b"[" + b",".join(message(name, PARAMS.get(name)) for name in ("ping", "tools/list")) + b"]"
    plain = b"content-type: application/json\nmcp-session-id: $SESSION\nmcp-protocol-version: 2025-03-26"
    return (
        *seeds,
        b"POST /mcp\n%b\n\n%b" % (plain, batch),
        b"POST /sessions\n%b\n\n%b" % (plain, batch),
        b"GET /sessions\naccept: text/event-stream\nmcp-session-id: $SESSION\nlast-event-id: push.-1\n\n",
        b"DELETE /sessions\nmcp-session-id: $SESSION\n\n",
        b"OPTIONS /mcp\norigin: http://localhost\n\n",
        b"GET /elsewhere\n\n",
        b"POST /mcp?context=c-1&intent=buy\ncontent-type: application/json\n\n" + message("tools/list", {}),
    )


TARGETS: Final = (
    Target(
        "request",
        check_request,
        _seeds(),
        (
            *WORDS,
            SESSION,
            b"POST",
            b"GET",
            b"DELETE",
            b"content-length",
            b"mcp-client-session-id",
            b"/closed",
        ),
        _BODY_BYTES,
    ),
)
