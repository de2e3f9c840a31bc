"""The gateway gets its own tokens for an upstream, and shows them and its secret to nobody else."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from scopedtools.gateway import ConfigError, Gateway, GatewayConfig, OAuth
from scopedtools.gateway.oauth import ClientCredentials
from scopedtools.testing import Client
from tests.gateway import upstream_server
from tests.gateway.fronted import configured, serving
from tests.gateway.test_faults import state
from tests.hosting import hosted

pytestmark = pytest.mark.anyio

SECRET = "s3cret/with+more"
BASIC = "Basic " + base64.b64encode(b"gate:s3cret%2Fwith%2Bmore").decode()


class Guarded:
    """The small server behind tokens, and the endpoint that gives them."""

    def __init__(self) -> None:
        self.inner = upstream_server.made().streamable_http_app()
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.valid: set[str] = set()
        self.seen: list[str] = []
        self.lasts_s: int | None = None
        self.answer: tuple[int, dict[str, str], bytes] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.inner(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        given = headers.get("authorization", "")
        if scope["path"] == "/token":
            self.asked.append((given, parse_qs((await receive())["body"].decode())))
            await self.reply(send, *(self.answer or (200, {}, self.token())))
        elif scope["path"].startswith("/.well-known/oauth-authorization-server"):
            base = f"http://{headers['host']}"
            known = {"issuer": f"{base}/tenant", "token_endpoint": f"{base}/token"}
            await self.reply(send, 200, {}, json.dumps(known).encode())
        elif given.removeprefix("Bearer ") in self.valid:
            self.seen.append(given)
            await self.inner(scope, receive, send)
        else:
            await self.reply(send, 401, {}, b"{}")

    def token(self) -> bytes:
        name = f"token-{len(self.asked)}"
        self.valid.add(name)
        lasts = {} if self.lasts_s is None else {"expires_in": self.lasts_s}
        return json.dumps({"access_token": name, "token_type": "Bearer"} | lasts).encode()

    async def reply(self, send: Any, status: int, headers: dict[str, str], body: bytes) -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        raw.append((b"content-type", b"application/json"))
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def guarded(
    app: Guarded | None = None, **options: Any
) -> AsyncIterator[tuple[Guarded, Gateway, Client]]:
    app = app or Guarded()
    async with hosted(app) as (host, port):
        base = f"http://{host}:{port}"
        oauth = {"tokenUrl": f"{base}/token", "clientId": "gate", "clientSecret": "${SECRET}"} | options
        if "issuer" in oauth:
            oauth["issuer"] = base + oauth["issuer"]
            del oauth["tokenUrl"]
        described = {"mcpServers": {"up": {"url": f"{base}/mcp", "oauth": oauth}}}
        config = GatewayConfig.of(described, variables={"SECRET": SECRET})
        async with (
            Gateway(config).running() as gateway,
            serving(gateway) as server,
            Client(server, context="one") as client,
        ):
            yield app, gateway, client


async def works(client: Client) -> bool:
    return (await client.call_tool("up__add", a=1, b=2)).get("structuredContent") == {"result": 3}


async def test_a_token_is_fetched_once_and_goes_with_each_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with guarded(scope="read write") as (app, _, client):
        assert await works(client)
        assert await works(client)
        ((given, asked),) = app.asked
        assert given == BASIC
        assert asked["grant_type"] == ["client_credentials"]
        assert asked["scope"] == ["read write"]
        assert asked["resource"][0].endswith("/mcp")
        assert set(app.seen) == {"Bearer token-1"}
    logged = "\n".join(str(record.__dict__) for record in caplog.records)
    assert "token-1" not in logged
    assert SECRET not in logged
    assert BASIC.split()[1] not in logged


async def test_a_token_that_is_refused_is_replaced_and_the_request_sent_once_more() -> None:
    async with guarded() as (app, gateway, client):
        app.valid.clear()
        results = await asyncio.gather(*(works(client) for _ in range(5)))
        assert all(results)
        assert len(app.asked) == 2  # one more for all of them
        assert state(gateway, "up") == "up"


async def test_a_token_is_replaced_before_it_ends() -> None:
    app = Guarded()
    app.lasts_s = 0
    async with guarded(app) as (_, _, client):
        before = len(app.asked)
        assert await works(client)
        assert len(app.asked) > before


async def test_the_endpoint_may_be_told_by_the_issuer_that_is_named_and_by_no_other() -> None:
    async with guarded(issuer="/tenant") as (_, _, client):
        assert await works(client)
    async with guarded(issuer="/other") as (app, gateway, _):
        assert "the issuer does not say" in gateway.status[0].problem
        assert app.asked == []


async def test_the_secret_may_go_in_the_body() -> None:
    async with guarded(auth_method="client_secret_post", resource="") as (app, _, client):
        assert await works(client)
        ((given, asked),) = app.asked
        assert (given, asked["client_id"], asked["client_secret"]) == ("", ["gate"], [SECRET])
        assert "resource" not in asked


@pytest.mark.parametrize(
    ("status", "headers", "body", "problem"),
    [
        (401, {}, b'{"error": "invalid_client"}', "(HTTP 401, invalid_client)"),
        (400, {}, b'{"error": "s3cret/with+more"}', "(HTTP 400)"),
        (307, {"location": "http://127.0.0.1:9/token"}, b"", "(HTTP 307)"),
        (200, {}, b"<html>", "no bearer token"),
        (200, {}, b'{"access_token": "a\\nb", "token_type": "bearer"}', "no bearer token"),
        (200, {}, b"x" * 10**6, "more than 262144 bytes"),
    ],
)
async def test_without_a_token_the_server_is_down(
    status: int, headers: dict[str, str], body: bytes, problem: str
) -> None:
    app = Guarded()
    app.answer = (status, headers, body)
    async with guarded(app) as (_, gateway, _):
        assert gateway.status[0].state == "down"
        assert problem in gateway.status[0].problem
        assert "s3cret" not in gateway.status[0].problem


async def test_other_origins_get_no_token() -> None:
    config = OAuth(client_id="gate", client_secret=SECRET, token_url="https://auth.example.com/token")
    flow = ClientCredentials(config, "https://up.example.com/mcp").async_auth_flow(
        httpx2.Request("POST", "https://other.example.com/mcp")
    )
    request = await anext(flow)
    assert "authorization" not in request.headers
    await flow.aclose()


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        ({"url": "https://a.b/", "oauth": {"clientId": "a", "clientSecret": SECRET}}, "either 'token_url'"),
        (
            {
                "url": "https://a.b/",
                "oauth": {"clientId": "a", "clientSecret": SECRET, "tokenUrl": "http://a.b/"},
            },
            "must begin with https",
        ),
        (
            {
                "url": "https://a.b/",
                "headers": {"Authorization": "x"},
                "oauth": {"clientId": "a", "clientSecret": SECRET, "tokenUrl": "https://a.b/"},
            },
            "no Authorization",
        ),
        (
            {
                "command": "a",
                "oauth": {"clientId": "a", "clientSecret": SECRET, "tokenUrl": "https://a.b/"},
            },
            "needs a 'url'",
        ),
        ({"url": "https://a.b/", "oauth": {"clientId": "a", "clientSecret": 5}}, "Expected `str`"),
    ],
)
def test_what_cannot_be_is_said_without_the_secret(server: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        configured({"up": server})
    assert SECRET not in str(caught.value)


def test_the_secret_is_not_written_down_with_the_configuration() -> None:
    oauth = {"client_id": "a", "client_secret": SECRET, "token_url": "https://a.b/"}
    assert SECRET not in repr(configured({"up": {"url": "https://a.b/", "oauth": oauth}}))
