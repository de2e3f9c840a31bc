"""Who may reach the endpoint, by the headers Host and Origin."""

from __future__ import annotations

from typing import Any

import pytest

from scopedtools import ScopedServer, tool
from scopedtools.transports.hosts import HostPolicy
from tests.streams.opened import opened
from tests.wire.exchange import JSON_HEADERS, message

pytestmark = pytest.mark.anyio

LOCAL = ("127.0.0.1", 8000)
REMOTE = ("10.1.2.3", 8000)


def refused(
    policy: HostPolicy, server: Any = LOCAL, *, host: str | None = "localhost:8000", origin: str | None = None
) -> int | None:
    headers = {} if host is None else {"host": host}
    headers |= {} if origin is None else {"origin": origin}
    refusal = policy.refuses({"server": server}, headers)
    return refusal[0] if refusal else None


@pytest.mark.parametrize(
    "server", [LOCAL, ("::1", 8000), ("127.0.0.53", 1), ("::ffff:127.0.0.1", 1), ("localhost", 1)]
)
def test_on_a_loopback_address_only_loopback_names_are_served(server: Any) -> None:
    policy = HostPolicy()
    for host in ("localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000"):
        assert refused(policy, server, host=host) is None
    for host in (
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "10.1.2.3",
        "",
        "[::2]",
        "[::1",
        "::1",
    ):
        assert refused(policy, server, host=host) == 421


def test_elsewhere_any_name_is_served_by_default() -> None:
    for server in (REMOTE, None, ("/run/server.sock", None), ("::", 1)):
        assert refused(HostPolicy(), server, host="tools.example.com") is None


def test_who_names_no_host_is_no_browser() -> None:
    assert refused(HostPolicy(), host=None) is None
    assert refused(HostPolicy(hosts=["tools.example.com"]), host=None) is None


@pytest.mark.parametrize("allowed", ["tools.example.com", "Tools.Example.com", "tools.example.com:8443"])
def test_allowed_hosts_are_the_only_ones_whatever_the_address_and_the_port(allowed: str) -> None:
    policy = HostPolicy(hosts=[allowed])
    for server in (LOCAL, REMOTE):
        assert refused(policy, server, host="tools.example.com") is None
        assert refused(policy, server, host="TOOLS.example.com:9000") is None
        assert refused(policy, server, host="localhost") == 421
        assert refused(policy, server, host="evil.example") == 421


@pytest.mark.parametrize("allowed", ["::1", "[::1]", "[::1]:8000", "2001:DB8::1"])
def test_an_address_of_ipv6_is_allowed_with_or_without_brackets(allowed: str) -> None:
    policy = HostPolicy(hosts=[allowed])
    named = "[2001:db8::1]:80" if "DB8" in allowed else "[::1]:80"
    assert refused(policy, REMOTE, host=named) is None
    assert refused(policy, REMOTE, host="[::2]:80") == 421


def test_a_star_allows_every_host_and_every_origin() -> None:
    assert refused(HostPolicy(hosts="*"), LOCAL, host="tunnel.example") is None
    assert refused(HostPolicy(origins="*"), LOCAL, origin="https://evil.example") is None
    assert refused(HostPolicy(origins="*"), LOCAL, origin="null") is None
    assert refused(HostPolicy(origins="*"), LOCAL, host="tunnel.example") == 421
    assert refused(HostPolicy(hosts="*"), LOCAL, host="tunnel.example", origin="https://e.example") == 403


def test_no_hosts_at_all_serve_nobody_who_names_one() -> None:
    assert refused(HostPolicy(hosts=[]), LOCAL) == 421


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", "file://", "https://localhost.evil.example", "http://[", "x"],
)
def test_pages_of_other_origins_may_not_call(origin: str) -> None:
    assert refused(HostPolicy(), LOCAL, origin=origin) == 403
    assert refused(HostPolicy(), REMOTE, host="tools.example.com", origin=origin) == 403


def test_pages_of_the_same_host_may_call_and_on_loopback_of_any_loopback_name() -> None:
    assert refused(HostPolicy(), REMOTE, host="tools.example.com", origin="https://tools.example.com") is None
    for origin in ("http://localhost:6274", "http://127.0.0.1:6274", "http://[::1]:6274"):
        assert refused(HostPolicy(), LOCAL, origin=origin) is None
        assert refused(HostPolicy(), REMOTE, host="tools.example.com", origin=origin) == 403


@pytest.mark.parametrize("allowed", ["https://app.example.com", "https://APP.example.com/"])
def test_allowed_origins_may_call_and_no_others(allowed: str) -> None:
    policy = HostPolicy(origins=[allowed])
    assert refused(policy, LOCAL, origin="https://app.example.com") is None
    assert refused(policy, LOCAL, origin="http://app.example.com") == 403
    assert refused(policy, LOCAL, origin="https://app.example.com:8443") == 403
    assert refused(policy, LOCAL, origin="https://app.example.com.evil.example") == 403


class Plain(ScopedServer):
    """Answers."""

    @tool
    async def work(self) -> str:
        """Work."""
        return "done"


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_a_refusal_is_an_answer_to_every_method_before_anything_is_read(method: str) -> None:
    for headers, status in (
        ({"host": "evil.example"}, 421),
        ({"host": "localhost", "origin": "https://evil.example"}, 403),
    ):
        async with opened(Plain(sessions=True), None, JSON_HEADERS | headers, method=method) as one:
            assert await one.status() == status
            answer = await one.json()
            assert answer["error"]["code"] == -32600
            assert "allowed_" in answer["error"]["message"]


async def test_a_server_takes_its_hosts_and_origins_as_options() -> None:
    server = Plain(allowed_hosts=["tools.example"], allowed_origins=["https://app.example"])
    headers = {"host": "tools.example:443", "origin": "https://app.example"}
    async with opened(server, message("ping"), JSON_HEADERS | headers) as one:
        assert await one.status() == 200
    async with opened(server, message("ping"), JSON_HEADERS | {"host": "localhost"}) as one:
        assert await one.status() == 421


@pytest.mark.parametrize(
    ("host", "own", "status"),
    [
        ("mcp.example.com", None, 405),
        ("10.0.0.7:80", None, 405),
        ("other.org", None, 421),
        ("mcp.example.com", ["other.org"], 421),
    ],
)
async def test_whoever_runs_the_server_may_name_hosts_and_its_author_goes_first(
    host: str, own: list[str] | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCOPEDTOOLS_ALLOWED_HOSTS", "mcp.example.com, 10.0.0.7")
    server = Plain(allowed_hosts=own)
    async with opened(server, None, JSON_HEADERS | {"host": host}, method="GET") as one:
        assert await one.status() == status
