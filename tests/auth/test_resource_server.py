from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.auth.utils import (
    build_protected_resource_metadata_discovery_urls,
    extract_field_from_www_auth,
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken, ProtectedResourceMetadata
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scopedtools import Principal
from scopedtools.auth import (
    AuthorizationError,
    InsufficientScope,
    ResourceServer,
    StaticTokens,
    Unauthorized,
    Unavailable,
)
from scopedtools.auth.jwt import JwtVerifier
from scopedtools.exceptions import DefinitionError
from tests.auth.issuer import RESOURCE, Issuer

pytestmark = pytest.mark.anyio

ANN: Final = Principal("ann", frozenset({"mcp", "read"}))
METADATA_URL: Final = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"


def server(**settings: Any) -> ResourceServer:
    defaults: dict[str, Any] = {
        "verifier": StaticTokens({"good": ANN, "poor": Principal("bob")}),
        "resource": RESOURCE,
        "authorization_servers": ["https://auth.example.com"],
        "scopes_supported": {"read", "write"},
        "required_scopes": {"mcp"},
    }
    return ResourceServer(**defaults | settings)


# Metadata


def test_the_metadata_says_where_tokens_come_from_and_how_they_are_sent() -> None:
    assert server().metadata() == {
        "resource": "https://mcp.example.com/mcp",
        "authorization_servers": ["https://auth.example.com"],
        "scopes_supported": ["mcp", "read", "write"],
        "bearer_methods_supported": ["header"],
    }
    parsed = ProtectedResourceMetadata.model_validate(server().metadata())
    assert str(parsed.resource) == RESOURCE


def test_metadata_without_scopes_leaves_them_out() -> None:
    assert "scopes_supported" not in server(scopes_supported=set(), required_scopes=set()).metadata()


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("https://mcp.example.com/mcp", "/.well-known/oauth-protected-resource/mcp"),
        ("https://mcp.example.com/a/b/mcp", "/.well-known/oauth-protected-resource/a/b/mcp"),
        ("https://mcp.example.com/mcp/", "/.well-known/oauth-protected-resource/mcp/"),
        ("https://mcp.example.com", "/.well-known/oauth-protected-resource"),
        ("https://mcp.example.com/", "/.well-known/oauth-protected-resource"),
        ("https://mcp.example.com:8443/mcp", "/.well-known/oauth-protected-resource/mcp"),
        ("http://localhost:8000/mcp", "/.well-known/oauth-protected-resource/mcp"),
        ("http://[::1]:8000/mcp", "/.well-known/oauth-protected-resource/mcp"),
    ],
)
def test_the_path_of_the_metadata_ends_in_the_path_of_the_resource(resource: str, path: str) -> None:
    one = server(resource=resource)
    parts = urlsplit(resource)

    assert one.metadata_path() == path
    assert one.metadata_url() == f"{parts.scheme}://{parts.netloc}{path}"


def test_the_path_is_as_asgi_has_it_and_the_url_as_http_does() -> None:
    one = server(resource="https://mcp.example.com/b%C3%BCcher")

    assert one.metadata_path() == "/.well-known/oauth-protected-resource/bücher"
    assert one.metadata_url() == "https://mcp.example.com/.well-known/oauth-protected-resource/b%C3%BCcher"


@pytest.mark.parametrize("resource", [RESOURCE, "https://mcp.example.com", "https://mcp.example.com/a/b"])
def test_the_official_client_looks_for_the_metadata_where_it_is(resource: str) -> None:
    looked_at = build_protected_resource_metadata_discovery_urls(None, resource)

    assert looked_at[0] == server(resource=resource).metadata_url()


# Challenges


@pytest.mark.parametrize(
    ("error", "scopes", "expected"),
    [
        (None, (), f'Bearer scope="mcp", resource_metadata="{METADATA_URL}"'),
        (
            "invalid_token",
            (),
            f'Bearer error="invalid_token", scope="mcp", resource_metadata="{METADATA_URL}"',
        ),
        (
            "insufficient_scope",
            ["write", "read"],
            f'Bearer error="insufficient_scope", scope="mcp read write", resource_metadata="{METADATA_URL}"',
        ),
    ],
)
def test_a_challenge_says_what_is_wrong_what_is_needed_and_where_to_learn_more(
    error: Any, scopes: Any, expected: str
) -> None:
    assert server().challenge(error, scopes) == expected


