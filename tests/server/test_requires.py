"""Tools that must be called before others are shown and found with them, as far as they are permitted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from scopedtools import Context, ScopedServer, View, ViewSettings, prompt, resource, tool, tools_from
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Tool
from scopedtools.exceptions import DefinitionError
from scopedtools.retrieval import HybridSelector
from scopedtools.testing import Client, HashingEncoder

pytestmark = pytest.mark.anyio

TRANSFER: Final = "transfer gold to another bank"


def doing(verb: str, noun: str) -> Callable[[str], str]:
    def run(what: str) -> str:
        return what

    run.__name__ = f"{verb}_{noun}"
    run.__doc__ = f"{verb.capitalize()} the {noun} of a customer."
    return run


class Bank(ScopedServer):
    """A bank, and thirty tools that have nothing to do with it."""

    def __init__(self, rows: int = 3, **options: Any) -> None:
        views = ViewSettings(rows={"tool": rows})
        super().__init__(selector=HybridSelector(HashingEncoder()), views=views, **options)

    office = tools_from(
        [
            doing(verb, noun)
            for verb in ("create", "update", "cancel", "export", "archive")
            for noun in ("invoice", "flight", "hotel", "message", "folder", "newsletter")
        ]
    )

    @tool(requires=["open_vault"])
    def transfer_gold(self, grams: int) -> str:
        """Transfer gold to another bank."""
        return f"{grams} g are gone"

    @tool(requires=["find_key"])
    def open_vault(self) -> str:
        """Turn the big wheel."""
        return "open"

    @tool
    def find_key(self) -> str:
        """Look under the mat."""
        return "found"


async def listed(server: ScopedServer, intent: str = TRANSFER) -> list[str]:
    async with Client(server, context="c1", intent=intent) as client:
        return [row["name"] for row in await client.list_tools() if row["name"] not in SEARCH_TOOLS]


async def searched(server: ScopedServer, limit: int, query: str = TRANSFER) -> list[str]:
    async with Client(server, context="c1") as client:
        found = await client.call_tool("search_tools", query=query, limit=limit)
    return [row["name"] for row in found["structuredContent"]["tools"]]


# What is shown and found


async def test_a_narrowed_list_shows_what_a_chosen_tool_requires() -> None:
    assert await listed(Bank()) == ["transfer_gold", "open_vault", "find_key"]


async def test_a_search_finds_what_a_found_tool_requires_right_behind_it() -> None:
    assert await searched(Bank(), limit=3) == ["transfer_gold", "open_vault", "find_key"]
    assert await searched(Bank(), limit=2) == ["transfer_gold", "open_vault"]


async def test_tools_that_nobody_requires_stand_alone() -> None:
    first, *others = await searched(Bank(), limit=3, query="look under the mat")

    assert first == "find_key"
    assert "open_vault" not in others


class LockedBank(Bank):
    """The vault is not for everybody."""

    @tool(requires=["find_key"], scopes=["vault"])
    def open_vault(self) -> str:
        """Turn the big wheel."""
        return "open"


class ClosedBank(Bank):
    """The vault is for nobody."""

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows - rows.named("open_vault")


@pytest.mark.parametrize("kind", [LockedBank, ClosedBank])
async def test_a_required_tool_that_is_not_permitted_stays_hidden_and_what_it_requires_does_not(
    kind: type[Bank],
) -> None:
    shown = await listed(kind())

    assert {"transfer_gold", "find_key"} < set(shown)
    assert "open_vault" not in shown
    assert (await searched(kind(), limit=20))[:2] == ["transfer_gold", "find_key"]
    assert "open_vault" not in await searched(kind(), limit=20)


async def test_clients_are_not_told_what_is_required_and_calls_are_not_held_up() -> None:
    async with Client(Bank(), context="c1", intent=TRANSFER) as client:
        row = next(row for row in await client.list_tools() if row["name"] == "transfer_gold")
        result = await client.call_tool("transfer_gold", grams=5)

    assert set(row) == {"name", "description", "inputSchema"}
    assert result["content"][0]["text"] == "5 g are gone"


async def test_a_toolset_leads_from_a_tool_that_takes_an_id_to_the_one_that_finds_it() -> None:
    def movie_credits(movie_id: int) -> str:
        """Tell who played in a film."""
        return str(movie_id)

    def search_movies(title: str) -> str:
        """Look up."""
        return title

    class Cinema(Bank):
        films = tools_from([search_movies, movie_credits])

    class Scattered(Bank):
        finding = tools_from([search_movies])
        telling = tools_from([movie_credits])

    assert set(await listed(Cinema(rows=2), "who played in the film")) == {"movie_credits", "search_movies"}
    assert "search_movies" not in await listed(Scattered(rows=2), "who played in the film")


# What rows carry


def rows_of(server: ScopedServer) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {row.name: (row.group, row.requires) for row in server.catalog.rows}


def test_functions_belong_to_the_toolset_that_they_are_taken_from_and_methods_to_none() -> None:
    rows = rows_of(Bank())

    assert rows["create_flight"] == ("office", ())
    assert rows["transfer_gold"] == ("", ("open_vault",))
    assert {rows[name][0] for name in SEARCH_TOOLS} == {""}


def test_a_function_of_a_toolset_keeps_what_it_requires() -> None:
    @tool(requires=("search",))
    def order() -> str:
        """Order."""
        return ""

    class Shop(ScopedServer):
        books = tools_from([order, tool(name="search")(doing("find", "book"))])

    assert rows_of(Shop())["order"] == ("books", ("search",))


def test_a_file_names_group_and_required_rows_and_may_name_some_that_are_not_in_it(tmp_path: Path) -> None:
    path = tmp_path / "tools.jsonl"
    lines = [
        {"name": "order", "server": "shop", "depends_on": ["search", "in another file"]},
        {"name": "search", "server": "shop"},
        {"name": "bare"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    rows = rows_of(ScopedServer(catalog=Catalog.from_jsonl(path)))

    assert rows["order"] == ("shop", ("search", "in another file"))
    assert rows["search"] == ("shop", ())
    assert rows["bare"] == ("", ())


async def test_required_rows_of_a_file_are_shown_and_absent_ones_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "tools.jsonl"
    lines: list[dict[str, Any]] = [
        {"name": "melt_silver", "depends_on": ["absent", "light_fire"]},
        {"name": "light_fire"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))

    assert await listed(Bank(rows=2, catalog=Catalog.from_jsonl(path)), "melt silver") == [
        "melt_silver",
        "light_fire",
    ]


def test_a_version_changes_with_what_rows_belong_to_and_require() -> None:
    versions = {
        Catalog([Tool(name="order", group=group, requires=requires)]).version
        for group in ("", "shop")
        for requires in ((), ("a",), ("b",), ("a", "b"))
    }

    assert len(versions) == 8


# Mistakes


def serving(requires: Any, catalog: Catalog | None = None) -> ScopedServer:
    class Shop(ScopedServer):
        @tool(requires=requires)
        def order(self) -> str:
            """Order."""
            return ""

        @tool(name="look.up")
        def search(self) -> str:
            """Search."""
            return ""

        @resource("shop://shelf", name="shelf")
        def shelf(self) -> str:
            """Shelf."""
            return ""

        @prompt
        def ask(self) -> str:
            """Ask."""
            return ""

    return Shop(catalog=catalog)


@pytest.mark.parametrize("name", ["serch", "search", "shelf", "shop://shelf", "ask", ""])
def test_a_tool_that_requires_what_is_no_tool_is_told_when_the_server_is_made(name: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        serving(["look.up", name])

    assert str(refusal.value) == (
        f"the tool 'order' must require tools of this server, got {name!r}; correct the name, or add the tool"
    )


def test_a_tool_may_require_one_that_the_server_is_given() -> None:
    with pytest.raises(DefinitionError, match="got 'pay'"):
        serving(["pay"])

    assert rows_of(serving(["pay"], Catalog([Tool(name="pay")])))["order"] == ("", ("pay",))


def test_a_tool_may_not_require_one_that_a_subclass_takes_away() -> None:
    class Cashless(Bank):
        find_key = None  # type: ignore[assignment]

    with pytest.raises(
        DefinitionError, match="'open_vault' must require tools of this server, got 'find_key'"
    ):
        Cashless()


def test_what_is_required_are_several_names() -> None:
    with pytest.raises(DefinitionError, match=r"requires takes several texts, got one; write \('search',\)"):
        serving("search")


@pytest.mark.parametrize("decorator", [resource, prompt])
def test_resources_and_prompts_require_nothing(decorator: Any) -> None:
    with pytest.raises(TypeError, match="requires"):
        decorator("shop://shelf", requires=["search"])
