"""Requests that proxies and servers may read differently, as bytes on a socket of uvicorn."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from scopedtools.cli import bounded_http
from scopedtools.cli.bounded_http import BoundedHttp
from scopedtools.limits import Limits
from tests.hosting import hosted
from tests.security.vault import BOB, Vault
from tests.wire.exchange import ENVELOPE, message, mirrored

pytestmark = pytest.mark.anyio

LIMIT_S = 10.0
READERS = {"httptools": BoundedHttp, "h11": H11Protocol}


def listening(vault: Vault, **options: Any) -> AbstractAsyncContextManager[tuple[str, int]]:
    return hosted(vault, log_level="critical", **options)


REQUEST = message("tools/call", {"_meta": ENVELOPE, "name": "ping_vault"})
BODY = msgspec.json.encode(REQUEST)
LENGTH = b"content-length: %d" % len(BODY)


def call(*lines: bytes, body: bytes = BODY) -> bytes:
    """Write a call as it goes over the wire; its length is among the lines."""
    headers = [f"{key}: {value}".encode() for key, value in (mirrored(REQUEST) | BOB).items()]
    return b"\r\n".join([b"POST /mcp HTTP/1.1", b"host: localhost", *headers, *lines, b"", body])


PLAIN = call(LENGTH)
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


async def answered(address: tuple[str, int], sent: bytes) -> bytes:
    """Send bytes; return all that comes until the connection ends, or nothing more does."""
    reader, writer = await asyncio.open_connection(*address)
    said = b""
    try:
        writer.write(sent)
        async with asyncio.timeout(LIMIT_S):
            while part := await reader.read(65536):
                said += part
    except ConnectionResetError:
        pass
    finally:
        writer.transport.abort()
    return said


FRAMES: dict[str, bytes] = {
    "both lengths": call(b"content-length: 4", b"transfer-encoding: chunked", body=CHUNKED),
    "a length beside chunks": call(b"content-length: 999", b"transfer-encoding: chunked", body=CHUNKED),
    "two lengths": call(LENGTH, b"content-length: 4"),
    "a list of lengths": call(b"content-length: 4, 5"),
    "a signed length": call(b"content-length: +9"),
    "a blank before a colon": call(b"content-length : 9"),
    "an unknown coding": call(b"transfer-encoding: xchunked", body=CHUNKED),
    "two codings": call(b"transfer-encoding: chunked", b"transfer-encoding: identity", body=CHUNKED),
    "a zero in a value": call(LENGTH, b"x-a: a\0b"),
    "half a line end": call(LENGTH, b"x-a: a\rx-b: b"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("frame", FRAMES)
async def test_what_two_readers_may_cut_differently_is_refused_and_nothing_behind_it_is_read(
    reader: str, frame: str
) -> None:
    vault = Vault()
    async with listening(vault, http=READERS[reader]) as address:
        said = await answered(address, FRAMES[frame] + PLAIN)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1 ") == 1, "the connection ends with the first"
    assert vault.opened == []


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"authorization: Bearer a", 401),
        (b"mcp-client-session-id: one\r\nmcp-client-session-id: one", 400),
        (b"mcp-name: open_vault", 400),
        (b"mcp-method: tools/list", 400),
        (b"mcp-protocol-version: 2025-06-18", 400),
        (b"content-type: text/plain", 415),
        (b"host: evil.example", None),
    ],
)
async def test_a_header_in_two_lines_never_counts_as_either_of_them(
    reader: str, line: bytes, status: int | None
) -> None:
    vault = Vault()
    async with listening(vault, http=READERS[reader]) as address:
        said = await answered(address, call(LENGTH, b"connection: close", line))
    assert int(said.split()[1]) == (status or {"h11": 400, "httptools": 421}[reader])
    assert vault.opened == []


async def test_a_plain_request_is_answered_by_both_readers() -> None:
    for reader in READERS.values():
        vault = Vault()
        async with listening(vault, http=reader) as address:
            for sent in (
                call(LENGTH, b"connection: close"),
                call(b"transfer-encoding: chunked", b"connection: close", body=CHUNKED),
            ):
                assert (await answered(address, sent)).startswith(b"HTTP/1.1 200 ")
        assert vault.opened == ["ping", "ping"]


async def test_a_body_that_trickles_is_given_up_and_its_connection_ends() -> None:
    vault = Vault(limits=Limits(body_timeout_s=0.2))
    async with listening(vault, http=BoundedHttp) as address:
        said = await answered(address, PLAIN[:-5])
    assert said.startswith(b"HTTP/1.1 408 ")
    assert vault.opened == []


async def test_headers_that_do_not_come_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "_HEAD_S", 0.2)
    async with listening(Vault(), http=BoundedHttp, timeout_keep_alive=30) as address:
        for sent in (b"", b"POST /mcp HTTP/1.1\r\nhost: loc", PLAIN + b"POST"):
            said = await answered(address, sent)
            assert said.count(b"HTTP/1.1 ") == (sent.startswith(PLAIN))


@pytest.mark.parametrize("kind", ["one line", "many lines", "a long target"])
async def test_headers_without_an_end_are_refused_while_they_come(kind: str) -> None:
    pieces: dict[str, Any] = {
        "one line": (b"POST /mcp HTTP/1.1\r\nx-a: ", b"a" * 8192),
        "many lines": (b"POST /mcp HTTP/1.1\r\n", b"x-a: a\r\n" * 1024),
        "a long target": (b"POST /", b"a" * 8192),
    }
    first, more = pieces[kind]
    async with listening(Vault(), http=BoundedHttp) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(first)
        sent = 0
        async with asyncio.timeout(LIMIT_S):
            said = asyncio.create_task(reader.read(100))
            while not said.done():
                writer.write(more)
                sent += len(more)
                await asyncio.sleep(0)
                assert sent < 64 * 2**20, "somebody reads all of it"
        writer.transport.abort()
        with_answer = said.exception() is None
        assert not with_answer or said.result().startswith(b"HTTP/1.1 400 ")


async def test_headers_of_ordinary_size_come_through_request_after_request() -> None:
    vault = Vault()
    async with listening(vault, http=BoundedHttp) as address:
        one = call(LENGTH, b"x-a: " + b"a" * 30_000)
        said = await answered(address, one * 3 + call(LENGTH, b"connection: close"))
    assert said.count(b"HTTP/1.1 200 ") == 4
