"""A set's tools are hosted in another process and driven over MCP."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer import Typer
from typer.testing import CliRunner

from benchmarks.hosting import HostingError
from benchmarks.selection import live
from benchmarks.selection.live import Report, Seen, Visit, drive
from benchmarks.selection.live_server import hosted
from benchmarks.selection.sample import take_sample
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.testing import Client

REQUESTS = take_sample("tiny", 6).requests


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("index")
    return asyncio.run(drive("tiny", REQUESTS, encoder="hashing", index_dir=folder))


def command(*more: str) -> Any:
    app = Typer()
    app.command()(live.main)
    return CliRunner().invoke(app, ["--encoder", "hashing", *more])


def test_a_server_shows_and_finds_what_selection_in_this_process_does(report: Report) -> None:
    assert [visit.request for visit in report.visits] == list(REQUESTS)
    assert report.differing == []
    for visit in report.visits:
        assert len(visit.live.view) == 16
        assert not set(visit.live.view) & set(SEARCH_TOOLS)
    assert len({visit.live.view for visit in report.visits}) > 1
    assert any(visit.live.ranked for visit in report.visits)


def test_lists_cost_less_than_the_whole_and_times_are_taken(report: Report) -> None:
    for visit in report.visits:
        assert 0 < visit.tokens < report.full_tokens
        assert visit.list_ms > 0
        assert visit.search_ms > 0
    assert report.seconds > 0


def test_a_search_that_abstains_finds_nothing(report: Report) -> None:
    for visit in report.visits:
        assert visit.live.abstained == (not visit.live.ranked)


def test_what_differs_fails_the_command(
    report: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = report.visits[0]
    turned: Visit = first._replace(live=Seen(first.live.view[::-1], (), abstained=True))

    async def other(*_: Any, **__: Any) -> Report:
        return report._replace(visits=(turned, *report.visits[1:]))

    monkeypatch.setattr(live, "drive", other)
    result = command("--set", "tiny", "--out", str(tmp_path / "out"))
    assert "live: 1 of 6 differ" in str(result.exception)
    assert f"{first.request.id}: the server says" in result.output
    assert "5 of 6" in result.output


def test_the_command_reports_and_writes_a_line_a_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(live, "_CACHE", tmp_path)
    out = tmp_path / "out.jsonl"
    result = command("--set", "tiny", "--sample", "3", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "view completeness %" in result.output
    assert "3 of 3" in result.output
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["id"] for line in lines] == [request.id for request in REQUESTS[:3]]
    assert set(lines[0]) == {"id", "turn", "ranked", "view", "abstained", "ms"}


def test_the_command_says_what_is_wrong() -> None:
    result = command("--set", "nothing")
    assert "the set must be one of" in str(result.exception)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    said = r"(?s)does not listen, exit status 1:.*got 'nothing'"
    with pytest.raises(HostingError, match=said), hosted("nothing", "hashing", tmp_path):
        pass


def test_the_server_ends_with_the_run(tmp_path: Path) -> None:
    async def list_tools(url: str) -> list[dict[str, Any]]:
        async with Client(url, context="one", intent=REQUESTS[0].text) as client:
            return await client.list_tools()

    with hosted("tiny", "hashing", tmp_path) as url:
        names = [row["name"] for row in asyncio.run(list_tools(url))]
    assert tuple(names[:2]) == SEARCH_TOOLS
    with pytest.raises(httpx2.ConnectError):
        asyncio.run(list_tools(url))


@pytest.mark.slow
@pytest.mark.skipif("SCOPEDTOOLS_DATA" not in os.environ, reason="needs the test sets in SCOPEDTOOLS_DATA")
def test_processes_agree_with_the_real_encoder(tmp_path: Path) -> None:
    requests = take_sample("metatool", 10).requests
    report = asyncio.run(drive("metatool", requests, encoder="all-MiniLM-L6-v2", index_dir=tmp_path))
    assert report.differing == []
