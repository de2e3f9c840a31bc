"""What a person gets wrong around a gateway is told in a line, soon, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import anyio
import pytest

from scopedtools.gateway import ConfigError, Gateway, GatewayConfig, ServerConfig
from tests.gateway.fronted import stdio
from tests.gateway.test_gateway_config import read
from tests.gateway.test_serve_config import COMMAND, ROOT, written

pytestmark = pytest.mark.anyio

SOON_S: Final = 10
"""Less than the fifteen seconds that a start waits for servers."""

AUDIT: Final = [*COMMAND[:-1], "audit-catalog"]
DYING: Final = {"command": sys.executable, "args": ["-c", "import sys; sys.exit('the key is wrong')"]}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


async def until(happened: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not happened():  # noqa: ASYNC110 - files and logs tell nobody
            await anyio.sleep(0.01)


# The file


def test_what_is_no_json_is_told_with_file_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{\n  "mcpServers": {"a": {},}\n}')
    with pytest.raises(ConfigError, match=r"mcp\.json: it is not JSON: .*, line 2, column 26"):
        GatewayConfig.read(path)


def test_what_editors_put_before_a_text_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {"one": {"command": "a"}}}', encoding="utf-8-sig")
    assert GatewayConfig.read(path).servers[0].name == "one"


def test_what_is_wrong_in_one_of_several_files_is_told_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mcp\.json: mcpServers\.one needs either 'command' or 'url'"):
        GatewayConfig.read(written(tmp_path, {"one": {"serverUrl": "https://example.com"}}))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"servers": {}}, "got the keys 'servers'; rename 'servers' to 'mcpServers'"),
        ([], "got list"),
        ({"mcpServers": []}, "got 'mcpServers' that are list"),
        ({"mcpServers": {"one": {"serverUrl": "x"}}}, "needs either 'command' or 'url', got 'serverUrl'"),
        (
            {"mcpServers": {"one": {"command": "a", "env": {"PORT": 1}}}},
            "one.env.PORT must be in quotes, got int",
        ),
    ],
)
def test_what_was_found_instead_is_told(value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        GatewayConfig.of(value, variables={})
    assert said in str(caught.value)


def test_keys_of_ours_in_the_wrong_place_are_told_and_those_of_hosts_are_not() -> None:
    servers = {"one": {"command": "a"}}
    config = GatewayConfig.of({"mcpServers": servers, "gatway": {}, "state_dir": "x", "globalShortcut": ""})
    assert config.warnings == (
        "gatway is not known and has no effect, did you mean 'gateway'?",
        "state_dir has no effect here, it belongs under 'gateway'",
    )


def test_a_list_of_what_needs_no_asking_is_not_taken_for_the_list_of_what_is_served() -> None:
    config = read({"one": {"command": "a", "alwaysAllow": ["read"]}})
    assert config.warnings == ("mcpServers.one.alwaysAllow is not known and has no effect",)


@pytest.mark.parametrize("servers", [{}, {"one": {"command": "a", "disabled": True}}])
def test_a_file_without_servers_is_told(servers: Any) -> None:
    assert read(servers).warnings == ("mcpServers has no server, or none that is not disabled",)


# The servers


async def problem_of(**config: Any) -> str:
    gateway = Gateway(ServerConfig(name="one", **config))
    async with gateway.running():
        [status] = gateway.status
    assert status.state == "down"
    return status.problem


async def test_a_program_that_is_not_there_is_told() -> None:
    assert "cannot start 'no-such': there is no such program" in await problem_of(command="no-such")
    assert "arguments belong in 'args'" in await problem_of(command="npx -y something")
    assert "its cwd '/no/such' is no folder" in await problem_of(command=sys.executable, cwd="/no/such")


async def test_a_server_that_ends_by_itself_is_told_with_its_exit_status() -> None:
    assert await problem_of(**DYING) == "it ended by itself, with exit status 1"


@contextmanager
def answering(status: int) -> Iterator[str]:
    """Serve HTTP that is no MCP; yield the URL."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", "4")
            self.end_headers()
            self.wfile.write(b"html")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "wants credentials (HTTP 401)"),
        (404, "answered with HTTP 404; 'url' has to be its MCP endpoint"),
        (200, "answered with text/html; 'url' has to be its MCP endpoint"),
        (503, "answered with HTTP 503"),
    ],
)
async def test_what_answers_instead_of_an_endpoint_is_told(status: int, said: str) -> None:
    with answering(status) as url:
        assert said in await problem_of(url=url)


async def test_credentials_that_are_refused_are_not_called_missing() -> None:
    with answering(401) as url:
        problem = await problem_of(url=url, headers={"Authorization": "Bearer old"})
    assert problem == "refused the gateway's credentials (HTTP 401)"


async def test_one_problem_is_told_once_however_often_it_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "scopedtools.gateway.upstream")
    async with Gateway(ServerConfig(name="one", command="no-such")).running():
        await until(lambda: len(caplog.records) > 2)
    assert [one.levelname for one in caplog.records[:3]] == ["WARNING", "DEBUG", "DEBUG"]


# The commands


@pytest.mark.slow
def test_an_audit_tells_what_it_could_not_look_at_and_why(tmp_path: Path) -> None:
    config = written(tmp_path, {"up": stdio(), "broken": DYING})
    done = run(*AUDIT, "--config", str(config))
    assert done.returncode == 1
    assert (
        "broken was not looked at: it ended by itself, with exit status 1\n  the key is wrong\n"
        in done.stderr
    )
    assert "up was not" not in done.stderr
    assert "nothing to look at" not in done.stdout


@pytest.mark.slow
def test_a_port_that_is_taken_is_told_before_servers_are_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run(*COMMAND, "--config", str(written(tmp_path, {"up": stdio()})), "--port", port)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: cannot listen on port {port} of 127.0.0.1: ")
    assert "--port chooses another" in done.stderr


@contextmanager
def starting(tmp_path: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command in front of a server that never answers; yield when that runs."""
    pid = tmp_path / "pid"
    silent = {"command": "sh", "args": ["-c", f"echo $$ > {pid}; exec sleep 600"]}
    command = [sys.executable, *COMMAND, "--config", str(written(tmp_path, {"silent": silent})), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("options", [("--port", "0"), ("--stdio",)])
async def test_a_start_can_be_broken_off_and_leaves_nothing_behind(
    tmp_path: Path, options: tuple[str, ...], number: signal.Signals
) -> None:
    with starting(tmp_path, *options) as process:
        pid = tmp_path / "pid"
        await until(lambda: pid.exists() and pid.read_text() != "")
        process.send_signal(number)
        _, told = process.communicate(timeout=SOON_S)
    assert b"Traceback" not in told
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
