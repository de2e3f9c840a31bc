"""What a tool says that it takes and returns, against what the description says."""

from __future__ import annotations

from typing import Any

import jsonschema
import msgspec
import pytest

from scopedtools.openapi import OpenApi
from tests.openapi.recorded import described, json_body, operation, parameter

TEXT = {"type": "string"}
ANY_URL = "http://127.0.0.1:1"


def row(description: dict[str, Any]) -> dict[str, Any]:
    """Return the only tool of a description, as clients see it."""
    api = OpenApi.load(description, base_url=ANY_URL)
    assert api.left_out == {}
    (only,) = api.catalog.rows
    wire = only.wire()
    jsonschema.Draft202012Validator.check_schema(wire["inputSchema"])
    jsonschema.Draft202012Validator.check_schema(wire.get("outputSchema", {}))
    return wire


def taken(schema: dict[str, Any], *, version: str = "3.0.3", **schemas: Any) -> dict[str, Any]:
    """Return the input schema of a tool whose body is ``schema``."""
    post = operation("add", requestBody=json_body({"type": "array", "items": schema}))
    found: dict[str, Any] = row(
        described({"/x": {"post": post}}, version=version, components={"schemas": schemas})
    )
    return dict(found["inputSchema"])


def item(schema: dict[str, Any], **rest: Any) -> Any:
    return taken(schema, **rest)["properties"]["body"]["items"]


def returned(schema: dict[str, Any], *, version: str = "3.0.3", **schemas: Any) -> Any:
    """Return the output schema of a tool that answers ``schema``."""
    responses = {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}
    get = operation("get_x") | {"responses": responses}
    return row(described({"/x": {"get": get}}, version=version, components={"schemas": schemas})).get(
        "outputSchema"
    )


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "string", "nullable": True, "enum": ["a"]},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        ({"nullable": True, "allOf": [TEXT]}, {"anyOf": [{"allOf": [TEXT]}, {"type": "null"}]}),
        (
            {"type": "number", "minimum": 1, "exclusiveMinimum": True},
            {"type": "number", "exclusiveMinimum": 1},
        ),
        ({"type": "number", "maximum": 9, "exclusiveMaximum": False}, {"type": "number", "maximum": 9}),
        ({"type": "string", "example": "x"}, {"type": "string", "examples": ["x"]}),
        ({"type": "string", "xml": {"name": "a"}, "x-own": 1, "externalDocs": {}}, TEXT),
        ({"type": "string", "default": "a", "enum": ["a", "b"], "deprecated": True},) * 2,
        ({"type": "string", "format": "byte", "minLength": 1, "maxLength": 3, "pattern": "^a"},) * 2,
    ],
)
def test_schemas_of_openapi_3_0_become_json_schema(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert item(schema) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": ["string", "null"]},
        {"const": 1},
        {"type": "number", "exclusiveMinimum": 1},
        {"type": "array", "prefixItems": [TEXT], "items": False},
        {"if": TEXT, "then": {"minLength": 1}},
        {"type": "object", "properties": {"a": TEXT}, "dependentRequired": {"a": ["b"]}},
        {"oneOf": [TEXT, {"type": "integer"}], "not": {"const": "x"}},
    ],
)
def test_schemas_of_openapi_3_1_stay_as_they_are(schema: dict[str, Any]) -> None:
    assert item(schema, version="3.1.0") == schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "any"},
        {"required": True},
        {"minimum": "1"},
        {"pattern": "(?<a"},
        {"enum": []},
        {"minLength": -1},
        {"properties": None},
        {"items": []},
        {"allOf": None},
        {"multipleOf": 0},
        {"patternProperties": {"[": TEXT}},
    ],
)
def test_what_is_no_schema_is_left_out(schema: dict[str, Any]) -> None:
    left = item({"description": "odd"} | schema)
    assert {keyword: value for keyword, value in left.items() if value != {}} == {"description": "odd"}


