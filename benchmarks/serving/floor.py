"""The floor: a bare ASGI app that reads a request and returns bytes that it was given before.

Run: python -m benchmarks.serving.floor PORT

``PUT /NAME`` gives it what ``POST /NAME`` returns.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

from benchmarks.serving.processes import KEEP_ALIVE_S

_HEADERS = [(b"content-type", b"application/json")]
_ANSWERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what is kept for the path."""
    event = await receive()
    body = event["body"]
    while event["more_body"]:
        event = await receive()
        body += event["body"]
    if scope["method"] == "PUT":
        length = (b"content-length", str(len(body)).encode())
        start = {"type": "http.response.start", "status": 200, "headers": [*_HEADERS, length]}
        _ANSWERS[scope["path"]] = start, {"type": "http.response.body", "body": body}
    start, end = _ANSWERS[scope["path"]]
    await send(start)
    await send(end)


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        log_level="error",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
    )