def test_a_challenge_names_no_scope_where_none_is_needed() -> None:
    assert server(required_scopes=set()).challenge() == f'Bearer resource_metadata="{METADATA_URL}"'


def test_the_official_client_reads_the_challenge() -> None:
    challenge = server().challenge("insufficient_scope", ["orders:write"])
    response = httpx2.Response(403, headers={"WWW-Authenticate": challenge})

    assert extract_field_from_www_auth(response, "error") == "insufficient_scope"
    assert extract_scope_from_www_auth(response) == "mcp orders:write"
    assert extract_resource_metadata_from_www_auth(response) == METADATA_URL


@pytest.mark.parametrize("scope", ["", "a b", 'a"', "a\\", "a\r\nSet-Cookie: x", "ä", "a\x7f", '", error="x'])
def test_no_scope_breaks_out_of_its_quotes(scope: str) -> None:
    with pytest.raises(DefinitionError, match="a scope is visible ASCII"):
        server().challenge("insufficient_scope", [scope])


@settings(deadline=None)
@given(
    st.sets(
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'), min_size=1)
    )
)
def test_every_scope_comes_back_from_the_challenge(scopes: set[str]) -> None:
    challenge = server().challenge(None, scopes)
    parameters = dict(re.findall(r'([a-z_]+)="([^"\\]*)"(?:, |$)', challenge.removeprefix("Bearer ")))

    assert set(parameters) == {"scope", "resource_metadata"}
    assert set(parameters["scope"].split(" ")) == scopes | {"mcp"}


# Letting in


@pytest.mark.parametrize(
    "header", ["Bearer good", "bearer good", "BEARER good", "Bearer   good", " Bearer good\t"]
)
async def test_a_bearer_token_in_any_case_lets_in(header: str) -> None:
    assert await server().authenticate(header) == ANN


@pytest.mark.parametrize(
    "header", [None, "", "Basic Z29vZDo=", "good", "Bearergood", "DPoP good", "Bearer\tgood", ","]
)
async def test_whoever_sends_no_bearer_token_is_asked_for_one(header: str | None) -> None:
    with pytest.raises(Unauthorized) as refusal:
        await server().authenticate(header)

    assert refusal.value.status == 401
    assert refusal.value.headers == ((b"www-authenticate", server().challenge().encode()),)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer bad",
        "Bearer good good",
        "Bearer good, Bearer good",
        "Bearer good,",
        'Bearer "good"',
        "Bearer good\n",
        "Bearer\u00a0good",
        "Bearer göod",
        "Bearer \u0261ood",
        "Bearer =good",
        "Bearer go=od",
        "Bearer " + "x" * 20_000,
        "Bearer" + " " * 20_000 + "good",
    ],
)
async def test_a_bad_token_is_said_to_be_bad(header: str) -> None:
    with pytest.raises(Unauthorized) as refusal:
        await server().authenticate(header)

    if header == "Bearer\u00a0good":  # another scheme's name, as far as HTTP is concerned
        assert refusal.value.challenge == server().challenge()
    else:
        assert refusal.value.challenge == server().challenge("invalid_token")


async def test_a_token_without_the_scopes_that_all_requests_need_is_refused() -> None:
    with pytest.raises(InsufficientScope) as refusal:
        await server(required_scopes={"mcp", "read"}).authenticate("Bearer poor")

    assert refusal.value.status == 403
    assert refusal.value.scopes == {"mcp", "read"}
    assert refusal.value.challenge.startswith('Bearer error="insufficient_scope", scope="mcp read"')


def test_a_request_may_need_more_and_is_told_all_of_it_at_once() -> None:
    server().require(ANN)
    server().require(ANN, {"read"})
    with pytest.raises(InsufficientScope) as refusal:
        server().require(ANN, {"read", "write"})

    assert refusal.value.scopes == {"mcp", "read", "write"}
    assert 'scope="mcp read write"' in refusal.value.challenge


