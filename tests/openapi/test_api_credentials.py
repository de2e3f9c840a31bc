"""Credentials are the operator's: put on requests, told to nobody, taken from no client."""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest
from starlette.responses import JSONResponse, Response

from scopedtools.exceptions import DefinitionError
from scopedtools.openapi import OpenApi, Pair
from tests.openapi.recorded import Seen, Tools, described, operation, parameter, tools

pytestmark = pytest.mark.anyio

SECRET = "s3cret-value"
FLOWS = {"clientCredentials": {"tokenUrl": "/token", "scopes": {"read": ""}}}

SCHEMES = {
    "head": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "asked": {"type": "apiKey", "in": "query", "name": "api key"},
    "crumb": {"type": "apiKey", "in": "cookie", "name": "sid"},
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "client": {"type": "oauth2", "flows": FLOWS},
}


def secured(*alternatives: dict[str, list[str]], **fields: Any) -> dict[str, Any]:
    get = operation("get_x", security=list(alternatives), **fields)
    return described({"/x": {"get": get}}, components={"securitySchemes": SCHEMES})


@pytest.mark.parametrize(
    ("scheme", "credential", "name", "expected"),
    [
        ("head", SECRET, "x-key", SECRET),
        ("crumb", SECRET, "cookie", f"sid={SECRET}"),
        (
            "basic",
            Pair("ada", SECRET),
            "authorization",
            "Basic " + b64encode(f"ada:{SECRET}".encode()).decode(),
        ),
        ("bearer", SECRET, "authorization", f"Bearer {SECRET}"),
        ("client", SECRET, "authorization", f"Bearer {SECRET}"),
    ],
)
async def test_a_credential_goes_where_its_scheme_says(
    scheme: str, credential: str | Pair, name: str, expected: str
) -> None:
    async with tools(secured({scheme: []}), credentials={scheme: credential}) as api:
        assert (await api.arriving("get_x")).header(name) == expected


async def test_a_key_in_the_query_stands_beside_the_arguments() -> None:
    description = secured({"asked": []}, parameters=[parameter("q", "query", {"type": "string"})])
    async with tools(description, credentials={"asked": f"{SECRET}&admin=1"}) as api:
        assert (await api.arriving("get_x", q="a")).target == f"/x?q=a&api%20key={SECRET}%26admin%3D1"


async def test_a_cookie_stands_beside_those_of_the_arguments() -> None:
    description = secured({"crumb": []}, parameters=[parameter("theme", "cookie", {"type": "string"})])
    async with tools(description, credentials={"crumb": SECRET}) as api:
        assert (await api.arriving("get_x", theme="dark")).header("cookie") == f"theme=dark; sid={SECRET}"


async def test_all_schemes_of_an_alternative_count_together_and_the_first_that_is_complete() -> None:
    description = secured({"basic": []}, {"head": [], "bearer": []}, {"crumb": []})
    async with tools(description, credentials={"head": "1", "bearer": "2", "crumb": "3"}) as api:
        seen = await api.arriving("get_x")
        assert (seen.header("x-key"), seen.header("authorization"), seen.header("cookie")) == (
            "1",
            "Bearer 2",
            None,
        )


async def test_what_needs_no_credential_gets_none() -> None:
    get = operation("get_x", security=[])
    components = {"securitySchemes": SCHEMES}
    description = described(
        {"/x": {"get": get}, "/y": {"get": operation("get_y")}},
        components=components,
        security=[{"bearer": []}],
    )
    async with tools(description, credentials={"bearer": SECRET}) as api:
        assert (await api.arriving("get_x")).header("authorization") is None
        assert (await api.arriving("get_y")).header("authorization") == f"Bearer {SECRET}"


async def test_headers_of_the_operator_go_with_every_request_and_are_no_arguments() -> None:
    description = secured(parameters=[parameter("x-tenant", "header", {"type": "string"})])
    async with tools(description, headers={"X-Tenant": SECRET}) as api:
        assert api.schema("get_x")["properties"] == {}
        assert (await api.arriving("get_x")).header("x-tenant") == SECRET


