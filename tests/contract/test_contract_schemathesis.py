"""schemathesis, which makes requests of its own from the schema, finds no server error and no odd answer."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.contract.fetch import unavailable
from tests.contract.judge import MODERN, REVISIONS
from tests.contract.openapi import describe, with_hostile_headers
from tests.contract.recorder import Recorder
from tests.contract.small import Small

pytestmark = pytest.mark.slow

COMMAND: Final = Path(sys.executable).with_name("schemathesis")
CHECKS: Final = "not_a_server_error,response_schema_conformance,content_type_conformance"
CHECKS_OF_ANY: Final = "not_a_server_error,content_type_conformance,status_code_conformance"
NAMES: Final = {"tools/call": "find", "resources/read": "shelf://all", "prompts/get": "recommend"}
EXAMPLES: Final = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "20"))
"""Requests of each operation; ``make fuzz`` takes many more."""

WHOLE: Final = (REVISIONS[0], MODERN)
"""Revisions for which schemathesis goes through every field as well; those between differ little."""
START_S: Final = 20
LIMIT_S: Final = 120 + 2 * EXAMPLES


@pytest.mark.parametrize("revision", REVISIONS)
def test_schemathesis_finds_nothing(
    revision: str, schemas: dict[str, dict[str, Any]], recorder: Recorder, tmp_path: Path
) -> None:
    document = describe(revision, schemas[revision], NAMES)
    phases = "coverage,fuzzing" if revision in WHOLE else "fuzzing"
    said = explore(document, recorder, tmp_path, checks=CHECKS, phases=phases)
    assert sum(recorder.seen.values()) > 100
    assert int(re.search(r"(\d+) generated", said)[1]) > 100  # type: ignore[index]


@pytest.mark.parametrize("revision", REVISIONS if EXAMPLES > 20 else [MODERN])
def test_schemathesis_finds_nothing_with_hostile_headers(
    revision: str, schemas: dict[str, dict[str, Any]], recorder: Recorder, tmp_path: Path
) -> None:
    document = with_hostile_headers(describe(revision, schemas[revision], NAMES))
    said = explore(document, recorder, tmp_path, checks=CHECKS_OF_ANY, phases="fuzzing")
    assert int(re.search(r"(\d+) generated", said)[1]) > 100  # type: ignore[index]


def explore(document: dict[str, Any], recorder: Recorder, folder: Path, *, checks: str, phases: str) -> str:
    """Have schemathesis send what a document allows to a server; return what it says."""
    if not COMMAND.exists():
        unavailable("schemathesis is not installed; it comes with the extra 'dev'")
    description = folder / "openapi.json"
    description.write_text(json.dumps(document))
    server = Small()
    server.end_streams()  # whoever listens is told at once that this is all
    with serving(under_one_path(recorder.app(server), server)) as url:
        command = [
            *(str(COMMAND), "run", str(description), "--url", url, "--checks", checks, "--seed", "1"),
            *("--phases", phases, "--max-examples", str(EXAMPLES), "--request-timeout", "20"),
            *("--workers", "1", "--no-color", "--suppress-health-check", "all"),
        ]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-3000:]
    return done.stdout


def under_one_path(endpoint: ASGIApp, elsewhere: ASGIApp) -> ASGIApp:
    """Take from a path the method that stands there for OpenAPI's sake."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/mcp/"):
            await endpoint({**scope, "path": "/mcp", "raw_path": b"/mcp"}, receive, send)
        else:
            await elsewhere(scope, receive, send)

    return app


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an app with uvicorn on a port of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_S
    while not server.started:
        assert time.monotonic() < deadline, "uvicorn did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_S)
        listening.close()
