"""The trail of real servers: over HTTP and stdio, killed and stopped under load."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import msgspec
import pytest

from scopedtools.audit import Event
from scopedtools.testing import Client
from tests.audit.depot import brief, timeline, until
from tests.wire.exchange import ENVELOPE, message

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BIN = Path(sys.executable).parent
LIMIT_S = 60
FLUSH_MS = 100
MARGIN_S = 1.0
"""For a busy machine. Which requests may be missing is told by their order too: the last ones."""

CLIENTS = 6

SERVER = """
import asyncio
from scopedtools import ScopedServer, tool
from scopedtools.audit import AuditTrail

class Depot(ScopedServer):
    @tool
    async def weigh(self, parcel: str) -> str:
        "Weigh a parcel."
        return parcel

    @tool
    async def hold(self) -> str:
        "Hold a parcel for ever."
        await asyncio.sleep(3600)
        return "held"

# Only the time makes it write.
app = Depot(observers=[AuditTrail({store!r}, flush_ms={flush_ms}, batch=100_000, capacity=100_000)])
"""

COMMANDS = {
    "serve": [str(BIN / "scopedtools"), "serve", "kept:app", "--port", "0"],
    "uvicorn": [str(BIN / "uvicorn"), "kept:app", "--port", "0", "--timeout-graceful-shutdown", "5"],
}


@contextmanager
def started(folder: Path, store: str, *command: str, **pipes: Any) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "kept.py").write_text(SERVER.format(store=store, flush_ms=FLUSH_MS))
    log = folder / "log"
    with (
        log.open("wb") as sink,
        subprocess.Popen(command, cwd=folder, stderr=sink, **pipes) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def url_of(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Wait until a server listens, and return where."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"running on (http://\S+)", (folder / "log").read_text()):
            return f"{found[1]}/mcp"
        time.sleep(0.02)
    raise AssertionError((folder / "log").read_text())


class Answered(NamedTuple):
    """A request that a client has the answer to."""

    context: str
    rpc_id: int
    at: float


async def work(url: str, context: str, answered: list[Answered]) -> None:
    """Ask until the server is gone."""
    number = 0
    try:
        async with Client(url, context=context) as client:
            while True:
                if number % 3:
                    await client.call_tool("weigh", parcel="p")
                else:
                    await client.request("tools/list")
                number += 1
                answered.append(Answered(context, number, time.monotonic()))
    except (httpx2.HTTPError, msgspec.DecodeError):
        return


async def hold(url: str) -> None:
    async with Client(url, context="held") as client:
        await client.call_tool("hold")


async def load(
    process: subprocess.Popen[bytes], url: str, with_signal: signal.Signals, *, for_s: float = 0
) -> tuple[list[Answered], float]:
    """Have clients ask for a while, then send a signal; return what they got, and when it was sent."""
    answered: list[Answered] = []
    held = asyncio.create_task(hold(url))
    clients = [asyncio.create_task(work(url, f"wf-{number}", answered)) for number in range(CLIENTS)]
    await until(lambda: len(answered) > 300 and time.monotonic() - answered[0].at > for_s)
    sent_at = time.monotonic()
    process.send_signal(with_signal)
    await asyncio.gather(*clients)
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    await asyncio.to_thread(process.wait, LIMIT_S)
    return answered, sent_at


def ended(store: str, context: str) -> list[int]:
    """Return the JSON-RPC IDs of the requests of a context that have ended, as the trail orders them."""
    return [int(event.rpc_id or 0) for event in timeline(store, context) if event.status == "ok"]


@pytest.mark.parametrize("command", COMMANDS)
async def test_of_a_server_that_is_killed_at_most_the_last_batch_is_missing(
    command: str, store: str, tmp_path: Path
) -> None:
    with started(tmp_path, store, *COMMANDS[command]) as process:
        url = url_of(process, tmp_path)
        answered, killed_at = await load(process, url, signal.SIGKILL, for_s=2 * MARGIN_S)
    lost = []
    for context in {one.context for one in answered}:
        own = [one for one in answered if one.context == context]
        kept = ended(store, context)
        assert kept == list(range(1, len(kept) + 1)), "something in the middle is missing"
        lost += [one for one in own if one.rpc_id > len(kept)]
    too_old = killed_at - FLUSH_MS / 1000 - MARGIN_S
    assert [one for one in lost if one.at < too_old] == []
    assert brief(timeline(store, "held")) == [("tools/call", "hold", "unfinished")]


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_server_that_is_stopped_under_load_loses_nothing(
    command: str, store: str, tmp_path: Path
) -> None:
    with started(tmp_path, store, *COMMANDS[command]) as process:
        answered, _ = await load(process, url_of(process, tmp_path), signal.SIGTERM)
    for context in {one.context for one in answered}:
        own = [one.rpc_id for one in answered if one.context == context]
        kept = ended(store, context)
        # The last may have been answered while its client was told that the server goes.
        assert kept[: len(own)] == own
        assert kept == list(range(1, len(kept) + 1))
    assert [event.target for event in timeline(store, "held")] == ["hold"]
    assert "missing" not in (tmp_path / "log").read_text()


async def test_the_trail_goes_on_after_a_crash(tmp_path: Path) -> None:
    store = str(tmp_path / "audit.db")
    for _ in range(2):
        with started(tmp_path, store, *COMMANDS["serve"]) as process:
            await load(process, url_of(process, tmp_path), signal.SIGKILL)
    events = timeline(store, "wf-0")
    numbers = [int(event.rpc_id or 0) for event in events]
    assert numbers.count(1) == 2
    assert len({event.process for event in events}) == 2


def test_over_stdio_the_trail_is_the_same(tmp_path: Path) -> None:
    store = str(tmp_path / "audit.db")
    command = (COMMANDS["serve"][0], "serve", "kept:app", "--stdio")
    envelope = ENVELOPE | {
        "io.modelcontextprotocol/clientCapabilities": {
            "extensions": {"io.github.scopedtools/context": {"contextId": "wf-1"}}
        }
    }
    requests = [
        message("tools/list", {"_meta": envelope}, message_id=1),
        message(
            "tools/call", {"_meta": envelope, "name": "weigh", "arguments": {"parcel": "p"}}, message_id=2
        ),
        message("tools/call", {"_meta": envelope, "name": "burn"}, message_id=3),
    ]
    with started(tmp_path, store, *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for request in requests:
            process.stdin.write(msgspec.json.encode(request) + b"\n")
            process.stdin.flush()
            assert process.stdout.readline()
        process.stdin.close()
        assert process.wait(LIMIT_S) == 0
    events: list[Event] = timeline(store, "wf-1")
    assert brief(events) == [
        ("tools/list", None, "ok"),
        ("tools/call", "weigh", "ok"),
        ("tools/call", "burn", "error"),
    ]
    assert [event.view for event in events] == [events[0].view] * 3
    assert events[0].view is not None


FORKED = """
import asyncio, atexit, os, warnings
from scopedtools import ScopedServer
from scopedtools.audit import AuditTrail
from scopedtools.testing import Client

server = ScopedServer(observers=[AuditTrail("audit.db")])

async def work(context, stay=False):
    async with Client(server, context=context) as client:
        await client.request("tools/list")
        if stay:
            fork(atexit._run_exitfuncs)  # as a program does that ends in order

def fork(child):
    pid = os.fork()
    if pid == 0:
        child()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

warnings.simplefilter("ignore")  # of later Pythons, about a fork where there are threads
for name in ("one", "two"):
    fork(lambda: asyncio.run(work(name)))
asyncio.run(work("parent", stay=True))
"""


def test_a_server_that_is_made_before_its_workers_are_forked_keeps_one_trail(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORKED]
    ran = subprocess.run(command, cwd=tmp_path, timeout=LIMIT_S, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    store = str(tmp_path / "audit.db")
    events = [event for context in ("one", "two", "parent") for event in timeline(store, context)]
    assert [event.status for event in events] == ["ok"] * 3
    assert len({event.process for event in events}) == 3
