"""Bodies arrive as the description says, whatever their media type."""

from __future__ import annotations

import json
from base64 import b64encode
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import pytest

from tests.openapi.recorded import Seen, described, json_body, operation, parameter, tools

pytestmark = pytest.mark.anyio

TEXT = {"type": "string"}
BOOK = {
    "type": "object",
    "required": ["title"],
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "title": TEXT,
        "tags": {"type": "array", "items": TEXT},
        "maker": {"type": "object", "properties": {"name": TEXT}},
    },
}


def posted(content: dict[str, Any], *, required: bool = True, **fields: Any) -> dict[str, Any]:
    body = {"required": required, "content": content}
    return described({"/x": {"post": operation("add", requestBody=body, **fields)}})


def parts(seen: Seen) -> list[tuple[str, str | None, str, bytes]]:
    """Return name, file name, media type and content of each part."""
    head = f"Content-Type: {seen.header('content-type')}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + seen.body)
    return [
        (
            str(part.get_param("name", header="content-disposition")),
            part.get_filename(),
            part.get_content_type() if part["content-type"] else "",
            part.get_payload(decode=True),  # type: ignore[misc] # bytes, as decode=True asks
        )
        for part in message.iter_parts()
    ]


async def test_the_members_of_a_json_object_are_arguments() -> None:
    async with tools(posted({"application/json": {"schema": BOOK}})) as api:
        schema = api.schema("add")
        assert (list(schema["properties"]), schema["required"]) == (["title", "tags", "maker"], ["title"])
        seen = await api.arriving("add", title="Dune", maker={"name": "é"})
        assert json.loads(seen.body) == {"title": "Dune", "maker": {"name": "é"}}
        assert seen.header("content-type") == "application/json"


async def test_members_of_several_objects_together_are_arguments() -> None:
    more = {"type": "object", "properties": {"pages": {"type": "integer"}}, "required": ["pages"]}
    schema = {"allOf": [{"$ref": "#/components/schemas/Book"}, more]}
    post = operation("add", requestBody=json_body(schema))
    description = described({"/x": {"post": post}}, components={"schemas": {"Book": BOOK}})
    async with tools(description) as api:
        assert list(api.schema("add")["properties"]) == ["title", "tags", "maker", "pages"]
        assert set(api.schema("add")["required"]) == {"title", "pages"}
        assert json.loads((await api.arriving("add", title="a", pages=1)).body) == {"title": "a", "pages": 1}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": TEXT},
        {"oneOf": [BOOK, TEXT]},
        {"type": "object", "additionalProperties": TEXT},
        {"type": "object", "properties": {"a": TEXT}, "additionalProperties": True},
        {"type": "object", "properties": {"a": TEXT}, "minProperties": 1},
        {"type": "object", "properties": {"a/b": TEXT}},
        {"type": "object", "properties": {"a": TEXT}, "nullable": True},
        {"type": "object"},
        {},
    ],
    ids=["list", "alternatives", "map", "open", "counted", "odd name", "nullable", "bare", "anything"],
)
async def test_a_body_that_is_more_than_its_members_stays_in_one_piece(schema: dict[str, Any]) -> None:
    async with tools(posted({"application/json": {"schema": schema}})) as api:
        assert list(api.schema("add")["properties"]) == ["body"]
        assert api.schema("add")["required"] == ["body"]
        value: Any = ["a"] if schema.get("type") == "array" else "a" if "oneOf" in schema else {"a": "b"}
        if "a/b" in schema.get("properties", {}):
            value = {"a/b": "c"}
        assert json.loads((await api.arriving("add", body=value)).body) == value


async def test_a_body_with_the_name_of_a_parameter_in_it_stays_in_one_piece() -> None:
    parameters = [parameter("title", "path", TEXT)]
    put = operation("change", parameters=parameters, requestBody=json_body(BOOK))
    async with tools(described({"/x/{title}": {"put": put}})) as api:
        assert list(api.schema("change")["properties"]) == ["title", "body"]
        seen = await api.arriving("change", title="old", body={"title": "new"})
        assert (seen.method, seen.target, json.loads(seen.body)) == ("PUT", "/x/old", {"title": "new"})


async def test_a_parameter_named_body_keeps_its_name() -> None:
    parameters = [parameter("body", "query", TEXT)]
    post = operation("add", parameters=parameters, requestBody=json_body({"type": "array"}))
    async with tools(described({"/x": {"post": post}})) as api:
        seen = await api.arriving("add", body="q", request_body=[1])
        assert (seen.target, json.loads(seen.body)) == ("/x?body=q", [1])


async def test_an_optional_body_is_left_out_where_nothing_is_given() -> None:
    optional = {"type": "object", "properties": {"a": TEXT}}
    async with tools(posted({"application/json": {"schema": optional}}, required=False)) as api:
        seen = await api.arriving("add")
        assert (seen.body, seen.header("content-type")) == (b"", None)
        assert (await api.arriving("add", a="b")).body == b'{"a":"b"}'


async def test_a_required_body_is_sent_where_nothing_is_given() -> None:
    optional = {"type": "object", "properties": {"a": TEXT}}
    async with tools(posted({"application/json": {"schema": optional}})) as api:
        assert (await api.arriving("add")).body == b"{}"


async def test_an_optional_body_that_needs_members_stays_in_one_piece() -> None:
    async with tools(posted({"application/json": {"schema": BOOK}}, required=False)) as api:
        assert list(api.schema("add")["properties"]) == ["body"]
        assert "required" not in api.schema("add")
        assert (await api.arriving("add")).body == b""


async def test_null_is_a_value_of_a_body() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "nullable": True}}}
    async with tools(posted({"application/json": {"schema": schema}})) as api:
        assert (await api.arriving("add", a=None)).body == b'{"a":null}'


