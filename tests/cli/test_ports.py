"""``scopedtools serve --ports``: one process for each port, as people start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec
import pytest

from benchmarks.hosting import free_port
from scopedtools.cli.ports import metrics_ports, ports_of
from scopedtools.cli.target import TargetError
from tests.wire.exchange import ENVELOPE, message, mirrored

pytestmark = pytest.mark.slow

_Thing = TypeVar("_Thing")

COMMAND = Path(sys.executable).with_name("scopedtools")
LIMIT_S = 60

SERVER = '''
import os
from pathlib import Path

from scopedtools import ScopedServer, tool

LOADED = os.getpid()


class Shop(ScopedServer):
    """Sells."""

    @tool
    async def process(self) -> list[int]:
        """Return who answers, who imported this, and how long the secret is."""
        return [os.getpid(), LOADED, len(os.environ["SCOPEDTOOLS_SECRET"])]


app = Shop()
'''

HOLDING = SERVER + '\nheld = open("held.txt", "w")\n'

FAILING = SERVER.replace(
    "    @tool\n",
    """    async def __aenter__(self) -> None:
        if Path("broken").exists():
            raise RuntimeError("the depot is closed")
        await super().__aenter__()

    @tool
""",
)


class Family:
    """The processes of some ports.

    Attributes:
        parent: Watches the others.
        ports: Where they serve.
    """

    def __init__(self, parent: subprocess.Popen[bytes], ports: list[int], log: Path) -> None:
        self.parent = parent
        self.ports = ports
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text()

    def who(self, port: int) -> list[int]:
        """Return the process of a port, the one that loaded its server, and the length of its secret."""
        asked = message("tools/call", {"_meta": ENVELOPE, "name": "process"})
        answer = httpx2.post(
            f"http://127.0.0.1:{port}/mcp",
            content=msgspec.json.encode(asked),
            headers=mirrored(asked),
            timeout=LIMIT_S,
        )
        result: list[int] = answer.json()["result"]["structuredContent"]["result"]
        return result

    def until(self, found: Callable[[], _Thing | None]) -> _Thing:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            assert self.parent.poll() is None, self.said
            try:
                if thing := found():
                    return thing
            except httpx2.TransportError:
                pass  # not there yet, or just gone
            time.sleep(0.02)
        raise AssertionError(self.said)

    def all(self) -> list[list[int]]:
        return [self.until(lambda port=port: self.who(port)) for port in self.ports]  # type: ignore[misc]

    def stop(self) -> int:
        self.parent.send_signal(signal.SIGTERM)
        return self.parent.wait(LIMIT_S)


@contextmanager
def started(folder: Path, source: str = SERVER, *options: str, count: int = 2) -> Iterator[Family]:
    (folder / "shop.py").write_text(source)
    ports = [free_port() for _ in range(count)]
    command: list[Any] = [COMMAND, "serve", "shop:app", "--ports", ",".join(map(str, ports)), *options]
    log = folder / "log.txt"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=folder, stderr=output, stdout=output, process_group=0, env=os.environ
        ) as process,
        ExitStack() as ending,
    ):
        ending.callback(_end, process)
        yield Family(process, ports, log)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a family whose parent may have gone before its children."""
    process.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def test_each_port_has_a_process_of_its_own_that_shares_what_was_loaded_once(tmp_path: Path) -> None:
    with started(tmp_path, count=3) as family:
        answers = family.all()
        assert len({pid for pid, _, _ in answers}) == 3
        assert {imported for _, imported, _ in answers} == {family.parent.pid}
        assert {secret for _, _, secret in answers} == {64}
        assert family.stop() == 0


def test_a_process_that_dies_is_replaced_and_one_that_dies_again_after_a_pause(tmp_path: Path) -> None:
    with started(tmp_path) as family:
        first, second = family.all()
        port = family.ports[0]
        for _ in range(2):
            killed = family.until(lambda: family.who(port))[0]
            os.kill(killed, signal.SIGKILL)
            family.until(lambda before=killed: family.who(port)[0] != before)  # type: ignore[misc]
        assert family.who(family.ports[1]) == second
        assert family.who(port)[1] == first[1]
        assert "replaced in 0 s" in family.said
        assert "replaced in 0.5 s" in family.said
        assert family.stop() == 0


def test_a_hangup_has_each_process_read_its_data_again(tmp_path: Path) -> None:
    with started(tmp_path) as family:
        before = family.all()
        family.parent.send_signal(signal.SIGHUP)
        family.until(lambda: family.said.count("reloaded") == len(family.ports))
        assert family.all() == before
        assert family.stop() == 0


def test_where_the_server_holds_files_each_process_loads_its_own_and_stops_too(tmp_path: Path) -> None:
    with started(tmp_path, HOLDING) as family:
        for pid, imported, secret in family.all():
            assert pid == imported
            assert secret == 64
        assert "each process loads the catalog by itself" in family.said
        assert family.stop() == 0


def test_where_none_starts_the_command_ends_and_later_ones_are_tried_again(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    with started(tmp_path, FAILING) as family:
        assert family.parent.wait(LIMIT_S) != 0
        assert "the depot is closed" in family.said
        assert "did not start" in family.said
    broken.unlink()
    with started(tmp_path, FAILING) as family:
        killed = family.all()[0][0]
        broken.touch()
        os.kill(killed, signal.SIGKILL)
        family.until(lambda: "replaced in 0.5 s" in family.said)
        broken.unlink()
        assert family.until(lambda: family.who(family.ports[0]))[0] != killed
        assert family.stop() == 0


def test_each_process_serves_its_own_metrics(tmp_path: Path) -> None:
    first = free_port()
    with started(tmp_path, SERVER, "--metrics-port", str(first)) as family:
        family.all()
        for port in (first, first + 1):
            lines = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=LIMIT_S).text
            assert 'mcp_method_name="tools/call"' in lines
        assert family.stop() == 0


def test_ports_are_numbers_ranges_and_lists_of_both() -> None:
    assert ports_of("9101") == (9101,)
    assert ports_of("9101-9103, 9200") == (9101, 9102, 9103, 9200)


@pytest.mark.parametrize(
    "text", ["", "9101-", "-9101", "x", "9103-9101", "0-3", "65535-65536", "1-60000", "9101,9101", "²"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(TargetError, match="such as 9101-9104"):
        ports_of(text)


def test_metrics_go_to_one_port_after_the_other_beside_those_that_serve() -> None:
    assert metrics_ports(9000, [9101, 9102]) == [9000, 9001]
    assert metrics_ports(0, [9101, 9102]) == [0, 0]
    assert metrics_ports(None, [9101, 9102]) == [None, None]
    for first in (9101, 9100, 65535):
        with pytest.raises(TargetError, match="one for each of --ports"):
            metrics_ports(first, [9101, 9102])


def test_ports_and_workers_exclude_each_other(tmp_path: Path) -> None:
    with started(tmp_path, SERVER, "--workers", "2") as family:
        assert family.parent.wait(LIMIT_S) != 0
        assert "leave --stdio and --workers out" in family.said
