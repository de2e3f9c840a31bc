"""Stands between a server and its clients, and has every byte judged that the server sends."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.contract.judge import MODERN, REVISIONS, Broken, Judges, strict

_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
_SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"

_ANY: Final = REVISIONS[::-1]
"""Of a client that names no revision that there is; what the newest one says of errors counts most."""

_NO_BODY: Final = frozenset({202, 204})


@dataclass(slots=True)
class Asked:
    """A request of the client's that waits for its answer."""

    method: str | None
    revisions: Collection[str]


@dataclass(slots=True)
class Conversation:
    """What was said so far on a connection, in a session, or in one exchange over HTTP.

    Attributes:
        revisions: One of which the next message may be, where it answers nothing.
        asked: Requests of the client's by ID.
    """

    revisions: Collection[str] = _ANY
    asked: dict[Any, list[Asked]] = field(default_factory=dict)

    def ask(self, message_id: Any, method: str, revisions: Collection[str]) -> None:
        """Take a request; there may be others of the same ID, although there should not."""
        self.asked.setdefault(message_id, []).insert(0, Asked(method, revisions))


class Recorder:
    """Judges what passes, counts it, and keeps what was wrong; never disturbs who speaks.

    Args:
        judges: Of all revisions.

    Attributes:
        seen: How often each definition was seen at each revision.
        problems: What was wrong.
    """

    def __init__(self, judges: Judges) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()
        self.problems: list[str] = []
        self._judges = judges
        self._sessions: dict[str, Conversation] = {}
        self._lock = threading.Lock()  # stdio is written from a thread of its own

    def app(self, app: ASGIApp) -> ASGIApp:
        """Return an app that does what the given one does."""

        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            exchange = _Exchange(self, scope)

            async def listening() -> Message:
                event = await receive()
                exchange.received(event)
                return event

            async def speaking(event: Message) -> None:
                exchange.sent(event)
                await send(event)

            await app(scope, listening, speaking)
            exchange.ended()

        return recorded

    def pipes(self, source: BinaryIO, sink: BinaryIO) -> tuple[Any, Any]:
        """Return two streams that do what the given ones do."""
        conversation = Conversation(("2025-11-25",))
        return _Source(source, conversation), _Sink(sink, conversation, self)

    def session(self, session_id: str) -> Conversation:
        """Return what was said in a session so far."""
        return self._sessions.setdefault(session_id, Conversation())

    def judge(self, body: bytes, conversation: Conversation, where: str) -> list[dict[str, Any]]:
        """Judge one body, a message or a batch; return its messages."""
        with self._lock:
            try:
                value = strict(body)
                if isinstance(value, list):
                    self._batch(value, conversation)
                for message in value if isinstance(value, list) else [value]:
                    self._one(message, conversation)
            except Broken as broken:
                self.problems.append(f"{where}: {broken}")
                return []
            return value if isinstance(value, list) else [value]

    def wrong(self, problem: str) -> None:
        """Keep what was wrong."""
        self.problems.append(problem)

    def _batch(self, batch: list[Any], conversation: Conversation) -> None:
        if "2025-03-26" not in conversation.revisions or not batch:
            raise Broken(f"a batch of {len(batch)} at {conversation.revisions}")

    def _one(self, message: Any, conversation: Conversation) -> None:
        answers = isinstance(message, dict) and "method" not in message
        unasked = Asked(None, conversation.revisions)
        asked = (answers and conversation.asked.get(message.get("id"))) or [unasked]
        if _opens(message, asked):
            asked = [Asked("initialize", (_negotiated(message["result"]),))]
            conversation.revisions = asked[0].revisions
        self.seen[self._fitting(message, asked)] += 1

    def _fitting(self, message: Any, asked: list[Asked]) -> tuple[str, str]:
        for one in asked[:-1]:
            with suppress(Broken):
                return self._judges.message(one.revisions, message, one.method)
        return self._judges.message(asked[-1].revisions, message, asked[-1].method)