async def test_a_form_is_encoded_member_by_member() -> None:
    schema = {
        "type": "object",
        "properties": {
            "q": TEXT,
            "ids": {"type": "array", "items": {"type": "integer"}},
            "plain": {"type": "object"},
            "deep": {"type": "object"},
            "joined": {"type": "array", "items": TEXT},
        },
    }
    encoding = {
        "deep": {"style": "deepObject", "explode": True},
        "joined": {"style": "form", "explode": False},
    }
    content = {"application/x-www-form-urlencoded": {"schema": schema, "encoding": encoding}}
    async with tools(posted(content)) as api:
        seen = await api.arriving(
            "add", q="a b&c", ids=[1, 2], plain={"k": 1}, deep={"k": ["x"]}, joined=["a", "b"]
        )
        assert seen.header("content-type") == "application/x-www-form-urlencoded"
        assert seen.body.decode().split("&") == [
            "q=a%20b%26c",
            "ids=1",
            "ids=2",
            "plain=%7B%22k%22%3A1%7D",
            "deep%5Bk%5D%5B%5D=x",
            "joined=a,b",
        ]


async def test_multipart_carries_files_as_text_or_base64_beside_fields() -> None:
    binary = {"type": "string", "format": "binary"}
    schema = {
        "type": "object",
        "required": ["cover"],
        "properties": {
            "title": TEXT,
            "meta": {"type": "object", "properties": {"a": {"type": "integer"}}},
            "cover": binary,
            "pages": {"type": "array", "items": binary},
        },
    }
    content = {"multipart/form-data": {"schema": schema, "encoding": {"cover": {"contentType": "image/png"}}}}
    async with tools(posted(content)) as api:
        assert api.schema("add")["properties"]["cover"] == {"$ref": "#/$defs/File"}
        seen = await api.arriving(
            "add",
            title="Dune",
            meta={"a": 1},
            cover={"base64": b64encode(b"\x89PNG").decode(), "filename": 'a"\r\nb.png'},
            pages=[{"text": "one"}, {"text": "two", "filename": "2.txt", "media_type": "text/plain"}],
        )
        found = parts(seen)
        assert [part[0] for part in found] == ["title", "meta", "cover", "pages", "pages"]
        assert found[0] == ("title", None, "", b"Dune")
        assert found[1] == ("meta", None, "application/json", b'{"a":1}')
        assert found[2][2:] == ("image/png", b"\x89PNG")
        assert found[3] == ("pages", "pages", "application/octet-stream", b"one")
        assert found[4] == ("pages", "2.txt", "text/plain", b"two")


async def test_a_file_that_is_no_base64_is_told() -> None:
    schema = {"type": "object", "properties": {"f": {"type": "string", "format": "binary"}}}
    async with tools(posted({"multipart/form-data": {"schema": schema}})) as api:
        assert "base64" in await api.failing("add", f={"base64": "***"})
        assert "media_type" in await api.failing("add", f={"text": "a", "media_type": "a/b\r\nX: y"})
        assert api.recorder.seen == []


async def test_files_of_openapi_3_1_are_files() -> None:
    schema = {"type": "object", "properties": {"f": {"contentMediaType": "application/pdf"}}}
    body = {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    description = described({"/x": {"post": operation("add", requestBody=body)}}, version="3.1.0")
    async with tools(description) as api:
        assert parts(await api.arriving("add", f={"text": "a"}))[0][3] == b"a"


async def test_text_is_sent_as_it_is() -> None:
    async with tools(posted({"text/plain": {"schema": TEXT}})) as api:
        seen = await api.arriving("add", body="a\r\né")
        assert (seen.body, seen.header("content-type")) == ("a\r\né".encode(), "text/plain")


async def test_xml_is_text_of_the_caller() -> None:
    async with tools(posted({"application/xml": {"schema": {"type": "object"}}})) as api:
        assert (await api.arriving("add", body="<a/>")).body == b"<a/>"


async def test_bytes_are_sent_as_they_are() -> None:
    async with tools(
        posted({"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}})
    ) as api:
        seen = await api.arriving("add", body={"base64": b64encode(b"\x00\xff").decode()})
        assert (seen.body, seen.header("content-type")) == (b"\x00\xff", "application/octet-stream")
        said = await api.failing("add", body={"text": "a", "media_type": "image/png\r\nX-Evil: 1"})
        assert "media_type" in said
        typed = await api.arriving("add", body={"text": "a", "media_type": "image/png"})
        assert typed.header("content-type") == "image/png"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["text/plain", "application/json"], "application/json"),
        (["application/xml", "application/vnd.shelf+json; charset=utf-8"], "application/vnd.shelf+json"),
        (["application/json-patch+json", "application/merge-patch+json"], "application/merge-patch+json"),
        (
            ["application/octet-stream", "application/x-www-form-urlencoded"],
            "application/x-www-form-urlencoded",
        ),
        (["*/*"], "application/json"),
        (["image/*"], "application/octet-stream"),
    ],
)
async def test_of_several_media_types_the_one_that_says_most_is_sent(offered: list[str], chosen: str) -> None:
    schema = {"type": "object", "properties": {"a": TEXT}}
    async with tools(posted({name: {"schema": schema} for name in offered})) as api:
        arguments: Any = {"body": {"text": "a"}} if "octet" in chosen else {"a": "b"}
        assert (await api.arriving("add", **arguments)).header("content-type") == chosen


async def test_an_operation_whose_body_cannot_be_sent_is_left_out_and_named() -> None:
    async with tools(posted({"multipart/related": {"schema": {"type": "object"}}})) as api:
        assert len(api.api.catalog) == 0
        assert "multipart/related" in api.api.left_out["POST /x"]
