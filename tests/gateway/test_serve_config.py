"""``scopedtools serve --config``, as people start it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters

from scopedtools import ScopedServer
from scopedtools.client import UnitOfWork, connect
from scopedtools.gateway import Gateway
from scopedtools.testing import Client as OwnClient
from tests.gateway.fronted import LIMIT_S, stdio
from tests.gateway.real_servers import all_servers

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT: Final = Path(__file__).parents[2]
START_S: Final = 60
COMMAND: Final = ["-c", "from scopedtools.cli import main; main()", "serve"]


def written(folder: Path, servers: dict[str, Any]) -> Path:
    """Write a configuration file."""
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


@asynccontextmanager
async def served(config: Path) -> AsyncIterator[str]:
    """Start the command over HTTP; yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, *COMMAND, "--config", str(config), "--port", str(port)]
    log = config.with_suffix(".log")
    with log.open("wb") as out:
        process = await anyio.open_process(command, cwd=ROOT, stdout=out, stderr=out, env=os.environ)
    try:
        with anyio.fail_after(START_S):
            while not await _answers(port):
                assert process.returncode is None, log.read_text()
                await anyio.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(START_S, shield=True):
            await process.wait()


async def _answers(port: int) -> bool:
    async with httpx2.AsyncClient() as client:
        try:
            await client.get(f"http://127.0.0.1:{port}/mcp")
        except httpx2.TransportError:
            return False
        return True


async def test_the_command_fronts_a_server_over_http(tmp_path: Path) -> None:
    async with served(written(tmp_path, {"up": stdio()})) as url, Client(url) as client:
        assert "up__add" in {tool.name for tool in (await client.list_tools()).tools}
        assert (await client.call_tool("up__add", {"a": 1, "b": 2})).structured_content == {"result": 3}


async def test_the_command_fronts_a_server_over_stdio(tmp_path: Path) -> None:
    config = written(tmp_path, {"up": stdio()})
    arguments = [*COMMAND, "--config", str(config), "--stdio"]
    parameters = StdioServerParameters(command=sys.executable, args=arguments, cwd=ROOT)
    async with Client(parameters) as client:
        assert (await client.call_tool("up__add", {"a": 1, "b": 2})).structured_content == {"result": 3}


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


def repository(folder: Path) -> Path:
    """Make a folder with a repository of one commit."""
    folder.mkdir()
    (folder / "hello.txt").write_text("hello")
    author = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=folder, check=True, timeout=LIMIT_S)
    return folder


@pytest.mark.node
async def test_eight_servers_of_others_are_one_server(tmp_path: Path) -> None:
    folder = repository(tmp_path / "work")
    async with served(written(tmp_path, all_servers(folder))) as url, connect(url) as client:
        flights, code = (
            UnitOfWork(intent="what time is it in Tokyo"),
            UnitOfWork(intent="commit my git changes"),
        )
        with flights.active():
            first = {tool.name for tool in (await client.list_tools()).tools}
        with code.active():
            second = {tool.name for tool in (await client.list_tools()).tools}
            log = await client.call_tool("git__git_log", {"repo_path": str(folder)})
            assert "first" in log.content[0].text  # type: ignore[union-attr]
            echo = await client.call_tool("everything__echo", {"message": "hi"})
            assert "hi" in echo.content[0].text  # type: ignore[union-attr]
            read = await client.call_tool("filesystem__read_text_file", {"path": str(folder / "hello.txt")})
            assert read.content[0].text == "hello"  # type: ignore[union-attr]
            found = await client.call_tool("search_tools", {"query": "time in another time zone"})
            assert "time__get_current_time" in str(found.content)
            now = await client.call_tool("time__get_current_time", {"timezone": "UTC"})
            assert "UTC" in now.content[0].text  # type: ignore[union-attr]
            resources = (await client.list_resources()).resources
            assert (await client.read_resource(str(resources[0].uri))).contents
            prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
            assert "everything__simple-prompt" in prompts
            assert (await client.get_prompt("everything__simple-prompt")).messages
        assert "time__get_current_time" in first
        assert "git__git_commit" in second
        assert first != second
