"""The servers that do what they should not, over HTTP, in a process: ``... CASE STATE PORT json|events``."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvicorn

from tests.gateway import faulty_server

PORT, EVENTS = int(sys.argv[3]), sys.argv[4] == "events"
told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()


def say(message: dict[str, Any]) -> None:
    told.put_nowait(message)


faulty_server.say = say


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request, or hold the stream of notifications open."""
    if scope["method"] != "POST":
        await start(send, 200, b"text/event-stream")
        while scope["method"] == "GET":
            await send({"type": "http.response.body", "body": event(await told.get()), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    body = b""
    while True:
        part = await receive()
        body += part["body"]
        if not part.get("more_body"):
            break
    message = json.loads(body)
    if faulty_server.CASE == "deaf" and "id" not in message:
        await asyncio.Event().wait()
    reply = faulty_server.reply_to(message) if "id" in message else None
    if reply is None:
        await start(send, 202, b"text/plain")
        await send({"type": "http.response.body", "body": b""})
        return
    await start(send, 200, b"text/event-stream" if EVENTS else b"application/json")
    junk = b': "\n\nevent: message\ndata: {not json}\n\n' if faulty_server.CASE == "chatter" else b""
    answer = (junk if EVENTS else b"") + (event(reply) if EVENTS else json.dumps(reply).encode())
    await send({"type": "http.response.body", "body": answer})


def event(message: dict[str, Any]) -> bytes:
    return b"event: message\ndata: " + json.dumps(message).encode() + b"\n\n"


async def start(send: Any, status: int, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"mcp-session-id", b"one")]
    await send({"type": "http.response.start", "status": status, "headers": headers})


if __name__ == "__main__":
    uvicorn.run(app, port=PORT, log_level="error", lifespan="off")