async def test_the_place_of_a_key_is_no_argument() -> None:
    places = [("X-KEY", "header"), ("api key", "query"), ("sid", "cookie"), ("free", "query")]
    parameters = [parameter(name, place, {"type": "string"}) for name, place in places]
    async with tools(secured(parameters=parameters)) as api:
        assert list(api.schema("get_x")["properties"]) == ["free"]


def token_endpoint(*lifetimes: float, refused: int = 0) -> tuple[list[Seen], Any]:
    """Return the requests for tokens, and an API that asks for the latest token."""
    asked: list[Seen] = []

    def answer(seen: Seen) -> Response:
        if seen.path == "/token":
            asked.append(seen)
            lifetime = lifetimes[min(len(asked), len(lifetimes)) - 1]
            return JSONResponse({"access_token": f"token-{len(asked)}", "expires_in": lifetime})
        good = seen.header("authorization") == f"Bearer token-{max(len(asked), refused + 1)}"
        return JSONResponse({}, 200 if good else 401)

    return asked, answer


async def test_a_token_is_fetched_once_for_calls_at_the_same_time_and_kept() -> None:
    asked, answer = token_endpoint(3600)
    async with tools(secured({"client": ["read"]}), answer, credentials={"client": Pair("me", "p:w")}) as api:
        results = await asyncio.gather(*(api.call("get_x") for _ in range(5)))
        assert not any(result.get("isError") for result in results)
        (request,) = asked
        assert request.method == "POST"
        assert request.body == b"grant_type=client_credentials&scope=read"
        assert request.header("authorization") == "Basic " + b64encode(b"me:p%3Aw").decode()


async def test_a_token_that_has_ended_is_fetched_anew() -> None:
    asked, answer = token_endpoint(0.001, 3600)
    async with tools(secured({"client": []}), answer, credentials={"client": Pair("me", SECRET)}) as api:
        assert not (await api.call("get_x")).get("isError")
        await asyncio.sleep(0.01)  # longer than the token lives
        assert not (await api.call("get_x")).get("isError")
        assert len(asked) == 2


async def test_a_token_that_is_refused_is_fetched_anew_once() -> None:
    asked, answer = token_endpoint(3600, refused=1)
    async with tools(secured({"client": []}), answer, credentials={"client": Pair("me", SECRET)}) as api:
        assert not (await api.call("get_x")).get("isError")
        assert len(asked) == 2


async def test_a_token_endpoint_that_fails_is_told_without_the_secret() -> None:
    async with tools(
        secured({"client": []}),
        lambda _: JSONResponse({"error": f"bad {SECRET}"}, 400),
        credentials={"client": Pair("me", SECRET)},
    ) as api:
        assert await api.failing("get_x") == "the API's token endpoint answered HTTP 400"


async def test_no_credential_is_logged_or_shown(caplog: pytest.LogCaptureFixture) -> None:
    everything: dict[str, list[str]] = {name: [] for name in ("head", "asked", "crumb", "bearer")}
    credentials = dict.fromkeys(everything, SECRET)
    caplog.set_level(logging.DEBUG)

    async def shown(api: Tools) -> str:
        return f"{await api.call('get_x')}{api.api!r}{vars(api.api)}"

    async with tools(secured(everything), lambda _: Response("no", 500), credentials=credentials) as api:
        said = await shown(api)
        assert SECRET in api.recorder.last.target  # so that there was something to hide
    async with tools(secured(everything), credentials=credentials, base_url="http://127.0.0.1:1") as api:
        said += await shown(api)
    ours = "".join(f"{one.getMessage()}{one.args}" for one in caplog.records if one.name != "starlette")
    assert "HTTP Request: GET" in ours  # the client does log
    assert SECRET not in ours
    assert SECRET not in said.replace(repr(api.api._headers), "")