async def test_a_scope_may_bring_others_along() -> None:
    implies = {"admin": {"write", "mcp"}, "write": {"read", "admin"}, "read": {"read"}}
    one = server(
        verifier=StaticTokens(
            {"admin": Principal("root", frozenset({"admin", "x"})), "none": Principal("bob")}
        ),
        implies=implies,
    )

    assert (await one.authenticate("Bearer admin")).scopes == {"admin", "x", "write", "mcp", "read"}
    with pytest.raises(InsufficientScope):
        await one.authenticate("Bearer none")


class Closed:
    async def verify(self, token: str) -> Principal | None:
        raise Unavailable("later", retry_after_s=7)


async def test_a_verifier_that_cannot_judge_says_so() -> None:
    with pytest.raises(Unavailable) as refusal:
        await server(verifier=Closed()).authenticate("Bearer good")

    assert (refusal.value.status, refusal.value.headers) == (503, ((b"retry-after", b"7"),))


async def test_no_refusal_repeats_the_token() -> None:
    for header in ("Bearer s3cret", "Basic s3cret", "Bearer s3cret,"):
        with pytest.raises(AuthorizationError) as refusal:
            await server().authenticate(header)
        assert "s3cret" not in f"{refusal.value} {refusal.value.headers}"


_SIGNED = Issuer()
_SIGNED.publish("one")
_JWTS = JwtVerifier(issuer=_SIGNED.url, audience=RESOURCE, jwks=_SIGNED.jwks)
_WORDS = st.sampled_from(
    ["Bearer", "bearer ", "Basic", " ", "\t", ",", ".", "=", "\r\n", "\x00", '"', "eyJhbGciOiJub25lIn0"]
)


