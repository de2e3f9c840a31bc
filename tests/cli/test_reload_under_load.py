"""Data, code and workers are replaced while requests come in: none is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from tests.cli.commanded import Served, served
from tests.cli.test_life_cycle import SERVER

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="signals and workers as on Linux"),
]

CLIENTS = 6


def describe(folder: Path, *tools: str) -> None:
    lines = [json.dumps({"name": name, "description": f"{name}."}) for name in tools]
    (folder / "tools.jsonl").write_text("\n".join(lines))


@asynccontextmanager
async def load(server: Served) -> AsyncIterator[list[str]]:
    """Ask all the time, over connections that are kept; yield the lists that came back."""
    lists: list[str] = []
    over = asyncio.Event()

    async def client() -> None:
        async with httpx2.AsyncClient() as http:
            while not over.is_set():
                listed = await server.ask(http, "tools/list")
                lists.append(" ".join(tool["name"] for tool in listed["result"]["tools"]))
                assert (await server.call(http, "peel"))["result"]["content"][0]["text"] == "peeled"

    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(client())
        await more(server, lists)
        yield lists
        await more(server, lists)
        over.set()


async def more(server: Served, lists: list[str]) -> None:
    """Wait until each client had more lists."""
    seen = len(lists)

    async def there() -> bool:
        return len(lists) >= seen + 2 * CLIENTS

    await server.until(there)


async def test_no_request_is_lost_while_data_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "kitchen.py").write_text(SERVER)
    describe(tmp_path, "mop")
    async with (
        served(tmp_path, "kitchen:app", "--catalog", "tools.jsonl") as server,
        load(server) as lists,
    ):
        for number, name in enumerate(["dust", "sweep", "wash"], start=1):
            describe(tmp_path, name)
            server.tell(signal.SIGHUP)
            await server.until_said("reloaded, ", times=number)
        (tmp_path / "tools.jsonl").write_text("{")
        server.tell(signal.SIGHUP)
        await server.until_said("not reloaded, all stays as it was: tools.jsonl, line 1")
        seen = len(lists)

    assert set(lists) == {f"cook peel {name}" for name in ("mop", "dust", "sweep", "wash")}
    assert set(lists[seen + CLIENTS :]) <= {"cook peel wash"}
    assert "Traceback" not in server.said


async def test_no_request_is_lost_while_workers_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "kitchen.py").write_text(SERVER)
    async with served(tmp_path, "kitchen:app", "--workers", "2") as server, load(server) as lists:
        (tmp_path / "kitchen.py").write_text(SERVER.replace("def cook", "def fry"))
        server.tell(signal.SIGHUP)
        await server.until_said("INFO scopedtools.cli.lifecycle: stopped", times=2)
        seen = len(lists)

    assert set(lists) == {"cook peel", "fry peel"}
    assert set(lists[seen + CLIENTS :]) <= {"fry peel"}
    assert "Traceback" not in server.said
