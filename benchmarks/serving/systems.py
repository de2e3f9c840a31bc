"""The systems side by side: how each is started, and what it can do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.serving.environments import PeerUnavailableError, python_of
from benchmarks.serving.load import Answer, AnswerError, connected
from benchmarks.serving.processes import Served, served
from benchmarks.serving.results import FLOOR, OURS
from benchmarks.serving.wire import ERAS, Era, Operation, Template, post

PEERS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "sdk": ("mcp", "sdk_server.py", "lowlevel"),
        "mcpserver": ("mcp", "sdk_server.py", "mcpserver"),
        "fastmcp": ("fastmcp", "fastmcp_server.py", "plain"),
        "fastmcp-bm25": ("fastmcp", "fastmcp_server.py", "bm25"),
    }
)
"""Environment, script and kind of each peer by its name."""

SAME_VIEW: Final[Mapping[str, str]] = MappingProxyType({"sdk-16": "sdk", "fastmcp-16": "fastmcp"})
"""Peers that have nothing but what ours shows in its view, by their names."""

SYSTEMS: Final = (OURS, *PEERS, *SAME_VIEW)
_PEERS: Final = Path(__file__).parent / "peers"


class System(NamedTuple):
    """A server that runs.

    Attributes:
        name: Of the system.
        process: Where it is.
        headers: What its clients of earlier revisions send with every request, such as the ID of a session.
    """

    name: str
    process: Served
    headers: Mapping[str, str]

    def answers(self, operation: Operation) -> bool:
        """Whether the system has such a request at all."""
        if self.name in SAME_VIEW:
            return operation == "view"
        wanted = {"search": (OURS, "fastmcp-bm25"), "first": (OURS,)}.get(operation)
        return wanted is None or self.name in wanted


def command(name: str, tools: Path) -> tuple[str, ...]:
    """Return the command that starts a system, a port comes at its end.

    Raises:
        PeerUnavailableError: Its environment cannot be made.
    """
    if name == FLOOR:
        return (sys.executable, "-m", "benchmarks.serving.floor")
    if name == OURS:
        return (sys.executable, "-m", "benchmarks.serving.ours", str(tools))
    package, script, kind = PEERS[SAME_VIEW.get(name, name)]
    return (str(python_of(package)), str(_PEERS / script), kind, str(tools))


async def start(
    names: Sequence[str], tools: Path, folder: Path, stack: AsyncExitStack, numbers: Iterator[int]
) -> tuple[list[System], list[str]]:
    """Start systems, all at once.

    Args:
        names: Of the systems.
        tools: File with the catalog.
        folder: For what they print.
        stack: Ends them.
        numbers: Of requests.

    Returns:
        Those that run, in the order of their names; and which do not, and why.
    """
    commands: dict[str, tuple[str, ...]] = {}
    notes: list[str] = []
    for name in names:
        try:
            commands[name] = await asyncio.to_thread(command, name, tools)
        except PeerUnavailableError as error:
            notes.append(f"{name}: {error}")
    entered = [
        stack.enter_async_context(served(one, folder / f"{name}.log")) for name, one in commands.items()
    ]
    systems = []
    for name, process in zip(commands, await asyncio.gather(*entered, return_exceptions=True), strict=True):
        if isinstance(process, RuntimeError):
            notes.append(f"{name}: {process}")
            continue
        if isinstance(process, BaseException):
            raise process
        headers = {} if name == FLOOR else await _shake_hands(process.port, numbers)
        systems.append(System(name, process, headers))
    return systems, notes


async def _shake_hands(port: int, numbers: Iterator[int]) -> dict[str, str]:
    """Begin as a client of an earlier revision does; returns the headers of all its later requests."""
    params = {
        "protocolVersion": ERAS[1],
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    }
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    version = {"mcp-protocol-version": ERAS[1]}
    async with connected(port, numbers) as client:
        answer = await client.ask(post("/mcp", hello, version))
        if answer.status != 200:
            raise AnswerError(f"initialize: {answer.status} {answer.body[:300]!r}")
        session = answer.headers.get("mcp-session-id")
        headers = {} if session is None else {"mcp-session-id": session}
        await client.ask(post("/mcp", ready, {**version, **headers}))
    return headers


async def result(system: System, template: Template, numbers: Iterator[int]) -> tuple[Answer, dict[str, Any]]:
    """Ask a system once; returns the answer and the result in it.

    Raises:
        AnswerError: It answers with an error.
    """
    async with connected(system.process.port, numbers) as client:
        answer = await client.ask(template)
    try:
        found = msgspec.json.decode(answer.body)["result"]
    except (KeyError, msgspec.DecodeError):
        found = {"isError": True}
    if answer.status != 200 or found.get("isError"):
        raise AnswerError(f"status {answer.status}, {answer.body[:300].decode(errors='replace')}")
    return answer, found


async def give(floor: System, path: str, body: bytes, numbers: Iterator[int]) -> None:
    """Have the floor answer requests to a path with a body."""
    request = Template(
        (f"PUT {path} HTTP/1.1\r\nhost: floor\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body,)
    )
    async with connected(floor.process.port, numbers) as client:
        await client.ask(request)


def headers_of(system: System, era: Era) -> Mapping[str, str]:
    """Return what is sent to a system with every request of a revision."""
    return {} if era == ERAS[0] else system.headers
