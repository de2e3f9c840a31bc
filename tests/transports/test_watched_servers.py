"""Servers that are hosted with logs, metrics and an audit trail, as operators start them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from scopedtools.testing import Client
from tests.audit.depot import timeline
from tests.wire.exchange import ENVELOPE, message

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

COMMAND = Path(sys.executable).with_name("scopedtools")
LIMIT_S = 60
AT = re.compile(rb"Uvicorn running on (http://[0-9.:]+)")
METRICS_AT = re.compile(rb"http://[0-9.:]+/metrics")
STARTED = re.compile(rb"( serves \d+ rows)")

SERVER = '''
import logging

from scopedtools import Context, ScopedServer, tool


class Counter(ScopedServer):
    """Counts."""

    @tool
    def count(self, word: str) -> int:
        """Count the letters of a word."""
        logging.getLogger("counter").warning("counting %s", word)
        return len(word)


app = Counter()
'''

WATCHED = """
from counter import Counter
from scopedtools.telemetry import Telemetry

app = Counter(observers=[Telemetry(log_requests=False)])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "counter.py").write_text(SERVER)
    (tmp_path / "watched.py").write_text(WATCHED)
    return tmp_path


class Process:
    """A server in a process of its own.

    Attributes:
        url: Of its endpoint.
        lines: What it wrote to standard error so far.
    """

    def __init__(self, process: subprocess.Popen[bytes], *, by_workers: bool) -> None:
        self._process = process
        self.lines: list[bytes] = []
        self.url = f"{self._until(AT).decode()}/mcp"
        if by_workers and not any(STARTED.search(line) for line in self.lines):
            self._until(STARTED)  # of a worker, which begins to listen after that was said

    def _until(self, wanted: re.Pattern[bytes]) -> bytes:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line)
            if found := wanted.search(line):
                return found[1]
        raise AssertionError(b"".join(self.lines).decode())

    async def metrics(self) -> str:
        """Fetch metrics as Prometheus does."""
        [at] = [found[0] for line in self.lines if (found := METRICS_AT.search(line))]
        async with httpx2.AsyncClient() as http:
            return (await http.get(at.decode())).text

    def stop(self) -> list[bytes]:
        """Stop it in order; return all lines that it wrote."""
        assert self._process.stderr is not None
        self._process.send_signal(signal.SIGTERM)
        self.lines += self._process.stderr.readlines()
        assert self._process.wait(LIMIT_S) in (0, -signal.SIGTERM), b"".join(self.lines).decode()
        return self.lines


@contextmanager
def hosted(folder: Path, *options: str, target: str = "counter:app") -> Iterator[Process]:
    command: list[str | Path] = [COMMAND, "serve", target, "--port", "0", *options]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            yield Process(process, by_workers="--workers" in options)
        finally:
            process.kill()


def run(folder: Path, *arguments: str, sent: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=folder,
        input=sent,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env=os.environ | {"COLUMNS": "160"},
    )


def records(lines: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


async def work(url: str, context: str) -> None:
    async with Client(url, context=context) as client:
        await client.list_tools()
        assert (await client.call_tool("count", word=context))["structuredContent"] == {
            "result": len(context)
        }


async def test_log_lines_are_json_and_those_of_a_request_say_which_context(folder: Path) -> None:
    with hosted(folder, "--log-format", "json") as server:
        await work(server.url, "first")
        await work(server.url, "second")
        lines = records(server.stop())
    counted = {line["message"]: line for line in lines if line["logger"] == "counter"}
    one, other = counted["counting first"], counted["counting second"]
    assert re.fullmatch("[0-9a-f]{32}", one["mcp_context"])
    assert one["mcp_context"] != other["mcp_context"]
    assert (one["mcp_principal"], one["mcp_method"]) == ("anonymous", "tools/call")
    requests = [line for line in lines if line["logger"] == "scopedtools.requests"]
    assert [line["mcp_context"] for line in requests] == [one["mcp_context"]] * 2 + [other["mcp_context"]] * 2
    assert not any(line["logger"] == "uvicorn.access" for line in lines)


async def test_the_audit_trail_of_a_context_is_printed_after_the_server_stopped(folder: Path) -> None:
    with hosted(folder, "--audit", "sqlite:///trail.db") as server:
        await work(server.url, "first")
        await work(server.url, "second")
        server.stop()
    told = run(folder, "audit", "first", "--store", "sqlite:///trail.db", "--json")
    events = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(event["method"], event["target"]) for event in events] == [
        ("tools/list", None),
        ("tools/call", "count"),
    ]
    assert {event["server"] for event in events} == {"Counter"}
    assert "count" in run(folder, "audit", "second", "--store", "trail.db").stdout


