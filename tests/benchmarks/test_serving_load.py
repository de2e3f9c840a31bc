"""The client and the clock of the serving benchmark measure what they say they do."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.serving.contest import Measured, Pace, Side, contest
from benchmarks.serving.load import AnswerError, connected
from benchmarks.serving.processes import cpu_s, memory_mib
from benchmarks.serving.wire import ERAS, OPERATIONS, Template, template
from tests.hosting import hosted

pytestmark = pytest.mark.anyio

BURN = """
import sys, threading, time

def burn():
    while time.thread_time() < 0.1:
        pass

thread = threading.Thread(target=burn)
thread.start()
thread.join()  # what a thread took still counts when it has ended
burn()
print(time.process_time(), flush=True)
sys.stdin.read()
"""


class Counting:
    """An app that notes what it is asked, and how much at a time."""

    def __init__(self, answer: Callable[[int], tuple[int, bytes]] = lambda _: (200, b"{}")) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.most = 0
        self._now = 0
        self._answer = answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        event = await receive()
        self.asked.append((scope["path"], event["body"]))
        self._now += 1
        self.most = max(self.most, self._now)
        for _ in range(20):  # others may come in
            await asyncio.sleep(0)
        self._now -= 1
        status, body = self._answer(len(self.asked))
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [length]})
        await send({"type": "http.response.body", "body": body})


def burning() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.mark.parametrize("clock", ["nanoseconds", "ticks"])
def test_the_cpu_time_of_a_process_is_what_it_says_itself(
    clock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if clock == "ticks":
        monkeypatch.setattr("time.clock_gettime", lacking)
    with burning() as process:
        assert process.stdout is not None
        said = float(process.stdout.readline())
        found = cpu_s(process.pid)
        assert memory_mib(process.pid).rss >= memory_mib(process.pid).pss > 0
        process.communicate()
    assert said >= 0.1
    assert found == pytest.approx(said, abs=0.05)  # a tick is 10 ms


def lacking(_: int) -> float:
    raise OSError("this system has no clock of other processes")


async def test_every_request_is_sent_once_and_as_many_at_a_time_as_are_told() -> None:
    app = Counting()
    async with hosted(app) as (_, port), connected(port, itertools.count(1), 5) as client:
        taken = await client.run(template("call", ERAS[0]), 23, length=2)
        await client.run(template("call", ERAS[0]), 2)
    assert app.most == 5
    assert len(taken.latencies_ms) == 23
    assert 0 < max(taken.latencies_ms) <= taken.wall_s * 1000
    numbers = [int(re.search(rb'"id":(\d+)', body).group(1)) for _, body in app.asked]  # type: ignore[union-attr]
    assert sorted(numbers) == list(range(10_000_001, 10_000_026))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda number: (500 if number == 3 else 200, b"{}"), "status 500"),
        (lambda number: (200, b"{}" if number != 3 else b"{ }"), "3 bytes where 2"),
    ],
)
async def test_an_answer_unlike_the_others_ends_the_run(
    answer: Callable[[int], tuple[int, bytes]], message: str
) -> None:
    async with hosted(Counting(answer)) as (_, port), connected(port, itertools.count(1)) as client:
        with pytest.raises(AnswerError, match=message):
            await client.run(template("view", ERAS[0]), 5, length=2)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_requests_of_one_kind_are_alike_but_for_their_numbers(operation: Any, era: Any) -> None:
    one, other = (template(operation, era).numbered(number) for number in (1, 31_000_000))
    assert len(one) == len(other)
    assert one != other
    assert (b"new-10000001" in one) == (operation == "first")
    assert (b"new-41000000" in other) == (operation == "first")


async def test_systems_take_turns_forth_and_back() -> None:
    app = Counting()
    async with hosted(app) as (_, port):
        sides = [Side(name, port, 0, request(f"/{name}")) for name in ("floor", "a", "b")]
        before = len(app.asked)
        measured, notes = await contest(
            [side._replace(pid=own_pid()) for side in sides],
            connections=2,
            pace=Pace(rounds=3, turn_s=0.001, slow_s=10, budget_s=10),
            numbers=itertools.count(1),
        )
    assert notes == []
    assert [(one.system, len(one.cpu_us), len(one.requests_s)) for one in measured] == [
        ("floor", 3, 3),
        ("a", 3, 3),
        ("b", 3, 3),
    ]
    paths = [path for path, _ in app.asked[before:]]
    turns = [path for path, _ in itertools.groupby(paths)]
    # Each warms up first; a turn of the last one follows a turn of its own.
    assert turns == ["/floor", "/a", "/b", "/floor", "/a", "/b", "/a", "/floor", "/a", "/b"]


async def test_a_system_that_fails_or_is_too_slow_is_left_out_and_said() -> None:
    broken = Counting(lambda number: (200 if number == 1 else 503, b"{}"))
    slow = Pace(rounds=2, turn_s=0.001, slow_s=0, budget_s=0)
    async with hosted(Counting()) as (_, floor), hosted(broken) as (_, port):
        sides = [Side("floor", floor, own_pid(), request("/")), Side("broken", port, own_pid(), request("/"))]
        measured, (note,) = await contest(
            sides,
            connections=1,
            pace=Pace(rounds=2, turn_s=0.001, slow_s=10, budget_s=10),
            numbers=itertools.count(1),
        )
        none, notes = await contest(sides[:1], connections=1, pace=slow, numbers=itertools.count(1))
    assert [one.system for one in measured] == ["floor"]
    assert "broken: status 503" in note
    assert none == []
    assert "floor: one request took" in notes[0]


def test_ratios_are_taken_round_by_round() -> None:
    floor = Measured("floor", cpu_us=[10, 100, 20])
    ours = Measured("ours", cpu_us=[20, 200, 60])  # the machine was slow in the second round
    assert ours.ratio(floor) == 2
    assert Measured("slow", cpu_us=[100]).ratio(floor) == 10


def request(path: str) -> Template:
    return template("full", ERAS[0], path=path)


def own_pid() -> int:
    return os.getpid()
