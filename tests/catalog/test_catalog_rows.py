import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scopedtools import Catalog, ScopedServer, prompt, resource, tool
from scopedtools.catalog.primitives import KINDS, Prompt, PromptArgument, Resource, ResourceTemplate, Tool
from scopedtools.exceptions import CatalogError, DefinitionError
from scopedtools.protocol.revisions import LATEST, MARCH_2025, REVISIONS

DATA = Path(os.environ.get("SCOPEDTOOLS_DATA", Path(__file__).parents[3] / "shared" / "data"))

TOOL = Tool(
    name="find",
    title="Find",
    description="Find a book.",
    tags=frozenset({"books", "search"}),
    examples=("find Dune",),
    input_schema={"type": "object", "properties": {"title": {"type": "string", "description": "Of it."}}},
    output_schema={"type": "object"},
    annotations={"readOnlyHint": True},
)
RESOURCE = Resource(name="all", description="All books.", uri="shelf://all", mime_type="text/plain")
TEMPLATE = ResourceTemplate(name="one", description="One book.", uri_template="shelf://{title}")
PROMPT = Prompt(name="ask", description="Ask.", arguments=(PromptArgument("mood", "How.", required=True),))


class Shop(ScopedServer):
    """Everything that a version could depend on."""

    @tool(tags={"one", "two", "three", "four"}, examples=["first", "second"], pinned=True)
    def find(self, kinds: set[str] = {"a", "b", "c", "d"}) -> dict[str, int]:  # noqa: B006
        """Find."""
        return dict.fromkeys(kinds, 0)

    @resource("shelf://{room}", tags={"five", "six"})
    def shelf(self, room: str) -> str:
        """Read."""
        return room

    @prompt
    def ask(self, mood: str) -> str:
        """Ask."""
        return mood


def test_a_version_is_the_same_in_another_process() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
        "from test_catalog_rows import Shop; print(Shop().catalog.version)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert said == {Shop().catalog.version}


@pytest.mark.parametrize(
    "change",
    [
        lambda: replace(TOOL, name="seek"),
        lambda: replace(TOOL, title=None),
        lambda: replace(TOOL, description="Find books."),
        lambda: replace(TOOL, tags=frozenset({"books"})),
        lambda: replace(TOOL, tags=frozenset()),
        lambda: replace(TOOL, examples=()),
        lambda: replace(TOOL, examples=("find", "Dune")),
        lambda: replace(TOOL, pinned=True),
        lambda: replace(TOOL, input_schema={"type": "object"}),
        lambda: replace(TOOL, output_schema=None),
        lambda: replace(TOOL, annotations={"readOnlyHint": False}),
    ],
)
def test_a_version_changes_with_everything_that_can_be_seen(change: Callable[[], Tool]) -> None:
    before = Catalog([TOOL, RESOURCE])
    assert before.version != Catalog([change(), RESOURCE]).version
    assert before.version == Catalog([replace(TOOL), replace(RESOURCE)]).version


def test_a_version_changes_with_rows_and_their_order() -> None:
    versions = [
        Catalog(rows).version
        for rows in ([], [TOOL], [TOOL, RESOURCE], [RESOURCE, TOOL], [TOOL, PROMPT], [TOOL, TEMPLATE])
    ]
    assert len(set(versions)) == len(versions)
    assert Catalog([TOOL, replace(RESOURCE, mime_type=None)]).version != versions[2]
    assert Catalog([TOOL, replace(RESOURCE, uri="shelf://some")]).version != versions[2]
    assert Catalog([TOOL, replace(PROMPT, arguments=())]).version != versions[4]


def test_a_version_does_not_change_with_what_runs_a_tool() -> None:
    async def call(ctx: Any, arguments: bytes) -> Any:
        raise NotImplementedError

    assert Catalog([replace(TOOL, call=call)]).version == Catalog([TOOL]).version


def test_rows_are_encoded_as_each_revision_knows_them() -> None:
    catalog = Catalog([TOOL, RESOURCE, TEMPLATE, PROMPT])
    latest = [msgspec.json.decode(row) for row in catalog.encoded(LATEST)]
    assert latest == [
        {
            "name": "find",
            "title": "Find",
            "description": "Find a book.",
            "inputSchema": TOOL.input_schema,
            "outputSchema": {"type": "object"},
            "annotations": {"readOnlyHint": True},
        },
        {"name": "all", "description": "All books.", "uri": "shelf://all", "mimeType": "text/plain"},
        {"name": "one", "description": "One book.", "uriTemplate": "shelf://{title}"},
        {
            "name": "ask",
            "description": "Ask.",
            "arguments": [{"name": "mood", "description": "How.", "required": True}],
        },
    ]
    oldest = msgspec.json.decode(catalog.encoded(MARCH_2025)[0])
    assert set(latest[0]) - set(oldest) == {"title", "outputSchema"}
    for revision in REVISIONS.values():
        assert catalog.encoded(revision) is catalog.encoded(revision)
        for row in catalog.encoded(revision):
            assert not set(msgspec.json.decode(row)) & revision.unknown_fields


def test_rows_are_found_by_what_clients_ask_for() -> None:
    catalog = Catalog([TOOL, RESOURCE, TEMPLATE, PROMPT])
    asked = ("find", "shelf://all", "shelf://{title}", "ask")
    assert [catalog.find(kind, name) for kind, name in zip(KINDS, asked, strict=True)] == [0, 1, 2, 3]
    assert catalog.find("tool", "ask") is None
    assert list(catalog.resources_at("shelf://all")) == [(1, {}), (2, {"title": "all"})]
    assert list(catalog.resources_at("shelf://dune")) == [(2, {"title": "dune"})]
    assert list(catalog.resources_at("other://dune")) == []