def test_what_is_used_once_stands_in_its_place_and_what_is_used_more_often_in_definitions() -> None:
    once = {"type": "object", "properties": {"a": TEXT}}
    often = {"type": "object", "description": "d" * 200, "properties": {"a": TEXT}}
    body = {
        "type": "object",
        "properties": {
            "first": {"$ref": "#/components/schemas/Once"},
            "second": {"$ref": "#/components/schemas/Often"},
            "third": {"$ref": "#/components/schemas/Often"},
        },
    }
    schema = taken(body, Once=once, Often=often)
    assert schema["properties"]["body"]["items"]["properties"] == {
        "first": once,
        "second": {"$ref": "#/$defs/Often"},
        "third": {"$ref": "#/$defs/Often"},
    }
    assert schema["$defs"] == {"Often": often}


def test_a_schema_that_holds_itself_stays_finite() -> None:
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}},
    }
    schema = taken({"$ref": "#/components/schemas/Tree"}, Tree=tree)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"body": [{"children": [{"children": []}]}]})
    assert not validator.is_valid({"body": [{"children": [{"children": [1]}]}]})


def test_two_schemas_that_hold_each_other_stay_finite() -> None:
    first = {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/B"}}}
    second = {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/A"}}}
    schema = taken({"$ref": "#/components/schemas/A"}, A=first, B=second)
    assert not jsonschema.Draft202012Validator(schema).is_valid({"body": [{"b": {"a": {"b": 1}}}]})


def test_a_discriminator_tells_the_alternatives_apart() -> None:
    kind = {"kind": TEXT}
    cat = {"type": "object", "properties": kind | {"lives": {"type": "integer"}}}
    dog = {"type": "object", "properties": kind | {"tricks": {"type": "integer"}}}
    one_of = [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}]
    mapping = {"meow": "#/components/schemas/Cat"}
    pet = {"oneOf": one_of, "discriminator": {"propertyName": "kind", "mapping": mapping}}
    validator = jsonschema.Draft202012Validator(taken(pet, Cat=cat, Dog=dog))
    assert validator.is_valid({"body": [{"kind": "meow", "lives": 9}, {"kind": "Dog", "tricks": 1}]})
    assert not validator.is_valid({"body": [{"kind": "meow", "lives": "nine"}]})
    assert not validator.is_valid({"body": [{"kind": "Cat"}]})
    assert not validator.is_valid({"body": [{"tricks": 1}]})


def test_read_only_members_are_not_taken_and_write_only_ones_not_returned() -> None:
    schema = {
        "type": "object",
        "required": ["id", "secret", "name"],
        "properties": {
            "id": {"type": "integer", "readOnly": True},
            "secret": {"type": "string", "writeOnly": True},
            "by": {"$ref": "#/components/schemas/Stamp"},
            "name": TEXT,
        },
    }
    stamp = {"type": "string", "readOnly": True}
    assert item(schema, Stamp=stamp)["required"] == ["secret", "name"]
    assert list(item(schema, Stamp=stamp)["properties"]) == ["secret", "name"]
    assert list(returned(schema, Stamp=stamp)["properties"]) == ["id", "by", "name"]


def test_parameters_say_what_they_are() -> None:
    described_as = {"description": "How many.", "deprecated": True, "example": 5}
    limit = parameter("limit", "query", {"type": "integer", "default": 10}, **described_as)
    found = row(described({"/x": {"get": operation("get_x", parameters=[limit])}}))
    expected = {
        "type": "integer",
        "default": 10,
        "description": "How many.",
        "examples": [5],
        "deprecated": True,
    }
    assert found["inputSchema"] == {
        "type": "object",
        "properties": {"limit": expected},
        "additionalProperties": False,
    }


def test_an_alternative_that_says_its_own_value_keeps_it() -> None:
    message = {"type": "object", "required": ["type"], "properties": {"type": {"enum": ["message"]}}}
    other = {"allOf": [{"type": "object", "properties": {"type": {"const": "other"}}}], "required": ["type"]}
    one_of = [{"$ref": "#/components/schemas/EasyMessage"}, {"$ref": "#/components/schemas/Other"}]
    either = {"oneOf": one_of, "discriminator": {"propertyName": "type"}}
    schema = taken(either, version="3.1.0", EasyMessage=message, Other=other)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"body": [{"type": "message"}, {"type": "other"}]})
    assert not validator.is_valid({"body": [{"type": "EasyMessage"}]})


