"""The benchmark of the gateway, on tiny catalogs: what it counts is right, whatever it takes."""

from __future__ import annotations

import pytest

from benchmarks.serving.gateway import show
from benchmarks.serving.gateway_calls import measure_calls
from benchmarks.serving.gateway_lists import measure_lists, measure_update
from scopedtools.testing import HashingEncoder

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_calls_are_measured_directly_and_through_the_gateway() -> None:
    lines = await measure_calls(rounds=2, calls=3, with_fastmcp=False)
    found = [(line.transport, line.through) for line in lines]
    assert found == [("stdio", "direct"), ("stdio", "gateway"), ("http", "direct"), ("http", "gateway")]
    assert all(line.median_ms > 0 for line in lines)
    assert all(line.added_ms == line.cpu_ms == 0 for line in lines if line.through == "direct")


async def test_lists_show_the_same_view_however_many_upstreams_there_are() -> None:
    lines = await measure_lists((1, 3), total=60, rounds=1, requests=2)
    assert [(line.upstreams, line.tools) for line in lines] == [(1, 60), (3, 60)]
    assert 0 < lines[0].shown < 60
    assert lines[0].shown == lines[1].shown


async def test_a_tool_that_changed_upstream_is_found_and_alone_encoded() -> None:
    line = await measure_update(HashingEncoder(64), rows=40, times=2)
    assert line.encoded == 1
    assert line.found_ms > 0
    assert line.pause_ms > 0


async def test_a_table_has_a_column_for_each_figure() -> None:
    said: list[str] = []
    show(await measure_lists((1,), total=40, rounds=1, requests=1), say=said.append)
    assert said[0].split() == ["upstreams", "tools", "shown", "bytes", "list_us"]
    assert said[1].split()[:2] == ["1", "40"]
