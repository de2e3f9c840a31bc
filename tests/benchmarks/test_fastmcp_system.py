"""FastMCP's search tool ranks the tools of a catalog, in an environment of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.selection import fastmcp_system
from benchmarks.selection.fastmcp_system import (
    ENVIRONMENT,
    VERSION,
    FastMCPSearch,
    FastMCPUnavailableError,
    make_environment,
)

ROWS: list[dict[str, Any]] = [
    {"id": "books/find", "name": "find", "description": "Find books by words of their title."},
    {
        "id": "books/order",
        "name": "order",
        "description": "Order one copy.",
        "input_schema": {
            "type": "object",
            "properties": {"title": {"type": "string", "description": "Title of the novel."}},
        },
    },
    {"name": "weather", "description": "Tell the weather of the next days."},
    {"name": "search_tools", "description": "Search the garage for hammers and saws."},
    {"id": "garage hammer!", "name": "hammer", "description": "Lend a hammer."},
    {"id": "garage/hammer?", "name": "hammer", "description": "Give a hammer back."},
]


def is_there() -> bool:
    made = ENVIRONMENT / "fastmcp.version"
    return made.is_file() and made.read_text() == VERSION


needs_fastmcp = pytest.mark.skipif(
    not is_there(), reason="FastMCP's environment is not made; running the benchmark makes it"
)


@pytest.fixture(scope="module")
def search() -> FastMCPSearch:
    search = FastMCPSearch()
    search.prepare(ROWS)
    return search


@needs_fastmcp
def test_tools_are_found_by_their_words_and_named_by_their_ids(search: FastMCPSearch) -> None:
    texts = ["the weather, please", "a novel", "hammers in the garage", "xyzzy", ""]
    weather, novel, hammers, nothing, blank = search.rank_all(texts, 5)
    assert weather[0] == "weather"
    assert novel == ["books/order"]  # by the description of a parameter
    assert hammers[0] == "search_tools"  # the catalog's, not the one that the transform adds
    assert set(hammers[1:]) >= {"garage hammer!", "garage/hammer?"}
    assert nothing == blank == []


@needs_fastmcp
def test_no_more_are_returned_than_asked_for(search: FastMCPSearch) -> None:
    ((first,),) = search.rank_all(["hammer"], 1)
    (both,) = search.rank_all(["hammer"], 2)
    assert both[0] == first
    assert set(both) == {"garage hammer!", "garage/hammer?"}


@needs_fastmcp
def test_each_search_is_timed(search: FastMCPSearch) -> None:
    search.rank_all(["books", "weather"], 5)
    assert len(search.costs) == 2
    assert all(cost.cpu_ms > 0 and cost.wall_ms > 0 for cost in search.costs)


@needs_fastmcp
def test_what_the_worker_says_when_it_fails_is_told() -> None:
    search = FastMCPSearch()
    broken: dict[str, Any] = {"name": "broken", "description": 7}
    search.prepare([broken])
    with pytest.raises(FastMCPUnavailableError, match=r"cannot search with FastMCP: .*description"):
        search.rank_all(["anything"], 5)


@needs_fastmcp
def test_a_search_that_takes_too_long_is_ended() -> None:
    search = FastMCPSearch(timeout_s=0.01)
    search.prepare(ROWS)
    with pytest.raises(FastMCPUnavailableError, match=r"not done after 0\.01 s"):
        search.rank_all(["anything"], 5)


def test_an_environment_that_cannot_be_made_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    with pytest.raises(FastMCPUnavailableError, match=r"cannot make the environment of fastmcp .*no python"):
        FastMCPSearch(folder=tmp_path / "environment")


def test_an_environment_of_which_half_was_made_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[object], **_: object) -> bytes:
        commands.append([str(part) for part in command])
        return b""

    monkeypatch.setattr(fastmcp_system, "_run", run)
    python = make_environment(tmp_path)
    assert [command[1:3] for command in commands] == [["-m", "venv"], ["-m", "pip"], ["-m", "uv"]]
    assert commands[-1][-1] == f"fastmcp=={VERSION}"
    assert make_environment(tmp_path) == python
    assert len(commands) == 3
