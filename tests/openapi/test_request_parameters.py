"""Parameters arrive in their place, written in their style."""

from __future__ import annotations

from typing import Any

import pytest

from tests.openapi.recorded import described, operation, parameter, tools

pytestmark = pytest.mark.anyio

LIST = {"type": "array", "items": {"type": "string"}}
OBJECT = {"type": "object", "properties": {"r": {"type": "integer"}, "g": {"type": "string"}}}
TEXT = {"type": "string"}


async def sent(place: str, schema: dict[str, Any], value: Any, **fields: Any) -> Any:
    """Return the request with one parameter, ``color``, or path and query of it."""
    path = "/x/{color}/y" if place == "path" else "/x"
    get = operation("get_x", parameters=[parameter("color", place, schema, **fields)])
    async with tools(described({path: {"get": get}})) as api:
        seen = await api.arriving("get_x", color=value)
        return seen if place in ("header", "cookie") else seen.target


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("simple", False, "a b", "/x/a%20b/y"),
        ("simple", False, ["a", "b,c"], "/x/a,b%2Cc/y"),
        ("simple", True, {"r": 1, "g": "2"}, "/x/r=1,g=2/y"),
        ("simple", False, {"r": 1, "g": "2"}, "/x/r,1,g,2/y"),
        ("label", False, "blue", "/x/.blue/y"),
        ("label", False, ["a", "b"], "/x/.a,b/y"),
        ("label", True, ["a", "b"], "/x/.a.b/y"),
        ("label", True, {"r": 1, "g": "2"}, "/x/.r=1.g=2/y"),
        ("matrix", False, "blue", "/x/;color=blue/y"),
        ("matrix", False, ["a", "b"], "/x/;color=a,b/y"),
        ("matrix", True, ["a", "b"], "/x/;color=a;color=b/y"),
        ("matrix", False, {"r": 1, "g": "2"}, "/x/;color=r,1,g,2/y"),
        ("matrix", True, {"r": 1, "g": "2"}, "/x/;r=1;g=2/y"),
    ],
)
async def test_a_path_parameter_is_written_in_its_style(
    style: str,
    explode: bool,  # noqa: FBT001 - a value of the case
    value: Any,
    expected: str,
) -> None:
    schema = LIST if isinstance(value, list) else OBJECT if isinstance(value, dict) else TEXT
    assert await sent("path", schema, value, style=style, explode=explode) == expected


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        (None, None, "a b&c=d+é", "/x?color=a%20b%26c%3Dd%2B%C3%A9"),
        (None, None, ["a", "b,c"], "/x?color=a&color=b%2Cc"),
        ("form", False, ["a", "b,c"], "/x?color=a,b%2Cc"),
        ("form", False, [], "/x"),
        (None, None, {"r": 1, "g": "2"}, "/x?r=1&g=2"),
        ("form", False, {"r": 1, "g": "2"}, "/x?color=r,1,g,2"),
        ("spaceDelimited", False, ["a", "b"], "/x?color=a%20b"),
        ("pipeDelimited", False, ["a", "b"], "/x?color=a%7Cb"),
        ("pipeDelimited", True, ["a", "b"], "/x?color=a&color=b"),
        ("deepObject", True, {"r": 1, "g": "2"}, "/x?color%5Br%5D=1&color%5Bg%5D=2"),
        (
            "deepObject",
            True,
            {"g": {"h": ["1", "2"]}},
            "/x?color%5Bg%5D%5Bh%5D%5B%5D=1&color%5Bg%5D%5Bh%5D%5B%5D=2",
        ),
        ("deepObject", True, {"g": [{"h": 1}]}, "/x?color%5Bg%5D%5B0%5D%5Bh%5D=1"),
        (None, None, True, "/x?color=true"),
        (None, None, 7, "/x?color=7"),
        (None, None, 1.5, "/x?color=1.5"),
    ],
)
async def test_a_query_parameter_is_written_in_its_style(
    style: str | None,
    explode: bool | None,  # noqa: FBT001 - a value of the case
    value: Any,
    expected: str,
) -> None:
    fields = {key: one for key, one in (("style", style), ("explode", explode)) if one is not None}
    schema: dict[str, Any] = LIST if isinstance(value, list) else {}
    assert await sent("query", schema, value, **fields) == expected


