"""Requests of the hosts of 2026, replayed: each is seen in its context, and in no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from scopedtools.context.hosts import CARRIERS, HOSTS, OPTIONAL, Carrier
from tests.context.office import of
from tests.wire.exchange import MODERN
from tests.wire.hosts import NOVEMBER, SHAPES, Conversation, OverHttp, Seen, Shape, listed, over_stdio, where

pytestmark = pytest.mark.anyio

ROUNDS = 3
TOPICS = ("invoice", "visa")
EVERYTHING = (*CARRIERS, *OPTIONAL)
DEFAULTS = {str(carrier) for carrier in CARRIERS}
ROWS = {host.name: host for host in HOSTS}


@pytest.fixture(autouse=True)
def _no_host_started_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for carrier in OPTIONAL:
        if carrier.place == "environment":
            monkeypatch.delenv(carrier.key, raising=False)


def server_for(shape: Shape) -> Seen:
    """Make a server that knows what each conversation is about, and reads what its host sends."""
    by_default = shape.carrier is None or shape.carrier in DEFAULTS
    topics = {context_id: f"the {noun}" for context_id, noun in zip(shape.ids, TOPICS, strict=False)}
    return Seen(topics, carriers=CARRIERS if by_default else EVERYTHING)


@asynccontextmanager
async def conversations(
    shape: Shape, ids: Sequence[str], way: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Conversation]]:
    """Hold a conversation under each ID with one server; of a process for each where the process is named."""
    transport, revision = way.split()
    shapes = [shape.of(context_id) for context_id in ids]
    async with AsyncExitStack() as stack:
        if shape.environment:
            found: list[Conversation] = []
            for one in shapes:
                for name, value in one.environment.items():
                    monkeypatch.setenv(name, value)
                found += await stack.enter_async_context(over_stdio(server_for(shape), [one], revision))
            yield found
            return
        server = server_for(shape)
        await stack.enter_async_context(server)
        if transport == "http":
            yield [OverHttp(server, one, revision) for one in shapes]
        else:
            yield list(await stack.enter_async_context(over_stdio(server, shapes, revision)))


def ways(shape: Shape) -> list[str]:
    transports = ["stdio"] if shape.environment else ["http"] if shape.needs_http else ["http", "stdio"]
    # Until 2026-07-28 servers minted this header; after it nobody does.
    revisions = [NOVEMBER] if shape.carrier == "header:Mcp-Session-Id" else [NOVEMBER, MODERN]
    return [f"{transport} {revision}" for transport in transports for revision in revisions]


def replayed(shapes: Sequence[Shape], *, transport: str = "") -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("shape", "way"),
        [
            pytest.param(one, way, id=f"{one.label}, {way}")
            for one in shapes
            for way in ways(one)
            if way.startswith(transport)
        ],
    )


NAMING = [shape for shape in SHAPES if shape.carrier is not None]


def test_every_carrier_of_every_host_is_replayed() -> None:
    told = {(shape.host, shape.carrier) for shape in SHAPES}
    for host in HOSTS:
        carriers = [*host.carriers, *host.optional]
        assert {(host.name, str(one)) for one in carriers} <= told, host.name
        assert carriers or (host.name, None) in told, host.name


def test_the_requests_say_of_lists_what_the_table_says() -> None:
    for shape in SHAPES:
        assert shape.on_lists == ROWS[shape.host].on_lists, shape.label


@replayed(NAMING)
async def test_calls_of_two_conversations_that_take_turns_are_told_apart(
    shape: Shape, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with conversations(shape, shape.ids, way, monkeypatch) as held:
        for _ in range(ROUNDS):
            for context_id, conversation in zip(shape.ids, held, strict=True):
                assert await where(conversation) == (context_id, shape.carrier)


@replayed(NAMING, transport="http")
async def test_calls_of_two_conversations_at_the_same_time_are_told_apart(
    shape: Shape, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with conversations(shape, shape.ids, way, monkeypatch) as held:
        seen = await asyncio.gather(*(where(one) for _ in range(ROUNDS) for one in held))
    assert seen == [(context_id, shape.carrier) for _ in range(ROUNDS) for context_id in shape.ids]


@replayed([shape for shape in NAMING if shape.on_lists])
async def test_a_host_that_names_its_context_on_lists_gets_what_that_context_needs(
    shape: Shape, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with conversations(shape, shape.ids, way, monkeypatch) as held:
        for _ in range(ROUNDS):
            for noun, conversation in zip(TOPICS, held, strict=True):
                names, narrowed = await listed(conversation)
                assert narrowed
                assert names == ["search_tools", "call_tool", "help", "where", *of(noun)]


@replayed([shape for shape in SHAPES if not shape.on_lists])
async def test_a_host_that_names_no_context_on_lists_gets_the_full_list(
    shape: Shape, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with conversations(shape, shape.ids or ("none",), way, monkeypatch) as held:
        for conversation in held:
            names, narrowed = await listed(conversation)
            assert not narrowed
            assert {*of("invoice"), *of("visa")} <= set(names)


@replayed([shape for shape in SHAPES if shape.carrier is None])
async def test_a_host_that_sends_nothing_of_use_is_in_no_context(
    shape: Shape, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with conversations(shape, ("none",), way, monkeypatch) as held:
        assert await where(held[0]) == (None, None)


@pytest.mark.parametrize("shape", [one for one in NAMING if one.carrier not in DEFAULTS])
async def test_an_argument_names_a_context_only_where_an_author_says_so(shape: Shape) -> None:
    server = Seen()
    async with server:
        assert await where(OverHttp(server, shape.of(shape.ids[0]), MODERN)) == (None, None)


async def test_an_argument_counts_through_call_tool_where_an_author_says_so() -> None:
    through = Carrier("argument", "arguments", "conversation_id")
    called = {"name": "where", "arguments": {"conversation_id": "inner"}}
    server = Seen(carriers=[*CARRIERS, through])
    async with server:
        bare = OverHttp(server, Shape("bare", None, ()), MODERN)
        reply = await bare.ask("tools/call", name="call_tool", arguments=called)
    assert reply["result"]["structuredContent"]["result"] == ["inner", str(through)]


async def test_requests_of_all_hosts_at_the_same_time_are_seen_in_their_contexts() -> None:
    mixed = [one for one in NAMING if one.carrier in DEFAULTS and not one.environment]
    server = Seen()
    async with server:
        sent = [(shape, context_id) for turn in (0, 1) for shape in mixed for context_id in [shape.ids[turn]]]
        seen = await asyncio.gather(
            *(where(OverHttp(server, shape.of(context_id), NOVEMBER)) for shape, context_id in sent)
        )
    assert seen == [(context_id, shape.carrier) for shape, context_id in sent]


async def test_variables_of_the_process_name_nothing_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CODE_SESSION_ID", "inherited")
    server = Seen(carriers=EVERYTHING)
    async with server:
        bare = Shape("bare", None, ())
        for revision in (NOVEMBER, MODERN):
            assert await where(OverHttp(server, bare, revision)) == (None, None)


async def test_what_a_request_names_comes_before_the_variables_of_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CLAUDE_CODE_SESSION_ID", "inherited")
    named = Shape("both", None, (), meta={"openai/session": "own"})
    async with over_stdio(Seen(carriers=EVERYTHING), [named], MODERN) as (conversation,):
        assert await where(conversation) == ("own", "meta:openai/session")
    assert caplog.records == []


async def test_variables_are_read_once_when_the_server_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROK_SESSION_ID", "first")
    server = Seen(carriers=EVERYTHING)
    monkeypatch.setenv("GROK_SESSION_ID", "second")
    async with over_stdio(server, [Shape("bare", None, ())], MODERN) as (conversation,):
        assert await where(conversation) == ("first", "environment:GROK_SESSION_ID")
