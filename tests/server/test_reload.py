"""What a server was made of is read again while it runs."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import scopedtools
from scopedtools import ScopedServer, ViewSettings
from scopedtools.cli.described import CatalogFile
from scopedtools.exceptions import ScopedToolsError
from scopedtools.gateway import Gateway
from scopedtools.openapi import OpenApi
from scopedtools.retrieval import HybridSelector
from scopedtools.testing import Client, HashingEncoder
from tests.gateway.fronted import stdio

pytestmark = pytest.mark.anyio

LIMIT_S = 30


async def names(server: ScopedServer) -> set[str]:
    async with Client(server) as client:
        return {tool["name"] for tool in await client.list_tools()}


def described(path: Path, *tools: str) -> Path:
    path.write_text("".join(json.dumps({"name": name, "description": f"{name}."}) + "\n" for name in tools))
    return path


async def test_a_catalog_file_is_read_again(tmp_path: Path) -> None:
    file = described(tmp_path / "tools.jsonl", "mop", "sweep")
    server = ScopedServer()
    server.mount(CatalogFile(str(file)))
    async with server:
        described(file, "mop", "dust")
        assert await names(server) == {"mop", "sweep"}
        await server.reload()
        assert await names(server) == {"mop", "dust"}


async def test_a_reload_of_several_sources_of_which_one_cannot_be_read_changes_nothing(
    tmp_path: Path,
) -> None:
    first, second = described(tmp_path / "1.jsonl", "mop"), described(tmp_path / "2.jsonl", "fry")
    server = ScopedServer()
    for file in (first, second):
        server.mount(CatalogFile(str(file)))
    async with server:
        described(first, "dust")
        second.write_text("{broken")
        with pytest.raises(ScopedToolsError, match=r"2\.jsonl, line 1"):
            await server.reload()
        assert await names(server) == {"mop", "fry"}


async def test_a_description_of_an_api_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "api.json"

    def write(*operations: str) -> None:
        paths = {f"/{name}": {"get": {"operationId": name, "responses": {}}} for name in operations}
        info = {"title": "Shelf", "version": "1"}
        file.write_text(json.dumps({"openapi": "3.1.0", "info": info, "paths": paths}))

    write("find")
    server = ScopedServer()
    server.mount(OpenApi.load(file, base_url="http://127.0.0.1:1"))
    async with server:
        write("find", "lend")
        await server.reload()
        assert await names(server) == {"find", "lend"}
        write()
        with pytest.raises(ScopedToolsError, match="no operations"):
            await server.reload()
        assert await names(server) == {"find", "lend"}


async def test_a_gateway_takes_servers_up_and_lets_them_go_when_its_file_says_so(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"

    def write(**servers: Any) -> None:
        file.write_text(json.dumps({"mcpServers": servers}))

    write(one=stdio())
    gateway = Gateway(file)
    server = ScopedServer(views=ViewSettings(whole_rows=100))
    server.mount(gateway)
    async with server:
        [before] = gateway.status
        kept = await names(server)
        write(one=stdio(), two=stdio())
        await server.reload()
        assert [(one.name, one.state) for one in gateway.status] == [("one", "up"), ("two", "up")]
        assert {name for name in await names(server) if name.startswith("two")}
        assert kept <= await names(server)

        file.write_text("{")
        with pytest.raises(ScopedToolsError, match=r"mcp\.json"):
            await server.reload()
        write(two=stdio())
        await server.reload()
        assert [one.name for one in gateway.status] == ["two"]
        assert not {name for name in await names(server) if name.startswith("one")}
        assert before.rows == gateway.status[0].rows


WAITING = """
import asyncio
from pathlib import Path

from scopedtools import ScopedServer, tool


class Waiting(ScopedServer):
    @tool
    async def wait(self, name: str) -> str:
        \"\"\"Wait for a file.\"\"\"
        Path(name + ".begun").touch()
        while not Path(name).exists():
            await asyncio.sleep(0.02)
        return "there"


asyncio.run(Waiting().serve_stdio())
"""


async def test_calls_under_way_end_on_the_server_that_a_file_replaces(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    (tmp_path / "waiting.py").write_text(WAITING)

    def write(mood: str) -> None:
        env = {"MOOD": mood, "PYTHONPATH": str(Path(scopedtools.__file__).parents[1])}
        entry = {"command": sys.executable, "args": ["waiting.py"], "cwd": str(tmp_path), "env": env}
        file.write_text(json.dumps({"mcpServers": {"one": entry}}))

    write("calm")
    server = ScopedServer()
    server.mount(Gateway(file))
    async with server, Client(server) as client, asyncio.timeout(LIMIT_S):
        under_way = asyncio.create_task(client.call_tool("one__wait", name="first"))
        while not (tmp_path / "first.begun").exists():  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)
        write("glad")
        await server.reload()
        (tmp_path / "second").touch()
        assert not (await client.call_tool("one__wait", name="second")).get("isError")
        assert not under_way.done()
        (tmp_path / "first").touch()
        assert (await under_way)["content"][0]["text"] == "there"


class Counting(HashingEncoder):
    """Counts what it encodes."""

    encoded = 0

    def encode_documents(self, texts: Any) -> Any:
        self.encoded += len(texts)
        return super().encode_documents(texts)


async def test_an_index_that_another_process_built_is_taken_up(tmp_path: Path) -> None:
    file, folder, elsewhere = tmp_path / "tools.jsonl", tmp_path / "index", tmp_path / "elsewhere"
    verbs = ("count", "sort", "send", "cancel", "print", "weigh", "return", "label", "pack", "lend", "sell")

    def made(selector: HybridSelector) -> ScopedServer:
        server = ScopedServer(selector=selector)
        server.mount(CatalogFile(str(file)))
        return server

    def describe(*kinds: str) -> None:
        described(file, *(f"{verb}_{kind}" for verb in verbs for kind in kinds))

    describe("books", "letters")
    encoder = Counting()
    server = made(HybridSelector(encoder, index_dir=folder))
    async with server:
        await server.rank("send a letter")
        describe("books", "plates")
        other = made(HybridSelector(HashingEncoder(), index_dir=elsewhere))
        async with other:
            await other.rank("send a plate")
        shutil.rmtree(folder)
        shutil.copytree(elsewhere, folder)
        before = encoder.encoded
        await server.reload()

        assert encoder.encoded == before > 0
        [best, *_] = (await server.rank("sell plates")).hits
        assert server.catalog.rows[best.row].name == "sell_plates"
