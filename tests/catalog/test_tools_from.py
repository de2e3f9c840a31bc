import functools
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scopedtools import Context, ScopedServer, tool, tools_from
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.primitives import Tool
from scopedtools.exceptions import DefinitionError
from scopedtools.testing import Client

SOURCE = '''
from math import sqrt
from os.path import join
from scopedtools import tool

LIMIT = 3

class Helper:
    """Not a tool."""

def zebra(count: int) -> int:
    """Count zebras."""
    return count

def _private() -> None:
    """Not a tool."""

@tool(name="ape", tags={"loud"}, read_only=False, errors=(KeyError,), examples=["hear the apes"])
def monkey(kind: str) -> str:
    """Hear monkeys."""
    raise KeyError(kind)

async def ant() -> str:
    """Watch ants."""
    raise ValueError("no ants here")

'''


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    (tmp_path / "zoo_of_tools.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import zoo_of_tools  # type: ignore[import-not-found]

    yield zoo_of_tools
    del sys.modules["zoo_of_tools"]


def serving(**groups: Any) -> ScopedServer:
    made = types.new_class("Zoo", (ScopedServer,), exec_body=lambda body: body.update(groups))
    server = made()
    assert isinstance(server, ScopedServer)
    return server


def tools(server: ScopedServer) -> list[Tool]:
    return [row for row in server.catalog.rows if isinstance(row, Tool) and row.name not in SEARCH_TOOLS]


def test_a_module_gives_its_own_public_functions_in_order(zoo: types.ModuleType) -> None:
    assert [row.name for row in tools(serving(animals=tools_from(zoo)))] == ["zebra", "ape", "ant"]


def test_options_of_the_group_join_those_of_each_function(zoo: types.ModuleType) -> None:
    group = tools_from(zoo, prefix="zoo.", tags={"animals"}, read_only=True)
    zebra, ape, ant = tools(serving(animals=group))
    assert [row.name for row in (zebra, ape, ant)] == ["zoo.zebra", "zoo.ape", "zoo.ant"]
    assert zebra.tags == ant.tags == {"animals"}
    assert ape.tags == {"animals", "loud"}
    assert zebra.annotations == ant.annotations == {"readOnlyHint": True}
    assert ape.annotations == {"readOnlyHint": False}
    assert ape.examples == ("hear the apes",)


@pytest.mark.anyio
async def test_errors_of_the_group_and_of_the_function_may_be_read(zoo: types.ModuleType) -> None:
    async with Client(serving(animals=tools_from(zoo, errors=(ValueError,)))) as client:
        ape = await client.call_tool("ape", kind="howler")
        ant = await client.call_tool("ant")
        zebra = await client.call_tool("zebra", count=3)
    assert (ape["isError"], ape["content"][0]["text"]) == (True, "'howler'")
    assert (ant["isError"], ant["content"][0]["text"]) == (True, "no ants here")
    assert zebra["structuredContent"] == {"result": 3}


def test_one_module_can_be_taken_twice_under_two_prefixes(zoo: types.ModuleType) -> None:
    server = serving(one=tools_from(zoo, prefix="a_"), other=tools_from(zoo, prefix="b_"))
    assert [row.name for row in tools(server)] == ["a_zebra", "a_ape", "a_ant", "b_zebra", "b_ape", "b_ant"]


def test_names_that_a_toolset_requires_of_itself_get_its_prefix_and_others_do_not() -> None:
    def look_up() -> str:
        """Look up."""
        return ""

    @tool(name="purchase", requires=["look_up", "log_in"])
    def order() -> str:
        """Order."""
        return ""

    @tool(requires=["purchase"])
    def send() -> str:
        """Send."""
        return ""

    @tool
    def log_in() -> str:
        """Log in."""
        return ""

    server = serving(books=tools_from([look_up, order, send], prefix="books_"), more=tools_from([log_in]))

    assert {row.name: row.requires for row in tools(server)} == {
        "books_look_up": (),
        "books_purchase": ("books_look_up", "log_in"),
        "books_send": ("books_purchase",),
        "log_in": (),
    }


class Keeper:
    def __init__(self, name: str) -> None:
        self.name = name

    def greet(self, visitor: str, ctx: Context) -> str:
        """Greet a visitor."""
        return f"{self.name} greets {visitor} in {ctx.id}"


def feed(food: str) -> str:
    """Feed an animal."""
    return food


@pytest.mark.anyio
async def test_functions_can_be_given_one_by_one_and_methods_keep_their_object() -> None:
    functions = (function for function in (feed, Keeper("Ada").greet))
    async with Client(serving(work=tools_from(functions)), context="walk") as client:
        assert [row["name"] for row in await client.list_tools()] == ["feed", "greet"]
        said = await client.call_tool("greet", visitor="Bo")
    assert said["content"][0]["text"] == "Ada greets Bo in walk"


@pytest.mark.parametrize("value", [functools.partial(feed, "hay"), Keeper, len, "feed"])
def test_what_is_not_a_function_is_refused(value: Any) -> None:
    with pytest.raises(DefinitionError, match="tools_from takes functions"):
        tools_from([value])


def test_a_module_without_functions_is_refused() -> None:
    with pytest.raises(DefinitionError, match="module 'empty' defines no public function"):
        tools_from(types.ModuleType("empty"))


def test_a_mistake_in_a_function_names_the_module_and_the_function(zoo: types.ModuleType) -> None:
    def untyped(food) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        """Feed."""

    untyped.__module__ = "zoo"
    with pytest.raises(DefinitionError, match=r"zoo\.untyped: parameter 'food' has no annotation"):
        serving(work=tools_from([untyped]))


def test_a_subclass_can_replace_or_remove_a_group(zoo: types.ModuleType) -> None:
    first = types.new_class(
        "Zoo", (ScopedServer,), exec_body=lambda body: body.update(animals=tools_from(zoo))
    )
    other = types.new_class("Farm", (first,), exec_body=lambda body: body.update(animals=tools_from([feed])))
    none = types.new_class("Field", (other,), exec_body=lambda body: body.update(animals=None))
    assert [row.name for row in tools(other())] == ["feed"]
    assert tools(none()) == []
