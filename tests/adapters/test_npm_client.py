"""The official TypeScript client, before servers of the official Python SDK that gained context views."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import pytest

from scopedtools.client import UnitOfWork
from tests.adapters.sdk_host import KINDS, Kind, made
from tests.adapters.served import names, served
from tests.adapters.stock import FLIGHTS, INVOICES, TOOLS
from tests.clients.installing import node_modules

pytestmark = [pytest.mark.anyio, pytest.mark.node, pytest.mark.slow]

PACKAGE: Final = "@modelcontextprotocol/client"
DRIVER: Final = Path(__file__).parent.parent / "clients" / "client.mjs"
VISIT_S: Final = 90


async def pay(visits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Have the client connect, take its steps and tell what it saw."""
    folder = node_modules("npm-2.4.0", f"{PACKAGE}@2.4.0")
    process = await asyncio.create_subprocess_exec(
        "node", DRIVER, folder, PACKAGE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(VISIT_S):
        told, _ = await process.communicate(json.dumps(visits).encode() + b"\n")
    sights: list[dict[str, Any]] = json.loads(told)
    assert all("failure" not in sight for sight in sights), sights
    return sights


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("kind", KINDS)
async def test_two_contexts_get_two_lists_and_reach_what_is_hidden(kind: Kind, mode: str) -> None:
    through = {"name": "call_tool", "arguments": {"name": "compare_song", "arguments": {"title": "x"}}}
    steps = [
        ("tools/list", {}),
        ("tools/call", {"name": "search_tools", "arguments": {"query": "compare one song with another"}}),
        ("tools/call", through),
    ]
    units = (UnitOfWork(intent=INVOICES), UnitOfWork(intent=FLIGHTS), None)
    async with served(made(kind)) as endpoint:
        visits = [
            {
                "mode": mode,
                "url": endpoint.url,
                "command": [],
                "cwd": ".",
                "headers": {} if unit is None else unit.headers(),
                "extensions": {} if unit is None else unit.extensions(),
                "replies": {},
                "log_level": None,
                "listens": False,
                "steps": steps,
            }
            for unit in units
        ]
        invoices, flights, nothing = await pay(visits)
    assert "find_invoice" in names(invoices["answers"][0])
    assert "order_flight" in names(flights["answers"][0])
    assert names(nothing["answers"][0]) == list(TOOLS)
    for sight in (invoices, flights):
        _, found, called = sight["answers"]
        assert found["structuredContent"]["tools"][0]["name"] == "compare_song"
        assert called["structuredContent"] == {"result": "compare song x"}
