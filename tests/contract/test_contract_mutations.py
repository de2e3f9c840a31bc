"""However a message goes wrong, what comes back is a message that the schema allows, or nothing."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message

from scopedtools.transports.http import HttpTransport
from scopedtools.transports.stdio import StdioTransport
from tests.contract.judge import MODERN, REVISIONS, Judges
from tests.contract.mutations import Headers, mutated, mutated_headers
from tests.contract.peers import HttpPeer, mirrors
from tests.contract.recorder import Recorder
from tests.contract.small import Small, valid_messages

LIMIT_S: Final = 5
STATUSES: Final = frozenset({200, 202, 400, 403, 404, 406, 413, 415, 421})
WITHOUT_ID: Final = frozenset({403, 406, 413, 415, 421})
"""Statuses of what is refused before the message is read."""

MANY: Final = settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Bench:
    """A server that stays, and one that judges it."""

    def __init__(self, judges: Judges) -> None:
        self.runner = asyncio.Runner()
        self.server = Small()
        self.stateless = HttpTransport(self.server.dispatcher)
        self.in_sessions = Small(sessions=True)
        self.judges = judges

    def post(self, app: ASGIApp, body: bytes, headers: Headers) -> tuple[int, bytes]:
        """Send a body, read what comes at once, go away; whatever is wrong with the answer is raised."""
        recorder = Recorder(self.judges)
        try:
            status, answer = self.runner.run(_post(recorder.app(app), body, headers))
        finally:
            note(f"sent {body[:2000]!r} with {headers}")
        note(f"got {status} {answer[:2000]!r}")
        _check(recorder)
        assert status in STATUSES
        return status, answer


@pytest.fixture(scope="module")
def bench(judges: Judges) -> Iterator[Bench]:
    bench = Bench(judges)
    with bench.runner:
        yield bench


@pytest.mark.parametrize("revision", REVISIONS)
@MANY
@given(data=st.data())
def test_whatever_is_posted_is_answered(bench: Bench, revision: str, data: st.DataObject) -> None:
    body = data.draw(mutated(valid_messages(revision)))
    headers = data.draw(mutated_headers(fitting_headers(body, revision)))
    status, answer = bench.post(bench.stateless, body, headers)
    asked = request_id(body)
    if asked is not None and answer.startswith(b"{") and status not in WITHOUT_ID:
        assert json.loads(answer).get("id") == asked


@pytest.mark.parametrize("revision", REVISIONS[:-1])
@settings(MANY, max_examples=300)
@given(data=st.data())
def test_whatever_is_posted_in_a_session_is_answered(
    bench: Bench, revision: str, data: st.DataObject
) -> None:
    peer = HttpPeer(bench.in_sessions, revision)
    bench.runner.run(peer.open())
    session = {"mcp-session-id": peer.session_id or ""}
    body = data.draw(mutated(valid_messages(revision)))
    headers = data.draw(mutated_headers(fitting_headers(body, revision) | session))
    bench.post(bench.in_sessions, body, headers)


@pytest.mark.parametrize("revision", REVISIONS)
@settings(MANY, max_examples=200)
@given(data=st.data())
def test_whatever_is_written_to_stdio_is_answered(bench: Bench, revision: str, data: st.DataObject) -> None:
    messages = valid_messages(revision)
    lines = data.draw(st.lists(mutated(messages), min_size=1, max_size=8))
    note(f"sent {[line[:500] for line in lines]}")
    recorder = Recorder(bench.judges)
    source, sink = recorder.pipes(io.BytesIO(b"\n".join([*lines, b""])), io.BytesIO())
    serving = StdioTransport(bench.server.dispatcher).serve(source, sink)
    bench.runner.run(asyncio.wait_for(serving, LIMIT_S))
    _check(recorder)


def fitting_headers(body: bytes, revision: str) -> dict[str, str]:
    """Return the headers that a body should come with, as far as it is a message at all."""
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": revision,
    }
    message = _read(body)
    if revision == MODERN and isinstance(message, dict) and isinstance(message.get("method"), str):
        named_by = {"resources/read": "uri", "tools/call": "name", "prompts/get": "name"}
        headers["mcp-method"] = message["method"]
        headers |= mirrors(message.get("params"), named_by.get(message["method"], "taskId"))
    return headers


def request_id(body: bytes) -> Any:
    """Return the ID that an answer to a body must have, or ``None`` where it may be without."""
    message = _read(body)
    if not isinstance(message, dict) or "method" not in message or _doubtful(body):
        return None
    found = message.get("id")
    usable = isinstance(found, str) or (isinstance(found, int) and -(2**63) <= found < 2**63)
    return found if usable and not isinstance(found, bool) else None


def _read(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _doubtful(body: bytes) -> bool:
    """Tell whether readers of JSON differ about a body: a field that comes twice, half of a character."""

    def once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        json.dumps(json.loads(body, object_pairs_hook=once), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return True
    return False


def _check(recorder: Recorder) -> None:
    assert not recorder.problems, "\n\n".join(recorder.problems)
    assert not [name for _, name in recorder.seen if name == "error -32603"], "an internal error"


async def _post(app: ASGIApp, body: bytes, headers: Headers) -> tuple[int, bytes]:
    events: list[Message] = [{"type": "http.request", "body": body}]
    spoke = asyncio.Event()
    sent: list[Message] = []

    async def receive() -> Message:
        if events:
            return events.pop()
        await spoke.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            spoke.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/mcp",
        "raw_path": b"/mcp",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    async with asyncio.timeout(LIMIT_S):
        await app(scope, receive, send)
    return sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:])
