"""``scopedtools serve --config``, as people start it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from mcp import Client, StdioServerParameters

from benchmarks.hosting import HOST, free_port, listening
from scopedtools import ScopedServer
from scopedtools.cli.origin import Origin
from scopedtools.gateway import Gateway
from scopedtools.testing import Client as OwnClient
from tests.gateway.fronted import stdio

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT: Final = Path(__file__).parents[2]
START_S: Final = 60
COMMAND: Final = ["-c", "from scopedtools.cli import main; main()", "serve"]


def written(folder: Path, servers: dict[str, Any]) -> Path:
    """Write a configuration file."""
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


@contextmanager
def served(config: Path, *arguments: str) -> Iterator[str]:
    """Start the command over HTTP; yield the URL."""
    port = free_port()
    command = [sys.executable, *COMMAND, *arguments, "--config", str(config), "--port", str(port)]
    with listening(command, port, config.with_suffix(".log"), cwd=ROOT):
        yield f"http://{HOST}:{port}/mcp"


async def test_the_command_fronts_a_server_over_http(tmp_path: Path) -> None:
    with served(written(tmp_path, {"up": stdio()})) as url:
        async with Client(url) as client:
            assert "up__add" in {tool.name for tool in (await client.list_tools()).tools}
            assert (await client.call_tool("up__add", {"a": 1, "b": 2})).structured_content == {"result": 3}


async def test_the_command_fronts_a_server_over_stdio(tmp_path: Path) -> None:
    config = written(tmp_path, {"up": stdio()})
    arguments = [*COMMAND, "--config", str(config), "--stdio"]
    parameters = StdioServerParameters(command=sys.executable, args=arguments, cwd=ROOT)
    async with Client(parameters) as client:
        assert (await client.call_tool("up__add", {"a": 1, "b": 2})).structured_content == {"result": 3}


async def test_a_server_of_one_s_own_and_several_files_are_one_server(tmp_path: Path) -> None:
    first, second = written(tmp_path, {"up": stdio()}), tmp_path / "more.json"
    second.write_text(json.dumps({"mcpServers": {"more": stdio(allow=["add"])}}))
    own = ("examples.bookshop.server:app", "--config", str(second))
    with served(first, *own) as url:
        async with Client(url) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert {"find_books", "up__add", "more__add"} < names
            assert "more__fail" not in names
            for name in ("up__add", "more__add"):
                assert (await client.call_tool(name, {"a": 1, "b": 2})).structured_content == {"result": 3}


def test_the_command_wants_something_to_serve() -> None:
    command = [sys.executable, *COMMAND]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=START_S, check=False)
    assert done.returncode == 1
    assert "say what to serve: module:attribute, --config mcp.json" in done.stderr


def test_a_gateway_has_no_workers(tmp_path: Path) -> None:
    config = written(tmp_path, {"up": stdio()})
    command = [sys.executable, *COMMAND, "--config", str(config), "--workers", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=START_S, check=False)
    assert done.returncode == 1
    assert "run one worker on each of several ports" in done.stderr


async def test_the_index_of_fronted_servers_is_kept_where_their_rows_are(tmp_path: Path) -> None:
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"up": stdio()}, "gateway": {"state_dir": "state"}}))
    server = Origin(configs=(str(config),)).load()
    assert server.index_dir == tmp_path / "state" / "index"


def test_the_command_says_what_is_wrong_with_a_configuration(tmp_path: Path) -> None:
    config = written(tmp_path, {"up": {"command": "a", "env": {"TOKEN": "${NOT_SET_ANYWHERE}"}}})
    command = [sys.executable, *COMMAND, "--config", str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=START_S, check=False)
    assert done.returncode == 1
    assert "mcpServers.up.env.TOKEN needs the environment variable NOT_SET_ANYWHERE" in done.stderr


async def test_a_server_completes_arguments_by_asking_its_upstream(tmp_path: Path) -> None:
    server = ScopedServer(name="front")
    server.mount(Gateway(written(tmp_path, {"up": stdio()})))
    async with OwnClient(server) as client:
        ref = {"type": "ref/prompt", "name": "up__greet"}
        result = await client.request("completion/complete", ref=ref, argument={"name": "name", "value": "A"})
        assert result["completion"]["values"] == ["Ann", "Alan"]
