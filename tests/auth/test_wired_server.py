"""A server behind authorization, as HTTP clients meet it: who is let in, and what the others are told."""

from __future__ import annotations

from typing import Any, Final

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from scopedtools import Context, Principal, ScopedServer, ViewSettings, tool
from scopedtools.auth import ResourceServer, StaticTokens, Unavailable
from scopedtools.auth.jwt import JwtVerifier
from scopedtools.exceptions import DefinitionError
from scopedtools.retrieval import HashingEncoder, HybridSelector
from tests.auth.issuer import RESOURCE, Issuer
from tests.transports.test_stdio_transport import connected
from tests.wire.exchange import (
    ENVELOPE,
    JSON_HEADERS,
    LEGACY,
    Answer,
    Lines,
    http,
    message,
    mirrored,
)

pytestmark = pytest.mark.anyio

METADATA_PATH: Final = "/.well-known/oauth-protected-resource/mcp"
METADATA_URL: Final = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
ASKED: Final = f'Bearer scope="mcp", resource_metadata="{METADATA_URL}"'
BAD: Final = f'Bearer error="invalid_token", scope="mcp", resource_metadata="{METADATA_URL}"'
POOR: Final = f'Bearer error="insufficient_scope", scope="mcp", resource_metadata="{METADATA_URL}"'

ISSUER: Final = Issuer()
ISSUER.publish("one")


def guard(**changes: Any) -> ResourceServer:
    settings: dict[str, Any] = {
        "verifier": JwtVerifier(issuer=ISSUER.url, audience=RESOURCE, jwks=ISSUER.jwks),
        "resource": RESOURCE,
        "authorization_servers": [ISSUER.url],
        "scopes_supported": {"orders:write"},
        "required_scopes": {"mcp"},
    }
    return ResourceServer(**settings | changes)


class Shop(ScopedServer):
    """Sells books."""

    calls = 0

    @tool
    async def whoami(self, ctx: Context) -> dict[str, Any]:
        """Say who asks."""
        type(self).calls += 1
        return {
            "name": ctx.principal.name,
            "key": ctx.key.hex() if ctx.key else None,
            "headers": sorted(ctx.headers),
        }


SHOP: Final = Shop(resource_server=guard())


def bearer(**claims: Any) -> str:
    return f"Bearer {ISSUER.token(**{'scope': 'mcp', **claims})}"


async def call(
    server: ScopedServer, *authorizations: str, name: str = "whoami", arguments: Any = None, **more: str
) -> Answer:
    params = {"_meta": ENVELOPE, "name": name, "arguments": arguments or {}}
    request = message("tools/call", params)
    lines: Lines = [(key.encode(), value.encode()) for key, value in (mirrored(request) | more).items()]
    lines += [(b"authorization", value.encode()) for value in authorizations]
    return await http(server, msgspec.json.encode(request), lines)


def assert_refused(answer: Answer, status: int, challenge: str) -> None:
    assert answer.status == status
    assert [value.decode() for name, value in answer.lines if name == b"www-authenticate"] == [challenge]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.error["code"] == -32600


# Tokens


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_good_token_lets_in_whatever_the_case_of_its_scheme(scheme: str) -> None:
    answer = await call(SHOP, f"{scheme} {ISSUER.token(scope='mcp')}")
    assert answer.result["structuredContent"]["name"] == f"{ISSUER.url}#alice"


@pytest.mark.parametrize("authorization", [None, "Basic Z29vZDo=", "DPoP abc", "good", ""])
async def test_who_sends_no_bearer_token_is_told_where_to_get_one(authorization: str | None) -> None:
    answer = await call(SHOP, *([] if authorization is None else [authorization]))
    assert_refused(answer, 401, ASKED)


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer unknown",
        bearer() + "x",
        bearer(exp=1),
        bearer(exp=None),
        bearer(nbf=2**40),
        bearer(iss="https://other.example.com"),
        bearer(aud=None),
        bearer(aud="https://other.example.com/mcp"),
        bearer(aud="https://mcp.example.com/other"),
        bearer(aud=["https://other.example.com/mcp"]),
        bearer(key=ISSUER.publish("unused", number=1)),
        bearer() + " " + bearer(),
    ],
)
async def test_a_token_that_is_not_good_here_is_refused(authorization: str) -> None:
    before = Shop.calls
    assert_refused(await call(SHOP, authorization), 401, BAD)
    assert Shop.calls == before


