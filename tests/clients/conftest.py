"""Real servers, and the official clients that call them.

Every client is driven in the same way: a `Peer` pays a visit. It connects, takes steps, each an MCP method
with its parameters, and tells what it saw in the words of the wire. So one test serves them all.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, TypeAlias

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client import advertise
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

HERE: Final = Path(__file__).parent
CACHE: Final = Path(sys.prefix) / "clients"

START_S: Final = 60
REQUEST_S: Final = 20
VISIT_S: Final = 90
INSTALL_S: Final = 300

Step: TypeAlias = tuple[str, dict[str, Any]]
Visit: TypeAlias = dict[str, Any]
Drive: TypeAlias = Callable[[Visit], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client saw on a visit.

    Attributes:
        protocol_version: The revision that client and server agreed on.
        server_info: Name and version of the server.
        instructions: Of the server.
        answers: For each step a result, or ``{"error": {"code", "message"}}``.
    """

    protocol_version: str
    server_info: dict[str, Any]
    instructions: str | None
    answers: list[dict[str, Any]]

    @property
    def tools(self) -> list[list[str]]:
        """Names of the tools, for each step that listed them."""
        return [[row["name"] for row in answer["tools"]] for answer in self.answers if "tools" in answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """An official client in one of its modes, and the way by which it reaches the server.

    Attributes:
        drive: Pays a visit.
        mode: ``auto`` speaks 2026-07-28 with a server that does, ``legacy`` opens with ``initialize``.
        url: Of the server that all visits share; ``None`` where each starts its own and speaks over stdio.
    """

    drive: Drive
    mode: Literal["auto", "legacy"]
    url: str | None

    def visit(
        self,
        *steps: Step,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> Seen:
        """Connect, take the steps, leave.

        Args:
            steps: Methods and their parameters. Lists are read to the last page.
            headers: Sent with every HTTP request.
            extensions: Settings that the client declares, by extension.
        """
        seen = self.drive(
            {
                "mode": self.mode,
                "url": self.url,
                "command": [*_serve(), "--stdio"],
                "cwd": str(HERE),
                "headers": dict(headers or {}),
                "extensions": dict(extensions or {}),
                "steps": steps,
            }
        )
        return Seen(seen["protocolVersion"], seen["serverInfo"], seen["instructions"], seen["answers"])


@pytest.fixture(
    scope="session",
    params=[
        "mcp-2.3.0-auto",
        "mcp-2.3.0-legacy",
        "mcp-1.30.0-legacy",
        pytest.param("npm-2.4.0-auto", marks=pytest.mark.node),
        pytest.param("npm-2.4.0-legacy", marks=pytest.mark.node),
    ],
)
def client(request: pytest.FixtureRequest) -> str:
    """Name a client, its version and its mode."""
    name: str = request.param
    return name


@pytest.fixture(scope="session", params=["http", "stdio"])
def transport(request: pytest.FixtureRequest) -> str:
    """Name a transport."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def peer(request: pytest.FixtureRequest, client: str, transport: str) -> Peer:
    package, _, mode = client.rpartition("-")
    drive: Drive = request.getfixturevalue(
        {"mcp-2.3.0": "mcp2", "mcp-1.30.0": "mcp1", "npm-2.4.0": "npm"}[package]
    )
    return Peer(
        drive=drive,
        mode="auto" if mode == "auto" else "legacy",
        url=request.getfixturevalue("server_url") if transport == "http" else None,
    )


# The server


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve over HTTP as a user does; look afterwards whether anything went wrong inside."""
    log = tmp_path_factory.mktemp("server") / "log"
    port = _free_port()
    command = [*_serve(), "--port", str(port)]
    with (
        log.open("wb") as sink,
        _ended(subprocess.Popen(command, cwd=HERE, stdout=sink, stderr=sink)) as server,
    ):
        _await_port(server, port, log)
        yield f"http://127.0.0.1:{port}/mcp"
    _require_no_traceback(log.read_text())


def _serve() -> list[str]:
    return [str(Path(sysconfig.get_path("scripts")) / "scopedtools"), "serve", "server:app"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


def _await_port(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        # Waiting for its end is the pause between two looks at the port.
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=0.05)
            break
    pytest.fail(f"the server does not listen, exit status {server.returncode}:\n{log.read_text()}")


def _require_no_traceback(log: str) -> None:
    assert "Traceback" not in log, log


# mcp 2, in this process


@pytest.fixture(scope="session")
def mcp2() -> Drive:
    return lambda visit: asyncio.run(_visit_with_mcp2(visit))


async def _visit_with_mcp2(visit: Visit) -> dict[str, Any]:
    extensions = [advertise(name, settings) for name, settings in visit["extensions"].items()]
    async with (
        asyncio.timeout(VISIT_S),
        _mcp2_transport(visit) as streams,
        Client(streams, mode=visit["mode"], extensions=extensions, read_timeout_seconds=REQUEST_S) as client,
    ):
        answers = [await _answer(client, method, params) for method, params in visit["steps"]]
        return {
            "protocolVersion": client.protocol_version,
            "serverInfo": client.server_info and _wire(client.server_info),
            "instructions": client.instructions,
            "answers": answers,
        }


@asynccontextmanager
async def _mcp2_transport(visit: Visit) -> AsyncIterator[Any]:
    if visit["url"] is not None:
        async with httpx2.AsyncClient(headers=visit["headers"], timeout=REQUEST_S) as http:
            yield streamable_http_client(visit["url"], http_client=http)
        return
    command, *arguments = visit["command"]
    server = StdioServerParameters(command=command, args=arguments, cwd=visit["cwd"])
    with tempfile.TemporaryFile("w+") as log:
        yield stdio_client(server, errlog=log)
        log.seek(0)
        _require_no_traceback(log.read())


async def _answer(client: Client, method: str, params: dict[str, Any]) -> dict[str, Any]:
    lists: dict[str, tuple[Callable[..., Awaitable[Any]], str]] = {
        "tools/list": (client.list_tools, "tools"),
        "resources/list": (client.list_resources, "resources"),
        "resources/templates/list": (client.list_resource_templates, "resourceTemplates"),
        "prompts/list": (client.list_prompts, "prompts"),
    }
    meta = params.get("_meta")
    try:
        if method in lists:
            return await _pages(*lists[method], meta)
        if method == "tools/call":
            return _wire(await client.call_tool(params["name"], params["arguments"], meta=meta))
        if method == "resources/read":
            return _wire(await client.read_resource(params["uri"], meta=meta))
        return _wire(await client.get_prompt(params["name"], params["arguments"], meta=meta))
    except MCPError as error:
        return {"error": {"code": error.code, "message": error.message}}


async def _pages(list_page: Callable[..., Awaitable[Any]], rows_in: str, meta: Any) -> dict[str, Any]:
    page = _wire(await list_page(meta=meta))
    rows = page[rows_in]
    while (cursor := page.get("nextCursor")) is not None:
        page = _wire(await list_page(cursor=cursor, meta=meta))
        rows += page[rows_in]
    return page | {rows_in: rows}


def _wire(result: Any) -> dict[str, Any]:
    fields: dict[str, Any] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return fields


# Clients in other processes


@pytest.fixture(scope="session")
def mcp1() -> Drive:
    folder = CACHE / "mcp-1.30.0"
    python = folder / "bin" / "python"
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "0",
    ]
    _install(
        folder,
        [sys.executable, "-m", "venv", "--clear", folder],
        [*pip, "mcp==1.30.0"],
    )
    return lambda visit: _run([python, HERE / "mcp1_client.py"], visit)


@pytest.fixture(scope="session")
def npm() -> Drive:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            _unavailable(f"{program} is not on PATH, the npm client needs it")
    folder = CACHE / "npm-2.4.0"
    quiet = ["--no-save", "--no-audit", "--no-fund", "--fetch-retries=0"]
    package = "@modelcontextprotocol/client@2.4.0"
    _install(folder, ["npm", "install", *quiet, "--prefix", folder, package])
    return lambda visit: _run(["node", HERE / "client.mjs", folder], visit)


def _install(folder: Path, *commands: list[str | Path]) -> None:
    """Fill a folder once; a mark tells later runs that it is whole."""
    mark = folder / "installed"
    if mark.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for command in commands:
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
        except subprocess.CalledProcessError as error:
            _unavailable(f"{folder.name} cannot be installed:\n{error.stderr}")
        except subprocess.TimeoutExpired:
            _unavailable(f"{folder.name} was not installed within {INSTALL_S} s")
    mark.touch()


def _unavailable(reason: str) -> NoReturn:
    """Skip on a developer's machine; in CI a client that is not tried is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _run(command: list[str | Path], visit: Visit) -> dict[str, Any]:
    done = subprocess.run(
        command, input=json.dumps(visit), capture_output=True, text=True, timeout=VISIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    _require_no_traceback(done.stderr)
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen
