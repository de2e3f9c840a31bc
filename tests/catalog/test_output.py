import dataclasses
import enum
import functools
import json
import math
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from scopedtools import ScopedServer, ToolError, tool
from scopedtools.catalog.convert import contents, messages, read_output, text_result
from scopedtools.exceptions import DefinitionError
from scopedtools.protocol.content import PromptMessage, ResourceContents, Text
from scopedtools.protocol.results import CallResult
from scopedtools.testing import Client


class Size(enum.Enum):
    SMALL = "s"
    LARGE = 2


class Book(BaseModel):
    name: str
    copies: int = 0


class Node(BaseModel):
    name: str
    children: list["Node"] = []


@dataclasses.dataclass
class Point:
    x: float
    label: str | None = None


class Options(TypedDict):
    deep: bool


class Pair(NamedTuple):
    key: str
    value: int


def structured(annotation: Any, value: Any) -> tuple[dict[str, Any], Any, str]:
    output = read_output(annotation, where="Shop.find")
    assert output.schema is not None
    Draft202012Validator.check_schema(output.schema)
    result = output.result(value)
    assert isinstance(result.structured_content, msgspec.Raw)
    (block,) = result.content
    assert isinstance(block, Text)
    return output.schema, json.loads(bytes(result.structured_content)), block.text


@pytest.mark.parametrize(
    ("annotation", "value", "encoded"),
    [
        (Book, Book(name="Dune"), {"name": "Dune", "copies": 0}),
        (
            Node,
            Node(name="a", children=[Node(name="b")]),
            {"name": "a", "children": [{"name": "b", "children": []}]},
        ),
        (Point, Point(1), {"x": 1, "label": None}),
        (Options, {"deep": True}, {"deep": True}),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (dict[str, Point], {"a": Point(1)}, {"a": {"x": 1, "label": None}}),
    ],
)
def test_an_object_is_the_structured_content(annotation: Any, value: Any, encoded: Any) -> None:
    schema, content, text = structured(annotation, value)
    assert schema["type"] == "object"
    Draft202012Validator(schema).validate(content)
    assert content == encoded == json.loads(text)


@pytest.mark.parametrize(
    ("annotation", "value", "encoded"),
    [
        (int, 3, 3),
        (float, 1, 1),
        (bool, False, False),
        (int | None, None, None),
        (str | None, "a", "a"),
        (list[Book], [Book(name="Dune")], [{"name": "Dune", "copies": 0}]),
        (list[Node], [Node(name="a")], [{"name": "a", "children": []}]),
        (Book | None, Book(name="Dune"), {"name": "Dune", "copies": 0}),
        (set[int], {1}, [1]),
        (tuple[int, str], (1, "a"), [1, "a"]),
        (Pair, Pair("a", 1), ["a", 1]),
        (Size, Size.LARGE, 2),
        (Literal["a", "b"], "a", "a"),
        (Annotated[int, Field(ge=0)], 0, 0),
        (date, date(2026, 7, 28), "2026-07-28"),
        (datetime, datetime(2026, 7, 28, tzinfo=UTC), "2026-07-28T00:00:00Z"),
        (bytes, b"abc", "abc"),
        (object, {"a": 1}, {"a": 1}),
        (Iterable[int], iter([1, 2]), [1, 2]),
    ],
)
def test_anything_else_stands_under_result(annotation: Any, value: Any, encoded: Any) -> None:
    schema, content, text = structured(annotation, value)
    assert schema["type"] == "object"
    Draft202012Validator(schema).validate(content)
    assert content == {"result": encoded}
    assert text == encoded if isinstance(value, str) else json.loads(text) == encoded


@pytest.mark.parametrize("annotation", [Any, str, None, CallResult])
@pytest.mark.parametrize(("value", "text"), [("a", ["a"]), (None, []), ("", []), ({"a": [1]}, ['{"a":[1]}'])])
def test_annotations_that_promise_no_structure_give_text_alone(
    annotation: Any, value: Any, text: list[str]
) -> None:
    output = read_output(annotation, where="Shop.find")
    result = output.result(value)
    assert output.schema is None
    assert result.structured_content is msgspec.UNSET
    assert [block.text for block in result.content if isinstance(block, Text)] == text