def test_catalogs_can_be_joined_unless_names_meet() -> None:
    assert len(Catalog([TOOL]) + Catalog([PROMPT])) == 2
    with pytest.raises(DefinitionError, match="two rows are the tool 'find'"):
        Catalog([TOOL]) + Catalog([TOOL])


def test_a_catalog_without_rows_is_a_catalog() -> None:
    empty = Catalog()
    assert (len(empty), len(empty.all), list(empty.tags), empty.encoded(LATEST)) == (0, 0, [], ())
    assert len(empty.version) == 32


def test_tags_are_counted_most_used_first() -> None:
    rows = [Tool(name=str(n), tags=frozenset({"all", "even"} if n % 2 == 0 else {"all"})) for n in range(5)]
    assert list(Catalog(rows).tags.items()) == [("all", 5), ("even", 3)]


LINES = [
    {"name": "find", "description": "Find.", "server": "shop", "input_schema": {"properties": {}}},
    {"id": "shop/order", "name": "order", "description": "Order."},
    {"name": "bare"},
]


@pytest.mark.parametrize("name", ["tools.jsonl", "tools.jsonl.gz"])
def test_tools_are_read_from_a_file_of_lines(tmp_path: Path, name: str) -> None:
    text = "\n".join([json.dumps(LINES[0]), "", *map(json.dumps, LINES[1:]), "  "]).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    find, order, bare = Catalog.from_jsonl(str(path)).rows
    assert isinstance(find, Tool)
    assert list(find.parameters()) == list(bare.parameters()) == []
    assert (set(find.tags), find.input_schema) == ({"shop"}, {"type": "object", "properties": {}})
    assert (order.name, order.title, order.description) == ("shop/order", "order", "Order.")
    assert (bare.name, bare.title, bare.description, bare.tags) == ("bare", None, "", frozenset())


@pytest.mark.parametrize("nothing", [None, []])
def test_a_line_may_say_that_it_depends_on_nothing(tmp_path: Path, nothing: list[str] | None) -> None:
    path = tmp_path / "tools.jsonl"
    path.write_text(json.dumps({"name": "a", "server": None, "depends_on": nothing}))
    (row,) = Catalog.from_jsonl(path).rows

    assert (row.requires, row.group) == ((), "")


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"null",
        b'{"description":"nameless"}',
        b'{"name":3}',
        b'{"name":"a","input_schema":[]}',
        b'{"name":"\xff"}',
        b'{"name":"a"} {"name":"b"}',
        b'{"name":"good"}',
        b'{"name":"a","input_schema":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    ],
)
def test_a_bad_line_is_named_with_its_file_and_number(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "tools.jsonl"
    path.write_bytes(b'{"name":"good"}\n\n' + line + b"\n")
    with pytest.raises(CatalogError) as refusal:
        Catalog.from_jsonl(path)
    assert str(refusal.value).startswith(f"{path}, line 3: ")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"name":"good"}\n' * 100)
    (tmp_path / "cut.gz").write_bytes(whole[:-12])
    (tmp_path / "not.gz").write_bytes(b"plain")
    (tmp_path / "rotten.gz").write_bytes(whole[:12] + b"\xff" * 20)
    (tmp_path / "folder").mkdir()
    for name in ("cut.gz", "not.gz", "rotten.gz", "folder", "missing"):
        with pytest.raises(CatalogError, match=name):
            Catalog.from_jsonl(tmp_path / name)


@pytest.mark.anyio
async def test_rows_from_a_file_are_listed_and_cannot_be_called(tmp_path: Path) -> None:
    from scopedtools.testing import Client

    path = tmp_path / "tools.jsonl"
    path.write_text(json.dumps(LINES[0]))
    async with Client(ScopedServer(catalog=Catalog.from_jsonl(path))) as client:
        assert [row["name"] for row in await client.list_tools()] == ["find"]
        result = await client.call_tool("find")
    assert result["isError"]
    assert "cannot be called" in result["content"][0]["text"]


@pytest.mark.anyio
async def test_rows_that_only_describe_can_be_listed_and_not_be_read_or_filled_in() -> None:
    from scopedtools.testing import Client, WireError

    async with Client(ScopedServer(catalog=Catalog([RESOURCE, TEMPLATE, PROMPT]))) as client:
        assert len(await client.list_all("resources")) == len(await client.list_all("prompts")) == 1
        for uri in ("shelf://all", "shelf://dune"):
            with pytest.raises(WireError, match="described here and cannot be read"):
                await client.request("resources/read", uri=uri)
        with pytest.raises(WireError, match="described here and cannot be filled in"):
            await client.request("prompts/get", name="ask", arguments={"mood": "bold"})


def test_a_catalog_says_how_large_it_is() -> None:
    assert repr(Catalog([TOOL, PROMPT])) == "<Catalog of 2 rows>"


SETS = sorted(path for path in DATA.glob("*/tools*.jsonl*") if path.parent.name != "toolbench")


@pytest.mark.skipif(not SETS, reason=f"no test sets in {DATA}; set SCOPEDTOOLS_DATA to their folder")
def test_public_sets_are_read_whole() -> None:
    for path in SETS:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = [msgspec.json.decode(line) for line in text.splitlines()]
        catalog = Catalog.from_jsonl(path)
        assert [row.name for row in catalog.rows] == [line.get("id") or line["name"] for line in lines]
        assert all(msgspec.json.decode(row)["inputSchema"]["type"] for row in catalog.encoded(LATEST))
        assert sum(catalog.tags.values()) == sum(bool(line.get("server")) for line in lines)
