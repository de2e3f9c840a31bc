"""Descriptions are read from files and URLs; their references reach no further than their folder."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from scopedtools.exceptions import CatalogError
from scopedtools.openapi import OpenApi
from tests.auth.loopback import served
from tests.openapi.recorded import described, json_body, operation, parameter

ANY_URL = "http://127.0.0.1:1"
TEXT = {"type": "string"}


def load(source: Any, **settings: Any) -> OpenApi:
    return OpenApi.load(source, base_url=ANY_URL, **settings)


def names(api: OpenApi) -> list[str]:
    return [row.name for row in api.catalog.rows]


def test_yaml_says_what_json_can_say(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(
        """
openapi: 3.0.3
info: {title: Shelves, version: 1.0}
paths:
  /x:
    get:
      operationId: get_x
      parameters:
        - {name: on, in: query, schema: {type: string, enum: [on, off, 2020-01-01, 012, 1e3, ~]}}
      responses: {200: {description: ok, content: {application/json: {schema: {type: object}}}}}
"""
    )
    (row,) = load(path).catalog.rows
    values = row.wire()["inputSchema"]["properties"]["on"]["enum"]
    assert values == ["on", "off", "2020-01-01", "012", 1000.0, None]
    assert row.wire()["outputSchema"] == {"type": "object"}


@pytest.mark.parametrize("version", ["3.0.0", "3.0.4", "3.1.0", "3.1.1", "3.2.0"])
def test_versions_that_are_read(version: str) -> None:
    assert names(load(described({"/x": {"get": operation("get_x")}}, version=version))) == ["get_x"]


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"swagger": "2.0", "paths": {}}, r"Swagger 2\.0; convert it to OpenAPI 3"),
        ({"openapi": "4.0.0"}, r"must be 3\.0, 3\.1 or 3\.2, got '4\.0\.0'"),
        ({}, "must be 3"),
        ({"openapi": "3.0.0", "paths": []}, "'paths' must be an object"),
    ],
)
def test_other_versions_are_refused_and_told(description: dict[str, Any], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        load(description)


@pytest.mark.parametrize("content", ["{", "[1]", "a: [", "\x00", "&a [*a]", ""])
def test_files_that_hold_no_description_are_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(content)
    with pytest.raises(CatalogError, match=r"api\.yaml"):
        load(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="cannot read"):
        load(tmp_path / "api.yaml")


def test_references_reach_files_of_the_folder_and_back(tmp_path: Path) -> None:
    folder = tmp_path / "api"
    (folder / "parts").mkdir(parents=True)
    main = described(
        {"/x": {"$ref": "parts/paths.yaml#/~1x"}}, components={"schemas": {"Id": {"type": "integer"}}}
    )
    (folder / "api.json").write_text(json.dumps(main))
    post = operation("add", requestBody=json_body({"$ref": "book.json"}))
    (folder / "parts" / "paths.yaml").write_text(json.dumps({"/x": {"post": post}}))
    book = {
        "type": "object",
        "properties": {"id": {"$ref": "../api.json#/components/schemas/Id"}, "next": {"$ref": "book.json"}},
    }
    (folder / "parts" / "book.json").write_text(json.dumps(book))
    api = load(folder / "api.json")
    assert api.left_out == {}
    schema = api.catalog.rows[0].wire()["inputSchema"]
    assert schema["properties"]["id"] == {"type": "integer"}
    assert schema["$defs"]["book.json"]["properties"]["next"] == {"$ref": "#/$defs/book.json"}


@pytest.mark.parametrize(
    "reference",
    [
        "../secret.json",
        "parts/../../secret.json",
        "file:///etc/passwd",
        "link.json",
        "http://127.0.0.1:{port}/schema.json",
        "//127.0.0.1:{port}/schema.json",
        "nowhere.json",
        "#/components/schemas/Nobody",
        "#/components/schemas/Circle",
    ],
)
def test_references_reach_nothing_else(tmp_path: Path, reference: str) -> None:
    asked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await JSONResponse(TEXT)(scope, receive, send)

    folder = tmp_path / "api"
    folder.mkdir()
    (tmp_path / "secret.json").write_text(json.dumps(TEXT))
    (folder / "link.json").symlink_to(tmp_path / "secret.json")
    with served(lambda _: app) as origin:
        target = reference.format(port=origin.rpartition(":")[2])
        get = operation("get_x", parameters=[parameter("a", "query", {"$ref": target})])
        circle = {"schemas": {"Circle": {"$ref": "#/components/schemas/Circle"}}}
        other = operation("get_y")
        description = described({"/x": {"get": get}, "/y": {"get": other}}, components=circle)
        (folder / "api.json").write_text(json.dumps(description))
        api = load(folder / "api.json")
    assert names(api) == ["get_y"]  # one broken operation does not take the others with it
    assert "reference" in api.left_out["GET /x"]
    assert asked == []


def test_a_description_at_a_url_is_fetched_once_and_its_references_are_not() -> None:
    asked: list[str] = []
    get = operation("get_x", parameters=[{"$ref": "more.json#/a"}, {"$ref": "#/components/parameters/B"}])
    described_at = described(
        {"/x": {"get": get}, "/y": {"get": operation("get_y", parameters=get["parameters"][1:])}},
        components={"parameters": {"B": parameter("b", "query", TEXT)}},
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        found = scope["path"] == "/api.json"
        answer = JSONResponse(described_at) if found else PlainTextResponse("no", 404)
        await answer(scope, receive, send)

    with served(lambda _: app) as origin:
        api = load(f"{origin}/api.json")
        assert (names(api), list(api.left_out), asked) == (["get_y"], ["GET /x"], ["/api.json"])
        with pytest.raises(CatalogError, match="cannot fetch"):
            load(f"{origin}/other.json")


def test_a_description_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("scopedtools.openapi.document.MAX_DOCUMENT_BYTES", 100)
    (tmp_path / "api.json").write_text(json.dumps(described({})) + " " * 100)
    with pytest.raises(CatalogError, match="at most 100 bytes"):
        load(tmp_path / "api.json")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Response("{" + " " * 1000)(scope, receive, send)

    with served(lambda _: app) as origin, pytest.raises(CatalogError, match="at most 100 bytes"):
        load(f"{origin}/api.json")


def test_operations_of_another_server_are_left_out_until_it_is_named() -> None:
    there = [{"url": "https://{at}.example/v1", "variables": {"at": {"default": "files"}}}]
    paths = {
        "/x": {"get": operation("get_x")},
        "/y": {"post": operation("upload", servers=there)},
        "/z": {"get": operation("get_z", servers=[{"url": "https://api.example/"}])},
    }
    description = described(paths, servers=[{"url": "https://api.example"}])
    api = load(description)
    assert names(api) == ["get_x", "get_z"]
    assert "https://files.example/v1" in api.left_out["POST /y"]
    assert names(load(description, servers={"https://files.example/v1": ANY_URL})) == [
        "get_x",
        "upload",
        "get_z",
    ]


def test_names_are_valid_unique_and_do_not_depend_on_their_order() -> None:
    long = "operation" * 10
    identifiers = ["list books", "list/books", "list_books", long, f"{long}2", "search_tools", "é", None]
    paths = {
        f"/p{number}/{{id}}": {"get": operation("x") | {"operationId": one} if one else {"responses": {}}}
        for number, one in enumerate(identifiers)
    }
    found = dict(zip(paths, names(load(described(paths))), strict=True))
    assert len(set(found.values())) == len(paths)
    for name in found.values():
        assert 1 <= len(name) <= 64
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    assert found["/p2/{id}"] == "list_books"  # what is a name already keeps it
    assert found["/p7/{id}"] == "GET_p7_id"
    assert "search_tools" not in found.values()
    backwards = dict(reversed(paths.items()))
    assert dict(zip(backwards, names(load(described(backwards))), strict=True)) == found


def test_an_identifier_that_several_operations_have_names_none_of_them() -> None:
    several = {path: {"get": operation("same")} for path in ("/a", "/b")}
    first, second = names(load(described(several)))
    assert {"same"}.isdisjoint({first, second})
    assert names(load(described(dict(reversed(several.items()))))) == [second, first]


def test_the_same_description_makes_the_same_catalog() -> None:
    schemas = {
        f"S{n}": {
            "type": "object",
            "properties": {f"m{m}": {"$ref": f"#/components/schemas/S{m}"} for m in range(5)},
        }
        for n in range(5)
    }
    post = operation("add", requestBody=json_body({"$ref": "#/components/schemas/S0"}), tags=["b", "a"])
    description = described({"/x": {"post": post}}, components={"schemas": schemas})
    assert load(description).catalog.version == load(description).catalog.version


@pytest.mark.parametrize(
    "path",
    ["@elsewhere.example/x", ".elsewhere.example/x", "{host}/x", "x", "", "/../x", "/a/%2e%2e/x", "/a/..\\x"],
)
def test_a_path_that_leads_away_from_the_base_url_is_left_out(path: str) -> None:
    api = load(described({path: {"get": operation("get_x")}, "/y": {"get": operation("get_y")}}))
    assert names(api) == ["get_y"]
    assert "its path must" in api.left_out[f"GET {path}"]


@pytest.mark.parametrize(
    "url",
    ["/\t/elsewhere.example", " //elsewhere.example", "https:elsewhere.example", "//elsewhere.example/v1"],
)
def test_a_server_that_only_looks_relative_is_left_out(url: str) -> None:
    api = load(described({"/x": {"get": operation("get_x", servers=[{"url": url}])}, "/y": {"get": {}}}))
    assert list(api.left_out) == ["GET /x"]


def aliases(value: str) -> str:
    """Return YAML whose last alias stands for a billion values."""
    lines = [f"x-0: &a0 {value}"]
    lines += [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (aliases("[x, x]"), "with its aliases it must hold at most"),
        (f"x-a: &a {'x' * 99_999}\nx-b: [{'*a, ' * 999}]", "with its aliases it must hold at most"),
        (aliases("{a: 1}").replace("[*a", "{<<: [*a").replace("]", "]}"), "with its aliases"),
        ("x-a: " + "[" * 200_000, "at most 1000 deep"),
        ("x-a:\n  " + "- " * 200_000, "at most 1000 deep"),
        ("x-a: &a {b: *a}", "stands in itself"),
        ("x-a: !!python/object/apply:os.getpid []", "tag"),
        ("? [a]\n: 1", "a key must be text"),
        ("---\na: 1\n---\na: 2", "one document"),
    ],
    ids=["aliases", "long aliases", "merges", "deep", "deep lines", "circle", "tag", "key", "documents"],
)
def test_yaml_that_would_take_too_much_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, message: str
) -> None:
    monkeypatch.setattr("scopedtools.openapi.document.MAX_DOCUMENT_BYTES", 10_000_000)
    (tmp_path / "api.yaml").write_text(f"openapi: 3.0.3\npaths: {{}}\n{content}")
    with pytest.raises(CatalogError, match=message):
        load(tmp_path / "api.yaml")


def test_yaml_merges_and_aliases_are_followed(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text(
        """
