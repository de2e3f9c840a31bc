"""Real servers, and the official clients that call them.

Every client is driven in the same way: a `Peer` pays a visit. It connects, takes steps, each an MCP method
with its parameters, and tells what it saw in the words of the wire. So one test serves them all.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal, TypedDict, Unpack, cast

import pytest

from benchmarks.hosting import ended, free_port, listening
from tests.clients.driving import Params, Sight, Step, Visit
from tests.clients.inspector import Inspector
from tests.clients.installing import environment, node_modules
from tests.clients.roster import ALL, marked

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent.parent

VISIT_S: Final = 90

Transport = Literal["http", "stdio"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client saw on a visit.

    Attributes:
        protocol_version: The revision that client and server agreed on.
        server_info: Name and version of the server.
        instructions: Of the server.
        answers: For each step a result, or ``{"error": {"code", "message"}}``.
        heard: What the server sent on its own, as method and parameters.
    """

    protocol_version: str
    server_info: Params
    instructions: str | None
    answers: list[Params]
    heard: list[Step]

    @property
    def tools(self) -> list[list[str]]:
        """Names of the tools, for each step that listed them."""
        return [[row["name"] for row in answer["tools"]] for answer in self.answers if "tools" in answer]

    def heard_of(self, method: str) -> list[Params]:
        """Return the parameters of one method."""
        return [params for heard, params in self.heard if heard == method]


class Details(TypedDict, total=False):
    """How a visit is paid; see `Visit`.

    Attributes:
        app: Which server: ``app``, or ``vault``, which keeps sessions over HTTP, or the configuration of a
            gateway.
        headers: Sent with every HTTP request.
        extensions: Settings that the client declares, by extension.
        replies: What the client answers, by what it is asked.
        log_level: Least level of log messages.
        listens: Whether the client listens for changes in the list of tools.
    """

    app: str
    headers: Mapping[str, str]
    extensions: Mapping[str, Any]
    replies: Mapping[str, Sequence[Params]]
    log_level: Literal["debug", "info", "warning", "error"]
    listens: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """An official client in one of its modes, and the way by which it reaches the servers.

    Attributes:
        driver: Pays visits.
        mode: ``auto`` speaks 2026-07-28 with a server that does, ``legacy`` opens with ``initialize``.
        transport: Over HTTP all visits share a server, over stdio each starts its own.
        servers: The shared ones.
    """

    driver: Driver
    mode: Literal["auto", "legacy"]
    transport: Transport
    servers: Servers

    def visit(self, *steps: Step, **details: Unpack[Details]) -> Seen:
        """Connect, take the steps, leave. Lists are read to the last page."""
        (seen,) = self.visit_at_once(self.plan(*steps, **details))
        return seen

    def plan(self, *steps: Step, **details: Unpack[Details]) -> Visit:
        """Describe a visit that is yet to be paid."""
        app = details.get("app", "app")
        return {
            "mode": self.mode,
            "url": self.servers.url(app) if self.transport == "http" else None,
            "command": [*_serve(app), "--stdio"],
            "cwd": str(HERE),
            "headers": dict(details.get("headers", {})),
            "extensions": dict(details.get("extensions", {})),
            "replies": {method: list(replies) for method, replies in details.get("replies", {}).items()},
            "log_level": details.get("log_level"),
            "listens": details.get("listens", False),
            "steps": list(steps),
        }

    def visit_at_once(self, *visits: Visit) -> list[Seen]:
        """Pay several visits side by side, each through a connection of its own."""
        return [
            Seen(
                sight["protocolVersion"],
                sight["serverInfo"],
                sight["instructions"],
                sight["answers"],
                [(method, params) for method, params in sight["heard"]],
            )
            for sight in self.driver.pay(visits)
        ]


@pytest.fixture(scope="session", params=marked(ALL))
def client(request: pytest.FixtureRequest) -> str:
    """Name a client, its version and its mode."""
    name: str = request.param
    return name


