"""The benchmark of faults: what it counts, and that it tells a server that noticed the fault."""

from __future__ import annotations

import sys

import pytest

from benchmarks.faults import scenarios
from benchmarks.faults.__main__ import Results, broken, main, report
from benchmarks.faults.load import Sample, phase
from benchmarks.faults.scenarios import SCENARIOS, Outcome, run
from benchmarks.machine import machine

pytestmark = pytest.mark.anyio


def test_a_phase_counts_the_requests_that_came_in_it() -> None:
    samples = [
        Sample("list", 0.5, 9.0, 0.0, True),
        Sample("list", 1.0, 4.0, 3.0, False),
        Sample("state", 1.5, 2.0, 0.0, False),
        Sample("state", 1.9, 1.0, 0.0, True),
        Sample("list", 2.0, 9.0, 0.0, True),
    ]
    one = phase("between", samples, 1.0, 2.0)
    assert (one.requests, one.failed, one.needing, one.needing_failed) == (3, 1, 2, 1)
    assert (one.p50_ms, one.max_ms, one.own_p99_ms) == (2.0, 4.0, 2.0)


async def test_a_run_finds_out_what_a_fault_did(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BEFORE_S", "DOWN_S", "AFTER_S"):
        monkeypatch.setattr(scenarios, name, 0.4)
    outcome = await run(SCENARIOS[0])
    assert [one.name for one in outcome.phases][::3] == ["before", "after"]
    assert all(one.requests for one in (outcome.phases[0], outcome.phases[2], outcome.phases[3]))
    assert outcome.down_s >= 0.4
    assert outcome.phases[2].needing_failed
    said = "\n".join(report(Results(machine("benchmarks.faults", []), [outcome])))
    assert f"| before | {outcome.phases[0].seconds:.2f} |" in said
    assert not any(one.failed for one in outcome.phases)


def test_a_promise_that_is_not_kept_is_named() -> None:
    good = phase("", [], 0, 1)
    slow = phase("", [Sample("list", 0.0, 80.0, 10.0, True)], 0, 1)
    bad = phase("", [Sample("list", 0.0, 1.0, 0.0, False)], 0, 1)
    late = phase("", [Sample("state", 0.0, 1.0, 0.0, False)], 0, 1)

    def outcome(*phases: object) -> Outcome:
        return Outcome("x", phases, 1, 1, 1)  # type: ignore[arg-type]

    assert broken([outcome(good, late, late, good)]) == []
    assert broken([outcome(good, slow, slow, good)]) == ["x: p99 70.0 ms with the breaker open"]
    assert broken([outcome(good, bad, good, good)]) == ["x: 1 requests failed that do not need the store"]
    assert broken([outcome(good, good, good, late)]) == ["x: state failed after the recovery"]


def test_a_name_of_no_scenario_is_no_run_without_faults(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["faults", "--only", "flood"])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 2
    assert "SIGSTOP of Redis for 3 s" in capsys.readouterr().err