async def test_reserved_characters_stay_where_the_description_allows_them() -> None:
    assert await sent("query", TEXT, "a/b?c&d#e", allowReserved=True) == "/x?color=a/b?c%26d%23e"


async def test_a_parameter_with_a_media_type_is_json() -> None:
    described_as = {"content": {"application/json": {"schema": OBJECT}}, "name": "color", "in": "query"}
    async with tools(described({"/x": {"get": operation("get_x", parameters=[described_as])}})) as api:
        seen = await api.arriving("get_x", color={"r": 1})
        assert seen.target == "/x?color=%7B%22r%22%3A1%7D"


@pytest.mark.parametrize(
    ("schema", "explode", "value", "expected"),
    [
        (TEXT, False, "blue", "blue"),
        (LIST, False, ["a", "b"], "a,b"),
        (OBJECT, False, {"r": 1, "g": "2"}, "r,1,g,2"),
        (OBJECT, True, {"r": 1, "g": "2"}, "r=1,g=2"),
        ({"type": "integer"}, False, 5, "5"),
    ],
)
async def test_a_header_is_written_in_its_style(
    schema: dict[str, Any],
    explode: bool,  # noqa: FBT001 - a value of the case
    value: Any,
    expected: str,
) -> None:
    assert (await sent("header", schema, value, explode=explode)).header("color") == expected


async def test_cookies_travel_in_one_header() -> None:
    parameters = [
        parameter("session", "cookie", TEXT),
        parameter("ids", "cookie", LIST, explode=False),
    ]
    async with tools(described({"/x": {"get": operation("get_x", parameters=parameters)}})) as api:
        seen = await api.arriving("get_x", session="a;b c", ids=["1", "2"])
        assert seen.header("cookie") == "session=a%3Bb%20c; ids=1,2"


@pytest.mark.parametrize("value", ["", ".", "..", "../admin", "a/../../admin", "..\\admin"])
async def test_a_value_cannot_leave_its_path(value: str) -> None:
    path = {"/shelves/{color}": {"get": operation("get_x", parameters=[parameter("color", "path", TEXT)])}}
    async with tools(described(path)) as api:
        assert "path" in await api.failing("get_x", color=value)
        assert api.recorder.seen == []


@pytest.mark.parametrize(
    ("style", "explode", "value"),
    [
        ("simple", False, [".."]),
        ("simple", True, ["a", "/../b"]),
        ("simple", False, {"..": "/../"}),
        ("label", True, ["."]),
        ("label", False, ""),
        ("label", False, ["x", "/.."]),
        ("simple", False, "%2e%2e"),
        ("simple", False, "%2E%2e%2Fadmin"),
    ],
)
async def test_no_style_lets_a_value_leave_its_path(
    style: str,
    explode: bool,  # noqa: FBT001 - a value of the case
    value: Any,
) -> None:
    one = parameter("color", "path", {}, style=style, explode=explode)
    async with tools(described({"/shelves/{color}": {"get": operation("get_x", parameters=[one])}})) as api:
        assert "another path" in await api.failing("get_x", color=value)
        assert api.recorder.seen == []


async def test_values_together_cannot_leave_their_path() -> None:
    async with tools(described({"/shelves/{a}.{b}": {"get": operation("get_x")}})) as api:
        assert "another path" in await api.failing("get_x", a="x/", b="/x")
        assert (await api.arriving("get_x", a="a", b="b")).target == "/shelves/a.b"


async def test_a_value_that_is_too_long_for_a_url_is_told() -> None:
    async with tools(described({"/x/{a}": {"get": operation("get_x")}})) as api:
        assert "too long" in await api.failing("get_x", a="a" * 70_000)


async def test_separators_in_a_path_parameter_are_encoded() -> None:
    assert await sent("path", TEXT, "a/b?c#d%2e;e\\f") == "/x/a%2Fb%3Fc%23d%252e%3Be%5Cf/y"


