"""Stands between a client and a server, and keeps what the client sends."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from httptools import HttpRequestParser

EXTENSION: Final = "io.github.scopedtools/context"
_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"


@dataclass(slots=True)
class Request:
    """An HTTP request."""

    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_mcp(self) -> bool:
        """Whether it is for the endpoint, and not for metadata beside it."""
        return urlsplit(self.url).path == "/mcp"

    @property
    def message(self) -> dict[str, Any]:
        """The JSON-RPC message in it."""
        message: dict[str, Any] = json.loads(self.body or b"{}")
        return message

    @property
    def method(self) -> str:
        """MCP method, empty where the request is about the connection."""
        method: str = self.message.get("method", "")
        return method

    @property
    def settings(self) -> dict[str, Any]:
        """What the client declares under the extension."""
        capabilities = self.message.get("params", {}).get("_meta", {}).get(_CAPABILITIES, {})
        settings: dict[str, Any] = capabilities.get("extensions", {}).get(EXTENSION, {})
        return settings

    @property
    def context_ids(self) -> set[str]:
        """What names the context: in the settings, a header, or the URL."""
        in_url = parse_qs(urlsplit(self.url).query).get("context", [None])[0]
        named = (self.settings.get("contextId"), self.headers.get("mcp-client-session-id"), in_url)
        return {value for value in named if value is not None}


class _Reader:
    """Takes bytes of a connection, appends requests."""

    def __init__(self, requests: list[Request]) -> None:
        self._requests = requests
        self._request = Request()
        self.feed = HttpRequestParser(self).feed_data

    def on_message_begin(self) -> None:
        self._request = Request()

    def on_url(self, url: bytes) -> None:
        self._request.url += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._request.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._request.body += body

    def on_message_complete(self) -> None:
        self._requests.append(self._request)


@contextmanager
def recording(url: str) -> Iterator[tuple[str, list[Request]]]:
    """Yield the URL at which the server is reached as well, and what was sent there, as it comes."""
    server = urlsplit(url)
    with _Relay((server.hostname, server.port)) as relay:
        accepting = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05})
        accepting.start()
        try:
            yield f"http://127.0.0.1:{relay.server_address[1]}{server.path}", relay.requests
        finally:
            relay.shutdown()
            accepting.join()


class _Relay(socketserver.ThreadingTCPServer):
    """Passes bytes on to a server, and those of the server back."""

    def __init__(self, server: tuple[str | None, int | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.server = server
        self.requests: list[Request] = []


class _Connection(socketserver.BaseRequestHandler):
    server: _Relay
    request: socket.socket

    def handle(self) -> None:
        reader = _Reader(self.server.requests)
        with socket.create_connection(self.server.server) as behind:
            answering = threading.Thread(target=_copy, args=(behind, self.request, lambda _: None))
            answering.start()
            _copy(self.request, behind, reader.feed)
            answering.join()


def _copy(source: socket.socket, target: socket.socket, look: Callable[[bytes], None]) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            look(data)
            target.sendall(data)
    # The other direction ends as well: neither side has a use for half a connection.
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