openapi: 3.0.3
x-common: &common {summary: Common., tags: [a]}
paths:
  /x: {get: {<<: *common, operationId: get_x, summary: "Own."}}
  /y: {get: {operationId: get_y, <<: [*common, {summary: Other.}]}}
"""
    )
    first, second = load(tmp_path / "api.yaml").catalog.rows
    assert (first.description, second.description) == ("Own.", "Common.")
    assert first.tags == second.tags == {"a"}


def test_schemas_that_fan_out_are_read_in_time() -> None:
    fan = {f"S{n}": {"allOf": [{"$ref": f"#/components/schemas/S{n + 1}"}] * 9} for n in range(40)}
    many = {"type": "string", "enum": [f"v{number}" for number in range(50_000)]}
    body = json_body({"$ref": "#/components/schemas/S0"})
    responses = {"200": {"content": body["content"]}}
    post = operation("add", requestBody=body, parameters=[parameter("q", "query", many)]) | {
        "responses": responses
    }
    begun = time.perf_counter()
    api = load(described({"/x": {"post": post}}, components={"schemas": fan | {"S40": {}}}))
    assert names(api) == ["add"]
    assert time.perf_counter() - begun < 10  # a moment; every way through them takes for ever


@pytest.mark.parametrize("junk", [5, True, None, [], {}, [[]], [{}], "x", {"$ref": 5}, {"$ref": "#/no"}])
@pytest.mark.parametrize(
    "key",
    ["tags", "security", "parameters", "requestBody", "responses", "servers", "operationId", "summary"],
)
def test_junk_in_one_operation_leaves_the_others_alone(key: str, junk: Any) -> None:
    paths = {"/x": {"get": operation("get_x") | {key: junk}}, "/y": {"get": operation("get_y")}}
    api = load(described(paths, security=[{"key": junk}]))
    assert "get_y" in names(api)


@pytest.mark.parametrize("junk", [5, None, [], [[]], [["a"]], {"type": [{}]}, {"minLength": 10**400}])
def test_junk_in_a_schema_leaves_a_tool(junk: Any) -> None:
    inner = {
        "type": "object",
        "properties": {"a": {"type": junk, "items": junk, "required": junk}, "b": junk},
    }
    post = operation("add", requestBody=json_body(inner))
    assert names(load(described({"/x": {"post": post}}))) == ["add"]


@pytest.mark.parametrize("name", ["a b", "a\r\nX-Evil", "", "a:b", "é"])
@pytest.mark.parametrize("place", ["header", "cookie"])
def test_an_operation_whose_headers_have_no_names_is_left_out(place: str, name: str) -> None:
    api = load(described({"/x": {"get": operation("get_x", parameters=[parameter(name, place, TEXT)])}}))
    assert "has a name that HTTP does not know" in api.left_out["GET /x"]
