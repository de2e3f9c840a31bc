"""``scopedtools audit``, as it is run."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from scopedtools import Principal
from scopedtools.audit import AuditTrail
from scopedtools.auth import StaticTokens
from scopedtools.cli.app import main
from scopedtools.protocol.meta import PARENT
from scopedtools.testing import Client, WireError
from tests.audit.depot import Depot, depot


class Done(NamedTuple):
    """What a run of the command left."""

    status: int
    out: str
    err: str

    @property
    def table(self) -> list[list[str]]:
        return [line.split() for line in self.out.splitlines()]


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCOPEDTOOLS_AUDIT", raising=False)

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["scopedtools", "audit", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return run


def work(store: str = "audit.db", context: str = "wf-1") -> None:
    """Leave a trail of three requests."""

    async def ask() -> None:
        async with Client(depot(store), context=context) as client:
            await client.list_tools()
            await client.call_tool("call_tool", name="weigh", arguments={"parcel": "p"})
            with pytest.raises(WireError):
                await client.call_tool("burn")

    asyncio.run(ask())


def test_a_workflow_is_printed_as_a_timeline(run: Run) -> None:
    work()
    done = run("wf-1")
    assert (done.status, done.err) == (0, "")
    header, listed, called, failed, caption = done.table
    assert header == ["time", "after", "s", "method", "target", "outcome", "ms", "view", "rows"]
    assert [listed[1], listed[2], listed[3], listed[-1]] == ["+0.000", "tools/list", "ok", "4/4"]
    assert called[2:7] == ["tools/call", "call_tool", ">", "weigh", "ok"]
    assert called[-1] == listed[-2]
    assert failed[2:6] == ["tools/call", "burn", "error", "-32602"]
    assert " ".join(caption).startswith("context wf-1 of anonymous: 3 requests, 1 failed, from 20")


def test_a_workflow_is_written_as_json_lines(run: Run) -> None:
    work()
    done = run("wf-1", "--json")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["target"] for event in events] == [None, "call_tool", "burn"]
    assert events[1]["tool"] == "weigh"
    assert events[1]["view"] == events[0]["view"]
    assert events[2]["status"] == "error"
    assert events[0]["started_at"].endswith("+00:00")


def test_without_an_id_the_latest_contexts_are_listed(run: Run) -> None:
    work(context="wf-1")
    work(context="wf-2")
    header, *contexts = run().table
    assert header == ["context", "principal", "requests", "first", "last"]
    assert [line[:3] for line in contexts] == [["wf-2", "anonymous", "3"], ["wf-1", "anonymous", "3"]]
    assert len(run("--limit", "1").table) == 2
    assert [json.loads(line)["requests"] for line in run("--json").out.splitlines()] == [3, 3]


def test_the_trail_is_found_by_path_url_or_environment(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a trail?#%20.db"
    work(str(path))
    plain = run("wf-1", "--store", str(path)).out
    assert "weigh" in plain
    monkeypatch.setenv("SCOPEDTOOLS_AUDIT", str(path))
    assert run("wf-1").out == plain


def test_a_trail_in_postgresql_is_printed_too(run: Run, new_database: Callable[[], str]) -> None:
    store = new_database()
    work(store)
    assert "weigh" in run("wf-1", "--store", store).out


def test_several_principals_and_children_have_columns(run: Run) -> None:
    names = ("ann", "bob")
    tokens = StaticTokens({f"token-{name}": Principal(name) for name in names})

    async def ask() -> None:
        server = Depot(verifier=tokens, observers=[AuditTrail("audit.db")])
        async with server:
            for name in names:
                async with Client(server, context="wf-1", token=f"token-{name}") as client:
                    await client.list_tools()
            async with Client(server, context="wf-2", token="token-ann") as client:
                await client.request("tools/list", meta={PARENT: "wf-1"})

    asyncio.run(ask())
    both = run("wf-1").table
    assert both[0][3:5] == ["principal", "method"]
    assert [line[2] for line in both[1:3]] == ["ann", "bob"]
    assert "principal" not in run("wf-1", "--principal", "ann").out.splitlines()[0]
    family = run("wf-1", "--principal", "ann", "--children").table
    assert family[0][3:5] == ["context", "method"]
    assert [line[2] for line in family[1:3]] == ["wf-1", "wf-2"]


def test_what_clients_put_into_names_cannot_command_a_terminal_or_forge_lines(run: Run) -> None:
    hostile = "\x1b[2J[red]x[/red]\r\n00:00:00 forged\x9b31m\u202e\u2028\x07"

    async def ask() -> None:
        server = Depot(verifier=StaticTokens({"t": Principal(hostile)}), observers=[AuditTrail("audit.db")])
        async with Client(server, context="wf-1", token="t") as client:
            with pytest.raises(WireError):
                await client.request("tools/call", name=hostile)
        async with Client(server, context="[bold]wf", token="t") as client:
            await client.request("tools/list")

    asyncio.run(ask())
    for arguments in (("wf-1",), ("wf-1", "--json"), (), ("--json",), ("[bold]wf",)):
        out = run(*arguments).out
        assert not set(out) & {"\x1b", "\r", "\x9b", "\u202e", "\u2028", "\x07"}
        assert not [line for line in out.splitlines() if line.startswith("00:00:00")]
    table = run("wf-1").out
    assert "\\x1b[2J[red]x[/red]\\r\\n00:00:00 forged\\x9b31m\\u202e\\u2028\\x07" in table
    assert "[bold]wf" in run().out


def test_reading_where_there_is_nothing_makes_nothing(run: Run, tmp_path: Path) -> None:
    done = run("wf-1", "--store", "absent.db")
    assert (done.status, done.out) == (1, "")
    assert done.err == "error: there is no audit trail at absent.db\n"
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_one_line(run: Run, tmp_path: Path) -> None:
    work()
    assert run("wf-9").err.startswith("error: the trail has no request in context 'wf-9'; ")
    assert "of 'eve'" in run("wf-1", "--principal", "eve").err
    (tmp_path / "empty.db").touch()
    assert "no such table" in run("wf-1", "--store", "empty.db").err
    (tmp_path / "other.db").write_text("no database at all" * 100)
    assert "not a database" in run("wf-1", "--store", "other.db").err
    assert "sqlite or postgresql" in run("--store", "mysql://x/y").err
    unreachable = run("--store", "postgresql+psycopg://ann:hunter2@127.0.0.1:1/x")
    assert unreachable.err.startswith("error: cannot read an audit trail from postgresql+psycopg://ann:***@")
    assert "hunter2" not in unreachable.err
