"""``scopedtools serve --store``: workers that share contexts, and what is said where they cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
import pytest

from benchmarks.hosting import HOST, free_port, listening
from scopedtools.sharing import SECRET_VARIABLE, STORE_VARIABLE
from tests.stores.running import redis_server
from tests.wire.exchange import ENVELOPE, message, mirrored

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

COMMAND: Final = Path(sys.executable).with_name("scopedtools")

SERVER: Final = '''
import os

from scopedtools import Catalog, ScopedServer, ViewSettings, tool
from scopedtools.catalog.primitives import Tool
from scopedtools.retrieval import HashingEncoder, HybridSelector


class Shop(ScopedServer):
    """Sells."""

    @tool
    async def process(self) -> int:
        """Return who answers."""
        return os.getpid()


app = Shop(
    catalog=Catalog(
        Tool(name=f"{verb}_{noun}", description=f"{verb} the {noun} of a customer.")
        for verb in ("count", "sort", "send", "cancel", "print", "weigh")
        for noun in ("orders", "books", "invoices", "letters", "parcels", "prices")
    ),
    selector=HybridSelector(HashingEncoder()),
    views=ViewSettings(growth="always"),
)
'''


def ask(url: str, method: str, **params: Any) -> dict[str, Any]:
    """Ask over a connection of its own, which any worker may take."""
    envelope = msgspec.json.decode(msgspec.json.encode(ENVELOPE))
    capabilities = envelope.setdefault("io.modelcontextprotocol/clientCapabilities", {})
    capabilities["extensions"] = {
        "io.github.scopedtools/context": {"contextId": "one", "intent": "send letters"}
    }
    request = message(method, {"_meta": envelope, **params})
    answer = httpx2.post(url, content=msgspec.json.encode(request), headers=mirrored(request), timeout=30)
    result: dict[str, Any] = answer.json()["result"]
    return result


async def test_workers_that_share_a_store_show_one_view_which_each_of_them_lets_grow(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SERVER)
    port = free_port()
    url = f"http://{HOST}:{port}/mcp"
    command: list[str | Path] = [COMMAND, "serve", "shop:app", "--port", str(port), "--workers", "2"]
    async with redis_server() as redis:
        variables = {STORE_VARIABLE: redis.url, SECRET_VARIABLE: "shared"}
        with listening(command, port, tmp_path / "log", cwd=tmp_path, variables=variables):
            seen: set[int] = set()
            lists: list[list[str]] = []
            for query in ("weigh the parcels", "count the books", "cancel invoices", "sort prices"):
                ask(url, "tools/call", name="search_tools", arguments={"query": query})
                for _ in range(10):
                    called = ask(url, "tools/call", name="process", arguments={})
                    seen.add(called["structuredContent"]["result"])
                    lists.append([row["name"] for row in ask(url, "tools/list")["tools"]])
        said = (tmp_path / "log").read_text()
    assert len(seen) == 2
    assert "each worker loads" not in said
    for start in range(0, 40, 10):
        assert all(shown == lists[start] for shown in lists[start : start + 10])
        assert lists[-1][: len(lists[start])] == lists[start]
    assert len(lists[0]) < len(lists[-1])


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({STORE_VARIABLE: "redis://:hunter2@localhost:1"}, SECRET_VARIABLE),
        ({STORE_VARIABLE: "redis://:hun/ter2@localhost:1?ttl=5", SECRET_VARIABLE: "x"}, "%2F"),
        ({STORE_VARIABLE: "memory://"}, "give it a shared store"),
    ],
)
def test_a_store_that_cannot_be_shared_is_an_error_that_tells_no_password(
    tmp_path: Path, variables: Mapping[str, str], expected: str
) -> None:
    (tmp_path / "shop.py").write_text(SERVER)
    without = {name: value for name, value in os.environ.items() if name != SECRET_VARIABLE}
    done = subprocess.run(
        [COMMAND, "serve", "shop:app", "--port", "0", "--workers", "2"],
        cwd=tmp_path,
        env={**without, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert expected in done.stderr
    assert "ter2" not in done.stderr
    assert "Traceback" not in done.stderr
