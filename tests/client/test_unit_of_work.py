"""A unit of work as a value, and the places where it rides."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx2
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from scopedtools.client import UnitOfWork, add_context
from scopedtools.protocol.mirrors import decode_value

pytestmark = pytest.mark.anyio

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def test_a_unit_has_an_id_of_its_own_that_nobody_guesses() -> None:
    one, other = UnitOfWork(), UnitOfWork()
    assert one.id != other.id
    assert UUID(one.id).version == 4


def test_a_unit_does_not_change() -> None:
    unit: Any = UnitOfWork(intent="a", id="x")
    with pytest.raises(FrozenInstanceError):
        unit.id = "y"
    assert unit == UnitOfWork(intent="a", id="x")
    assert hash(unit) == hash(UnitOfWork(intent="a", id="x"))


@pytest.mark.parametrize("wrong", ["", " ", "a b", "ü", "a\n", "x" * 257, None, 7, b"a"])
@pytest.mark.parametrize("name", ["id", "parent"])
def test_an_id_that_servers_would_not_take_is_refused_without_repeating_it(name: str, wrong: Any) -> None:
    if name == "parent" and wrong is None:
        return
    with pytest.raises(
        ValueError, match=rf"{name} must be 1 to 256 visible ASCII characters, got "
    ) as caught:
        UnitOfWork(**{name: wrong})
    if isinstance(wrong, str) and wrong.strip():
        assert wrong not in str(caught.value)


@pytest.mark.parametrize("good", ["a", "!", "~" * 256, "urn:uuid:1", "=?base64?YQ==?="])
def test_any_visible_ascii_is_an_id(good: str) -> None:
    assert UnitOfWork(id=good).headers()["Mcp-Client-Session-Id"] == good


@pytest.mark.parametrize("wrong", [7, b"a", "\ud800"])
def test_a_text_that_cannot_be_sent_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="intent must be text"):
        UnitOfWork(intent=wrong)


def test_a_fork_is_another_unit_that_knows_its_parent() -> None:
    unit = UnitOfWork(intent="plan a trip", growth=False, reply="done")
    child = unit.fork("book a hotel")
    assert child.id not in (unit.id, unit.fork().id)
    assert child == UnitOfWork(intent="book a hotel", id=child.id, parent=unit.id, growth=False)


def test_a_unit_is_not_its_own_parent() -> None:
    with pytest.raises(ValueError, match="use fork"):
        UnitOfWork(id="a", parent="a")


def test_the_next_turn_is_of_the_same_unit() -> None:
    unit = UnitOfWork(intent="plan a trip").fork("book")
    assert unit.about("pay", reply="booked") == replace(unit, intent="pay", reply="booked")


def test_settings_and_meta_say_what_there_is_to_say_and_nothing_else() -> None:
    bare = UnitOfWork(id="a", growth=False)
    assert bare.settings() == {"contextId": "a"}
    assert bare.meta() == {"clientSessionId": "a"}
    assert bare.headers() == {"Mcp-Client-Session-Id": "a"}
    full = UnitOfWork(id="a", intent="pay", parent="b", reply="booked")
    assert full.settings() == {"contextId": "a", "intent": "pay", "parent": "b", "growth": True}
    own = "io.github.scopedtools"
    assert full.extensions() == {f"{own}/context": full.settings()}
    assert full.meta() == {
        "clientSessionId": "a",
        f"{own}/intent": "pay",
        f"{own}/parent": "b",
        f"{own}/reply": "booked",
    }
    assert full.headers() == {
        "Mcp-Client-Session-Id": "a",
        "Mcp-Context-Intent": "pay",
        "Mcp-Context-Parent": "b",
    }


@given(TEXT)
def test_any_intent_survives_a_header_and_a_url(intent: str) -> None:
    unit = UnitOfWork(intent=intent, id="a&b=c#d")
    header = unit.headers()["Mcp-Context-Intent"]
    assert re.fullmatch(r"[\x20-\x7e]*", header)
    assert decode_value(header) == intent
    query = parse_qs(urlsplit(unit.url("http://host/mcp")).query, keep_blank_values=True)
    assert query == {"context": ["a&b=c#d"], "intent": [intent]}


def test_a_url_keeps_what_was_in_it_and_loses_another_unit() -> None:
    unit = UnitOfWork(id="a", parent="p")
    base = "https://user@host:8443/mcp?key=1&context=old&intent=old&flag=#part"
    assert unit.url(base) == "https://user@host:8443/mcp?key=1&flag=&context=a&parent=p#part"
    assert unit.url(unit.url(base)) == unit.url(base)


def test_the_context_of_an_a2a_message_goes_in_and_out_as_it_is() -> None:
    message = {"messageId": "1", "role": "ROLE_USER", "contextId": "Ctx/7f3a=="}
    unit = UnitOfWork.from_a2a(message, intent="pay")
    assert unit == UnitOfWork(id="Ctx/7f3a==", intent="pay")
    assert unit.to_a2a({"messageId": "2"}) == {"messageId": "2", "contextId": "Ctx/7f3a=="}
    assert unit.to_a2a(message) == message
    assert UnitOfWork.from_a2a(SimpleNamespace(context_id="c")).id == "c"


@pytest.mark.parametrize("wrong", ["", "a b", "x" * 257, 7])
def test_the_context_of_an_a2a_message_is_refused_rather_than_replaced(wrong: Any) -> None:
    with pytest.raises(ValueError, match="contextId must be"):
        UnitOfWork.from_a2a({"contextId": wrong})
    with pytest.raises(ValueError, match="another contextId"):
        UnitOfWork().to_a2a({"contextId": wrong})


@pytest.mark.parametrize("message", [{}, {"contextId": None}, SimpleNamespace(context_id="")])
def test_an_a2a_message_without_a_context_gets_one(message: Any) -> None:
    assert UUID(UnitOfWork.from_a2a(message).id).version == 4


async def test_each_task_has_its_own_active_unit_and_tasks_inherit_it() -> None:
    async def current() -> str | None:
        await checkpoint()
        unit = UnitOfWork.current()
        return unit.id if unit else None

    async def work(name: str) -> list[str | None]:
        unit = UnitOfWork(id=name)
        with unit.active() as active:
            assert active is unit
            inherited = asyncio.create_task(current())
            with unit.fork().active() as child:
                inner = await current()
            assert inner == child.id
            return [await current(), await inherited]

    assert await asyncio.gather(*(work(f"u{n}") for n in range(20))) == [[f"u{n}"] * 2 for n in range(20)]
    assert UnitOfWork.current() is None


async def test_the_hook_names_the_active_unit_on_requests_of_mcp_alone() -> None:
    seen: list[dict[str, str]] = []

    async def app(request: httpx2.Request) -> httpx2.Response:
        seen.append(dict(request.headers))
        return httpx2.Response(200)

    hooks = {"request": [add_context]}
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(app), event_hooks=hooks) as http:
        mcp = {"accept": "application/json, text/event-stream"}
        await http.post("http://host/mcp", headers=mcp)
        with UnitOfWork(id="a", intent="pay").active():
            await http.post("http://host/mcp", headers=mcp)
            await http.post("http://host/mcp", headers={**mcp, "mcp-client-session-id": "own"})
            await http.post("http://issuer/token", headers={"accept": "application/json"})
    own = [
        {name: said for name, said in headers.items() if "context" in name or "client" in name}
        for headers in seen
    ]
    named = {"mcp-client-session-id": "a", "mcp-context-intent": "pay"}
    assert own == [{}, named, {"mcp-client-session-id": "own"}, {}]


def test_without_mcp_units_work_and_connecting_says_what_to_install() -> None:
    program = """
import sys
for name in ("mcp", "mcp_types"):
    sys.modules[name] = None
from scopedtools.client import UnitOfWork, connect, in_context
from scopedtools.exceptions import MissingDependencyError
print(UnitOfWork(id="a").headers())
for call in (lambda: connect("http://127.0.0.1/mcp"), lambda: in_context(None)):
    try:
        call()
    except MissingDependencyError as error:
        print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    missing = 'mcp 2.3 or later is not installed; run pip install "scopedtools[client]"'
    assert ran.stdout.splitlines() == ["{'Mcp-Client-Session-Id': 'a'}", missing, missing]