async def test_a_token_for_several_audiences_is_good_where_this_is_one() -> None:
    assert (await call(SHOP, bearer(aud=["https://other.example.com", RESOURCE]))).status == 200


async def test_two_authorizations_are_none_though_both_are_good() -> None:
    assert_refused(await call(SHOP, bearer(), bearer()), 401, BAD)
    assert_refused(await call(SHOP, bearer(), "Basic x"), 401, BAD)
    assert_refused(await call(SHOP, "Basic x", bearer()), 401, ASKED)


async def test_a_token_elsewhere_in_the_request_is_none() -> None:
    token = ISSUER.token(scope="mcp")
    request = message("tools/call", {"_meta": ENVELOPE, "name": "whoami", "access_token": token})
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(SHOP)) as client:
        answer = await client.post(
            RESOURCE,
            params={"access_token": token, "token": token},
            headers=mirrored(request) | {"cookie": f"access_token={token}", "x-authorization": token},
            json=request,
        )
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, ASKED)


async def test_too_few_scopes_are_named_with_all_that_are_needed() -> None:
    assert_refused(await call(SHOP, bearer(scope="other")), 403, POOR)
    assert_refused(await call(SHOP, bearer(scope=None)), 403, POOR)


@pytest.mark.parametrize(
    "body", [b"", b"not json", b'{"jsonrpc":"2.0","method":"notifications/initialized"}']
)
async def test_every_message_needs_a_token_whatever_it_is(body: bytes) -> None:
    assert_refused(await http(SHOP, body), 401, ASKED)
    assert_refused(await http(SHOP, body, {"content-type": "text/plain"}), 401, ASKED)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("sessions", [True, False])
async def test_every_method_needs_a_token(method: str, *, sessions: bool) -> None:
    shop = Shop(resource_server=guard(), sessions=sessions)
    headers = {"accept": "text/event-stream", "mcp-session-id": "x", "mcp-protocol-version": LEGACY[0]}
    assert_refused(await http(shop, b"", headers, method=method), 401, ASKED)
    assert_refused(await http(shop, b"", headers | {"authorization": "Bearer x"}, method=method), 401, BAD)
    let_in = await http(shop, b"", headers | {"authorization": bearer()}, method=method)
    assert let_in.status == (404 if sessions and method in ("GET", "DELETE") else 405)


async def test_every_revision_needs_a_token() -> None:
    for revision in (*LEGACY, None):
        headers = JSON_HEADERS | ({"mcp-protocol-version": revision} if revision else {})
        ping = msgspec.json.encode(message("ping"))
        assert_refused(await http(SHOP, ping, headers), 401, ASKED)
        assert (await http(SHOP, ping, headers | {"authorization": bearer()})).status == 200


async def test_while_keys_cannot_be_had_nobody_is_let_in_and_no_token_is_called_bad() -> None:
    class Closed:
        async def verify(self, token: str) -> Principal | None:
            raise Unavailable("Tokens cannot be checked now; try again later", retry_after_s=7)

    for shop in (Shop(resource_server=guard(verifier=Closed())), Shop(verifier=Closed())):
        answer = await call(shop, bearer())
        assert (answer.status, answer.headers["retry-after"]) == (503, "7")
        assert "www-authenticate" not in answer.headers
        assert answer.error["message"].startswith("Tokens cannot be checked now")


async def test_a_verifier_that_breaks_lets_nobody_in_and_tells_nothing() -> None:
    class Broken:
        async def verify(self, token: str) -> Principal | None:
            raise RuntimeError(f"swordfish {token}")

    answer = await call(Shop(resource_server=guard(verifier=Broken())), "Bearer s3cret")
    assert answer.refusal == (500, -32603)
    assert b"swordfish" not in answer.body
    assert b"s3cret" not in answer.body


