"""The benchmark of many contexts runs, and measures a server that shows views."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.context import many_contexts
from benchmarks.context.many_contexts import Results


def test_few_contexts_are_measured_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, few in {"SERVED": 300, "LAST": 50, "LISTS": 20, "OPERATIONS": 50, "OVER_AT_ONCE": 100}.items():
        monkeypatch.setattr(many_contexts, name, few)
    monkeypatch.setattr(sys, "argv", ["many_contexts", "--contexts", "500", "--out", str(tmp_path)])
    many_contexts.main()
    found = msgspec.json.decode((tmp_path / "many_contexts.json").read_bytes(), type=Results)
    assert [one.contexts for one in found.stages] == [500]
    assert found.stages[0].first_us > found.stages[0].list_us > 0
    assert [one.name for one in found.operations][:3] == ["add", "get", "replace"]
    assert all(0 < one.p50_us <= one.p99_us <= one.longest_us for one in found.operations)
    assert "| 500 |" in (tmp_path / "many_contexts.md").read_text()
