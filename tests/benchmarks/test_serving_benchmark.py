"""The serving benchmark on tiny catalogs: everybody does the same, and the report says what was found."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.machine import machine
from benchmarks.selection.fastmcp_system import VERSION as FASTMCP
from benchmarks.serving import __main__ as command
from benchmarks.serving import hot_path, report, start
from benchmarks.serving.contest import Pace
from benchmarks.serving.environments import FOLDER, SDK
from benchmarks.serving.results import FLOOR, OURS, ImportLine, Line, Results, StartLine
from benchmarks.serving.rows import rows
from benchmarks.serving.run import QUICK_PLAN, Plan, measure_requests
from benchmarks.serving.systems import PEERS, SYSTEMS
from benchmarks.serving.targets import targets
from benchmarks.serving.wire import ERAS, OPERATIONS

TINY = Pace(rounds=2, turn_s=0.002, slow_s=20, budget_s=5)
OF_PEERS = (("mcp", SDK), ("fastmcp", FASTMCP))


def is_there(package: str, version: str) -> bool:
    made = FOLDER / package / f"{package}.version"
    return made.is_file() and made.read_text() == version


needs_peers = pytest.mark.skipif(
    not all(is_there(*one) for one in OF_PEERS),
    reason="the environments of the peers are not made; running the benchmark makes them",
)


def run(**chosen: Any) -> Results:
    results = Results(machine("benchmarks.serving", []))
    plan: Plan = QUICK_PLAN._replace(pace=TINY, **chosen)
    asyncio.run(measure_requests(plan, results, say=lambda _: None))
    return results


@pytest.fixture(scope="module")
def alone() -> Results:
    return run(sizes=(10, 60), concurrency=(1, 3), systems=(OURS,))


@pytest.mark.slow
def test_every_kind_of_request_is_measured_in_both_eras_beside_the_floor(alone: Results) -> None:
    assert alone.notes == []
    found = [(line.rows, line.era, line.operation, line.concurrency, line.system) for line in alone.lines]
    assert found == [
        (size, era, operation, concurrency, system)
        for size in (10, 60)
        for era in ERAS
        for operation in OPERATIONS
        for concurrency in (1, 3)
        for system in (FLOOR, OURS)
    ]
    assert all(line.rounds == 2 and line.requests >= 2 * line.concurrency for line in alone.lines)
    assert all(line.cpu_us > 0 and line.p99_ms >= line.p50_ms > 0 for line in alone.lines)
    assert [(one.system, one.rows) for one in alone.memory] == [
        (FLOOR, 10),
        (OURS, 10),
        (FLOOR, 60),
        (OURS, 60),
    ]


@pytest.mark.slow
def test_the_floor_returns_as_many_bytes_as_ours_and_is_its_own_measure(alone: Results) -> None:
    for floor, ours in zip(alone.lines[::2], alone.lines[1::2], strict=True):
        assert floor.bytes == ours.bytes > 0
        assert floor.ratio == 1


@pytest.mark.slow
def test_a_view_is_narrow_and_a_full_list_is_not(alone: Results) -> None:
    sizes = {(line.operation, line.rows): line.bytes for line in alone.lines if line.system == OURS}
    row = len(msgspec.json.encode(rows(60)[0]))
    assert 60 * row * 0.8 < sizes["full", 60] < 62 * row * 1.2
    assert 12 * row < sizes["view", 60] < 18 * row * 1.2
    assert sizes["first", 60] == sizes["view", 60]
    assert sizes["view", 10] <= sizes["full", 10] * 1.2


@needs_peers
@pytest.mark.slow
def test_every_peer_answers_whatever_it_has_requests_for() -> None:
    results = run(sizes=(30,), concurrency=(2,))
    assert results.notes == []
    for era in ERAS:
        answered = {
            one: {line.system for line in results.lines if (line.operation, line.era) == (one, era)}
            for one in OPERATIONS
        }
        assert answered["view"] == {FLOOR, *SYSTEMS}
        for operation in ("full", "call", "read", "prompt"):
            assert answered[operation] == {FLOOR, OURS, *PEERS}
        assert answered["search"] == {FLOOR, OURS, "fastmcp-bm25"}
        assert answered["first"] == {FLOOR, OURS}
    sizes = {line.system: line.bytes for line in results.lines if line.operation == "view"}
    assert sizes["sdk-16"] == pytest.approx(sizes[OURS], rel=0.2)  # the same rows
    assert sizes["sdk"] > 1.5 * sizes["sdk-16"]


@pytest.mark.slow
def test_starts_are_measured_with_and_without_a_saved_index() -> None:
    results = Results(machine("benchmarks.serving", []))
    plan = QUICK_PLAN._replace(systems=(OURS,), starts=(10,), saved=30, times=1)
    asyncio.run(start.measure_starts(plan, results))
    assert [(one.system, one.rows) for one in results.starts] == [(OURS, 10), (start.SAVED, 30)]
    assert all(one.first_answer_s > 0 < one.cpu_s for one in results.starts)


@pytest.mark.slow
def test_a_profile_says_where_the_time_of_a_request_goes() -> None:
    found = asyncio.run(hot_path.profile("view", size=30, requests=2_000))
    assert found.samples.taken > 0
    within = found.microseconds(found.samples.within)
    assert list(within.values()) == sorted(within.values(), reverse=True)
    assert max(within.values()) <= found.cpu_us
    assert any(name.endswith("server.py:ScopedServer.__call__") for name in within)
    assert sum(found.samples.itself.values()) <= found.samples.taken


def lines(**ratios: float) -> Iterable[Line]:
    for name, ratio in ratios.items():
        operation, _, system = name.partition("_")
        yield Line(
            operation=operation,  # type: ignore[arg-type]
            era=ERAS[0],
            rows=1000,
            concurrency=8,
            system=system.replace("_", "-"),
            cpu_us=ratio * 20,
            ratio=ratio,
            requests_s=1000,
            p50_ms=1,
            p99_ms=2,
            bytes=100,
            requests=10,
            rounds=2,
            client_share=0.3,
        )


def test_targets_are_met_missed_or_not_measured() -> None:
    results = Results(machine("benchmarks.serving", []))
    results.lines += lines(
        view_floor=1, view_ours=1.5, call_floor=1, call_ours=2.5, view_sdk_16=15, view_sdk=30
    )
    results.starts.append(StartLine(start.SAVED, 45_000, 1.5, 1))
    assert [(one.found, one.met) for one in targets(results)] == [
        ("1.50 x", True),
        ("2.50 x", False),
        ("10 x", True),
        (None, None),
        ("20 x", False),
        (None, None),
        (None, None),
        (None, None),
        ("1.50 s", True),
    ]


def test_the_report_has_tables_of_ratios_and_of_targets(tmp_path: Path) -> None:
    results = Results(machine("benchmarks.serving", []), notes=["fastmcp: not\nthere"])
    results.lines += lines(view_floor=1, view_ours=1.5, view_fastmcp=1234.5)
    results.imports.append(ImportLine("scopedtools", 200, 150))
    report.write(results, tmp_path / "serving.md", ["ratios.png"])
    text = (tmp_path / "serving.md").read_text()
    assert "| revision | rows | at a time | floor µs | ours | fastmcp |" in text
    assert "| 2026-07-28 | 1,000 | 8 | 20.0 | 1.5 | 1,234 |" in text
    assert "| at most 1.6 x | 1.50 x | yes |" in text
    assert "| `scopedtools` | 200 | 150 |" in text
    assert "- fastmcp: not there" in text
    assert "![ratios.png](ratios.png)" in text


@pytest.mark.slow
def test_the_command_writes_figures_a_report_and_plots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(command, "QUICK_PLAN", QUICK_PLAN._replace(pace=TINY))
    chosen = ["--only", "call", "view", "--rows", "10", "30", "--concurrency", "8", "--systems", "ours"]
    assert command.main(["--quick", *chosen, "--out", str(tmp_path)]) == 0
    assert "| trivial `tools/call`, CPU by that of the floor | at most 2 x |" in capsys.readouterr().out
    found = msgspec.json.decode((tmp_path / "serving.json").read_bytes(), type=Results)
    assert {line.operation for line in found.lines} == {"call", "view"}
    assert found.machine.command.startswith("python -m benchmarks.serving --quick --only call view")
    assert found.machine.libraries["fastmcp of the peer"] == FASTMCP
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "call-rows.png",
        "ratios.png",
        "view-rows.png",
    ]
    assert (tmp_path / "serving.md").is_file()
