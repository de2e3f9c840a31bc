"""``scopedtools serve --workers``: several processes, as people start them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec
import pytest

from tests.wire.exchange import ENVELOPE, message, mirrored

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone"),
]

_Thing = TypeVar("_Thing")

COMMAND = Path(sys.executable).with_name("scopedtools")
LIMIT_S = 60
AT = re.compile(rb"running on (http://127\.0\.0\.1:\d+)")

SERVER = '''
import os

from scopedtools import Catalog, ScopedServer, ViewSettings, tool
from scopedtools.catalog.primitives import Tool
from scopedtools.retrieval import HashingEncoder, HybridSelector

LOADED = os.getpid()


class Shop(ScopedServer):
    """Sells."""

    @tool
    async def process(self) -> list[int]:
        """Return who answers, and who imported this."""
        return [os.getpid(), LOADED]


app = Shop(
    catalog=Catalog(
        Tool(name=f"{verb}_{noun}", description=f"{verb} the {noun} of a customer.")
        for verb in ("count", "sort", "send", "cancel", "print", "weigh")
        for noun in ("orders", "books", "invoices", "letters", "parcels", "prices")
    ),
    selector=HybridSelector(HashingEncoder(), index_dir="index"),
    views=ViewSettings(growth="never"),
)
'''

LOGGING = """
import logging.config

logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"own": {"format": "shop says: %(message)s"}},
        "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own"}},
        "loggers": {name: {"handlers": [], "propagate": True} for name in ("uvicorn", "uvicorn.error")},
        "root": {"handlers": ["own"], "level": "INFO"},
    }
)
"""

LIFESPAN = """
    @asynccontextmanager
    async def lifespan(self):
        if Path("broken").exists():
            raise RuntimeError("the depot is closed")
        yield

    @tool