async def test_workers_write_one_trail(folder: Path) -> None:
    options = ("--workers", "2", "--audit", "sqlite:///trail.db", "--log-format", "json")
    with hosted(folder, *options) as server:
        for number in range(8):
            await work(server.url, f"work-{number}")
        server.stop()
    for number in range(8):
        assert len(timeline(str(folder / "trail.db"), f"work-{number}")) == 2


async def test_metrics_are_served_beside_the_server(folder: Path) -> None:
    with hosted(folder, "--metrics-port", "0") as server:
        await work(server.url, "first")
        text = await server.metrics()
        server.stop()
    called = re.search(
        r'^mcp_server_operation_duration_seconds_count{[^}]*"tools/call"[^}]*} (.*)$', text, re.MULTILINE
    )
    assert called is not None
    assert float(called[1]) == 1
    assert "first" not in text


async def test_a_server_that_has_telemetry_gets_no_second_one(folder: Path) -> None:
    options = ("--metrics-port", "0", "--log-format", "json")
    with hosted(folder, *options, target="watched:app") as server:
        await work(server.url, "first")
        text = await server.metrics()
        lines = records(server.stop())
    assert 'mcp_method_name="tools/call"' in text
    assert not any(line["logger"] == "scopedtools.requests" for line in lines)
    assert any(line["logger"] == "counter" and "mcp_context" in line for line in lines)


def test_on_stdio_logs_and_metrics_leave_the_output_to_the_protocol(folder: Path) -> None:
    options = ("--stdio", "--audit", "trail.db", "--metrics-port", "0", "--log-format", "json")
    count = {"name": "count", "arguments": {"word": "word"}, "_meta": ENVELOPE}
    asked = [
        message("tools/list", {"_meta": ENVELOPE}, message_id=1),
        message("tools/call", count, message_id=2),
    ]
    told = run(
        folder, "serve", "counter:app", *options, sent="".join(f"{json.dumps(one)}\n" for one in asked)
    )
    assert told.returncode == 0, told.stderr
    assert {json.loads(line)["id"] for line in told.stdout.splitlines()} == {1, 2}
    logged = records(told.stderr.encode().splitlines())
    assert "counting word" in {line["message"] for line in logged}
    assert any(METRICS_AT.search(line["message"].encode()) for line in logged)
    assert (folder / "trail.db").exists()


async def test_the_trail_may_be_named_where_others_do_not_see_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCOPEDTOOLS_AUDIT", "sqlite:///trail.db")
    with hosted(folder) as server:
        await work(server.url, "first")
        server.stop()
    assert len(run(folder, "audit", "first", "--json").stdout.splitlines()) == 2


def test_workers_cannot_share_the_port_of_metrics(folder: Path) -> None:
    told = run(folder, "serve", "counter:app", "--workers", "2", "--metrics-port", "9464")
    assert told.returncode == 1
    assert "several workers cannot serve metrics on one port" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--audit", "mysql://host/db"), "mysql"),
        (("--log-format", "xml"), "xml"),
    ],
)
def test_options_that_cannot_be_are_refused_before_the_server_starts(
    folder: Path, options: tuple[str, ...], says: str
) -> None:
    told = run(folder, "serve", "counter:app", "--port", "0", *options)
    assert told.returncode != 0
    assert says in told.stderr
    assert "Traceback" not in told.stderr


GROWING = """
from scopedtools import Catalog, ScopedServer, ViewSettings
from scopedtools.catalog.primitives import Tool

TAKES = {"type": "object"}
TOOLS = Catalog(Tool(name=f"tool_{n}", description="A tool.", input_schema=TAKES) for n in range(30))
app = ScopedServer(catalog=TOOLS)
still = ScopedServer(catalog=TOOLS, views=ViewSettings(growth="never"))
"""


def test_workers_that_would_each_grow_views_of_their_own_are_refused(folder: Path) -> None:
    (folder / "growing.py").write_text(GROWING)
    told = run(folder, "serve", "growing:app", "--workers", "2")
    assert told.returncode == 1
    assert "views of this server may grow" in told.stderr
    with hosted(folder, "--workers", "2", target="growing:still") as server:
        server.stop()


LOGGING = """
from scopedtools.telemetry import configure_logging

from counter import Counter

configure_logging("json")
app = Counter()
"""


async def test_logs_are_as_the_module_of_the_server_says(folder: Path) -> None:
    (folder / "logging_json.py").write_text(LOGGING)
    with hosted(folder, target="logging_json:app") as server:
        await work(server.url, "first")
        assert all(line.startswith(b"{") for line in server.stop())


def test_a_trail_cannot_be_read_without_the_extra_that_is_named(folder: Path) -> None:
    (folder / "sqlalchemy.py").write_text("raise ImportError('not here')")
    told = subprocess.run(
        [sys.executable, "-c", "from scopedtools.cli import main; main()", "audit", "x"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert told.returncode == 1
    assert "scopedtools[audit]" in told.stderr
    assert "Traceback" not in told.stderr
