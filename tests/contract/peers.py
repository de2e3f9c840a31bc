"""Clients by hand: they can say whatever the protocol allows, over HTTP without sockets and over pipes."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Self

from starlette.types import ASGIApp, Message

from scopedtools.transports.stdio import StdioTransport
from tests.contract.judge import MODERN
from tests.contract.recorder import Recorder

TASKS: Final = "io.modelcontextprotocol/tasks"
ABLE: Final[dict[str, Any]] = {"elicitation": {}, "sampling": {}, "roots": {}, "extensions": {TASKS: {}}}
LIMIT_S: Final = 10

_NAMED_BY: Final = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}

Reply = dict[str, Any]


class Peer(ABC):
    """A client at one revision.

    Args:
        revision: That it speaks.

    Attributes:
        heard: Notifications so far.
        capabilities: That it declares.
    """

    def __init__(self, revision: str) -> None:
        self.revision = revision
        self.heard: list[Reply] = []
        self.capabilities: Mapping[str, Any] = ABLE
        self._ids = itertools.count(1)
        self._news = asyncio.Condition()

    @property
    def modern(self) -> bool:
        return self.revision == MODERN

    @abstractmethod
    async def ask(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        message_id: Any = None,
    ) -> Reply:
        """Send a request; answer what the server asks meanwhile; return its answer."""

    @abstractmethod
    async def tell(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send a notification."""

    @abstractmethod
    async def raw(self, body: bytes) -> None:
        """Send anything at all."""

    async def give_up(self, asking: asyncio.Task[Any], message_id: Any) -> None:
        """Wait no longer for an answer, and say so."""
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking

    async def result(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> Reply:
        """Return the result of a request, which must have one."""
        answer = await self.ask(method, params, **more)
        assert "result" in answer, answer
        found: Reply = answer["result"]
        return found

    async def hear(self, method: str) -> Reply:
        """Wait for a notification, the next one of its method that nobody waited for yet."""
        async with asyncio.timeout(LIMIT_S), self._news:
            await self._news.wait_for(lambda: any(note["method"] == method for note in self.heard))
            note = next(note for note in self.heard if note["method"] == method)
            self.heard.remove(note)
            return note

    async def open(self) -> None:
        """Say hello."""
        if self.modern:
            await self.result("server/discover")
            return
        await self.result(
            "initialize",
            {
                "protocolVersion": self.revision,
                "capabilities": {name: value for name, value in ABLE.items() if name != "extensions"},
                "clientInfo": {"name": "contract", "version": "1"},
            },
        )
        await self.tell("notifications/initialized")

    async def through(self, method: str, params: Mapping[str, Any], **more: Any) -> Reply:
        """Ask, and go on with answers as long as the server wants some, and with a task to its end."""
        said = dict(params)
        for _ in range(10):
            answer = await self.ask(method, said, **more)
            result = answer.get("result", {})
            if result.get("resultType") == "task":
                return await self._follow(result["taskId"])
            if result.get("resultType") != "input_required":
                return answer
            answers = {key: answer_to(asked) for key, asked in result.get("inputRequests", {}).items()}
            said |= {"inputResponses": answers, "requestState": result["requestState"]}
        raise AssertionError(f"{method} asks again and again")

    async def _follow(self, task_id: str) -> Reply:
        async with asyncio.timeout(LIMIT_S):
            while True:
                result = await self.result("tasks/get", {"taskId": task_id})
                if result["status"] == "input_required":
                    answers = {key: answer_to(asked) for key, asked in result["inputRequests"].items()}
                    await self.result("tasks/update", {"taskId": task_id, "inputResponses": answers})
                elif result["status"] != "working":
                    return {"result": result}
                await asyncio.sleep(0.02)

    def message(
        self, method: str, params: Mapping[str, Any] | None, meta: Mapping[str, Any] | None, message_id: Any
    ) -> Reply:
        """Make a request, or a notification where there is no ID."""
        made: Reply = {"jsonrpc": "2.0", "method": method}
        around = dict(meta or {})
        if self.modern and message_id is not None:
            around = {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": self.capabilities,
                "io.modelcontextprotocol/clientInfo": {"name": "contract", "version": "1"},
            } | around
        if message_id is not None:
            made["id"] = message_id
        if params is not None or around:
            made["params"] = {**(params or {}), **({"_meta": around} if around else {})}
        return made

    async def take(self, message: Reply) -> Reply | None:
        """Take a message of the server's; return the answer to one that wants one."""
        if "method" not in message:
            return None
        if "id" in message:
            return {"jsonrpc": "2.0", "id": message["id"], "result": answer_to(message)}
        async with self._news:
            self.heard.append(message)
            self._news.notify_all()
        return None


class HttpCall:
    """One HTTP request and its answer, as it comes.

    Args:
        app: Answers it.
        method: Of HTTP.
        headers: Of the request.
        body: Of the request.
    """

    def __init__(
        self, app: ASGIApp, method: str, headers: Mapping[str, str], body: bytes = b"", path: str = "/mcp"
    ) -> None:
        self._sent: asyncio.Queue[Message | None] = asyncio.Queue()
        self._events: list[Message] = [{"type": "http.request", "body": body}]
        self._gone = asyncio.Event()
        self._app = app
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.last_event_id: str | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run())
        start = await self._sent.get()
        assert start is not None, "the app did not answer"
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return self

    async def __aexit__(self, *_: object) -> None:
        self._gone.set()
        async with asyncio.timeout(LIMIT_S):
            with suppress(asyncio.CancelledError):
                await self._running  # what the app raises is raised here

    async def read(self) -> bytes:
        """Return the whole body."""
        async for _ in self.messages():
            pass
        return self.body

    async def messages(self) -> AsyncIterator[Reply]:
        """Yield the messages of the answer, in an event stream or alone."""
        streams = self.headers.get("content-type") == "text/event-stream"
        buffer = b""
        while (event := await self._sent.get()) is not None:
            self.body += event.get("body", b"")
            buffer += event.get("body", b"")
            *events, buffer = buffer.split(b"\n\n") if streams else (buffer,)
            for text in events:
                if message := self._event(text):
                    yield message
            if not event.get("more_body"):
                break
        if not streams and self.body:
            value = json.loads(self.body)
            for message in value if isinstance(value, list) else [value]:
                yield message

    def _event(self, text: bytes) -> Reply | None:
        data = b""
        for line in text.split(b"\n"):
            name, _, value = line.partition(b": ")
            if name == b"id":
                self.last_event_id = value.decode()
            elif name == b"data":
                data += value
        return json.loads(data) if data else None

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        finally:
            await self._sent.put(None)

    async def _receive(self) -> Message:
        if self._events:
            return self._events.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, event: Message) -> None:
        await self._sent.put(event)


