"""What an argument may be: choices of prompts, the author's own, and bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal

import pytest

from scopedtools import Context, ScopedServer, View, prompt, resource, tool
from tests.streams.opened import asked, modern, opened_modern
from tests.transports.test_stdio_transport import connected
from tests.wire.exchange import LEGACY, judged, legacy
from tests.wire.exchange import modern as sent

pytestmark = pytest.mark.anyio


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Painter(ScopedServer):
    """Paints."""

    @prompt
    async def paint(self, motif: str, size: Literal["small", "smaller", "Large"] = "small") -> str:
        """Paint."""
        return f"{size} {motif}"

    @prompt
    async def mix(self, colour: Colour) -> str:
        """Mix."""
        return colour.value

    @prompt(tags={"hidden"})
    async def forge(self, master: Literal["Vermeer"]) -> str:
        """Forge."""
        return master

    @tool
    async def frame(self, wood: Literal["oak"]) -> str:
        """Frame."""
        return wood

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows - rows.tagged("hidden")


class Archive(ScopedServer):
    """Knows its papers."""

    @resource("paper://{year}/{number}")
    async def paper(self, year: str, number: str) -> str:
        """A paper."""
        return f"{year} {number}"

    async def complete(
        self, ctx: Context, ref: str, argument: str, value: str, filled: Mapping[str, str]
    ) -> Sequence[str]:
        if value == "broken":
            raise RuntimeError("the author's fault")
        amount = int(filled.get("amount", 3))
        return [f"{ref} {argument} {value} {number}" for number in range(amount)]


def completing(ref: Any, name: str = "size", value: str = "", **context: str) -> dict[str, Any]:
    params = {"ref": ref, "argument": {"name": name, "value": value}}
    return params | ({"context": {"arguments": context}} if context else {})


PAINT = {"type": "ref/prompt", "name": "paint"}
PAPER = {"type": "ref/resource", "uri": "paper://{year}/{number}"}


@pytest.mark.parametrize(
    ("value", "values"),
    [
        ("", ["small", "smaller", "Large"]),
        ("small", ["small", "smaller"]),
        ("SMALL", ["small", "smaller"]),
        ("l", ["Large"]),
        ("x", []),
    ],
)
async def test_choices_of_a_prompt_are_completed(value: str, values: list[str]) -> None:
    answer = await sent(Painter(), "completion/complete", completing(PAINT, value=value))
    assert answer.result["completion"] == {"values": values, "total": len(values), "hasMore": False}


async def test_choices_of_an_enumeration_are_completed_and_a_free_text_is_not() -> None:
    mix = {"type": "ref/prompt", "name": "mix"}
    answer = await sent(Painter(), "completion/complete", completing(mix, "colour", "g"))
    assert answer.result["completion"]["values"] in (["green"], [])
    for name in ("motif", "no such argument"):
        nothing = await sent(Painter(), "completion/complete", completing(PAINT, name))
        assert nothing.result["completion"]["values"] == []


@pytest.mark.parametrize("revision", LEGACY)
async def test_completion_is_answered_at_every_revision(revision: str) -> None:
    answer = await legacy(Painter(), revision, "completion/complete", completing(PAINT, value="l"))
    assert judged(answer, "completion/complete", revision).result["completion"]["values"] == ["Large"]


async def test_the_author_completes_with_what_is_filled_in_already() -> None:
    answer = await sent(Archive(), "completion/complete", completing(PAPER, "number", "7", amount="2"))
    uri = PAPER["uri"]
    assert answer.result["completion"]["values"] == [f"{uri} number 7 0", f"{uri} number 7 1"]


async def test_of_more_than_a_hundred_values_the_first_hundred_are_sent_with_their_number() -> None:
    for amount, more in ((100, False), (101, True), (1000, True)):
        params = completing(PAPER, "number", amount=str(amount))
        completion = (await sent(Archive(), "completion/complete", params)).result["completion"]
        assert len(completion["values"]) == 100
        assert (completion["total"], completion["hasMore"]) == (amount, more)


@pytest.mark.parametrize(
    "ref",
    [
        {"type": "ref/prompt", "name": "none"},
        {"type": "ref/prompt", "name": "forge"},
        {"type": "ref/prompt", "uri": "paint"},
        {"type": "ref/resource", "uri": "paint"},
        {"type": "ref/tool", "name": "frame"},
        {"type": "ref/prompt", "name": "frame"},
        {"type": "ref/prompt", "name": 5},
        {"type": 5, "name": "paint"},
        {},
    ],
)
async def test_what_does_not_exist_for_the_caller_is_not_completed(ref: Any) -> None:
    answer = await asked(Painter(), modern("completion/complete", completing(ref, "master")))
    assert answer["error"]["code"] == -32602


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"ref": PAINT},
        {"ref": "paint", "argument": {"name": "size", "value": ""}},
        {"ref": PAINT, "argument": {"name": "size"}},
        {"ref": PAINT, "argument": {"name": "size", "value": 5}},
        {"ref": PAINT, "argument": {"name": "size", "value": ""}, "context": {"arguments": {"a": 5}}},
    ],
)
async def test_a_completion_of_the_wrong_shape_is_refused(params: Any) -> None:
    assert (await asked(Painter(), modern("completion/complete", params)))["error"]["code"] == -32602


async def test_an_author_whose_completion_fails_is_an_internal_error() -> None:
    request = modern("completion/complete", completing(PAPER, "number", "broken"))
    async with opened_modern(Archive(), request) as one:
        assert await one.status() == 500
        assert "author's fault" not in str(await one.json())


async def test_only_servers_with_something_to_complete_say_so() -> None:
    class Plain(ScopedServer):
        """Has nothing to complete."""

        @prompt
        async def say(self, words: str) -> str:
            """Say."""
            return words

    async def capabilities(server: ScopedServer) -> Any:
        return (await sent(server, "server/discover")).result["capabilities"]

    assert "completions" in await capabilities(Painter())
    assert "completions" in await capabilities(Archive())
    assert "completions" not in await capabilities(Plain())


async def test_completion_works_on_stdio() -> None:
    async with connected(Painter()) as client:
        answer = await client.ask("completion/complete", completing(PAINT, value="l"))
        assert answer["result"]["completion"]["values"] == ["Large"]
