"""What an API answers comes back as the result of a tool: structured, bounded, errors as errors."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from scopedtools import ScopedServer
from scopedtools.openapi import OpenApi
from scopedtools.testing import Client
from tests.openapi.recorded import Answer, Seen, described, operation, tools

pytestmark = pytest.mark.anyio

GET = described({"/x": {"get": operation("get_x")}})
BOOK = {"type": "object", "properties": {"title": {"type": "string"}}}


def promising(schema: dict[str, Any], *, method: str = "get") -> dict[str, Any]:
    responses = {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}
    return described({"/x": {method: operation("get_x") | {"responses": responses}}})


def always(response: Any) -> Answer:
    return lambda _: response


def in_turn(*responses: Response) -> Answer:
    left: Iterator[Response] = iter(responses)
    return lambda _: next(left)


async def test_an_object_is_structured_and_text() -> None:
    body = b'{ "title": "D\\u00fcne",\n "price": 1.50, "id": 12345678901234567890 }'
    async with tools(promising(BOOK), always(Response(body, media_type="application/json"))) as api:
        result = await api.call("get_x")
        assert result["structuredContent"] == json.loads(body)
        text = result["content"][0]["text"]
        assert "\n" not in text
        assert "1.50" in text  # as the API wrote it
        assert api.recorder.last.header("accept") == "application/json, */*;q=0.1"


async def test_a_list_stands_under_result() -> None:
    async with tools(promising({"type": "array"}), always(JSONResponse([1, 2]))) as api:
        result = await api.call("get_x")
        assert (result["structuredContent"], result["content"][0]["text"]) == ({"result": [1, 2]}, "[1,2]")


async def test_json_that_nobody_described_is_structured_too() -> None:
    async with tools(GET, always(Response(b'{"a":1}', media_type="application/problem+json"))) as api:
        assert (await api.call("get_x"))["structuredContent"] == {"a": 1}


async def test_an_answer_that_is_not_what_was_promised_is_told_and_still_readable() -> None:
    async with tools(promising(BOOK), always(JSONResponse({"title": 7}))) as api:
        said = await api.failing("get_x")
        assert "HTTP 200" in said
        assert "title" in said
        assert '{"title":7}' in said


async def test_what_should_be_json_and_is_not_is_told() -> None:
    async with tools(GET, always(Response(b"<html>", media_type="application/json"))) as api:
        assert "<html>" in await api.failing("get_x")


async def test_images_sounds_text_and_bytes_are_content_of_their_kind() -> None:
    answers = in_turn(
        Response(b"\x89PNG", media_type="image/png"),
        Response(b"RIFF", media_type="audio/wav"),
        Response("größe".encode("latin-1"), headers={"content-type": "text/csv; charset=latin-1"}),
        Response(b"\x00\x01", media_type="application/zip"),
    )
    async with tools(GET, answers) as api:
        image, sound, text, file = [(await api.call("get_x"))["content"][0] for _ in range(4)]
        assert (image["type"], image["mimeType"], b64decode(image["data"])) == (
            "image",
            "image/png",
            b"\x89PNG",
        )
        assert (sound["type"], sound["mimeType"]) == ("audio", "audio/wav")
        assert text == {"type": "text", "text": "größe"}
        held = file["resource"]
        assert (held["uri"], held["mimeType"]) == (f"{api.base_url}/x", "application/zip")
        assert b64decode(held["blob"]) == b"\x00\x01"


async def test_no_content_is_said_and_fits_the_output_schema() -> None:
    answer = Response(status_code=201, headers={"location": "/x/7"})
    async with tools(promising(BOOK, method="post"), always(answer)) as api:
        result = await api.call("get_x")
        assert result["content"][0]["text"].startswith("HTTP 201 Created\nlocation: /x/7")
        assert result["structuredContent"] == {}


@pytest.mark.parametrize("status", [400, 401, 404, 409, 418, 500])
async def test_a_failure_is_an_error_with_status_and_body(status: int) -> None:
    async with tools(GET, always(JSONResponse({"message": "no such shelf"}, status))) as api:
        said = await api.failing("get_x")
        assert said.startswith(f"HTTP {status} ")
        assert "no such shelf" in said


async def test_the_body_of_a_failure_is_bounded_and_plain() -> None:
    async with tools(GET, always(Response(b"\x1b[31m" + b"word " * 100_000, 500))) as api:
        said = await api.failing("get_x")
        assert len(said) < 5000
        assert "\x1b" not in said


async def test_an_answer_that_is_too_large_is_left_out() -> None:
    packed = gzip.compress(b'"' + b"a" * 10_000_000 + b'"')
    answer = Response(packed, media_type="application/json", headers={"content-encoding": "gzip"})
    async with tools(GET, always(answer), max_response_bytes=1000) as api:
        said = await api.failing("get_x")
        assert said.startswith("HTTP 200 OK, but the answer is left out: it is larger than 1000 bytes")


async def test_redirects_are_followed_at_the_same_origin() -> None:
    def answer(seen: Seen) -> Response:
        return RedirectResponse("/y?z=1", 302) if seen.path == "/x" else JSONResponse({"at": seen.target})

    async with tools(GET, answer) as api:
        assert (await api.call("get_x"))["structuredContent"] == {"at": "/y?z=1"}


@pytest.mark.parametrize("location", ["http://127.0.0.2:1/steal", "//example.com/x", "file:///etc/passwd"])
async def test_redirects_elsewhere_are_told_not_followed(location: str) -> None:
    async with tools(GET, always(RedirectResponse(location, 302))) as api:
        said = await api.failing("get_x")
        assert f"not followed to {location}" in said
        assert len(api.recorder.seen) == 1


@pytest.mark.parametrize("location", ["http://[", "//[::1", "http://127.0.0.1:99999/", "/\t/example.com"])
async def test_redirects_to_no_url_are_told_not_followed(location: str) -> None:
    async with tools(GET, always(Response(status_code=302, headers={"location": location}))) as api:
        assert "not followed" in await api.failing("get_x")
        assert len(api.recorder.seen) == 1


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "x"])
async def test_an_encoding_that_was_not_asked_for_is_not_read(encoding: str) -> None:
    answer = Response(b"{}", media_type="application/json", headers={"content-encoding": encoding})
    async with tools(GET, always(answer)) as api:
        assert "it was not asked for" in await api.failing("get_x")


async def test_a_retry_after_that_is_no_number_is_told() -> None:
    answer = Response(status_code=503, headers={"retry-after": "\u00b2"})
    async with tools(GET, always(answer)) as api:
        assert "HTTP 503" in await api.failing("get_x")


async def test_a_redirect_that_the_description_names_is_an_answer() -> None:
    get = operation("get_x") | {"responses": {"302": {"description": "Where it is."}}}
    async with tools(
        described({"/x": {"get": get}}), always(RedirectResponse("http://127.0.0.2:1/a", 302))
    ) as api:
        result = await api.call("get_x")
        assert not result.get("isError")
        assert "location: http://127.0.0.2:1/a" in result["content"][0]["text"]


async def test_redirects_in_a_circle_end() -> None:
    async with tools(GET, always(RedirectResponse("/x", 307))) as api:
        assert "redirected more than 5 times" in await api.failing("get_x")


@pytest.mark.parametrize(
    ("status", "expected"), [(303, ["POST", "GET"]), (307, ["POST", "POST"]), (302, ["POST"])]
)
async def test_a_redirected_post_is_sent_again_only_where_the_status_says_so(
    status: int, expected: list[str]
) -> None:
    def answer(seen: Seen) -> Response:
        return RedirectResponse("/y", status) if seen.path == "/x" else JSONResponse({})

    async with tools(described({"/x": {"post": operation("add")}}), answer) as api:
        await api.call("add")
        assert [seen.method for seen in api.recorder.seen] == expected


async def test_what_is_safe_is_tried_again_where_the_api_is_busy() -> None:
    answers = in_turn(
        Response(status_code=503),
        Response(status_code=429, headers={"retry-after": "0"}),
        JSONResponse({"a": 1}),
    )
    async with tools(GET, answers) as api:
        assert (await api.call("get_x"))["structuredContent"] == {"a": 1}
        assert len(api.recorder.seen) == 3


async def test_a_long_retry_after_is_told_not_waited_for() -> None:
    answer = Response(status_code=429, headers={"retry-after": "3600"})
    async with tools(GET, always(answer)) as api:
        assert "HTTP 429 Too Many Requests, retry after 3600" in await api.failing("get_x")
        assert len(api.recorder.seen) == 1


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
async def test_what_changes_something_is_never_sent_twice(method: str) -> None:
    async with tools(described({"/x": {method: operation("do")}}), always(Response(status_code=503))) as api:
        assert "HTTP 503" in await api.failing("do")
        assert len(api.recorder.seen) == 1


async def test_an_api_that_does_not_answer_is_told_in_time() -> None:
    class Never(Response):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await receive()  # until the client has left

    post = described({"/x": {"post": operation("add"), "get": operation("get_x")}})
    async with tools(post, always(Never()), timeout_s=0.2) as api:
        assert "did not answer within 0.2 s; it may have been carried out" in await api.failing("add")
        assert (await api.failing("get_x")).endswith("within 0.2 s")


async def test_an_api_that_is_down_is_told() -> None:
    async with tools(GET, base_url="http://127.0.0.1:1") as api:
        assert "cannot be reached: ConnectError" in await api.failing("get_x")


async def test_a_cookie_of_the_api_does_not_come_back_with_another_call() -> None:
    answer = JSONResponse({}, headers={"set-cookie": "session=of-somebody; Path=/"})
    async with tools(GET, always(answer)) as api:
        await api.arriving("get_x")
        assert (await api.arriving("get_x")).header("cookie") is None
        held = api.api._sender._client
        assert held is not None
        assert list(held.cookies.jar) == []


async def test_the_context_is_told_only_where_that_is_asked_for() -> None:
    async with tools(GET, context="work-1") as api:
        assert (await api.arriving("get_x")).header("mcp-client-session-id") is None
    async with tools(GET, context="work-1", forward_context=True) as api:
        assert (await api.arriving("get_x")).header("mcp-client-session-id") == "work-1"


async def test_a_call_to_an_api_that_is_not_mounted_says_what_to_do() -> None:
    api = OpenApi.load(GET, base_url="http://127.0.0.1:1")
    async with Client(ScopedServer(catalog=api.catalog)) as client:
        result = await client.call_tool("get_x")
    assert result["isError"]
    assert "mount the OpenApi in the server" in result["content"][0]["text"]