class HttpPeer(Peer):
    """A client over HTTP.

    Args:
        app: The server.
        revision: That it speaks.
    """

    def __init__(self, app: ASGIApp, revision: str) -> None:
        super().__init__(revision)
        self.app = app
        self.session_id: str | None = None

    async def ask(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        message_id: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        message_id = next(self._ids) if message_id is None else message_id
        message = self.message(method, params, meta, message_id)
        async with self.post(message, headers) as call:
            last = call
            while (answer := await self._answer(last, message_id)) is None:
                assert last.last_event_id is not None, last.body
                await asyncio.sleep(0.02)
                async with self.get(last_event_id=last.last_event_id) as last:
                    answer = await self._answer(last, message_id)
                    if answer is not None:
                        return answer
        if method == "initialize":
            self.session_id = call.headers.get("mcp-session-id", self.session_id)
        return answer

    async def tell(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        async with self.post(self.message(method, params, None, None)) as call:
            assert (call.status, await call.read()) == (202, b"")

    async def raw(self, body: bytes) -> None:
        async with HttpCall(self.app, "POST", self.headers({}), body) as call:
            await call.read()

    def post(self, message: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> HttpCall:
        """Send a message."""
        body = json.dumps(message).encode()
        return HttpCall(self.app, "POST", self.headers(message) | dict(headers or {}), body)

    def get(self, *, last_event_id: str | None = None) -> HttpCall:
        """Follow a stream of the session."""
        headers = self.headers({}) | {"accept": "text/event-stream"}
        if last_event_id is not None:
            headers["last-event-id"] = last_event_id
        return HttpCall(self.app, "GET", headers)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Hear what belongs to no request, where there is a stream for it."""
        if self.session_id is None:
            yield
            return
        async with self.get() as call:
            assert call.status == 200, call.status
            hearing = asyncio.create_task(self._answer(call, None))
            yield
            hearing.cancel()

    def headers(self, message: Mapping[str, Any]) -> dict[str, str]:
        """Return the headers that belong to a message."""
        made = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if message.get("method") != "initialize":
            made["mcp-protocol-version"] = self.revision
        if self.session_id is not None:
            made["mcp-session-id"] = self.session_id
        if self.modern and "method" in message:
            made["mcp-method"] = message["method"]
            made |= mirrors(message.get("params"), _NAMED_BY.get(message["method"]))
        return made

    async def _answer(self, call: HttpCall, message_id: Any) -> Reply | None:
        async for message in call.messages():
            reply = await self.take(message)
            if reply is not None:
                async with self.post(reply) as answered:
                    assert answered.status == 202, answered.status
            elif "method" not in message and message.get("id", message_id) == message_id:
                return message
        return None


def mirrors(params: Any, named_by: str | None) -> dict[str, str]:
    """Return the headers that mirror parameters."""
    if not isinstance(params, dict):
        return {}
    made = {}
    if isinstance(name := params.get(named_by), str):
        made["mcp-name"] = _header(name)
    arguments = params.get("arguments")
    if isinstance(arguments, dict) and isinstance(region := arguments.get("region"), str):
        made["mcp-param-region"] = _header(region)
    return made


def _header(value: str) -> str:
    plain = value.isascii() and value.isprintable() and value == value.strip() and not value.startswith("=?")
    if plain:
        return value
    return f"=?base64?{base64.b64encode(value.encode('utf-8', 'surrogatepass')).decode()}?="


class StdioPeer(Peer):
    """A client over two pipes; see `stdio_peer`."""

    def __init__(self, revision: str, to_server: asyncio.WriteTransport) -> None:
        super().__init__(revision)
        self._to_server = to_server
        self._waiting: dict[Any, asyncio.Future[Reply]] = {}
        self.strays: asyncio.Queue[Any] = asyncio.Queue()

    async def ask(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        message_id: Any = None,
    ) -> Reply:
        message_id = next(self._ids) if message_id is None else message_id
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[message_id] = answer
        self._write(self.message(method, params, meta, message_id))
        async with asyncio.timeout(LIMIT_S):
            return await answer

    async def tell(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        self._write(self.message(method, params, None, None))

    async def raw(self, body: bytes) -> None:
        self._to_server.write(body + b"\n")
        async with asyncio.timeout(LIMIT_S):
            await self.strays.get()

    def _write(self, message: Mapping[str, Any]) -> None:
        self._to_server.write(json.dumps(message).encode() + b"\n")

    async def give_up(self, asking: asyncio.Task[Any], message_id: Any) -> None:
        await self.tell("notifications/cancelled", {"requestId": message_id})
        await super().give_up(asking, message_id)

    async def follow(self, replies: asyncio.StreamReader) -> None:
        """Take what the server sends, to its end."""
        while line := await replies.readline():
            message = json.loads(line)
            if isinstance(message, list):
                self.strays.put_nowait(message)
            elif (reply := await self.take(message)) is not None:
                self._write(reply)
            elif "method" not in message:
                waiting = self._waiting.pop(message.get("id"), None)
                if waiting is None:
                    self.strays.put_nowait(message)
                elif not waiting.done():
                    waiting.set_result(message)


@asynccontextmanager
async def stdio_peer(dispatcher: Any, revision: str, recorder: Recorder) -> AsyncIterator[StdioPeer]:
    """Serve a client over pipes, with a recorder between."""
    loop = asyncio.get_running_loop()
    server_reads, client_writes = os.pipe()
    client_reads, server_writes = os.pipe()
    replies = asyncio.StreamReader(limit=2**26)
    writing, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(client_writes, "wb"))
    reading, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(replies), os.fdopen(client_reads, "rb")
    )
    with os.fdopen(server_reads, "rb") as source, os.fdopen(server_writes, "wb") as sink:
        peer = StdioPeer(revision, writing)
        serving = asyncio.create_task(StdioTransport(dispatcher).serve(*recorder.pipes(source, sink)))
        following = asyncio.create_task(peer.follow(replies))
        try:
            yield peer
        finally:
            writing.close()
            async with asyncio.timeout(LIMIT_S):
                await serving
            sink.close()
            await following
            reading.close()


def answer_to(asked: Mapping[str, Any]) -> Reply:
    """Answer a question as a user, a model or a file system would."""
    if asked["method"] == "elicitation/create":
        form = asked["params"]["requestedSchema"]
        named = form.get("required") or form["properties"]
        content = {name: _fill_in(form["properties"][name]) for name in named}
        return {"action": "accept", "content": content}
    if asked["method"] == "sampling/createMessage":
        said = {"type": "text", "text": "Paris"}
        return {"role": "assistant", "content": said, "model": "m", "stopReason": "endTurn"}
    return {"roots": [{"uri": "file:///work", "name": "work"}]} if asked["method"] == "roots/list" else {}


def _fill_in(schema: Mapping[str, Any]) -> Any:
    if "default" in schema:
        return schema["default"]
    choices = schema.get("enum") or [choice["const"] for choice in schema.get("oneOf", ())]
    if choices:
        return choices[0]
    if schema.get("format") == "date":
        return "2026-01-01"
    return {"boolean": True, "integer": 1, "number": 1.5, "array": []}.get(schema.get("type", ""), "text")
