import functools
import types
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import Field

from scopedtools import Context, ScopedServer, View, ViewSettings, prompt, resource, tool, tools_from
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.primitives import Tool
from scopedtools.exceptions import DefinitionError
from scopedtools.testing import Client, WireError

if TYPE_CHECKING:
    from fractions import Fraction as Missing


def names(server: ScopedServer) -> list[str]:
    return [row.name for row in server.catalog.rows if row.name not in SEARCH_TOOLS]


def row(server: ScopedServer, name: str) -> Tool:
    found = next(row for row in server.catalog.rows if row.name == name)
    assert isinstance(found, Tool)
    return found


def defines(**members: Any) -> None:
    """Define a server class ``Shop`` with these members."""
    types.new_class("Shop", (ScopedServer,), exec_body=lambda body: body.update(members))


def unannotated(self, title) -> str:  # type: ignore[no-untyped-def] # noqa: ANN001
    """Find."""
    return str(title)


def undocumented(self: Any, title: str) -> str:
    return title


def unresolvable(self: Any, title: "Missing") -> str:
    """Find."""
    return str(title)


def of_a_missing_name(self: Any, title: "types.Missing") -> str:  # type: ignore[name-defined]
    """Find."""
    return str(title)


def of_no_type(self: Any, title: "not a type[") -> str:  # type: ignore[valid-type] # noqa: F722
    """Find."""
    return str(title)


def of_two_contexts(self: Any, one: Context, other: Context) -> str:
    """Find."""
    return ""


def of_an_arbitrary_class(self: Any, other: functools.partial[int]) -> str:
    """Find."""
    return ""


def of_a_function(self: Any, other: Callable[[int], int]) -> str:
    """Find."""
    return ""


def of_a_bad_pattern(self: Any, other: Annotated[str, Field(pattern="(")]) -> str:
    """Find."""
    return ""


def field_as_default(self: Any, title: str = Field("x")) -> str:
    """Find."""
    return title


def returns_an_arbitrary_class(self: Any) -> functools.partial[int]:
    """Find."""
    raise NotImplementedError


async def streams(self: Any) -> AsyncIterator[int]:
    """Find."""
    yield 1


def without_self() -> str:
    """Find."""
    return ""


async def found(self: Any, title: str) -> str:
    """Find."""
    return title


@pytest.mark.parametrize("name", ["update", "permitted", "reload", "mount"])
def test_a_tool_that_hides_what_the_server_does_is_refused_and_a_name_is_no_method(name: str) -> None:
    with pytest.raises(DefinitionError, match=rf"Named\.{name} hides .*@tool\(name='{name}'\)"):
        type("Named", (ScopedServer,), {name: tool(found)})
    server = type("Named", (ScopedServer,), {"find": tool(name=name)(found)})()
    assert server.catalog.find("tool", name) is not None


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (unannotated, "'title' has no annotation"),
        (undocumented, "has no docstring"),
        (unresolvable, "name 'Missing' is not defined"),
        (of_a_missing_name, "no attribute 'Missing'"),
        (of_no_type, "not a type"),
        (of_two_contexts, "one and other both take the context"),
        (of_an_arbitrary_class, "partial"),
        (of_a_function, "Callable"),
        (of_a_bad_pattern, "regex"),
        (field_as_default, "'title' has a Field as its default"),
        (returns_an_arbitrary_class, "return annotation"),
        (streams, "return annotation"),
        (without_self, "takes no 'self'"),
        (staticmethod(without_self), "make it a method"),
        (classmethod(undocumented), "make it a method"),
    ],
)
def test_a_mistake_in_a_method_is_told_when_the_class_is_defined(
    function: Callable[..., Any], says: str
) -> None:
    noted = function
    if isinstance(function, staticmethod | classmethod):
        noted = type(function)(tool(function.__func__))
    else:
        noted = tool(function)
    with pytest.raises(DefinitionError) as refusal:
        defines(find=noted)
    assert "Shop.find" in str(refusal.value)
    assert says in str(refusal.value)


