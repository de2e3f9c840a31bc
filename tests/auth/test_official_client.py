"""The official client, from the first refusal to the answer, over real sockets."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal
from urllib.parse import parse_qs

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from scopedtools import Context, ScopedServer, tool
from scopedtools.auth import ResourceServer
from scopedtools.auth.jwt import JwtVerifier
from tests.auth.issuer import Issuer
from tests.auth.loopback import served

pytestmark = pytest.mark.anyio

SECRETS: Final = {"agent": "s3cret", "other": "s3cret too"}
LIMIT_S: Final = 30


class AuthorizationServer(Issuer):
    """Gives tokens to clients that know their secret, for any resource and any scope that they ask for.

    Attributes:
        given: What was asked for.
        audience: Of the tokens; what the client asks for by default.
    """

    def __init__(self, origin: str) -> None:
        super().__init__(origin)
        self.publish("one")
        self.given: list[tuple[str, str, str]] = []
        self.audience: str | None = None
        self.app = Router(
            [
                Route("/.well-known/oauth-authorization-server", self.metadata),
                Route("/jwks", self.keys),
                Route("/token", self.give, methods=["POST"]),
            ]
        )

    async def metadata(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "response_types_supported": ["code"],
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }
        )

    async def keys(self, _: Request) -> Response:
        self.fetches += 1
        return JSONResponse(self.jwks)

    async def give(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        basic = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        client, _, secret = basic.partition(":")
        if form["grant_type"] != "client_credentials" or SECRETS.get(client) != secret.replace("%20", " "):
            return JSONResponse({"error": "invalid_client"}, 401)
        scope = form.get("scope", "")
        self.given.append((client, form["resource"], scope))
        token = self.token(sub=client, aud=self.audience or form["resource"], scope=scope)
        return JSONResponse(
            {"access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": scope},
            headers={"cache-control": "no-store"},
        )


class Shop(ScopedServer):
    """Sells books."""

    @tool
    async def whoami(self, ctx: Context) -> list[str | None]:
        """Say who asks in which context."""
        return [ctx.principal.name, ctx.key.hex() if ctx.key else None]

    @tool(scopes={"orders:write"})
    async def order(self, ctx: Context) -> str:
        """Order a book."""
        await ctx.report_progress(1, 1)
        return f"ordered for {ctx.principal.name}"


@pytest.fixture(scope="module")
def issuing() -> Iterator[AuthorizationServer]:
    made: list[AuthorizationServer] = []

    def make(origin: str) -> ASGIApp:
        made.append(AuthorizationServer(origin))
        return made[0].app

    with served(make):
        yield made[0]


@pytest.fixture
def issuer(issuing: AuthorizationServer) -> AuthorizationServer:
    issuing.given.clear()
    issuing.audience = None
    return issuing


@pytest.fixture(scope="module", params=[False, True], ids=["stateless", "sessions"])
def url(request: pytest.FixtureRequest, issuing: AuthorizationServer) -> Iterator[str]:
    def make(origin: str) -> ASGIApp:
        resource = f"{origin}/mcp"
        verifier = JwtVerifier(issuer=issuing.url, audience=resource, jwks_url=issuing.jwks_url)
        return Shop(
            resource_server=ResourceServer(
                verifier=verifier,
                resource=resource,
                authorization_servers=[issuing.url],
                required_scopes={"mcp"},
            ),
            sessions=request.param,
        )

    with served(make, lifespan="on") as origin:
        yield f"{origin}/mcp"


class Storage:
    """What a client remembers."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


Mode = Literal["auto", "legacy"]


@asynccontextmanager
async def connected(
    url: str, issuer: AuthorizationServer, name: str = "agent", *, mode: Mode = "auto"
) -> AsyncIterator[Client]:
    auth = ClientCredentialsOAuthProvider(
        server_url=url,
        storage=Storage(),
        client_id=name,
        client_secret=SECRETS[name],
        issuer=issuer.url,
    )
    headers = {"Mcp-Client-Session-Id": "same"}
    async with (
        asyncio.timeout(LIMIT_S),
        httpx2.AsyncClient(auth=auth, headers=headers, timeout=LIMIT_S) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


def text(result: Any) -> str:
    said: str = result.content[0].text
    return said


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_client_gets_a_token_and_later_one_with_more_scopes(
    url: str, issuer: AuthorizationServer, mode: Mode
) -> None:
    async with connected(url, issuer, mode=mode) as client:
        assert [row.name for row in (await client.list_tools()).tools] == ["whoami"]
        assert issuer.given == [("agent", url, "mcp")]

        assert text(await client.call_tool("order", {})) == f"ordered for {issuer.url}#agent"

        assert issuer.given == [("agent", url, "mcp"), ("agent", url, "mcp orders:write")]
        assert [row.name for row in (await client.list_tools()).tools] == ["whoami", "order"]
        assert len(issuer.given) == 2


async def test_one_context_id_of_two_clients_is_two_contexts(url: str, issuer: AuthorizationServer) -> None:
    async with connected(url, issuer) as agent, connected(url, issuer, "other") as other:
        mine = (await agent.call_tool("whoami", {})).structured_content
        theirs = (await other.call_tool("whoami", {})).structured_content
        again = (await agent.call_tool("whoami", {})).structured_content

    assert mine is not None
    assert theirs is not None
    assert [seen["result"][0] for seen in (mine, theirs)] == [f"{issuer.url}#agent", f"{issuer.url}#other"]
    assert mine == again
    assert mine["result"][1] != theirs["result"][1]


async def test_a_token_for_another_server_does_not_let_the_client_in(
    url: str, issuer: AuthorizationServer
) -> None:
    issuer.audience = "https://other.example.com/mcp"
    with pytest.raises((MCPError, httpx2.HTTPStatusError, BaseExceptionGroup)):
        async with connected(url, issuer) as client:
            await client.list_tools()
    assert issuer.given
