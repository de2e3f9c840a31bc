"""Requests that come at moments set before: each is timed from its moment, whoever is late."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.serving import mixed
from benchmarks.serving.arrivals import Arrival, connected, precise_loop
from benchmarks.serving.load import AnswerError
from benchmarks.serving.mixed import Mix, Results
from benchmarks.serving.wire import MODERN, template
from tests.hosting import hosted

REQUEST = template("view", MODERN).numbered(1)
SLOW_S = 0.05


class Slow:
    """An app that takes its time, and answers with a status."""

    def __init__(self, status: int = 200) -> None:
        self._status = status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        await receive()
        await asyncio.sleep(SLOW_S)
        start = {
            "type": "http.response.start",
            "status": self._status,
            "headers": [(b"content-length", b"2")],
        }
        await send(start)
        await send({"type": "http.response.body", "body": b"{}"})


def test_a_request_that_waits_for_another_is_timed_from_its_own_moment() -> None:
    async def main() -> None:
        async with hosted(Slow()) as (_, port), connected(port, connections=1) as client:
            took = await client.run([Arrival(0.0, str(number), REQUEST) for number in range(4)])
        assert [one.kind for one in took] == ["0", "1", "2", "3"]
        for place, one in enumerate(took):
            assert one.latency_ms >= (place + 1) * SLOW_S * 1000 * 0.9
            assert one.late_ms >= place * SLOW_S * 1000 * 0.9

    asyncio.run(main())


def test_a_request_comes_at_its_moment_while_others_are_under_way() -> None:
    async def main() -> None:
        async with hosted(Slow()) as (_, port), connected(port, connections=8) as client:
            took = await client.run([Arrival(SLOW_S / 8 * place, str(place), REQUEST) for place in range(8)])
        assert min(one.late_ms for one in took) >= 0
        assert min(one.latency_ms for one in took) < 2 * SLOW_S * 1000

    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(main())


def test_an_error_ends_the_run() -> None:
    async def main() -> None:
        async with hosted(Slow(status=500)) as (_, port), connected(port, connections=2) as client:
            with pytest.raises(AnswerError, match="status 500 to list"):
                await client.run([Arrival(0.0, "list", REQUEST)] * 5)

    asyncio.run(main())


def test_kinds_come_in_their_shares_each_first_one_with_an_intent_of_its_own() -> None:
    intents = (f"intent {number}" for number in itertools.count())
    mix = Mix(0.01, intents, random.Random(1), itertools.count(1_000))  # noqa: S311 - no secret
    arrivals = mix.arrivals(rate=1_000, seconds=20)
    assert 19_000 < len(arrivals) < 21_000
    assert [one.at_s for one in arrivals] == sorted(one.at_s for one in arrivals)
    of = {kind: [one for one in arrivals if one.kind == kind] for kind in ("list", "call", "first")}
    assert 150 < len(of["first"]) < 250
    assert 650 < len(of["call"]) < 950
    assert len({one.data for one in of["first"]}) == len(of["first"])
    assert len({one.data for one in of["list"]}) == mixed.CONTEXTS


@pytest.mark.slow
def test_a_short_run_is_measured_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = ["--seconds", "1", "--load", "0.2", "--encoder", "hashing", "--switch-ms", "1", "--frozen"]
    monkeypatch.setattr(sys, "argv", ["mixed", *short, "--out", str(tmp_path)])
    monkeypatch.setattr(mixed, "CAPACITY_S", 0.2)
    mixed.main()
    found = msgspec.json.decode((tmp_path / "mixed.json").read_bytes(), type=Results)
    assert found.capacity > 0
    assert {"list", "call"} <= {one.kind for one in found.lines}
    assert all(one.latency_ms == sorted(one.latency_ms) for one in found.lines)