def test_what_is_cut_keeps_its_types_and_few_values() -> None:
    deep = {
        "either": {"anyOf": [{"type": "number", "maximum": 2}, {"type": "null"}]},
        "kind": {"type": "string", "enum": ["a", "b"], "nullable": True},
    }
    leaf = {"type": "object", "properties": {f"p{number}": TEXT for number in range(60)}}
    middle = {"type": "object", "properties": deep | {f"leaf{number}": leaf for number in range(30)}}
    found = taken(middle)["properties"]["body"]["items"]["properties"]
    assert found["either"]["type"] == ["number", "null"]
    assert found["kind"] == {"type": ["string", "null"], "enum": ["a", "b", None]}


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("get", {"readOnlyHint": True}),
        ("head", {"readOnlyHint": True}),
        ("delete", {"destructiveHint": True, "idempotentHint": True}),
        ("put", {"idempotentHint": True}),
        ("post", None),
        ("patch", None),
    ],
)
def test_methods_become_hints(method: str, expected: dict[str, Any] | None) -> None:
    assert row(described({"/x": {method: operation("do")}})).get("annotations") == expected


def test_a_tool_says_what_its_operation_says() -> None:
    fields = {"summary": "Find books.", "description": "By words\u202e in\x07 the title.", "tags": ["books"]}
    api = OpenApi.load(
        described({"/x": {"get": operation("get_x", **fields, deprecated=True)}}), base_url=ANY_URL
    )
    (only,) = api.catalog.rows
    assert only.description == "Deprecated. Find books.\n\nBy words in the title."
    assert (only.title, only.group) == ("Find books.", "Shelves")
    assert only.tags == {"books", "deprecated"}


def test_long_descriptions_are_cut() -> None:
    get = operation(
        "get_x",
        description="word " * 1000,
        parameters=[parameter("a", "query", TEXT, description="w " * 999)],
    )
    found = row(described({"/x": {"get": get}}))
    assert len(found["description"]) <= 1024
    assert found["description"].endswith("word…")
    assert len(found["inputSchema"]["properties"]["a"]["description"]) <= 400


def test_a_huge_schema_is_cut_in_its_depths_and_still_says_what_is_needed() -> None:
    leaf = {
        "type": "object",
        "required": ["f0"],
        "properties": {f"f{n}": TEXT | {"description": "d" * 99} for n in range(60)},
    }
    nodes = {
        f"N{n}": {"type": "object", "required": ["leaf"], "properties": {"leaf": leaf | {"title": str(n)}}}
        for n in range(40)
    }
    body = {
        "type": "object",
        "properties": {f"p{n}": {"$ref": f"#/components/schemas/N{n}"} for n in range(40)},
    }
    post = operation("add", requestBody=json_body(body))
    found = row(described({"/x": {"post": post}}, components={"schemas": nodes}))["inputSchema"]
    assert len(msgspec.json.encode(found)) <= 16 * 1024
    assert found["properties"]["p0"]["required"] == ["leaf"]


def test_an_object_is_returned_as_it_is_and_anything_else_under_result() -> None:
    book = {"type": "object", "properties": {"a": TEXT}}
    assert returned(book) == {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}
    wrapped = returned({"type": "array", "items": TEXT})
    assert wrapped["properties"]["result"] == {
        "type": ["array", "null"],
        "items": {"type": ["string", "null"]},
    }
    referred = returned({"$ref": "#/components/schemas/Book"}, Book=book)
    assert referred == returned(book)


def test_what_apis_do_not_keep_is_not_promised() -> None:
    strict = {
        "type": "object",
        "required": ["a"],
        "additionalProperties": False,
        "properties": {"a": {"type": "string", "enum": ["x"], "maxLength": 1, "pattern": "^x$"}},
    }
    validator = jsonschema.Draft202012Validator(returned(strict))
    for answer in ({}, {"a": None}, {"a": "new"}, {"b": 1}):
        assert validator.is_valid(answer), answer
    assert not validator.is_valid({"a": 1})


def test_answers_of_several_kinds_are_alternatives() -> None:
    content = [
        {"application/json": {"schema": {"type": "object", "properties": {name: TEXT}}}} for name in "ab"
    ]
    responses = {
        "200": {"content": content[0]},
        "201": {"content": content[1]},
        "204": {"description": "none"},
    }
    found = row(described({"/x": {"post": operation("add") | {"responses": responses}}}))["outputSchema"]
    assert found["type"] == "object"
    assert [list(one["properties"]) for one in found["anyOf"]] == [["a"], ["b"]]