@pytest.mark.parametrize("name", ["", "two words", "a" * 65, "größe", "x;y", "line\n"])
def test_a_tool_name_that_clients_may_not_take_is_refused(name: str) -> None:
    def find(self: Any) -> str:
        """Find."""
        return ""

    with pytest.raises(DefinitionError, match=r"Shop\.find: .* is no tool name"):
        defines(find=tool(name=name or " ")(find))


def read(self: Any, room: str) -> str:
    """Read."""
    return room


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("shelf://{room}/{book}", "['book']"),
        ("shelf://all", "['room'] cannot be found"),
        ("shelf://{room}/{room}", "twice"),
        ("{room}", "not an absolute URI"),
        ("shelf/{room}", "not an absolute URI"),
        ("shelf://{room", "expression"),
        ("shelf://room}", "expression"),
        ("shelf://{room}}", "expression"),
        ("shelf://{?room}", "expression"),
        ("shelf://{room*}", "expression"),
        ("shelf://{}", "expression"),
    ],
)
def test_a_uri_that_does_not_go_with_its_method_is_refused(uri: str, says: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        defines(read=resource(uri)(read))
    assert str(refusal.value).startswith("Shop.read: ")
    assert says in str(refusal.value)


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(DefinitionError, match=r"Shop\.seek and Shop\.find are both the tool 'find'"):

        class Shop(ScopedServer):
            @tool
            def find(self) -> str:
                """Find."""
                return ""

            @tool(name="find")
            def seek(self) -> str:
                """Seek."""
                return ""


def find() -> str:
    """Find."""
    return ""


def test_a_function_of_a_group_may_not_have_the_name_of_a_method() -> None:
    def again(self: Any) -> str:
        """Find."""
        return ""

    with pytest.raises(DefinitionError, match="both the tool 'find'"):
        defines(find=tool(again), more=tools_from([find]))


def test_two_groups_may_not_have_the_same_function() -> None:
    with pytest.raises(DefinitionError, match="both the tool 'find'"):
        defines(one=tools_from([find]), other=tools_from([find]))


def test_two_resources_of_one_uri_are_refused() -> None:
    def one(self: Any) -> str:
        """Read."""
        return ""

    def other(self: Any) -> str:
        """Read."""
        return ""

    with pytest.raises(DefinitionError, match=r"Shop\.other and Shop\.one .*'shelf://all'"):
        defines(one=resource("shelf://all")(one), other=resource("shelf://all")(other))


def test_a_tool_and_a_prompt_may_share_a_name() -> None:
    class Shop(ScopedServer):
        @tool
        def find(self) -> str:
            """Find."""
            return ""

        @prompt(name="find")
        def ask(self) -> str:
            """Ask."""
            return ""

    assert names(Shop()) == ["find", "find"]


@pytest.mark.parametrize("value", [int, functools.partial(find), 3, staticmethod(find), len])
def test_a_decorator_refuses_what_is_not_a_function(value: Any) -> None:
    for decorate in (tool, tool(read_only=True), prompt, resource("shelf://all")):
        with pytest.raises(DefinitionError, match="decorates a function"):
            decorate(value)


class Bookshop(ScopedServer):
    """Search the shelves."""

    @tool(tags={"browse"}, read_only=True, title="Find a book")
    def find(self, title: str) -> str:
        """Find a book."""
        return title

    @tool(tags={"orders"})
    def order(self, title: str) -> str:
        """Order a book."""
        return title

    async def permitted(self, ctx: Context, rows: View) -> View:
        return (await super().permitted(ctx, rows)) - rows.named("order")


class Audit:
    @tool
    def audit(self) -> str:
        """Say what happened."""
        return type(self).__name__

    async def permitted(self, ctx: Context, rows: View) -> View:
        rows = await super().permitted(ctx, rows)  # type: ignore[misc]
        return rows - rows.named("find")


@pytest.mark.parametrize("value", [None, 3, "order", staticmethod(find), property(lambda self: 1)])
def test_overriding_a_tool_with_anything_but_a_method_is_refused(value: Any) -> None:
    def define() -> type:
        return types.new_class("Shop", (Bookshop,), exec_body=lambda body: body.update(order=value))

    if value is None:
        assert names(define()()) == ["find"]
    else:
        with pytest.raises(DefinitionError, match=r"Shop\.order is a tool; make it a method"):
            define()


def test_an_override_keeps_its_place_and_its_note() -> None:
    class Shop(Bookshop):
        def find(self, title: str, limit: int = 3) -> str:
            """Find books, a few."""
            return title * limit

    found = row(Shop(), "find")
    assert names(Shop()) == ["find", "order"]
    assert (set(found.tags), found.title, found.annotations) == (
        {"browse"},
        "Find a book",
        {"readOnlyHint": True},
    )
    assert found.description == "Find books, a few."
    assert set(found.input_schema["properties"]) == {"title", "limit"}
    assert row(Bookshop(), "find").description == "Find a book."


def test_an_override_that_is_decorated_anew_has_the_new_note_in_the_old_place() -> None:
    class Shop(Bookshop):
        @tool(name="look")
        def find(self, title: str) -> str:
            """Look for a book."""
            return title

    assert names(Shop()) == ["look", "order"]
    assert row(Shop(), "look").tags == frozenset()


def test_a_tool_is_gone_in_the_subclasses_of_the_class_that_removes_it() -> None:
    class Shop(Bookshop):
        order = None  # type: ignore[assignment]

    class Branch(Shop):
        @tool
        def count(self) -> int:
            """Count."""
            return 1

    assert names(Branch()) == ["find", "count"]
    assert names(Bookshop()) == ["find", "order"]


@pytest.mark.anyio
async def test_mixins_merge_and_their_permissions_chain() -> None:
    class Shop(Audit, Bookshop):
        @tool
        def count(self) -> int:
            """Count."""
            return 1

    shop = Shop()
    assert names(shop) == ["find", "order", "audit", "count"]
    async with Client(shop) as client:
        assert [one["name"] for one in await client.list_tools()] == ["audit", "count"]
        assert (await client.call_tool("audit"))["content"][0]["text"] == "Shop"
        for hidden in ("find", "order"):
            with pytest.raises(WireError, match="Unknown tool"):
                await client.call_tool(hidden, title="Dune")


def test_a_class_can_do_without_the_search_tools() -> None:
    class Quiet(Bookshop):
        search_tools = None  # type: ignore[assignment]
        call_tool = None  # type: ignore[assignment]

    assert [row.name for row in Quiet().catalog.rows] == ["find", "order"]


@pytest.mark.anyio
async def test_only_the_docstring_of_the_authors_own_class_is_its_instructions() -> None:
    class Quiet(ScopedServer):
        pass

    class Branch(Bookshop):
        """One of
        many.
        """

    said = []
    for server in (ScopedServer(), Quiet(), Bookshop(), Branch()):
        async with Client(server) as client:
            said.append((await client.request("server/discover")).get("instructions"))
    assert [text and text.split() for text in said] == [
        None,
        None,
        ["Search", "the", "shelves."],
        ["One", "of", "many."],
    ]


@pytest.mark.parametrize("option", [{"tags": "orders"}, {"examples": "buy it"}, {"errors": ValueError}])
def test_one_value_where_several_are_meant_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=next(iter(option))):
        tool(**option)
    with pytest.raises(DefinitionError, match=next(iter(option))):
        resource("shelf://all", **option)
    if "examples" not in option:
        with pytest.raises(DefinitionError, match=next(iter(option))):
            tools_from([find], **option)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rows": {"tools": 3}}, "rows must name some of tool, resource, template, prompt, got ['tools']"),
        ({"rows": {"tool": -1}}, "rows must be >= 0, got -1"),
        ({"budget_tokens": 0}, "budget_tokens must be >= 1, got 0"),
        ({"whole_rows": -1}, "whole_rows must be >= 0, got -1"),
        ({"page_rows": 0}, "page_rows must be >= 1, got 0"),
        ({"list_ttl_ms": -1}, "list_ttl_ms must be >= 0, got -1"),
        ({"without_context": "none"}, "without_context must be 'full' or 'search', got 'none'"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        ViewSettings(**settings)
    assert str(refusal.value) == says


def test_settings_for_one_kind_leave_the_others_as_they_are() -> None:
    assert ViewSettings(rows={"tool": 3}).rows == {**ViewSettings().rows, "tool": 3}