@pytest.mark.parametrize("scheme", ["head", "asked", "crumb", "basic", "bearer", "client"])
async def test_a_credential_that_the_api_repeats_does_not_reach_the_client(scheme: str) -> None:
    secret = 's3cr/t "value"+&'
    credential = Pair("ada", secret) if scheme in ("basic", "client") else secret
    carries = ("x-key", "cookie", "authorization")

    def answer(seen: Seen) -> Response:
        if seen.path == "/token":
            return JSONResponse({"access_token": "token-of-the-client"})
        said = {"target": seen.target, "said": [seen.header(name) for name in carries], "raw": secret}
        return JSONResponse(
            said, headers={"location": f"http://127.0.0.2:1{seen.target}"}, status_code=status
        )

    async with tools(secured({scheme: []}), answer, credentials={scheme: credential}) as api:
        for status in (200, 400, 302):  # noqa: B007 - the answer has it
            said = str(await api.call("get_x"))
            for written in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], "token-of-the-client"):
                assert written not in said
            assert b64encode(f"ada:{secret}".encode()).decode() not in said
            assert "[credential]" in said


async def test_headers_of_the_operator_that_are_keys_are_not_repeated_and_others_are() -> None:
    headers = {"X-Api-Key": SECRET, "X-Version": "2022-11-28"}
    async with tools(secured(), lambda _: JSONResponse(headers), headers=headers) as api:
        found = (await api.call("get_x"))["structuredContent"]
        assert found == {"X-Api-Key": "[credential]", "X-Version": "2022-11-28"}


async def test_a_redirect_that_repeats_the_key_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def answer(seen: Seen) -> Response:
        location = {"location": f"/y?{seen.query}&page=2"}
        return JSONResponse({}) if seen.path == "/y" else Response(status_code=302, headers=location)

    async with tools(secured({"asked": []}), answer, credentials={"asked": SECRET}) as api:
        await api.call("get_x")
        assert api.recorder.last.target == f"/y?page=2&api%20key={SECRET}"
    assert SECRET not in "".join(one.getMessage() for one in caplog.records if one.name != "starlette")


@pytest.mark.parametrize(
    "place", [{"in": "body", "name": "a"}, {"in": "header", "name": "a b"}, {"in": "header"}]
)
def test_a_key_whose_place_is_none_is_told(place: dict[str, str]) -> None:
    components = {"securitySchemes": {"key": {"type": "apiKey", **place}}}
    description = described({"/x": {"get": operation("get_x")}}, components=components)
    with pytest.raises(DefinitionError, match="no place"):
        OpenApi.load(description, base_url="http://127.0.0.1:1", credentials={"key": SECRET})


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ({"nobody": "a"}, "no security scheme 'nobody'"),
        ({"basic": "a"}, "a Pair of user and password"),
        ({"bearer": Pair("a", "b")}, "one token"),
        ({"head": Pair("a", "b")}, "one key"),
        ({"head": "a\r\nX: y"}, "printable ASCII"),
        ({"bearer": ""}, "printable ASCII"),
    ],
)
def test_a_credential_that_does_not_fit_is_told_at_once(credentials: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        OpenApi.load(secured(), base_url="http://127.0.0.1:1", credentials=credentials)


def test_a_client_secret_goes_to_no_other_origin_unless_the_operator_says_so() -> None:
    flows = {"clientCredentials": {"tokenUrl": "https://tokens.example/t"}}
    components = {"securitySchemes": {"client": {"type": "oauth2", "flows": flows}}}
    description = described({"/x": {"get": operation("get_x")}}, components=components)
    settings: dict[str, Any] = {"base_url": "https://api.example", "credentials": {"client": Pair("a", "b")}}
    with pytest.raises(DefinitionError, match=r"https://tokens\.example/t.*token_urls"):
        OpenApi.load(description, **settings)
    OpenApi.load(description, **settings, token_urls={"client": "https://tokens.example/t"})


@pytest.mark.parametrize(
    "base_url", ["ftp://a", "//a", "http://u:p@a", "http://a?b", "http://a#b", "http://a b", "http://"]
)
def test_the_base_url_is_checked(base_url: str) -> None:
    with pytest.raises(DefinitionError, match="base_url"):
        OpenApi.load(secured(), base_url=base_url)