@pytest.fixture(scope="session", params=["http", "stdio"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """Name a transport."""
    name: Transport = request.param
    return name


@pytest.fixture(scope="session")
def peer(request: pytest.FixtureRequest, client: str, transport: Transport, servers: Servers) -> Peer:
    package, _, mode = client.rpartition("-")
    return Peer(
        driver=request.getfixturevalue(package.replace("-", "_").replace(".", "_")),
        mode="auto" if mode == "auto" else "legacy",
        transport=transport,
        servers=servers,
    )


# The servers


class Servers:
    """Servers that speak HTTP, each started when it is first needed.

    Args:
        folder: Holds what they log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._urls: dict[str, str] = {}
        self._running = ExitStack()

    def url(self, app: str) -> str:
        """Return where a server is reached."""
        if app not in self._urls:
            self._urls[app] = self._running.enter_context(_serving(app, self._log(app)))
        return self._urls[app]

    def close(self) -> None:
        """End all; look whether anything went wrong inside."""
        self._running.close()
        for app in self._urls:
            _require_no_traceback(self._log(app).read_text())

    def _log(self, app: str) -> Path:
        return self._folder / f"{Path(app).name}.log"


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Serve over HTTP as a user does."""
    servers = Servers(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.close()


@contextmanager
def _serving(app: str, log: Path) -> Iterator[str]:
    port = free_port()
    with listening([*_serve(app), "--port", str(port)], port, log, cwd=HERE):
        yield f"http://127.0.0.1:{port}/mcp"


def _serve(app: str) -> list[str]:
    what = ["--config", app] if app.endswith(".json") else [f"server:{app}"]
    return [str(Path(sysconfig.get_path("scripts")) / "scopedtools"), "serve", *what]


def _require_no_traceback(log: str) -> None:
    assert "Traceback" not in log, log


# The clients


class Driver:
    """A client in a process of its own, which lasts for all its visits.

    Args:
        command: Starts it.
        log: Takes what it, and servers that it starts, write to standard error.
    """

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        self._log = log
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink
            )

    def pay(self, visits: Sequence[Visit]) -> list[Sight]:
        """Pay visits at once."""
        lines = cast("IO[bytes]", self.process.stdin)
        lines.write(json.dumps(visits).encode() + b"\n")
        lines.flush()
        answer = cast("IO[bytes]", self.process.stdout)
        ready, _, _ = select.select([answer], [], [], VISIT_S)
        line = answer.readline() if ready else b""
        log = self._log.read_text()
        assert line, f"no answer within {VISIT_S} s:\n{log}"
        _require_no_traceback(log)
        sights = json.loads(line)
        for sight in sights:
            assert "failure" not in sight, f"{sight['failure']}\n{log}"
        return cast("list[Sight]", sights)


@pytest.fixture(scope="session")
def mcp_2_3_0(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with _driver([sys.executable, "-m", "tests.clients.mcp2_client"], tmp_path_factory) as driver:
        yield driver


@pytest.fixture(scope="session")
def mcp_1_30_0(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    python = environment("mcp-1.30.0", "mcp==1.30.0")
    with _driver([python, "-m", "tests.clients.mcp1_client"], tmp_path_factory) as driver:
        yield driver


@pytest.fixture(scope="session")
def fastmcp_4_1_6(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    python = environment("fastmcp-4.1.6", "fastmcp-slim[client]==4.1.6")
    with _driver([python, "-m", "tests.clients.fastmcp_client"], tmp_path_factory) as driver:
        yield driver


@pytest.fixture(scope="session")
def npm_2_4_0(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    package = "@modelcontextprotocol/client"
    folder = node_modules("npm-2.4.0", f"{package}@2.4.0")
    with _driver(["node", HERE / "client.mjs", folder, package], tmp_path_factory) as driver:
        yield driver


@pytest.fixture(scope="session")
def npm_1_32_2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    package = "@modelcontextprotocol/sdk"
    folder = node_modules("npm-1.32.2", f"{package}@1.32.2")
    with _driver(["node", HERE / "client.mjs", folder, package], tmp_path_factory) as driver:
        yield driver


@pytest.fixture(scope="session")
def caching_npm_2_4_0(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    package = "@modelcontextprotocol/client"
    folder = node_modules("npm-2.4.0", f"{package}@2.4.0")
    with _driver(["node", HERE / "caching.mjs", folder, package], tmp_path_factory) as driver:
        yield driver


@pytest.fixture(scope="session", params=["legacy", "modern"])
def inspector(
    request: pytest.FixtureRequest, transport: Transport, servers: Servers, inspector_folder: Path
) -> Inspector:
    return Inspector(
        folder=inspector_folder,
        era=request.param,
        url=servers.url("app") if transport == "http" else None,
        command=[*_serve("app"), "--stdio"],
        cwd=HERE,
    )


@pytest.fixture(scope="session")
def inspector_folder() -> Path:
    # It needs a later node than others, which npm has as well.
    return node_modules("inspector-2.12.0", "@modelcontextprotocol/inspector@2.12.0", "node@22")


@contextmanager
def _driver(command: Sequence[str | Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    log = tmp_path_factory.mktemp("driver") / "log"
    driver = Driver(command, log)
    with driver.process, ended(driver.process):
        yield driver
    _require_no_traceback(log.read_text())
