"""Ten servers of others behind one command: stdio and HTTP, old and new protocol, each client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from benchmarks.hosting import free_port, listening
from tests.gateway.fronted import UPSTREAM
from tests.gateway.real_servers import all_servers, node_server

if TYPE_CHECKING:
    from tests.clients.conftest import Peer, Seen, Transport
    from tests.clients.driving import Params

pytestmark = [pytest.mark.slow, pytest.mark.node]

TRAVEL: Final = {"Mcp-Client-Session-Id": "travel", "Mcp-Context-Intent": "what time is it in Tokyo"}
CODE: Final = {"Mcp-Client-Session-Id": "code", "Mcp-Context-Intent": "commit my git changes"}
LIMIT_S: Final = 20


@pytest.fixture(scope="session")
def transport() -> Transport:
    return "http"  # over stdio each visit would start all ten


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a repository of one commit."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "hello.txt").write_text("hello")
    author = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=folder, check=True, timeout=LIMIT_S)
    return folder


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[str]:
    """Write a configuration of eight servers over stdio, and two over HTTP."""
    folder = tmp_path_factory.mktemp("fronted")
    old, new = free_port(), free_port()
    everything = node_server("everything")["command"]
    with (
        listening([everything, "streamableHttp"], old, folder / "old.log", variables={"PORT": str(old)}),
        listening([sys.executable, UPSTREAM, "http", str(new)], new, folder / "new.log"),
    ):
        servers = all_servers(repository) | {
            "old": {"type": "http", "url": f"http://127.0.0.1:{old}/mcp"},
            "new": {"type": "http", "url": f"http://127.0.0.1:{new}/mcp"},
        }
        path = folder / "mcp.json"
        path.write_text(json.dumps({"mcpServers": servers}))
        yield str(path)


@pytest.fixture(scope="session")
def code(config: str, peer: Peer, repository: Path) -> Seen:
    def calling(name: str, **arguments: Any) -> tuple[str, Params]:
        return "tools/call", {"name": name, "arguments": arguments}

    return peer.visit(
        ("tools/list", {}),
        calling("search_tools", query="time in another time zone"),
        calling("git__git_log", repo_path=str(repository)),
        calling("filesystem__read_text_file", path=str(repository / "hello.txt")),
        calling("time__get_current_time", timezone="UTC"),
        calling("old__echo", message="over HTTP, with a session"),
        calling("new__add", a=1, b=2),
        ("resources/read", {"uri": "note://today"}),
        ("prompts/get", {"name": "everything__simple-prompt", "arguments": {}}),
        app=config,
        headers=CODE,
    )


def text(result: Params) -> str:
    return str(result["content"][0]["text"])


def test_the_context_sees_what_it_needs_and_another_sees_something_else(
    config: str, peer: Peer, code: Seen
) -> None:
    (travel,) = peer.visit(("tools/list", {}), app=config, headers=TRAVEL).tools
    (coding,) = code.tools
    assert "time__get_current_time" in travel
    assert "git__git_commit" in coding
    assert travel != coding
    assert max(len(travel), len(coding)) < 25


def test_the_rest_is_found_by_search(code: Seen) -> None:
    assert "time__get_current_time" in text(code.answers[1])


def test_calls_reach_servers_over_stdio(code: Seen) -> None:
    log, file, now = code.answers[2:5]
    assert "first" in text(log)
    assert text(file) == "hello"
    assert "UTC" in text(now)


def test_calls_reach_servers_over_http_of_both_protocols(code: Seen) -> None:
    echo, total = code.answers[5:7]
    assert "over HTTP, with a session" in text(echo)
    assert total["structuredContent"] == {"result": 3}


def test_resources_and_prompts_are_passed_on(code: Seen) -> None:
    note, prompt = code.answers[7:9]
    assert note["contents"][0]["text"] == "rain"
    assert prompt["messages"]