@settings(deadline=None)
@given(
    st.none()
    | st.text()
    | st.text(st.characters(codec="latin-1"))
    | st.lists(_WORDS | st.text()).map("".join)
)
@pytest.mark.parametrize("verifier", [_JWTS, StaticTokens({})], ids=["jwt", "static"])
async def test_whatever_the_header_says_the_answer_is_a_refusal(verifier: Any, header: str | None) -> None:
    with pytest.raises(Unauthorized) as refusal:
        await server(verifier=verifier).authenticate(header)

    assert refusal.value.challenge.startswith("Bearer ")


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resource": "/mcp"}, "resource must be an absolute URL"),
        ({"resource": ""}, "resource must be an absolute URL"),
        ({"resource": None}, "resource must be an absolute URL"),
        ({"resource": "https://"}, "resource must be an absolute URL"),
        ({"resource": "https://["}, "resource must be an absolute URL"),
        ({"resource": "https://mcp.example.com:port/mcp"}, "resource must be an absolute URL"),
        ({"resource": 'https://mcp.example.com/"'}, "resource must be an absolute URL"),
        ({"resource": "https://mcp.example.com/\r\nx"}, "resource must be an absolute URL"),
        ({"resource": "https://mcp.example.com/bücher"}, "resource must be an absolute URL"),
        ({"resource": "http://mcp.example.com/mcp"}, "resource must begin with https://"),
        ({"resource": "http://localhost.example.com/mcp"}, "resource must begin with https://"),
        ({"resource": "ftp://mcp.example.com/mcp"}, "resource must begin with https://"),
        ({"resource": "https://mcp.example.com/mcp#x"}, "neither a user nor a fragment"),
        ({"resource": "https://mcp.example.com/mcp#"}, "neither a user nor a fragment"),
        ({"resource": "https://ann:pw@mcp.example.com/mcp"}, "neither a user nor a fragment"),
        ({"resource": "https://mcp.example.com/mcp?x=1"}, "no query and a lower-case host"),
        ({"resource": "https://MCP.example.com/mcp"}, "no query and a lower-case host"),
        ({"resource": "HTTPS://mcp.example.com/mcp"}, "no query and a lower-case host"),
        ({"authorization_servers": []}, "authorization_servers must list at least one URL"),
        ({"authorization_servers": "https://auth.example.com"}, "authorization_servers must list at least"),
        ({"authorization_servers": ["auth.example.com"]}, "authorization_servers must be an absolute URL"),
        ({"scopes_supported": "read"}, "scopes_supported must be a set of scopes"),
        ({"required_scopes": {"a b"}}, "required_scopes: a scope is visible ASCII"),
        ({"implies": {"admin": "read"}}, r"implies\['admin'\] must be a set of scopes"),
        ({"implies": {"a b": {"read"}}}, "implies: a scope is visible ASCII"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_reported_at_once(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        server(**settings)


# A real client, from the first refusal to the answer


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


class World:
    """An authorization server and a resource server, at their own hosts, and what they were asked."""

    def __init__(self) -> None:
        self.issuer = Issuer()
        self.issuer.publish("one")
        verifier = JwtVerifier(issuer=self.issuer.url, audience=RESOURCE, jwks=self.issuer.jwks)
        self.server = server(verifier=verifier, authorization_servers=[self.issuer.url])
        self.seen: list[str] = []
        self.app = Starlette(
            routes=[
                Route("/mcp", self.endpoint, methods=["POST"]),
                Route(self.server.metadata_path(), self.metadata),
                Route("/.well-known/oauth-authorization-server", self.authorization_server),
                Route("/token", self.token, methods=["POST"]),
            ]
        )

    async def endpoint(self, request: Request) -> Response:
        try:
            principal = await self.server.authenticate(request.headers.get("authorization"))
            self.server.require(principal, {request.query_params["needs"]} if request.query_params else ())
        except AuthorizationError as refusal:
            self.seen.append(str(refusal.status))
            headers = {name.decode(): value.decode() for name, value in refusal.headers}
            return JSONResponse({"error": refusal.message}, refusal.status, headers)
        self.seen.append(principal.name)
        return JSONResponse(sorted(principal.scopes))

    async def metadata(self, _: Request) -> Response:
        self.seen.append("metadata")
        return JSONResponse(self.server.metadata())

    async def authorization_server(self, _: Request) -> Response:
        own = self.issuer.url
        return JSONResponse(
            {
                "issuer": own,
                "authorization_endpoint": f"{own}/authorize",
                "token_endpoint": f"{own}/token",
                "response_types_supported": ["code"],
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }
        )

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        self.seen.append(f"token for {form.get('resource')} to {form.get('scope')}")
        token = self.issuer.token(sub="agent", aud=form.get("resource"), scope=form.get("scope", ""))
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 300})


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> httpx2.AsyncClient:
    auth = ClientCredentialsOAuthProvider(
        server_url=RESOURCE,
        storage=Storage(),
        client_id="agent",
        client_secret="secret",
        issuer=world.issuer.url,
    )
    return httpx2.AsyncClient(auth=auth, transport=httpx2.ASGITransport(world.app))


async def test_the_official_client_finds_its_way_to_a_token(world: World, client: httpx2.AsyncClient) -> None:
    async with client:
        first = await client.post(RESOURCE)
        second = await client.post(RESOURCE)

    assert (first.status_code, first.json()) == (200, ["mcp"])
    assert second.status_code == 200
    name = f"{world.issuer.url}#agent"
    assert world.seen == ["401", "metadata", f"token for {RESOURCE} to mcp", name, name]


async def test_the_official_client_steps_up_when_it_is_told_which_scopes_it_lacks(
    world: World, client: httpx2.AsyncClient
) -> None:
    async with client:
        await client.post(RESOURCE)
        answer = await client.post(RESOURCE, params={"needs": "orders:write"})

    assert (answer.status_code, answer.json()) == (200, ["mcp", "orders:write"])
    assert "403" in world.seen
    assert f"token for {RESOURCE} to mcp orders:write" in world.seen


async def test_a_token_in_the_query_does_not_count(world: World) -> None:
    token = world.issuer.token(scope="mcp")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(world.app)) as client:
        answer = await client.post(RESOURCE, params={"access_token": token})

    assert answer.status_code == 401


async def test_the_root_of_the_well_known_paths_is_empty(world: World) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(world.app)) as client:
        answer = await client.get("https://mcp.example.com/.well-known/oauth-protected-resource")

    assert answer.status_code == 404
