"""What a hosted server writes down: each event of its life, and nothing that a client makes up."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import httpx2
import msgspec
import pytest

from tests.cli.commanded import served
from tests.wire.exchange import JSON_HEADERS, message

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="signals as on Linux"),
]

EVIL = 'x\r\n{"level": "ERROR", "message": "forged"}\n2026-01-01 ERROR forged\x1b[31m\u2028\x9b31m'

SERVER = """
import logging

from scopedtools import Context, ScopedServer, tool


class Counter(ScopedServer):
    @tool
    def count(self, word: str) -> int:
        \"\"\"Count the letters of a word.\"\"\"
        logging.getLogger("counter").warning("counting %s", word)
        raise ValueError(word)


app = Counter(version="4.2")
"""


@pytest.mark.parametrize("lines", ["json", "text"])
async def test_the_life_of_a_server_is_written_down_and_clients_cannot_forge_a_line(
    tmp_path: Path, lines: str
) -> None:
    (tmp_path / "counter.py").write_text(SERVER)
    options = ["counter:app", "--log-format", lines, "--drain-s", "0.1"]
    async with served(tmp_path, *options) as server, httpx2.AsyncClient() as http:
        await server.call(http, "count", word=EVIL)
        legacy = message("tools/call", {"name": EVIL, "arguments": {}})
        await http.post(f"{server.url}/mcp", content=msgspec.json.encode(legacy), headers=JSON_HEADERS)
        await http.get(f"{server.url}/%0d%0aforged%1b[31m")
        await http.get(
            f"{server.url}/mcp", headers={b"mcp-client-session-id": b"x\x1b[31m", b"host": b"e\x9bvil"}
        )
        server.tell(signal.SIGHUP)
        await server.until_said("reloaded")
        server.tell(signal.SIGTERM)
        assert await server.ended() == 0
    said = server.said.splitlines()

    assert not [line for line in said if "\x1b" in line or "\x9b" in line or "\u2028" in line]
    assert not [line for line in said if line.startswith(('{"level"', "2026-01-01", "forged"))]
    if lines == "json":
        records = [json.loads(line) for line in said]
        events = {one["event"]: one for one in records if "event" in one}
        assert list(events) == ["start", "ready", "reload", "drain", "stop", "stopped"]
        assert events["ready"]["addresses"] == [server.url]
        assert (events["ready"]["server_version"], events["ready"]["rows"]) == ("4.2", 3)
        assert len(events["ready"]["catalog_version"]) == 32
        assert {"uvicorn.error", "scopedtools.requests"} <= {one["logger"] for one in records}
    else:
        assert [line for line in said if "Counter 4.2 is starting" in line]