async def test_a_token_ends_at_the_door() -> None:
    seen = (await call(SHOP, bearer(), **{"x-tenant": "a"})).result["structuredContent"]
    assert "x-tenant" in seen["headers"]
    assert "authorization" not in seen["headers"]


async def test_a_foreign_page_is_refused_before_its_token_is_looked_at() -> None:
    answer = await call(SHOP, bearer(), origin="https://evil.example.com", host="localhost")
    assert answer.status == 403
    assert "www-authenticate" not in answer.headers


async def test_a_verifier_alone_names_no_metadata() -> None:
    shop = Shop(verifier=StaticTokens({"good": Principal("ann")}))
    assert_refused(await call(shop), 401, "Bearer")
    assert_refused(await call(shop, "Bearer bad"), 401, 'Bearer error="invalid_token"')
    assert (await call(shop, "Bearer good")).status == 200
    assert shop.metadata_routes == ()
    assert (await http(shop, method="GET", path=METADATA_PATH)).status == 404


def test_there_is_one_way_in() -> None:
    with pytest.raises(DefinitionError, match="either a verifier or a resource_server"):
        Shop(verifier=StaticTokens({}), resource_server=guard())


async def test_over_stdio_nobody_is_asked_for_a_token() -> None:
    async with connected(SHOP) as pipes:
        reply = await pipes.ask("tools/call", {"_meta": ENVELOPE, "name": "whoami"})
    assert reply["result"]["structuredContent"] == {"name": "anonymous", "key": None, "headers": []}


# Metadata


async def test_the_metadata_lies_where_the_challenge_says_and_needs_no_token() -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(SHOP)) as client:
        answer = await client.get(METADATA_URL)
    assert answer.status_code == 200
    assert answer.json() == {
        "resource": RESOURCE,
        "authorization_servers": [ISSUER.url],
        "scopes_supported": ["mcp", "orders:write"],
        "bearer_methods_supported": ["header"],
    }
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=3600"


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resource/mcp/x",
        "/.well-known/oauth-protected-resource/other",
        "/mcp/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server",
    ],
)
async def test_the_metadata_lies_nowhere_else(path: str) -> None:
    assert (await http(SHOP, method="GET", path=path)).status == 404


async def test_the_metadata_of_a_whole_host_lies_at_the_root() -> None:
    resource = "https://mcp.example.com"
    verifier = JwtVerifier(issuer=ISSUER.url, audience=resource, jwks=ISSUER.jwks)
    shop = Shop(resource_server=guard(resource=resource, verifier=verifier), path="/")
    assert (await http(shop, method="GET", path="/.well-known/oauth-protected-resource")).status == 200
    for aud in (resource, f"{resource}/"):  # clients send either
        assert (await call_at(shop, "/", bearer(aud=aud))).status == 200
    assert (await call_at(shop, "/", bearer())).status == 401


async def test_a_page_of_any_origin_may_read_the_metadata() -> None:
    asked = {"origin": "https://page.example.com", "access-control-request-method": "GET"}
    asked["access-control-request-headers"] = "mcp-protocol-version"
    before = await http(SHOP, b"", asked, method="OPTIONS", path=METADATA_PATH)
    then = await http(SHOP, b"", {"origin": "https://page.example.com"}, method="GET", path=METADATA_PATH)
    for answer in (before, then):
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-headers"] == "*"
    assert before.body == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_the_metadata_is_only_read(method: str) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(SHOP)) as client:
        assert (await client.request(method, METADATA_URL)).status_code == 405


# Mounted


async def call_at(app: Any, path: str, authorization: str) -> Answer:
    request = message("tools/call", {"_meta": ENVELOPE, "name": "whoami"})
    headers = mirrored(request) | {"authorization": authorization}
    return await http(app, msgspec.json.encode(request), headers, path=path)