class _Exchange:
    """One HTTP request and its answer."""

    def __init__(self, recorder: Recorder, scope: Scope) -> None:
        self._recorder = recorder
        self._headers = _texts(scope["headers"])
        self._where = f"{scope['method']} {scope['path']}"
        self._request = b""
        self._conversation: Conversation | None = None
        self._status = 0
        self._answer_headers: Mapping[str, str] = {}
        self._body = b""
        self._events = 0
        self._messages: list[dict[str, Any]] = []
        self._over = self._gone = False

    def received(self, event: Message) -> None:
        self._request += event.get("body", b"")
        self._gone |= event["type"] == "http.disconnect"

    def sent(self, event: Message) -> None:
        if event["type"] == "http.response.start":
            self._status = event["status"]
            self._answer_headers = _texts(event.get("headers", ()))
            self._where += f" -> {self._status}"
            self._conversation = self._begin()
            return
        self._body += event.get("body", b"")
        if self._streams:
            self._take_events()
        if not event.get("more_body"):
            self._finish()

    def ended(self) -> None:
        """The app is done; it need not have answered a client that went away."""
        if self._status and not self._over and not self._streams:
            self._recorder.wrong(f"{self._where}: the answer was never finished")

    @property
    def _streams(self) -> bool:
        return self._answer_headers.get("content-type", "").startswith("text/event-stream")

    def _begin(self) -> Conversation:
        """Join the conversation that the request belongs to, or begin one."""
        asked = list(_requests(self._request))
        session_id = self._headers.get("mcp-session-id") or self._answer_headers.get("mcp-session-id")
        revisions = self._revisions([message for message, _ in asked])
        if session_id is None or revisions == (MODERN,):
            conversation = Conversation(revisions)
        else:
            conversation = self._recorder.session(session_id)
            if self._headers.get("mcp-protocol-version") is not None:
                conversation.revisions = revisions
            revisions = tuple(dict.fromkeys((*conversation.revisions, *revisions)))
        for message, message_id in asked:
            conversation.ask(message_id, message["method"], revisions)
        return conversation

    def _revisions(self, asked: list[dict[str, Any]]) -> Collection[str]:
        named = self._headers.get("mcp-protocol-version")
        if named is None:  # then it is of the revision that had no such header yet
            bodies = {_meta_version(message) for message in asked} & set(REVISIONS)
            is_batch = self._request.lstrip().startswith(b"[")
            return ("2025-03-26",) if is_batch or not bodies else tuple(str(body) for body in bodies)
        return (named,) if named in REVISIONS else _ANY

    def _finish(self) -> None:
        self._over = True
        kind = self._answer_headers.get("content-type", "")
        if self._status >= 500 and self._status != 503 and b'"code":-32603' not in self._body:
            self._recorder.wrong(f"{self._where}: {self._body[:300]!r}")
        if self._streams:
            self._finish_stream()
        elif self._body:
            if kind.partition(";")[0] != "application/json":
                self._recorder.wrong(f"{self._where}: {kind!r} with {self._body[:300]!r}")
            elif self._conversation is not None:
                self._recorder.judge(self._body, self._conversation, self._where)
            if self._answer_headers.get("content-length") != str(len(self._body)):
                self._recorder.wrong(f"{self._where}: content-length is not that of the body")
        elif self._status not in _NO_BODY:
            self._recorder.wrong(f"{self._where}: an answer without words")
        if self._status in _NO_BODY and self._body:
            self._recorder.wrong(f"{self._where}: a body that nobody reads: {self._body[:300]!r}")

    def _take_events(self) -> None:
        *events, self._body = self._body.split(b"\n\n")
        for event in events:
            self._take_event(event)

    def _take_event(self, event: bytes) -> None:
        fields: dict[bytes, list[bytes]] = {}
        for line in event.split(b"\n"):
            name, colon, value = line.partition(b":")
            if name:  # else it is a comment
                fields.setdefault(name, []).append(value.removeprefix(b" ") if colon else b"")
        if surplus := set(fields) - {b"id", b"event", b"data", b"retry"}:
            self._recorder.wrong(f"{self._where}: event fields {sorted(surplus)}")
        if b"retry" in fields and not all(value.isdigit() for value in fields[b"retry"]):
            self._recorder.wrong(f"{self._where}: retry {fields[b'retry']}")
        data = b"\n".join(fields.get(b"data", []))
        if not data:
            return
        if fields.get(b"event", [b"message"]) != [b"message"]:
            self._recorder.wrong(f"{self._where}: clients drop events of the type {fields[b'event']}")
        if self._conversation is not None:
            self._messages += self._recorder.judge(data, self._conversation, self._where)

    def _finish_stream(self) -> None:
        if self._body:
            self._recorder.wrong(f"{self._where}: half an event: {self._body[:300]!r}")
        if self._gone or self._conversation is None or list(self._conversation.revisions) != [MODERN]:
            return
        if not self._messages or "method" in self._messages[-1]:
            self._recorder.wrong(f"{self._where}: the stream ended without an answer")
        if any("method" not in message for message in self._messages[:-1]):
            self._recorder.wrong(f"{self._where}: the stream went on after the answer")
        asked = [message for message, _ in _requests(self._request)]
        if asked and asked[0]["method"] == "subscriptions/listen":
            self._check_subscription(asked[0]["id"])

    def _check_subscription(self, message_id: Any) -> None:
        first = self._messages[0].get("method") if self._messages else None
        if first != "notifications/subscriptions/acknowledged":
            self._recorder.wrong(f"{self._where}: listening began with {first}")
        for message in self._messages:
            around = message.get("params") or message.get("result") or {}
            if around.get("_meta", {}).get(_SUBSCRIPTION) != message_id:
                self._recorder.wrong(f"{self._where}: not marked as of {message_id!r}: {message!r:.300}")


