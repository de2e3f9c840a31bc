"""A context of A2A on its way: client, agent, MCP server, and back, through the official SDKs of both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.clients.installing import environment
from tests.hosting import hosted
from tests.wire.hosts import Seen

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

AGENT: Final = Path(__file__).parent / "a2a_agent.py"
LIMIT_S: Final = 60


@pytest.fixture(scope="session")
def agent_python() -> Path:
    """Return the Python of an environment that holds the SDKs of A2A and MCP: 20 s and 90 MB, once."""
    return environment("a2a-sdk-1.3.0", "a2a-sdk[http-server]==1.3.0", "mcp==2.3.0")


async def talk(python: Path, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Send two messages in each context to an agent that asks a server; return what became of them."""
    async with hosted(Seen()) as (host, port):
        url = f"http://{host}:{port}/mcp"
        process = await asyncio.create_subprocess_exec(
            python, AGENT, url, *ids, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                out, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, said.decode()
    told: list[dict[str, Any]] = json.loads(out)
    return told


async def test_a_context_of_a2a_comes_back_as_it_was_sent(agent_python: Path) -> None:
    ids = ["ctx-conversation-abc-123", "c295ea44-7543-4f78-b524-7a38915ad6e4", 'a/b:c"d;e', "x" * 256]
    told = await talk(agent_python, ids)
    assert [one["sent"] for one in told] == [*ids, *ids]
    for one in told:
        assert one["answered"] == one["seen"] == one["repeated"] == one["sent"]
        assert one["carrier"] == "meta:contextId"


async def test_a_context_that_the_agent_makes_is_kept_as_well(agent_python: Path) -> None:
    first, second = await talk(agent_python, [""])
    assert first["answered"] == first["seen"] == first["repeated"] != ""
    assert first["answered"] != second["answered"]


async def test_a_context_of_a2a_that_cannot_be_kept_is_refused_and_no_other_put_in_its_place(
    agent_python: Path,
) -> None:
    told = await talk(agent_python, ["two words", "x" * 257, "é"])
    for one in told:
        assert "seen" not in one
        code, said = one["error"]
        assert code == -32600
        assert said.startswith("The context ID in meta:contextId is malformed: got ")
