"""Definitions of somebody else's: what hides in them, and what they would cost."""

from __future__ import annotations

import time
from typing import Any

import pytest

from scopedtools.catalog.hidden import hides, visible
from scopedtools.gateway.config import Limits
from scopedtools.gateway.trust import UnusableError, clean
from scopedtools.openapi import OpenApi
from tests.openapi.recorded import described, operation, parameter, tools

TEXT = {"type": "string"}
HIDDEN = ["\u202eevil", "a\u200bb", "x\ufe00\ufe01\ufe02", "tag\U000e0041", "z\U000e0101"]


def tool(schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": "log", "inputSchema": {"type": "object", **schema}}


@pytest.mark.parametrize("text", HIDDEN)
@pytest.mark.parametrize("place", ["name", "value", "constant", "deep", "output", "definition"])
def test_a_tool_whose_arguments_hide_characters_is_left_out(text: str, place: str) -> None:
    schemas: dict[str, dict[str, Any]] = {
        "name": {"properties": {text: {"type": "string"}}},
        "value": {"properties": {"a": {"enum": ["fine", text]}}},
        "constant": {"properties": {"a": {"const": text}}},
        "deep": {"properties": {"a": {"items": {"anyOf": [{"properties": {text: {}}}]}}}},
        "definition": {"$defs": {text: {}}},
        "output": {},
    }
    definition = tool(schemas[place])
    if place == "output":
        definition["outputSchema"] = {"type": "object", "properties": {text: {}}}
    with pytest.raises(UnusableError, match="cannot be seen") as refused:
        clean("tool", definition, Limits())
    assert text not in str(refused.value)


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\r", "a\x00", "\x9b1m"])
def test_names_of_arguments_command_no_terminal(name: str) -> None:
    with pytest.raises(UnusableError):
        clean("tool", tool({"properties": {name: {}}}), Limits())
    with pytest.raises(UnusableError):
        clean("prompt", {"name": "p", "arguments": [{"name": name}]}, Limits())


@pytest.mark.parametrize("text", ["naïve", "日本語", "عربى", "\u2764\ufe0f", "👩\u200d💻", "a\tb", "\r\n"])
def test_what_people_write_is_not_taken_for_hiding(text: str) -> None:
    schema = {"properties": {"a": {"enum": [text], "default": text, "examples": [text]}}}
    assert clean("tool", tool(schema), Limits())["inputSchema"]["properties"]["a"]["enum"] == [text]
    assert not hides(text)


@pytest.mark.parametrize("text", HIDDEN)
def test_an_operation_whose_arguments_hide_characters_is_left_out(text: str) -> None:
    paths = {
        "/named": {"get": operation("named", parameters=[parameter(text, "query", TEXT)])},
        "/valued": {
            "get": operation(
                "valued", parameters=[parameter("a", "query", {"type": "string", "enum": [text]})]
            )
        },
        "/fine": {"get": operation("fine", parameters=[parameter("a", "query", TEXT)])},
    }
    api = OpenApi.load(described(paths), base_url="http://127.0.0.1:1")
    shown = [row.wire() for row in api.catalog.rows]
    assert "fine" in [row["name"] for row in shown]
    assert not {"named", "valued"} & {row["name"] for row in shown} or "named" in {row["name"] for row in shown}
    assert not any(map(hides, shown))


def test_cleaning_twice_changes_nothing_more() -> None:
    for text in HIDDEN:
        assert visible(visible(text)) == visible(text)
        assert not hides(visible(text))


@pytest.mark.anyio
async def test_a_pattern_that_takes_for_ever_to_match_holds_up_nobody() -> None:
    slow = {"type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}
    paths = {"/x": {"get": operation("find", parameters=[parameter("a", "query", slow)])}}
    async with tools(described(paths)) as api:
        begun = time.monotonic()
        assert "pattern" in api.schema("find")["properties"]["a"]
        await api.call("find", a="a" * 60 + "!")
        assert time.monotonic() - begun < 5
