"""``scopedtools inspect`` and ``scopedtools search``, as they are run."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from scopedtools import Catalog, ScopedServer
from scopedtools.catalog.primitives import Tool
from scopedtools.cli.app import main
from scopedtools.retrieval import HashingEncoder, HybridSelector

Run = Callable[..., tuple[int, str, str]]

HOSTILE = (
    ("shown\x1b[2J", "\x1b]0;title\x07 [red]count the money[/red] [/nope] \u202etxt"),
    ("[bold]plain[/bold]", "count the stock"),
)
"""Tools of somebody who would rather steer the terminal than be called."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; return its status, and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["scopedtools", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


class Hostile(ScopedServer):
    """Has tools of somebody else."""

    def __init__(self) -> None:
        tools = (Tool(name=name, description=said, input_schema={"type": "object"}) for name, said in HOSTILE)
        super().__init__(catalog=Catalog(tools), selector=HybridSelector(HashingEncoder()))


hostile = Hostile()


def test_inspect_prints_why_rows_are_out_of_the_list_of_a_server_that_is_here(run: Run) -> None:
    said = ("--context", "a", "--intent", "record a new invoice")
    status, told, problem = run("inspect", "examples.erp.server:app", *said, "--out", "3")
    assert (status, problem) == (0, "")
    assert "create_invoice" in told.split("rows are out")[0]
    assert told.split("rows are out")[1].count(" score ") == 1 + 3
    status, told, _ = run("inspect", "examples.bookshop.server:app", *said, "--all")
    assert status == 0
    assert "rows are out" not in told


def test_inspect_of_a_server_elsewhere_cannot_say_why_rows_are_out(run: Run) -> None:
    status, _, problem = run("inspect", "http://127.0.0.1:9/mcp", "--all")
    assert status == 2
    assert "a server that is here" in problem


@pytest.mark.parametrize("options", [("search", "count"), ("inspect", "--intent", "count", "--all")])
def test_what_authors_of_tools_wrote_is_printed_and_not_obeyed(run: Run, options: tuple[str, ...]) -> None:
    command, *others = options
    status, told, _ = run(command, f"{__name__}:hostile", *others)
    assert status == 0
    assert "shown\\x1b[2J" in told
    assert "[bold]plain[/bold]" in told
    assert not set(told) & {"\x1b", "\x07", "\u202e"}


def test_an_error_is_one_line_whatever_it_is_about(run: Run) -> None:
    status, _, problem = run("search", "[red]a\x1b[2J\n:b", "x")
    assert status == 1
    assert problem.count("\n") == 1
    assert "[red]a" in problem
    assert "\x1b" not in problem
