"""The proxies of ``examples/deploy``: what they send where."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from benchmarks.scale.asking import CONTEXT_HEADER, Connection, call
from benchmarks.scale.proxies import KINDS, Kind, proxied
from tests.deploy.fleet import LIMIT_S, SIZE, Fleet, await_all, each, placed, program
from tests.wire.exchange import JSON_HEADERS, message

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("kind", KINDS)]

CONTEXTS = [str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)) for number in range(150)]
AT_ONCE = 16
MEGABYTES_5 = "x" * (5 * 10**6)


def test_parallel_first_calls_of_a_context_share_one_object_and_contexts_are_spread(
    kind: Kind, fleet: Fleet
) -> None:
    requests = [call("form", context=f"{kind}-{one}") for one in CONTEXTS for _ in range(AT_ONCE)]
    answers = asyncio.run(each(fleet.proxies[kind], requests, side_by_side=AT_ONCE))
    forms = [{one.value for one in answers[at : at + AT_ONCE]} for at in range(0, len(answers), AT_ONCE)]
    assert [len(objects) for objects in forms] == [1] * len(CONTEXTS)
    shares = Counter(asyncio.run(placed(fleet.proxies[kind], CONTEXTS)).values())
    assert len(shares) == SIZE
    assert min(shares.values()) > 0.12 * len(CONTEXTS)
    assert max(shares.values()) < 0.42 * len(CONTEXTS)


@pytest.mark.parametrize(
    "context", [None, "", "x" * 257, "with space", "caf\xe9"], ids=["none", "empty", "long", "space", "latin"]
)
def test_without_a_name_or_with_an_odd_one_requests_are_spread(
    kind: Kind, context: str | None, fleet: Fleet
) -> None:
    sent = call("where") if context is None else _with(call("where"), context)
    answers = asyncio.run(each(fleet.proxies[kind], [sent] * 64))
    assert len({one.value for one in answers}) == SIZE


@pytest.mark.parametrize("context", ["x" * 256, "a,b;c=d", '"{}\\', "~", "urn:uuid:1/2?3#4"])
def test_any_name_that_is_well_formed_stays_with_one_process(kind: Kind, context: str, fleet: Fleet) -> None:
    answers = asyncio.run(each(fleet.proxies[kind], [_with(call("where"), context)] * 32))
    assert len({one.value for one in answers}) == 1


@pytest.mark.parametrize("name", ["tenant-1,{}", "{},tenant-1"])
def test_names_that_begin_or_end_alike_are_spread(kind: Kind, name: str, fleet: Fleet) -> None:
    found = asyncio.run(placed(fleet.proxies[kind], [name.format(number) for number in range(64)]))
    assert len(set(found.values())) == SIZE


def test_without_another_name_a_session_of_an_earlier_revision_stays_with_one_process(
    kind: Kind, fleet: Fleet
) -> None:
    sent = call("where", headers={"mcp-session-id": "of-a-client"})
    assert len({one.value for one in asyncio.run(each(fleet.proxies[kind], [sent] * 32))}) == 1


def test_a_name_that_is_said_twice_is_refused(kind: Kind, fleet: Fleet) -> None:
    sent = _with(call("where", context="one"), "two")
    (answer,) = asyncio.run(each(fleet.proxies[kind], [sent]))
    assert answer.status == 400
    assert "two lines" in answer.reply["error"]["message"]


def test_a_body_that_the_server_would_not_take_is_refused_before_it(kind: Kind, fleet: Fleet) -> None:
    url = f"http://127.0.0.1:{fleet.proxies[kind]}/mcp"
    answer = httpx2.post(url, content=MEGABYTES_5.encode(), headers=JSON_HEADERS, timeout=LIMIT_S)
    assert answer.status_code == 413


def test_events_reach_the_client_while_the_call_goes_on(kind: Kind, fleet: Fleet) -> None:
    async def run() -> list[dict[str, Any]]:
        context = f"stream-{kind}"
        calling = Connection(fleet.proxies[kind])
        held = call("hold", {}, context=context, headers={"accept": "application/json, text/event-stream"})
        async with asyncio.timeout(LIMIT_S), calling.streamed(_with_progress(held, context)) as messages:
            first = await anext(messages)
            # It ends only after this, so the first event came on its own.
            await each(fleet.proxies[kind], [call("release", context=context)])
            return [first, *[one async for one in messages]]

    begun, answer = asyncio.run(run())
    assert begun["params"]["message"] == "begun"
    assert answer["result"]["structuredContent"]["result"] in fleet.processes().values()


def test_a_session_that_a_server_began_comes_back_to_it_unless_nginx_is_before_it(
    kind: Kind, fleet: Fleet
) -> None:
    url = f"http://127.0.0.1:{fleet.proxies[kind]}/mcp"
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "c", "version": "1"},
    }
    found = []
    for _ in range(3 * SIZE):
        # A client of its own each time: which connection is used must not matter.
        begun = httpx2.post(url, json=message("initialize", params), headers=JSON_HEADERS, timeout=LIMIT_S)
        own = {"mcp-session-id": begun.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        answer = httpx2.post(url, json=message("ping"), headers=JSON_HEADERS | own, timeout=LIMIT_S)
        found.append(answer.status_code == 200)
    # It learns nothing from answers, which its file and the README beside it say.
    assert all(found) == (kind != "nginx")


def test_another_process_takes_about_its_share_of_contexts(kind: Kind, fleet: Fleet, tmp_path: Path) -> None:
    before, after = SIZE - 1, SIZE
    with proxied(kind, program(kind), fleet.ports[:before], tmp_path) as port:
        await_all(port, before)
        few = asyncio.run(placed(port, CONTEXTS))
    many = asyncio.run(placed(fleet.proxies[kind], CONTEXTS))
    moved = [one for one in CONTEXTS if few[one] != many[one]]
    new = fleet.processes()[fleet.ports[before]]
    assert 0.1 < len(moved) / len(CONTEXTS) < 1 / after + 0.15
    # Envoy's table moves a few others, too.
    assert sum(many[one] == new for one in moved) >= (0.7 if kind == "envoy" else 1) * len(moved)


def _with(sent: bytes, context: str) -> bytes:
    """Return a request with a further line that names its context, whatever it is."""
    return sent.replace(b"\r\n", f"\r\n{CONTEXT_HEADER}: {context}\r\n".encode("latin-1"), 1)


def _with_progress(sent: bytes, token: str) -> bytes:
    head, _, body = sent.partition(b"\r\n\r\n")
    wanted = body.replace(b'"_meta":{', b'"_meta":{"progressToken":"%b",' % token.encode(), 1)
    length = b"content-length: %d"
    return head.replace(length % len(body), length % len(wanted)) + b"\r\n\r\n" + wanted
