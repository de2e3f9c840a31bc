"""What the trail knows of a unit of work, in both kinds of database."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from scopedtools import Principal
from scopedtools.audit import AuditTrail
from scopedtools.audit.reader import AuditReader
from scopedtools.auth import StaticTokens
from scopedtools.protocol.meta import PARENT
from scopedtools.testing import Client, WireError
from tests.audit.depot import Depot, brief, depot, timeline

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


async def test_every_request_of_a_context_is_there_in_order_with_how_it_ended(store: str) -> None:
    before = datetime.now(UTC)
    async with Client(depot(store), context="wf-1") as client:
        await client.list_tools()
        await client.call_tool("weigh", parcel="p1")
        await client.call_tool("drop", parcel="p1")
        with pytest.raises(WireError):
            await client.call_tool("burn")
        await client.request("resources/read", uri="depot://rules")
        await client.request("prompts/get", name="label", arguments={"name": "Ann"})
    events = timeline(store, "wf-1")
    assert brief(events) == [
        ("tools/list", None, "ok"),
        ("tools/call", "weigh", "ok"),
        ("tools/call", "drop", "tool_error"),
        ("tools/call", "burn", "error"),
        ("resources/read", "depot://rules", "ok"),
        ("prompts/get", "label", "ok"),
    ]
    assert [event.code for event in events] == [None, None, None, -32602, None, None]
    assert [event.rpc_id for event in events] == ["1", "2", "3", "4", "5", "6"]
    assert all(event.duration_ms is not None and event.duration_ms > 0 for event in events)
    assert before <= events[0].started_at <= events[-1].started_at <= datetime.now(UTC)
    assert all(one.id < other.id for one, other in pairwise(events))


async def test_an_event_says_who_asked_and_how(store: str) -> None:
    server = Depot(
        verifier=StaticTokens({"t": Principal("ann")}), observers=[AuditTrail(store, server="depot-7")]
    )
    traced = {"traceparent": f"00-{TRACE}-{SPAN}-01", PARENT: "mother"}
    async with Client(server, headers={"Mcp-Client-Session-Id": "wf-1"}, token="t") as client:
        await client.request("tools/call", name="weigh", arguments={"parcel": "p"}, meta=traced)
        for wrong in (
            "00-zz-1-1",
            f"00-{'0' * 32}-{SPAN}-01",
            f"00-{TRACE}-{'0' * 16}-01",
            f"ff-{TRACE}-{SPAN}-01",
        ):
            await client.request("tools/list", meta={"traceparent": wrong})
    call, *listed = timeline(store, "wf-1")
    assert (call.principal, call.context_id, call.parent) == ("ann", "wf-1", "mother")
    assert call.carrier == "header:Mcp-Client-Session-Id"
    assert (call.protocol_version, call.client_name, call.client_version) == (
        "2026-07-28",
        "scopedtools",
        "0",
    )
    assert (call.trace_id, call.span_id, call.server) == (TRACE, SPAN, "depot-7")
    assert call.context_digest is not None
    assert len(call.context_digest) == 32
    assert [one.trace_id for one in listed] == [None] * 4


async def test_a_call_says_which_list_the_client_had_been_given(store: str) -> None:
    server = depot(store)
    async with Client(server, context="wf-1") as client, Client(server, context="other") as other:
        await client.call_tool("weigh", parcel="p")
        first = await client.request("tools/list")
        await client.call_tool("weigh", parcel="p")
        server.closed = True
        await other.request("tools/list")
        await client.call_tool("weigh", parcel="p")
        await client.request("prompts/list")
        second = await client.request("tools/list")
        await client.call_tool("weigh", parcel="p")
    given = [page["_meta"]["io.github.scopedtools/view"]["revision"] for page in (first, second)]
    assert given[0] != given[1]
    events = timeline(store, "wf-1")
    listed = [(event.shown, event.total) for event in events if event.method == "tools/list"]
    assert listed == [(4, 4), (3, 3)]
    called = [event.view for event in events if event.method == "tools/call"]
    assert called == [None, given[0], given[0], given[1]]


async def test_a_list_that_was_not_answered_yet_is_not_what_a_client_held(store: str) -> None:
    server = depot(store)
    async with Client(server, context="wf-1") as client:
        await client.list_tools()
        server.closed = server.slow = True
        late = asyncio.create_task(client.list_tools())
        await server.arrived.wait()
        await client.call_tool("weigh", parcel="p")
        server.released.set()
        await late
    first, second, call = timeline(store, "wf-1")
    assert first.view != second.view
    assert call.view == first.view


async def test_what_one_principal_was_given_is_not_what_another_held(store: str) -> None:
    tokens = StaticTokens({"a": Principal("ann"), "b": Principal("bob")})
    server = Depot(verifier=tokens, observers=[AuditTrail(store)])
    async with (
        server,
        Client(server, context="wf-1", token="a") as ann,
        Client(server, context="wf-1", token="b") as bob,
    ):
        await ann.list_tools()
        await bob.call_tool("weigh", parcel="p")
        await ann.call_tool("weigh", parcel="p")
    listed, of_bob, of_ann = timeline(store, "wf-1")
    assert listed.view is not None
    assert (of_bob.view, of_ann.view) == (None, listed.view)


async def test_a_call_through_call_tool_names_both_tools(store: str) -> None:
    async with Client(depot(store), context="wf-1") as client:
        await client.call_tool("call_tool", name="weigh", arguments={"parcel": "p"})
        await client.call_tool("weigh", parcel="p")
    assert [(event.target, event.tool) for event in timeline(store, "wf-1")] == [
        ("call_tool", "weigh"),
        ("weigh", "weigh"),
    ]


async def test_contexts_and_principals_do_not_mix(store: str) -> None:
    names = ("ann", "bob")
    server = Depot(
        verifier=StaticTokens({f"token-{name}": Principal(name) for name in names}),
        observers=[AuditTrail(store, flush_ms=5)],
    )

    async def work(name: str, context: str, own: str) -> None:
        async with Client(server, context=context, token=f"token-{name}") as client:
            for turn in range(5):
                await client.request("tools/list" if turn % 2 else "prompts/list")
                with pytest.raises(WireError):
                    await client.call_tool(own)

    async with server:
        units = [(name, f"wf-{number}") for name in names for number in range(5)]
        await asyncio.gather(*(work(name, context, f"{context}-of-{name}") for name, context in units))
    for name, context in units:
        events = timeline(store, context, principal=name)
        assert {event.principal for event in events} == {name}
        assert [event.rpc_id for event in events] == [str(number) for number in range(1, 11)]
        assert {event.target for event in events if event.target} == {f"{context}-of-{name}"}
    assert {event.principal for event in timeline(store, "wf-0")} == set(names)


async def test_children_come_with_their_parent_where_they_are_asked_for(store: str) -> None:
    server = Depot(
        verifier=StaticTokens({"a": Principal("ann"), "b": Principal("bob")}), observers=[AuditTrail(store)]
    )
    forks = [
        ("root", None, "a"),
        ("child", "root", "a"),
        ("grandchild", "child", "a"),
        ("child", "root", "b"),
    ]
    async with server:
        for context, parent, token in forks:
            async with Client(server, context=context, token=token) as client:
                await client.request("tools/list", meta={PARENT: parent} if parent else {})
    assert [event.context_id for event in timeline(store, "root")] == ["root"]
    with_children = timeline(store, "root", children=True)
    assert [(event.context_id, event.principal) for event in with_children] == [
        ("root", "ann"),
        ("child", "ann"),
        ("grandchild", "ann"),
    ]


async def test_requests_without_a_context_are_there_too(store: str) -> None:
    async with Client(depot(store)) as client:
        await client.list_tools()
    assert brief(timeline(store, None)) == [("tools/list", None, "ok")]


async def test_the_latest_contexts_are_listed(store: str) -> None:
    server = depot(store)
    async with server:
        for context, requests in (("old", 1), ("new", 3)):
            async with Client(server, context=context) as client:
                for _ in range(requests):
                    await client.request("tools/list")
    with AuditReader(store) as reader:
        assert [(one.context_id, one.requests) for one in reader.contexts()] == [("new", 3), ("old", 1)]
        assert [one.context_id for one in reader.contexts(limit=1)] == ["new"]
        assert reader.contexts(principal="nobody") == []


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def use_secrets(server: Depot) -> None:
    async with Client(server, context="wf-1", intent="the secret intent") as client:
        await client.call_tool("weigh", parcel="the secret parcel", password="hunter2")
        await client.call_tool("call_tool", name="weigh", arguments={"parcel": "the secret parcel"})
        await client.call_tool("drop", parcel="the secret parcel")
        await client.request("prompts/get", name="label", arguments={"name": "the secret name"})
        await client.request("resources/read", uri="depot://rules")


async def test_arguments_results_and_intents_are_not_kept(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'audit.db'}"
    await use_secrets(depot(store))
    assert all(event.arguments is None and event.result is None for event in timeline(store, "wf-1"))
    held = everything_in(tmp_path)
    assert b"weigh" in held
    assert not [word for word in (b"secret", b"hunter2", b"fragile", b"lithium") if word in held]


async def test_what_is_asked_for_is_kept_with_secrets_masked(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'audit.db'}"
    await use_secrets(depot(store, record_arguments=True, record_results=True))
    weighed, through, dropped, labelled, read = timeline(store, "wf-1")
    assert weighed.arguments == {"parcel": "the secret parcel", "password": "***"}
    assert weighed.result["structuredContent"] == {"parcel": "the secret parcel", "token": "***"}
    assert through.arguments == {"name": "weigh", "arguments": {"parcel": "the secret parcel"}}
    assert dropped.result["content"][0]["text"] == "the secret parcel is fragile"
    assert labelled.arguments == {"name": "the secret name"}
    assert read.result["contents"][0]["text"] == "No lithium."
    held = everything_in(tmp_path)
    assert b"hunter2" not in held
    assert b"token of" not in held


async def test_arguments_alone_may_be_kept(store: str) -> None:
    async with Client(depot(store, record_arguments=True), context="wf-1") as client:
        await client.call_tool("weigh", parcel="p\0\ud7ff🎁")
        await client.call_tool("ship", parcel="x" * 100_000)
    small, large = timeline(store, "wf-1")
    assert (small.arguments, small.result) == ({"parcel": "p\0\ud7ff🎁"}, None)
    assert large.arguments == {"omitted": "100013 bytes"}


async def test_the_author_decides_what_is_kept(store: str) -> None:
    def redact(name: str, value: Any) -> Any:
        return {"of": name, "keys": sorted(value)}

    async with Client(depot(store, record_arguments=True, redact=redact), context="wf-1") as client:
        await client.call_tool("weigh", parcel="p")
    assert timeline(store, "wf-1")[0].arguments == {"of": "weigh", "keys": ["parcel"]}


async def test_nothing_is_kept_where_redaction_fails(store: str, caplog: pytest.LogCaptureFixture) -> None:
    def redact(_: str, value: Any) -> Any:
        raise ValueError(value)

    async with Client(depot(store, record_arguments=True, redact=redact), context="wf-1") as client:
        await client.call_tool("weigh", parcel="precious")
        await client.call_tool("weigh", parcel="precious")
    assert [event.arguments for event in timeline(store, "wf-1")] == [{"omitted": "redaction failed"}] * 2
    assert [record.getMessage() for record in caplog.records if record.name.startswith("scopedtools")] == [
        "redaction failed, so the audit trail leaves values out: ValueError"
    ]
    assert "precious" not in caplog.text


async def test_reading_makes_no_file_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    async with Client(depot(str(path)), context="wf-1") as client:
        await client.list_tools()
    before = path.read_bytes()
    assert timeline(str(path), "unknown") == []
    assert len(timeline(str(path), "wf-1")) == 1
    assert path.read_bytes() == before
    with AuditReader(str(path)) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._engine.raw_connection().execute("CREATE TABLE other (id)")
