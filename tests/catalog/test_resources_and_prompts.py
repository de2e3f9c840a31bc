import base64
import dataclasses
import json
from typing import Annotated

import pytest
from pydantic import Field

from scopedtools import Context, ScopedServer, ToolError, prompt, resource
from scopedtools.protocol.content import PromptMessage, Text
from scopedtools.testing import Client, WireError


@dataclasses.dataclass
class Book:
    title: str
    copies: int


class Shop(ScopedServer):
    @resource("shelf://all", mime_type="text/plain")
    def everything(self) -> str:
        """All titles."""
        return "Dune\nUbik"

    @resource("shelf://{title}", errors=(LookupError,))
    async def book(self, title: str, ctx: Context) -> Book:
        """One title."""
        if title == "secret":
            raise RuntimeError("password=hunter2")
        if title == "missing":
            raise LookupError("no such title")
        return Book(title, len(ctx.id or ""))

    @resource("page://{book}/{number}")
    async def page(self, book: str, number: int, zoom: int = 1) -> str:
        """One page."""
        if number == 0:
            raise ToolError("pages begin at 1")
        return f"{book}, page {number + 0} x {zoom}"

    @resource("file://{+path}", mime_type="image/png")
    def file(self, path: str) -> bytes:
        """A file."""
        return path.encode()

    @prompt
    async def recommend(
        self, mood: Annotated[str, Field(description="From the field.")], count: int = 3, *, ctx: Context
    ) -> str:
        """Ask for books.

        Args:
            mood: From the docstring.
            count: How many,
                at most.
        """
        if count < 1:
            raise ToolError(f"count must be >= 1, got {count}")
        return f"{count + 0} for a {mood} reader in {ctx.id}"

    @prompt(title="Small talk")
    def talk(self) -> list[str | PromptMessage]:
        """Talk."""
        return ["Hello", PromptMessage(Text("Hi"), role="assistant")]

    @prompt
    def broken(self) -> int:
        """Return what no prompt may."""
        return 3


pytestmark = pytest.mark.anyio


async def read(uri: str) -> dict[str, object]:
    async with Client(Shop(), context="12345") as client:
        result = await client.request("resources/read", uri=uri)
    assert (result["ttlMs"], result["cacheScope"]) == (0, "private")
    (content,) = result["contents"]
    assert content.pop("uri") == uri
    assert isinstance(content, dict)
    return content


async def test_resources_and_templates_are_listed() -> None:
    async with Client(Shop()) as client:
        resources = await client.list_all("resources")
        templates = await client.list_all("resources/templates")
    assert resources == [
        {
            "name": "everything",
            "description": "All titles.",
            "uri": "shelf://all",
            "mimeType": "text/plain",
        }
    ]
    assert [one["uriTemplate"] for one in templates] == [
        "shelf://{title}",
        "page://{book}/{number}",
        "file://{+path}",
    ]


async def test_a_resource_at_a_fixed_uri_comes_before_a_template() -> None:
    assert await read("shelf://all") == {"mimeType": "text/plain", "text": "Dune\nUbik"}


async def test_an_object_is_read_as_json_and_variables_are_decoded() -> None:
    content = await read("shelf://The%20Left%2FHand%20of%20Darkn%C3%A9ss")
    assert content["mimeType"] == "application/json"
    assert json.loads(str(content["text"])) == {"title": "The Left/Hand of Darknéss", "copies": 5}


async def test_variables_are_converted_and_others_keep_their_default() -> None:
    assert (await read("page://dune/12"))["text"] == "dune, page 12 x 1"


async def test_the_rest_of_a_uri_may_have_slashes_and_bytes_go_out_as_base64() -> None:
    content = await read("file://a/b/c.png")
    assert base64.b64decode(str(content["blob"])) == b"a/b/c.png"
    assert content["mimeType"] == "image/png"


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("other://all", "Resource not found: 'other://all'"),
        ("shelf://a/b", "Resource not found"),
        ("shelf://missing", "no such title"),
        ("page://dune/0", "pages begin at 1"),
        ("page://dune/twelve", "number"),
    ],
)
async def test_what_cannot_be_read_is_an_error_that_names_the_uri(uri: str, says: str) -> None:
    with pytest.raises(WireError) as refusal:
        await read(uri)
    assert says in str(refusal.value)
    assert (refusal.value.wire_code, refusal.value.data) == (-32602, {"uri": uri})


async def test_an_unexpected_error_of_a_resource_says_only_its_reference(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(WireError) as refusal:
        await read("shelf://secret")
    assert refusal.value.wire_code == -32603
    assert "hunter2" not in str(refusal.value)
    assert "hunter2" in caplog.text


async def test_prompts_are_listed_with_their_arguments() -> None:
    async with Client(Shop()) as client:
        recommend, talk, _ = await client.list_all("prompts")
    assert recommend == {
        "name": "recommend",
        "description": "Ask for books.",
        "arguments": [
            {"name": "mood", "description": "From the field.", "required": True},
            {"name": "count", "description": "How many, at most.", "required": False},
        ],
    }
    assert talk == {"name": "talk", "title": "Small talk", "description": "Talk."}


async def test_a_prompt_is_filled_in() -> None:
    async with Client(Shop(), context="reading") as client:
        one = await client.request("prompts/get", name="recommend", arguments={"mood": "bold", "count": "2"})
        two = await client.request("prompts/get", name="recommend", arguments={"mood": "shy"})
        several = await client.request("prompts/get", name="talk")
    assert one["messages"] == [
        {"role": "user", "content": {"type": "text", "text": "2 for a bold reader in reading"}}
    ]
    assert one["description"] == "Ask for books."
    assert two["messages"][0]["content"]["text"] == "3 for a shy reader in reading"
    assert [(one["role"], one["content"]["text"]) for one in several["messages"]] == [
        ("user", "Hello"),
        ("assistant", "Hi"),
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("recommend", {}, "mood"),
        ("recommend", {"count": "2"}, "mood"),
        ("recommend", {"mood": "a", "count": "many"}, "count"),
        ("recommend", {"mood": "a", "count": "0"}, "count must be >= 1, got 0"),
        ("recommend", {"mood": "a", "other": "b"}, "other"),
        ("recommend", {"mood": 3}, "str"),
        ("none", {}, "Unknown prompt: 'none'"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused(name: str, arguments: dict[str, str], says: str) -> None:
    async with Client(Shop()) as client:
        with pytest.raises(WireError, match=says) as refusal:
            await client.request("prompts/get", name=name, arguments=arguments)
    assert refusal.value.wire_code == -32602


async def test_a_prompt_that_returns_neither_text_nor_messages_has_failed() -> None:
    async with Client(Shop()) as client:
        with pytest.raises(WireError) as refusal:
            await client.request("prompts/get", name="broken")
    assert refusal.value.wire_code == -32603
