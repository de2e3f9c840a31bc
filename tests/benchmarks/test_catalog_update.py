"""The benchmark of updates, on a tiny catalog: what it counts is right, whatever it takes."""

from __future__ import annotations

import pytest

from benchmarks.serving import catalog_update
from scopedtools.testing import HashingEncoder

pytestmark = pytest.mark.anyio


async def test_it_counts_the_texts_that_each_update_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_update, "TIMES", 1)
    encoder = catalog_update.Counting(HashingEncoder(64))
    lines = await catalog_update.measure(40, encoder, None)
    assert {line.change: line.encoded for line in lines} == {
        "same": 0,
        "1 changed": 1,
        "1 added": 2,
        "1 removed": 1,
        "100 added": 101,
    }
    assert all(line.update_ms > 0 and line.slowest_list_ms > 0 for line in lines)