async def test_where_it_is_mounted_an_outer_app_serves_the_metadata_at_its_root() -> None:
    resource = "https://mcp.example.com/shops/one"
    verifier = JwtVerifier(issuer=ISSUER.url, audience=resource, jwks=ISSUER.jwks)
    shop = Shop(resource_server=guard(resource=resource, verifier=verifier))
    outer = Starlette(routes=[*shop.metadata_routes, Mount("/shops/one", shop)], lifespan=lambda _: shop)
    path = "/.well-known/oauth-protected-resource/shops/one"

    answer = await http(outer, method="GET", path=path)
    assert answer.status == 200
    assert msgspec.json.decode(answer.body)["resource"] == resource
    assert (await http(outer, method="GET", path="/.well-known/oauth-protected-resource")).status == 404
    refused = await http(outer, b"", path="/shops/one/")
    assert refused.headers["www-authenticate"].endswith(f'resource_metadata="https://mcp.example.com{path}"')
    for endpoint in ("/shops/one/", "/shops/one/mcp"):
        assert (await call_at(outer, endpoint, bearer(aud=resource))).status == 200
        assert (await call_at(outer, endpoint, bearer())).status == 401


# The verified subject is the principal of every context key


async def test_one_context_id_of_two_subjects_is_two_contexts() -> None:
    async def key(**claims: Any) -> str:
        answer = await call(SHOP, bearer(**claims), **{"mcp-client-session-id": "same"})
        found: str = answer.result["structuredContent"]["key"]
        return found

    alice = await key()
    assert alice == await key(scope="mcp more", jti="another token")
    assert alice != await key(sub="bob")
    assert len({alice, await key(sub="alice "), await key(sub="Alice"), await key(sub="bob")}) == 4


async def test_neither_subject_sees_what_the_other_was_shown_in_a_context_of_the_same_id() -> None:
    class Office(ScopedServer):
        """Two things to do."""

        @tool
        async def create_invoice(self) -> str:
            """Create an invoice for a payment."""
            return ""

        @tool
        async def book_flight(self) -> str:
            """Book a flight to a city."""
            return ""

    office = Office(
        resource_server=guard(),
        selector=HybridSelector(HashingEncoder()),
        views=ViewSettings(whole_rows=0, rows={"tool": 1}),
    )

    async def shown(sub: str, intent: str | None = None) -> list[str]:
        request = message("tools/list", {"_meta": ENVELOPE})
        headers = mirrored(request) | {"authorization": bearer(sub=sub), "mcp-client-session-id": "same"}
        headers |= {"mcp-context-intent": intent} if intent else {}
        answer = await http(office, msgspec.json.encode(request), headers)
        return [row["name"] for row in answer.result["tools"]]

    async with office:
        search = ["search_tools", "call_tool"]
        assert await shown("alice", "create an invoice for the payment") == [*search, "create_invoice"]
        assert await shown("bob") == search
        assert await shown("bob", "book a flight") == [*search, "book_flight"]
        assert await shown("alice") == [*search, "create_invoice"]


async def test_a_session_belongs_to_a_subject_and_outlives_its_token() -> None:
    shop = Shop(resource_server=guard(), sessions=True)
    hello = {
        "protocolVersion": LEGACY[0],
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"},
    }
    headers = JSON_HEADERS | {"mcp-protocol-version": LEGACY[0]}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(shop), headers=headers) as client:
        first = {"authorization": bearer()}
        begun = await client.post(RESOURCE, json=message("initialize", hello), headers=first)
        client.headers["mcp-session-id"] = begun.headers["mcp-session-id"]

        async def status(method: str, authorization: str | None) -> int:
            sent = {"authorization": authorization} if authorization else {}
            body = message("ping") if method == "POST" else None
            return (await client.request(method, RESOURCE, json=body, headers=sent)).status_code

        for method in ("POST", "DELETE"):
            assert await status(method, None) == 401
            assert await status(method, bearer(exp=1)) == 401
            assert await status(method, bearer(scope="more")) == 403
            assert await status(method, bearer(sub="bob")) == 404
        assert await status("POST", bearer()) == 200
        assert await status("POST", bearer(scope="mcp more")) == 200
        assert await status("DELETE", bearer()) == 204
        assert await status("POST", bearer()) == 404


async def test_lists_behind_authorization_are_private() -> None:
    request = message("tools/list", {"_meta": ENVELOPE})
    headers = mirrored(request) | {"authorization": bearer()}
    result = (await http(SHOP, msgspec.json.encode(request), headers)).result
    assert (result["ttlMs"], result["cacheScope"]) == (60_000, "private")
