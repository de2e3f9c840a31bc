"""The command line, as hosts and people start it: over stdio, and over HTTP on a port of its own."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from mcp_types.methods import validate_server_result

from tests.wire.exchange import ENVELOPE, JSON_HEADERS, MODERN, message, mirrored

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("scopedtools")
LIMIT_S = 60

SERVER = '''
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scopedtools import ScopedServer, tool

print("printed by an import")


class Noisy(ScopedServer):
    """Makes noise."""

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        print("opened")
        try:
            yield
        finally:
            print("closed")

    @tool
    async def feast(self) -> str:
        """Return more than a pipe holds."""
        return "!" * 2**21

    @tool
    async def print_something(self) -> str:
        """Print in the event loop."""
        print("printed in a coroutine")
        return "quiet"

    @tool
    def print_in_a_thread(self) -> str:
        """Print in a thread."""
        print("printed in a thread", flush=True)
        return "quiet"

    @tool
    def write_to_the_descriptor(self) -> str:
        """Write below Python."""
        os.write(1, b"written to the descriptor\\n")
        return "quiet"

    @tool
    def start_a_program(self) -> str:
        """Start a program that writes and reads."""
        subprocess.run([sys.executable, "-c", "print('printed by a program'); print(input())"])
        return "quiet"


app = Noisy()
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "noisy.py").write_text(SERVER)
    return tmp_path


@contextmanager
def started(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [COMMAND, "serve", "noisy:app", *options],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[bytes], request: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(request) + b"\n")
    process.stdin.flush()
    reply: dict[str, Any] = msgspec.json.decode(process.stdout.readline())
    return reply


def test_on_stdio_nothing_that_tools_print_reaches_the_protocol(folder: Path) -> None:
    names = ["feast", "print_something", "print_in_a_thread", "write_to_the_descriptor", "start_a_program"]
    with started(folder, "--stdio") as process:
        listed = ask(process, message("tools/list", {"_meta": ENVELOPE}))["result"]
        validate_server_result("tools/list", MODERN, listed)
        assert [row["name"] for row in listed["tools"]] == names
        for name in names[1:]:
            called = ask(process, message("tools/call", {"name": name}))["result"]
            assert called["content"] == [{"type": "text", "text": "quiet"}]
        left, noise = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    assert left == b""
    for line in (
        b"by an import",
        b"opened",
        b"coroutine",
        b"thread",
        b"descriptor",
        b"by a program",
        b"closed",
    ):
        assert line in noise
    assert b"Traceback" not in noise.replace(b'Traceback (most recent call last):\n  File "<string>"', b"")


def test_on_stdio_the_client_that_closes_its_side_gets_its_answers_first(folder: Path) -> None:
    with started(folder, "--stdio") as process:
        requests = b"\n".join(msgspec.json.encode(message("ping", message_id=number)) for number in range(50))
        replies, _ = process.communicate(requests, timeout=LIMIT_S)
    assert process.returncode == 0
    assert sorted(msgspec.json.decode(line)["id"] for line in replies.splitlines()) == list(range(50))


def test_on_stdio_a_client_that_is_gone_ends_the_process_quietly(folder: Path) -> None:
    with started(folder, "--stdio") as process:
        assert ask(process, message("ping"))["result"] == {}
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(msgspec.json.encode(message("ping")) + b"\n")
        process.stdin.close()
        assert process.wait(LIMIT_S) == 0
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.parametrize("reads", [True, False])
def test_on_stdio_an_interruption_ends_the_process_at_once_and_cleanly(folder: Path, *, reads: bool) -> None:
    with started(folder, "--stdio") as process:
        assert ask(process, message("ping"))["result"] == {}
        if not reads:
            feast = msgspec.json.encode(message("tools/call", {"name": "feast"}))
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(feast + b"\n")
            process.stdin.flush()
            assert process.stdout.read(1) == b"{"
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) in {0, 130, -signal.SIGINT}
        assert process.stderr is not None
        noise = process.stderr.read()
        assert b"closed" in noise
        assert b"Fatal" not in noise


@contextmanager
def hosted(folder: Path) -> Iterator[str]:
    """Host the server on a free port; yield host and port."""
    with started(folder, "--port", "0") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(rb"running on http://(127\.0\.0\.1:\d+)", line):
                yield found[1].decode()
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_S)
        assert process.returncode in {0, 130, -signal.SIGINT}


def exchange(address: str, request: bytes, *, stay: bool = False) -> bytes:
    """Send bytes over a connection of their own and return all that comes back until it is closed.

    A client that closes its side, and does not stay, is gone for uvicorn, and so its call is cancelled.
    """
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT_S) as connection:
        connection.sendall(request)
        if not stay:
            connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


def test_over_http_good_and_hostile_requests_are_answered(folder: Path) -> None:
    with hosted(folder) as address, httpx2.Client(base_url=f"http://{address}", timeout=LIMIT_S) as client:

        def post(request: dict[str, Any]) -> httpx2.Response:
            return client.post("/mcp", content=msgspec.json.encode(request), headers=mirrored(request))

        def assert_still_answers() -> None:
            listed = post(message("tools/list", {"_meta": ENVELOPE}))
            assert listed.status_code == 200
            validate_server_result("tools/list", MODERN, listed.json()["result"])

        assert_still_answers()
        called = post(message("tools/call", {"_meta": ENVELOPE, "name": "print_something"}))
        assert called.json()["result"]["content"][0]["text"] == "quiet"

        notified = client.post(
            "/mcp", content=b'{"jsonrpc":"2.0","method":"notifications/initialized"}', headers=JSON_HEADERS
        )
        assert (notified.status_code, notified.content) == (202, b"")
        assert notified.headers["content-length"] == "0"

        assert post(message("ping", {"_meta": ENVELOPE})).status_code == 404
        assert client.get("/mcp").status_code == 405
        assert client.head("/mcp").status_code == 405
        assert client.delete("/mcp").headers["allow"] == "POST"
        assert client.get("/elsewhere").status_code == 404
        assert client.post("/mcp", content=b"\xff" * 1000, headers=JSON_HEADERS).status_code == 400
        assert client.post("/mcp", content=b"[" * 10**6, headers=JSON_HEADERS).status_code == 400
        assert_still_answers()

        large = client.post("/mcp", content=b" " * (2**22 + 1), headers=JSON_HEADERS)
        assert large.status_code == 413
        chunked = client.post("/mcp", content=iter([b" " * 2**20] * 5), headers=JSON_HEADERS)
        assert chunked.status_code == 413
        assert_still_answers()

        body = msgspec.json.encode(message("tools/call", {"_meta": ENVELOPE, "name": "print_something"}))
        head = (
            b"POST /mcp HTTP/1.1\r\nHOST: localhost\r\n"
            b"CONTENT-TYPE: application/json\r\nconnection: close\r\n"
            b"mCp-PrOtOcOl-VeRsIoN:   2026-07-28\t\r\nMCP-METHOD: tools/call\r\nmcp-NAME:print_something \r\n"
            b"content-length: %d\r\n\r\n" % len(body)
        )
        assert exchange(address, head + body, stay=True).startswith(b"HTTP/1.1 200")
        doubled = head.replace(b"HOST", b"mcp-name: print_something\r\nHOST")
        assert exchange(address, doubled + body).startswith(b"HTTP/1.1 400")
        exchange(address, head + body[:10])
        exchange(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100)
        assert_still_answers()
