from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import mcp
import pytest

from scopedtools import ScopedServer, ViewSettings, tools_from
from scopedtools.audit.reader import AuditReader
from scopedtools.context.hosts import CARRIERS, OPTIONAL
from scopedtools.testing import Client
from tests.client.workplace import Workplace, hosted, names

README = (Path(__file__).parent.parent / "README.md").read_text()

URL = "http://127.0.0.1:8000/mcp"
"""Where the front page says that the server is."""


def blocks(language: str, *, holding: str = "") -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    return [source for source in found if holding in source]


def run(source: str, name: str) -> dict[str, Any]:
    """Run a module; return what it defines."""
    namespace: dict[str, Any] = {"__name__": name}
    exec(compile(source, "README.md", "exec", dont_inherit=True), namespace)  # noqa: S102 - our own text
    return namespace


async def paste(source: str, namespace: dict[str, Any]) -> None:
    """Run what is pasted into ``python -m asyncio``."""
    code = compile(source, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    waiting = eval(code, namespace)  # noqa: S307 - our own text
    if inspect.isawaitable(waiting):
        await waiting


def doing(name: str, what: str) -> Callable[[str], str]:
    def act(value: str) -> str:
        return value

    act.__name__, act.__doc__ = name, what
    return act


class Network(Workplace):
    """What the front page asks for, among forty other tools."""

    subnets = tools_from(
        [
            doing("subnet_overlaps", "Work out which subnets overlap."),
            doing("broadcast_address", "Print the broadcast address of a subnet."),
            doing("mask_of_each", "Tell the mask of each network."),
            doing("to_prefix_length", "Convert it to a prefix length."),
            doing("hash_file", "Hash a file."),
        ]
    )


@pytest.mark.anyio
async def test_the_server_on_the_front_page_runs_and_fits_on_one_screen() -> None:
    source = blocks("python")[0]
    assert len([line for line in source.splitlines() if line.strip()]) <= 22
    app = run(source, "shop")["app"]
    assert isinstance(app, ScopedServer)
    async with Client(app) as everybody, Client(app, context="window-shopping") as browser:
        assert [tool["name"] for tool in await everybody.list_tools()] == ["find_books", "order_book"]
        assert [tool["name"] for tool in await browser.list_tools()] == ["find_books"]
        found = await browser.call_tool("find_books", title="dune")
        assert found["structuredContent"] == {"result": ["Dune"]}


def test_every_python_block_on_the_front_page_compiles() -> None:
    for source in blocks("python"):
        compile(source, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


@pytest.mark.anyio
async def test_the_client_lines_work_as_pasted_with_the_official_client(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pasted: dict[str, Any] = {}
    async with hosted(Network()) as wire:
        one, many = blocks("python", holding=URL)
        await paste(one.replace(URL, wire.url), pasted)
        assert isinstance(pasted["client"], mcp.Client)
        shown = ast.literal_eval(capsys.readouterr().out)
        assert shown[:2] == ["search_tools", "call_tool"]
        assert {"subnet_overlaps", "broadcast_address"} <= set(shown)
        assert len(shown) < ViewSettings().whole_rows
        assert {asked.settings["contextId"] for asked in wire.seen} == {pasted["unit"].id}

        wire.seen.clear()
        await paste(many.replace(URL, wire.url), pasted)
    first, longer, forked = (names(pasted[name].tools) for name in ("first", "longer", "forked"))
    assert first == shown
    assert "mask_of_each" in set(longer) - set(first)
    assert "to_prefix_length" in set(forked) - set(longer)
    said = [asked.settings for asked in wire.of("tools/list")]
    assert [settings["contextId"] for settings in said[:2]] == [pasted["unit"].id] * 2
    assert [settings.get("parent") for settings in said] == [None, None, pasted["unit"].id]


@pytest.mark.anyio
async def test_headers_or_a_url_name_the_same_context() -> None:
    [text] = blocks("console", holding="$ curl http://127.0.0.1:8000")
    commands = text.replace("\\\n", " ").splitlines()
    async with hosted(Network()) as wire, httpx2.AsyncClient() as http:
        listed = []
        for command in commands:
            words = shlex.split(command.removeprefix("$ curl ").replace(URL, wire.url))
            given = list(zip(words[1::2], words[2::2], strict=True))
            headers = dict(value.split(": ", 1) for option, value in given if option == "-H")
            [body] = [value for option, value in given if option == "-d"]
            answer = await http.post(words[0], headers=headers, content=body)
            listed.append([tool["name"] for tool in answer.json()["result"]["tools"]])
    by_header, by_url = listed
    assert by_header == by_url
    assert "hash_file" in by_url
    assert len(by_url) < ViewSettings().whole_rows


@pytest.mark.anyio
async def test_the_form_on_the_front_page_opens_once_and_goes_on_from_its_draft() -> None:
    [source] = blocks("python", holding="ContextLocal")
    app = run(source, "desk")["app"]

    async def fill(client: Client, *fields: str) -> list[str]:
        results = await asyncio.gather(
            *(client.call_tool("set_field", name=name, value="x") for name in fields)
        )
        return sorted(result["content"][0]["text"] for result in results)

    async with Client(app, context="a") as one, Client(app, context="b") as other, Client(app) as nobody:
        assert await fill(one, "city", "date") == ["1 fields are filled in.", "2 fields are filled in."]
        assert await fill(other, "city") == ["1 fields are filled in."]
        assert "needs a context" in (await fill(nobody, "city"))[0]
    async with Client(app, context="a") as again:  # the form was closed with the server
        assert await fill(again, "name") == ["3 fields are filled in."]


DRIVE = """
import asyncio
from scopedtools.testing import Client

async def use():
    async with Client(app, context="7f3a") as client:
        await client.list_tools()
        await client.call_tool("order_book", title="Dune")

asyncio.run(use())
"""


def test_the_observers_on_the_front_page_write_the_trail_and_tell_the_context(tmp_path: Path) -> None:
    [observed] = blocks("python", holding="AuditTrail")
    [database] = re.findall(r'AuditTrail\("(.*?)"\)', observed)
    trail = f"sqlite:///{tmp_path}/audit.db"
    source = blocks("python")[0] + observed.replace(database, trail) + DRIVE
    ran = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True
    )
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    requests = [line for line in lines if line["logger"] == "scopedtools.requests"]
    with AuditReader(trail) as reader:
        events = reader.timeline("7f3a")
    asked = [(event.method, event.target) for event in events]
    assert asked[-2:] == [("tools/list", None), ("tools/call", "order_book")]
    assert [line["mcp_context"] for line in requests] == [event.context_digest for event in events]


def test_every_carrier_on_the_front_page_is_read_and_those_that_are_not_by_default_say_so() -> None:
    read, asked_for = ({str(carrier) for carrier in table} for table in (CARRIERS, OPTIONAL))
    rows = [line for line in README.splitlines() if re.match(r"\|.*\| (yes|calls only) \|$", line)]
    assert len(rows) > 8
    for row in rows:
        named = set(re.findall(r"`([a-z]+:[^`]+)`", row))
        assert named
        assert named <= (asked_for if row.startswith("| opt-in") else read)