class _Source:
    """What the client writes on stdio."""

    def __init__(self, source: BinaryIO, conversation: Conversation) -> None:
        self._source = source
        self._conversation = conversation

    def readline(self, limit: int = -1) -> bytes:
        line = self._source.readline(limit)
        for message, message_id in _requests(line):
            named = _meta_version(message)
            if named is None:
                revisions = self._conversation.revisions
            elif named in REVISIONS:
                revisions = (named,)
                self._conversation.revisions = _first(named, self._conversation.revisions)
            else:
                revisions = _ANY
            self._conversation.ask(message_id, message["method"], revisions)
        return line


class _Sink:
    """What the server writes on stdio."""

    def __init__(self, sink: BinaryIO, conversation: Conversation, recorder: Recorder) -> None:
        self._sink = sink
        self._conversation = conversation
        self._recorder = recorder
        self._rest = b""

    def write(self, data: bytes) -> int:
        *lines, self._rest = (self._rest + bytes(data)).split(b"\n")
        for line in lines:
            self._recorder.judge(line, self._conversation, "stdio")
        return self._sink.write(data)

    def flush(self) -> None:
        self._sink.flush()


def _requests(body: bytes) -> list[tuple[dict[str, Any], Any]]:
    """Return the requests in a body, each with its ID, as far as a client could ever ask for them."""
    try:
        value = json.loads(body.decode(errors="replace"))
    except (ValueError, RecursionError):
        return []
    messages = value if isinstance(value, list) else [value]
    return [
        (message, message["id"])
        for message in messages
        if isinstance(message, dict)
        and isinstance(message.get("method"), str)
        and isinstance(message.get("id"), int | str)
    ]


def _meta_version(message: Mapping[str, Any]) -> Any:
    params = message.get("params")
    found = params.get("_meta") if isinstance(params, dict) else None
    version = found.get(_VERSION) if isinstance(found, dict) else None
    return version if isinstance(version, str) or version is None else repr(version)


def _first(revision: str, others: Collection[str]) -> tuple[str, ...]:
    return (revision, *(other for other in others if other != revision))


def _opens(message: Any, asked: list[Asked]) -> bool:
    """Tell whether a message is the answer to ``initialize``."""
    result = message.get("result") if isinstance(message, dict) else None
    methods = {one.method for one in asked}
    return "initialize" in methods and isinstance(result, dict) and "protocolVersion" in result


def _negotiated(result: Any) -> str:
    version = result.get("protocolVersion") if isinstance(result, dict) else None
    if version not in REVISIONS or version == MODERN:
        raise Broken(f"initialize agreed on {version!r}")
    return str(version)


def _texts(lines: Any) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1").strip() for name, value in lines}