"""

FAILING = "from contextlib import asynccontextmanager\nfrom pathlib import Path\n" + SERVER.replace(
    "\n    @tool\n", LIFESPAN, 1
)

HOLDING = SERVER + '\nheld = open("held.txt", "w")\n'


class Family:
    """A server of several processes.

    Attributes:
        parent: Watches the others.
        url: Of the endpoint.
    """

    def __init__(self, parent: subprocess.Popen[bytes], log: Path) -> None:
        self.parent = parent
        self._log = log
        told = self.until(lambda: AT.search(log.read_bytes()))
        self.url = f"{told[1].decode()}/mcp"

    @property
    def said(self) -> str:
        return self._log.read_text()

    def workers(self) -> list[int]:
        path = Path(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children")
        found = [int(one) for one in path.read_text().split()]
        # multiprocessing starts one process more for itself, where workers are not forked.
        return [one for one in found if b"resource_tracker" not in Path(f"/proc/{one}/cmdline").read_bytes()]

    def until(self, found: Callable[[], _Thing | None]) -> _Thing:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            assert self.parent.poll() is None, self.said
            try:
                if thing := found():
                    return thing
            except (httpx2.TransportError, FileNotFoundError):
                pass  # not there yet, or just gone
            time.sleep(0.02)
        raise AssertionError(self.said)

    def ask(self, request: dict[str, Any]) -> httpx2.Response:
        """Ask over a connection of its own, which any worker may take."""
        body = msgspec.json.encode(request)
        return httpx2.post(self.url, content=body, headers=mirrored(request), timeout=LIMIT_S)

    def who(self) -> tuple[int, int]:
        answer = self.ask(message("tools/call", {"_meta": ENVELOPE, "name": "process"}))
        pid, imported = answer.json()["result"]["structuredContent"]["result"]
        return pid, imported

    def stop(self) -> int:
        self.parent.send_signal(signal.SIGTERM)
        return self.parent.wait(LIMIT_S)


@contextmanager
def hosted(folder: Path, source: str = SERVER, *, workers: int = 2) -> Iterator[Family]:
    (folder / "shop.py").write_text(source)
    log = folder / "log.txt"
    command = [str(COMMAND), "serve", "shop:app", "--port", "0", "--workers", str(workers)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=folder, stderr=output, stdout=output) as process,
    ):
        family = Family(process, log)
        try:
            family.until(lambda: len(family.workers()) == workers)
            family.until(family.who)
            yield family
        finally:
            left = family.workers() if process.poll() is None else []
            process.kill()
            for one in left:
                os.kill(one, signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    try:
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].lstrip().startswith("Z")
    except FileNotFoundError:
        return False


def listed(family: Family, context: str) -> bytes:
    envelope = msgspec.json.decode(msgspec.json.encode(ENVELOPE))
    settings = {"contextId": context, "intent": "send a letter and weigh the parcel"}
    capabilities = envelope.setdefault("io.modelcontextprotocol/clientCapabilities", {})
    capabilities["extensions"] = {"io.github.scopedtools/context": settings}
    return family.ask(message("tools/list", {"_meta": envelope})).content


def test_workers_share_what_was_loaded_once_and_give_the_same_lists(tmp_path: Path) -> None:
    with hosted(tmp_path) as family:
        lists = {listed(family, f"context-{number}") for number in range(40)}
        answers = {family.who() for _ in range(40)}
        workers = set(family.workers())

        assert len(lists) == 1
        assert b"weigh_parcels" in lists.pop()
        assert {imported for _, imported in answers} == {family.parent.pid}
        assert {pid for pid, _ in answers} <= workers
        assert len(workers) == 2
        assert family.stop() == 0


def test_a_worker_that_is_killed_is_replaced_by_one_that_gives_the_same_lists(tmp_path: Path) -> None:
    with hosted(tmp_path) as family:
        before = listed(family, "before")
        killed = family.workers()
        for one in killed:
            os.kill(one, signal.SIGKILL)
        family.until(lambda: len(set(family.workers()) - set(killed)) == 2)
        answer = family.until(family.who)

        assert answer[0] not in killed
        assert answer[1] == family.parent.pid
        assert listed(family, "after") == before
        assert family.stop() == 0


def test_where_no_worker_starts_the_command_fails_and_later_ones_are_tried_again(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    (tmp_path / "shop.py").write_text(FAILING)
    command = [str(COMMAND), "serve", "shop:app", "--port", "0", "--workers", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 1
    assert b"the depot is closed" in done.stderr
    assert done.stderr.count(b"error: a worker did not start") == 1
    broken.unlink()
    with hosted(tmp_path, FAILING) as family:
        killed = family.workers()
        family.until(lambda: family.said.count(" rows at ") == len(killed))
        broken.touch()
        os.kill(killed[0], signal.SIGKILL)
        family.until(lambda: "replaced in 0.5 s" in family.said)
        broken.unlink()
        family.until(lambda: killed[0] not in family.workers() and len(family.workers()) == len(killed))
        assert killed[1] in family.workers()
        assert family.stop() == 0


def test_workers_end_when_nobody_watches_over_them_any_more(tmp_path: Path) -> None:
    with hosted(tmp_path) as family:
        left = family.workers()
        family.parent.kill()
        deadline = time.monotonic() + LIMIT_S
        while alive := [one for one in left if _is_alive(one)]:
            assert time.monotonic() < deadline, alive
            time.sleep(0.02)
        assert family.said.count("is gone; stopping") == len(left)


def test_a_worker_more_can_be_asked_for_and_one_less(tmp_path: Path) -> None:
    with hosted(tmp_path) as family:
        family.parent.send_signal(signal.SIGTTIN)
        family.until(lambda: len(family.workers()) == 3)
        family.parent.send_signal(signal.SIGTTOU)
        family.until(lambda: len(family.workers()) == 2)
        family.until(family.who)
        assert family.stop() == 0


def test_after_a_hangup_workers_have_the_code_as_it_is_by_then(tmp_path: Path) -> None:
    with hosted(tmp_path) as family:
        (tmp_path / "shop.py").write_text(SERVER.replace("LOADED = os.getpid()", "LOADED = -1"))
        family.parent.send_signal(signal.SIGHUP)
        family.until(lambda: {family.who()[1] for _ in range(8)} == {-1})
        os.kill(family.workers()[0], signal.SIGKILL)
        family.until(lambda: len(family.workers()) == 2)
        assert {family.until(family.who)[1] for _ in range(8)} == {-1}
        assert family.stop() == 0


def test_where_the_server_holds_files_each_worker_opens_its_own(tmp_path: Path) -> None:
    with hosted(tmp_path, HOLDING) as family:
        pid, imported = family.until(family.who)

        assert pid == imported
        assert "each worker loads the catalog by itself" in family.said
        assert "opened when the server was imported" in family.said
        assert family.stop() == 0


def test_after_a_hangup_with_broken_code_that_from_before_goes_on(tmp_path: Path) -> None:
    with hosted(tmp_path) as family:
        (tmp_path / "shop.py").write_text("raise RuntimeError('broken')")
        family.parent.send_signal(signal.SIGHUP)
        family.until(lambda: "aborting the restart" in family.said)
        killed = family.workers()
        for one in killed:
            os.kill(one, signal.SIGKILL)
        family.until(lambda: len(set(family.workers()) - set(killed)) == 2)

        assert family.until(family.who)[1] == family.parent.pid
        assert family.stop() == 0


def test_a_server_that_is_restarting_stops_when_it_is_told_to(tmp_path: Path) -> None:
    with hosted(tmp_path) as family:
        (tmp_path / "shop.py").write_text(
            "import pathlib, threading; pathlib.Path('reached').touch(); threading.Event().wait()"
        )
        family.parent.send_signal(signal.SIGHUP)
        family.until((tmp_path / "reached").exists)
        family.parent.send_signal(signal.SIGTERM)

        assert family.parent.wait(LIMIT_S / 3) == 0


def test_the_logs_of_workers_are_as_the_server_configures_them(tmp_path: Path) -> None:
    with hosted(tmp_path, SERVER + LOGGING) as family:
        family.until(lambda: family.said.count("shop says: Started server process") == 2)
        assert family.stop() == 0


def test_workers_draw_different_random_numbers(tmp_path: Path) -> None:
    drawing = "import numpy.random\n" + SERVER.replace("LOADED]", "numpy.random.randint(2**40)]")
    with hosted(tmp_path, drawing) as family:
        drawn = [family.who() for _ in range(30)]
        while len({pid for pid, _ in drawn}) < 2:
            drawn.append(family.who())

        assert len({number for _, number in drawn}) == len(drawn)
        assert family.stop() == 0


def test_an_empty_secret_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOPEDTOOLS_SECRET", "")
    telling = SERVER.replace("LOADED]", "len(os.environ['SCOPEDTOOLS_SECRET'])]")
    with hosted(tmp_path, telling) as family:
        assert family.who()[1] == 64
        assert family.stop() == 0
