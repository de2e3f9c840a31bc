from __future__ import annotations

from benchmarks.machine import machine
from benchmarks.scale.proxies import KINDS, shipped
from benchmarks.scale.report import Figure, Results


def test_a_figure_holds_within_what_is_expected() -> None:
    assert Figure("any", 7, "ms").holds
    assert Figure("none", 0, "", least=0, most=0).holds
    assert not Figure("none", 1, "", least=0, most=0).holds
    assert not Figure("fast", 50.1, "ms", most=50).holds
    assert not Figure("enough", 0.89, "", least=0.9).holds


def test_the_report_says_which_figures_are_missed() -> None:
    figures = [
        Figure("one", 1, "", least=0, most=0),
        Figure("two", 2, "ms", most=50),
        Figure("three", 3, "us"),
    ]
    lines = list(Results(machine("benchmarks.scale", []), figures).lines())
    assert lines[-3:] == [
        "| one | 1 | 0 | **missed** |",
        "| two | 2 ms | at most 50 | ok |",
        "| three | 3 us |  |  |",
    ]


def test_only_addresses_differ_from_the_files_that_are_shipped() -> None:
    for kind in KINDS:
        text = shipped(kind, 1234, [5001, 5002, 5003, 5004, 5005])
        assert all(text.count(str(port)) == 1 for port in (5001, 5002, 5003, 5004, 5005))
        assert "1234" in text
        assert "910" not in text
        assert "8080" not in text
