"""The configuration that hosts use is read as it is, and what is wrong in it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scopedtools.gateway import ConfigError, GatewayConfig

SECRET = "hunter2"


def read(servers: Any, **variables: str) -> GatewayConfig:
    return GatewayConfig.of({"mcpServers": servers}, variables=variables)


def test_a_host_s_configuration_is_read() -> None:
    stdio = {"command": "uvx", "args": ["mcp-server-git"], "env": {"A": "1"}, "cwd": "/tmp"}  # noqa: S108
    http = {"type": "http", "url": "https://example.com/mcp", "headers": {"Authorization": "Bearer x"}}
    git, web = read({"git": stdio, "web": http}).servers
    assert (git.command, git.args, git.env, git.cwd) == ("uvx", ("mcp-server-git",), {"A": "1"}, "/tmp")  # noqa: S108
    assert (web.url, web.headers) == ("https://example.com/mcp", {"Authorization": "Bearer x"})


def test_variables_are_filled_in_as_hosts_do() -> None:
    given = {
        "command": "${HOME_DIR}/run",
        "args": ["${env:MODE}", "${LEVEL:-info}", "$PLAIN", "${EMPTY:-}"],
        "env": {"TOKEN": "${TOKEN}"},
    }
    (server,) = read({"one": given}, HOME_DIR="/opt", MODE="fast", TOKEN=SECRET).servers
    assert (server.command, server.args) == ("/opt/run", ("fast", "info", "$PLAIN", ""))
    assert server.env == {"TOKEN": SECRET}
    assert SECRET not in repr(server)


def test_a_server_that_is_disabled_needs_no_variables() -> None:
    assert read({"one": {"command": "${NOT_SET}", "disabled": True}}).servers == ()


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({}, "mcpServers.one needs either 'command' or 'url'"),
        ({"command": "a", "url": "http://b"}, "needs either 'command' or 'url'"),
        ({"url": "ftp://b"}, "must begin with http:// or https://"),
        ({"command": "${NOT_SET}"}, "mcpServers.one.command needs the environment variable NOT_SET"),
        ({"command": 5}, "Expected `str | null`, got `int` - at `mcpServers.one.command`"),
        ({"command": "a", "timeout_ms": 0}, "timeout_ms must be > 0, got 0"),
        ({"command": "a", "forward": {"context": "all"}}, "mcpServers.one.forward.context"),
        ({"type": "sse", "url": "http://b"}, "type must be 'stdio' or 'http', got 'sse'"),
        ({"type": "stdio", "url": "http://b"}, "type is 'stdio', and it has a url"),
        ("a", "mcpServers.one must be an object, got str"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(server: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read({"one": server})
    assert said in str(caught.value)


@pytest.mark.parametrize("key", ["env", "headers"])
def test_no_message_has_a_secret(key: str) -> None:
    target = {"command": "a"} if key == "env" else {"url": "http://b"}
    for wrong in ({"TOKEN": [SECRET]}, SECRET, {"TOKEN": SECRET + "${NOT_SET}"}):
        with pytest.raises(ConfigError) as caught:
            read({"one": target | {key: wrong}})
        assert SECRET not in str(caught.value)


def test_what_is_not_known_is_told_with_what_may_be_meant() -> None:
    config = read({"one": {"command": "a", "timout_ms": 5, "vendorsOwn": []}})
    assert set(config.warnings) == {
        "mcpServers.one.timout_ms is not known and has no effect, did you mean 'timeout_ms'?",
        "mcpServers.one.vendorsOwn is not known and has no effect",
    }


def test_files_are_found_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {}, "gateway": {"state_dir": "state", "approval": {"file": "a.json"}}}')
    config = GatewayConfig.read(path)
    assert (config.state_dir, config.approval.file) == (tmp_path / "state", tmp_path / "a.json")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    with pytest.raises(ConfigError, match="cannot read"):
        GatewayConfig.read(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        GatewayConfig.read(path)
    path.write_text('{"servers": {}}')
    with pytest.raises(ConfigError, match="mcpServers"):
        GatewayConfig.read(path)