def test_a_result_made_by_hand_goes_out_as_it_is() -> None:
    made = text_result("by hand", is_error=True)
    for annotation in (CallResult, Any, Book):
        assert read_output(annotation, where="Shop.find").result(made) is made


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "secret"),
        (int, 1.5),
        (int, None),
        (bool, "secret"),
        (list[int], "secret"),
        (list[int], ["secret"]),
        (dict[str, int], {"a": "secret"}),
        (Book, {"name": "secret"}),
        (Book, None),
        (Point, Point("secret")),  # type: ignore[arg-type]
        (Options, {}),
        (Options, {"deep": "secret"}),
        (Literal["a", "b"], "secret"),
        (Size, "secret"),
        (tuple[int, str], (1, "a", 2)),
        (Annotated[int, Field(ge=0)], -1),
        (Annotated[list[int], Field(max_length=1)], [1, 2]),
        (bytes, b"\xff"),
        (float, math.nan),
        (list[float], [math.inf]),
        (dict[str, float], {"a": -math.inf}),
        (Point, Point(math.nan)),
    ],
)
@pytest.mark.anyio
async def test_a_value_that_breaks_the_promise_of_the_annotation_is_a_failed_call(
    annotation: Any, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def give() -> Any:
        return value

    give.__doc__ = "Give it."
    give.__annotations__["return"] = annotation

    class Shop(ScopedServer):
        # ValueError is what pydantic raises, too: its words are not the author's.
        @tool(errors=(ValueError,))
        def give(self) -> annotation:
            """Give it."""
            return value

    async with Client(Shop()) as client:
        result = await client.call_tool("give")
    assert result["isError"] is True
    assert "structuredContent" not in result
    text = result["content"][0]["text"]
    assert text.startswith("give failed, reference ")
    assert text.removeprefix("give failed, reference ") in caplog.text


def test_json_null_in_a_value_is_not_mistaken_for_a_number_that_json_lacks() -> None:
    assert structured(Point, Point(1, None))[1] == {"x": 1, "label": None}
    assert structured(list[float | None], [None])[1] == {"result": [None]}


@pytest.mark.anyio
async def test_errors_say_what_they_are_meant_to_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    class Shop(ScopedServer):
        @tool
        def refuse(self) -> int:
            """Refuse."""
            raise ToolError("there is no copy of it")

        @tool(errors=(LookupError,))
        async def miss(self, *, quietly: bool = False) -> int:
            """Miss."""
            raise KeyError(*([] if quietly else ["dune"]))

        @tool(errors=(LookupError,))
        async def fail(self) -> int:
            """Fail."""
            raise RuntimeError("password=hunter2")

    async with Client(Shop()) as client:
        refused = await client.call_tool("refuse")
        missed = await client.call_tool("miss")
        silent = await client.call_tool("miss", quietly=True)
        unfit = await client.call_tool("miss", quietly="perhaps")
        failed = await client.call_tool("fail")
    assert all(result["isError"] for result in (refused, missed, silent, unfit, failed))
    assert refused["content"] == [{"type": "text", "text": "there is no copy of it"}]
    assert missed["content"][0]["text"] == "'dune'"
    assert silent["content"][0]["text"] == "KeyError"
    assert "quietly" in unfit["content"][0]["text"]
    reference = failed["content"][0]["text"].removeprefix("fail failed, reference ")
    assert "hunter2" not in json.dumps(failed)
    assert reference in caplog.text
    assert "hunter2" in caplog.text


def test_a_return_annotation_without_a_schema_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"Shop\.find: the return annotation has no JSON Schema"):
        read_output(functools.partial[int], where="Shop.find")


def test_what_a_resource_returns_is_text_bytes_or_json() -> None:
    def one(value: Any, mime_type: str | None = None) -> ResourceContents:
        (content,) = contents(value, uri="shelf://a", mime_type=mime_type)
        return content

    made = ResourceContents("shelf://b", "text/html", text="<p>")
    assert one(made) is made
    assert one("a") == ResourceContents("shelf://a", "text/plain", text="a")
    assert one("a", "text/html").mime_type == "text/html"
    assert one(b"\xff\x00") == ResourceContents("shelf://a", "application/octet-stream", blob=b"\xff\x00")
    assert one({"a": Point(1)}).text == '{"a":{"x":1,"label":null}}'
    assert one({"a": Point(1)}).mime_type == "application/json"
    assert one(None).text == "null"
    assert json.loads(str(one([math.nan]).text)) == [None]


def test_what_a_prompt_returns_is_a_text_a_message_or_several() -> None:
    answer = PromptMessage(Text("b"), role="assistant")
    assert messages("a") == [PromptMessage(Text("a"))]
    assert messages(["a", answer]) == [PromptMessage(Text("a")), answer]
    assert messages((answer,)) == [answer]
    assert messages([]) == []
    with pytest.raises(TypeError, match="got int"):
        messages(3)