async def test_a_header_cannot_be_broken_out_of() -> None:
    get = operation("get_x", parameters=[parameter("color", "header", TEXT)])
    async with tools(described({"/x": {"get": get}})) as api:
        said = await api.failing("get_x", color="blue\r\nX-Admin: 1")
        assert "control characters" in said
        assert api.recorder.seen == []


async def test_space_around_the_value_of_a_header_is_left_out() -> None:
    assert (await sent("header", TEXT, " blue ")).header("color") == "blue"


async def test_headers_that_frame_a_message_are_no_arguments() -> None:
    names = [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Accept",
        "Authorization",
        "Cookie",
        "Mcp-Name",
        "X-Own",
    ]
    get = operation("get_x", parameters=[parameter(name, "header", TEXT) for name in names])
    async with tools(described({"/x": {"get": get}})) as api:
        assert list(api.schema("get_x")["properties"]) == ["X-Own"]


async def test_parameters_of_one_name_go_to_their_places() -> None:
    parameters = [parameter("id", place, TEXT) for place in ("query", "path", "header", "cookie")]
    async with tools(described({"/x/{id}": {"get": operation("get_x", parameters=parameters)}})) as api:
        assert list(api.schema("get_x")["properties"]) == ["id", "id_query", "id_header", "id_cookie"]
        seen = await api.arriving("get_x", id="1", id_query="2", id_header="3", id_cookie="4")
        assert (seen.target, seen.header("id"), seen.header("cookie")) == ("/x/1?id=2", "3", "id=4")


async def test_names_that_hosts_refuse_become_names_that_they_take() -> None:
    parameters = [parameter("filter[name]", "query", TEXT), parameter("$top", "query", {"type": "integer"})]
    async with tools(described({"/x": {"get": operation("get_x", parameters=parameters)}})) as api:
        schema = api.schema("get_x")["properties"]
        assert schema["filter_name"]["description"] == "filter[name]"
        seen = await api.arriving("get_x", filter_name="a", top=3)
        assert seen.target == "/x?filter%5Bname%5D=a&%24top=3"


async def test_an_operation_takes_the_parameters_of_its_path_unless_it_has_its_own() -> None:
    item = {
        "parameters": [parameter("id", "path", TEXT), parameter("size", "query", TEXT)],
        "get": operation("get_x", parameters=[parameter("size", "query", {"type": "integer"})]),
    }
    async with tools(described({"/x/{id}": item})) as api:
        assert api.schema("get_x")["properties"]["size"] == {"type": "integer"}
        assert (await api.arriving("get_x", id="a", size=2)).target == "/x/a?size=2"


async def test_a_path_that_names_what_nobody_described_still_takes_it() -> None:
    async with tools(described({"/x/{a}-{b}": {"get": operation("get_x")}})) as api:
        assert api.schema("get_x")["required"] == ["a", "b"]
        assert (await api.arriving("get_x", a="1", b="2")).target == "/x/1-2"


async def test_null_leaves_out_an_optional_parameter() -> None:
    get = operation("get_x", parameters=[parameter("color", "query", TEXT)])
    async with tools(described({"/x": {"get": get}})) as api:
        assert (await api.arriving("get_x", color=None)).target == "/x"


async def test_the_path_of_the_base_url_stays() -> None:
    async with tools(described({"/x": {"get": operation("get_x")}}), path="/v1/") as api:
        assert (await api.arriving("get_x")).target == "/v1/x"


async def test_arguments_are_checked_before_anything_is_sent() -> None:
    parameters = [
        parameter("limit", "query", {"type": "integer", "maximum": 100}, required=True),
        parameter("sort", "query", {"type": "string", "enum": ["asc", "desc"]}),
    ]
    async with tools(described({"/x": {"get": operation("get_x", parameters=parameters)}})) as api:
        said = await api.failing("get_x", limit=500, sort="up", colour="red")
        assert "limit: 500 is greater than the maximum of 100" in said
        assert 'sort: "up" is not one of' in said
        assert "colour" in said
        assert "limit" in await api.failing("get_x")
        assert api.recorder.seen == []
