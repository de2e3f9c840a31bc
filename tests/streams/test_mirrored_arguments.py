"""Arguments that headers mirror, by x-mcp-header."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import msgspec
import pytest
from pydantic import BaseModel, Field

from scopedtools import Catalog, Context, ScopedServer, tool
from scopedtools.catalog.convert import text_result
from scopedtools.catalog.primitives import Tool
from scopedtools.exceptions import DefinitionError
from scopedtools.protocol.mirrors import mirrored_parameters
from scopedtools.protocol.results import CallResult
from tests.streams.opened import call, modern, opened, opened_modern, text
from tests.transports.test_stdio_transport import connected
from tests.wire.exchange import ENVELOPE, JSON_HEADERS, http, message, mirrored

pytestmark = pytest.mark.anyio


def marked(header: Any) -> Any:
    return Field(json_schema_extra={"x-mcp-header": header})


Region = Annotated[str, marked("Region")]
Zone = Annotated[int, marked("Zone")]
Dry = Annotated[bool, marked("Dry-Run")]


async def nested(ctx: Context, arguments: bytes) -> CallResult:
    """Take an argument within an argument."""
    return text_result(arguments.decode())


NESTED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "place": {"type": "object", "properties": {"city": {"type": "string", "x-mcp-header": "City"}}},
        "x-mcp-header": {"type": "string"},
        "word": {"type": "string", "default": {"x-mcp-header": "no keyword here"}},
    },
}


class Cloud(ScopedServer):
    """Runs things."""

    def __init__(self) -> None:
        row = Tool(name="nested", description="Nested.", input_schema=NESTED, call=nested)
        super().__init__(catalog=Catalog([row]))

    @tool
    async def start(self, region: Region = "eu", zone: Zone = 1, dry: Dry = False, size: int = 1) -> str:  # noqa: FBT002 - an argument of a tool
        """Start something."""
        return f"{region} {zone} {dry} {size}"


async def code(name: str, arguments: Any, **headers: str) -> int | None:
    """Return the code of the refusal, if it is one."""
    named = {f"mcp-param-{header.replace('_', '-')}": value for header, value in headers.items()}
    answer = await call(Cloud(), name, arguments, headers=named)
    error: dict[str, Any] | None = answer.get("error")
    return None if error is None else int(error["code"])


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"region": "us"}, {"region": "us"}),
        ({"zone": 7}, {"zone": "7"}),
        ({"zone": -7}, {"zone": "-7"}),
        ({"zone": 0}, {"zone": "0"}),
        ({"dry": True}, {"dry-run": "true"}),
        ({"dry": False}, {"dry-run": "false"}),
        ({"region": "us", "zone": 2, "dry": True}, {"region": "us", "zone": "2", "dry-run": "true"}),
        ({"region": "Zürich"}, {"region": f"=?base64?{base64.b64encode('Zürich'.encode()).decode()}?="}),
        ({"region": "us"}, {"region": f"=?base64?{base64.b64encode(b'us').decode()}?="}),
        ({"region": ""}, {"region": ""}),
        ({"size": 5}, {}),
        ({}, {}),
        ({"size": 5}, {"unknown": "x"}),
    ],
)
async def test_headers_that_say_what_the_arguments_say_are_accepted(arguments: Any, headers: Any) -> None:
    assert await code("start", arguments, **headers) is None


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"region": "us"}, {}),
        ({"region": "us"}, {"region": "eu"}),
        ({"region": "us"}, {"region": "US"}),
        ({"region": "us"}, {"region": ""}),
        ({"region": ""}, {}),
        ({"zone": 7}, {"zone": "07"}),
        ({"zone": 7}, {"zone": "7.0"}),
        ({"zone": 0}, {}),
        ({"dry": True}, {"dry-run": "True"}),
        ({"dry": True}, {"dry-run": "1"}),
        ({"dry": False}, {}),
        ({}, {"region": "eu"}),
        ({"region": None}, {"region": "null"}),
        ({"region": "us"}, {"region": "us, us"}),
        ({"region": "us"}, {"region": "=?base64?dXM?="}),
        ({"region": "us"}, {"region": "=?base64?!?="}),
        ({"region": "us", "zone": 2}, {"region": "us"}),
    ],
)
async def test_headers_that_say_something_else_are_refused(arguments: Any, headers: Any) -> None:
    assert await code("start", arguments, **headers) == -32020


async def test_an_argument_that_is_null_has_no_header_and_is_not_a_mismatch() -> None:
    answer = await call(Cloud(), "start", {"region": None})
    assert answer["result"]["isError"]


async def test_a_mismatch_is_a_bad_request() -> None:
    request = modern("tools/call", {"name": "start", "arguments": {"region": "us"}})
    async with opened_modern(Cloud(), request) as one:
        assert await one.status() == 400


async def test_a_header_that_comes_twice_is_a_mismatch() -> None:
    request = modern("tools/call", {"name": "start", "arguments": {"region": "us"}})
    lines = [(name.encode(), value.encode()) for name, value in mirrored(request).items()]
    body = msgspec.json.encode(request)
    once = [*lines, (b"mcp-param-region", b"us")]
    assert (await http(Cloud(), body, once)).status == 200
    for other in (b"us", b"eu"):
        twice = await http(Cloud(), body, [*once, (b"mcp-param-region", other)])
        assert twice.refusal == (400, -32020)


async def test_an_argument_within_an_argument_is_mirrored() -> None:
    place = {"place": {"city": "Rome"}}
    assert await code("nested", place, city="Rome") is None
    assert await code("nested", place) == -32020
    assert await code("nested", {"place": "Rome"}) is None
    assert await code("nested", {"place": "Rome"}, city="Rome") == -32020
    assert await code("nested", {"x-mcp-header": "x"}) is None


async def test_earlier_revisions_and_stdio_have_no_such_headers() -> None:
    request = message("tools/call", {"name": "start", "arguments": {"region": "us"}})
    async with opened(Cloud(), request, JSON_HEADERS | {"mcp-protocol-version": "2025-11-25"}) as one:
        assert text(await one.answer()) == "us 1 False 1"
    async with connected(Cloud()) as client:
        answer = await client.ask("tools/call", {**request["params"], "_meta": ENVELOPE})
        assert text(answer) == "us 1 False 1"


class Place(BaseModel):
    """Where."""

    city: Annotated[str, marked("City")]


BAD_HEADERS: list[tuple[Any, str]] = [
    (Annotated[str, marked("")], "token"),
    (Annotated[str, marked("two words")], "token"),
    (Annotated[str, marked("Régíon")], "token"),
    (Annotated[str, marked("a:b")], "token"),
    (Annotated[str, marked("a\r\nb")], "token"),
    (Annotated[str, marked(5)], "token"),
    (Annotated[float, marked("Amount")], "integer"),
    (Annotated[list[str], marked("Names")], "integer"),
    (Annotated[str | None, marked("Maybe")], "integer"),
    (Annotated[str | int, marked("Either")], "integer"),
    (Place, "City"),
    (list[Annotated[str, marked("Item")]], "Item"),
    (dict[str, Annotated[str, marked("Value")]], "Value"),
    (Annotated[str, marked("Inner")] | None, "Inner"),
]


@pytest.mark.parametrize(("annotation", "says"), BAD_HEADERS, ids=range(len(BAD_HEADERS)))
def test_a_wrong_mark_is_an_error_where_the_class_is_defined_and_names_the_tool(
    annotation: Any, says: str
) -> None:
    async def pack(self: Any, what: Any) -> str:
        """Pack."""
        return "packed"

    pack.__annotations__["what"] = annotation
    with pytest.raises(DefinitionError, match=rf"(?s)Shop\.pack.*{says}"):
        type("Shop", (ScopedServer,), {"pack": tool(pack)})


def test_two_arguments_cannot_have_one_header_in_any_case() -> None:
    with pytest.raises(DefinitionError, match=r"Shop\.pack.*two arguments"):

        class Shop(ScopedServer):
            """Sells."""

            @tool
            async def pack(
                self, one: Annotated[str, marked("Name")], two: Annotated[str, marked("name")]
            ) -> str:
                """Pack."""
                return one + two


def test_a_wrong_mark_in_a_row_of_a_catalog_is_an_error_where_the_server_is_made() -> None:
    schema = {"type": "object", "anyOf": [{"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}]}
    row = Tool(name="odd", description="Odd.", input_schema=schema, call=nested)
    with pytest.raises(DefinitionError, match="odd"):
        ScopedServer(catalog=Catalog([row]))


@pytest.mark.parametrize(
    "schema",
    [
        {"x-mcp-header": "Root"},
        {"items": {"type": "string", "x-mcp-header": "A"}},
        {"properties": {"a": {"items": {"type": "string", "x-mcp-header": "A"}}}},
        {"properties": {"a": {"additionalProperties": {"type": "string", "x-mcp-header": "A"}}}},
        {"$defs": {"a": {"properties": {"b": {"type": "string", "x-mcp-header": "A"}}}}},
        {"patternProperties": {".*": {"type": "string", "x-mcp-header": "A"}}},
        {"if": {"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}},
    ],
)
def test_a_mark_that_cannot_be_reached_by_names_alone_is_an_error(schema: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="here"):
        mirrored_parameters(schema, where="here")


def test_a_choice_of_texts_can_be_mirrored() -> None:
    class Shop(ScopedServer):
        """Sells."""

        @tool
        async def pack(self, how: Annotated[Literal["box", "bag"], marked("How")]) -> str:
            """Pack."""
            return how

    assert Shop().catalog.find("tool", "pack") is not None
