"""Values that are kept for a context."""

import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import Any

import pytest

from scopedtools import ToolError
from scopedtools.context.state import MAX_VALUE_BYTES, State
from scopedtools.context.store import MemoryStore
from scopedtools.storage import ContextRecord

pytestmark = pytest.mark.anyio

KEY = b"k" * 16


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Form:
    customer: str
    lines: list[int]


@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, "", "é\n🛫", [], {}, [1, "a", None], {"a": {"b": [1]}}, 2**60]
)
async def test_what_json_can_hold_comes_back_as_it_was(value: Any) -> None:
    state = State(MemoryStore(), KEY)
    await state.set("x", value)
    assert await state.get("x", "none") == value


async def test_without_a_value_there_is_the_default() -> None:
    state = State(MemoryStore(), KEY)
    assert await state.get("x") is None
    assert await state.get("x", 7) == 7
    assert await state.names() == []


async def test_what_was_kept_is_not_changed_by_what_the_author_does_to_it_afterwards() -> None:
    state = State(MemoryStore(), KEY)
    lines = [1]
    await state.set("x", lines)
    lines.append(2)
    (await state.get("x")).append(3)
    assert await state.get("x") == [1]


async def test_values_come_back_as_a_type() -> None:
    state = State(MemoryStore(), KEY)
    await state.set("form", Form("ada", [1, 2]))
    assert await state.get("form", type=Form) == Form("ada", [1, 2])
    assert await state.get("form") == {"customer": "ada", "lines": [1, 2]}
    assert await state.get("other", Form("", []), type=Form) == Form("", [])
    await state.set("day", dt.date(2026, 7, 28))
    assert await state.get("day", type=dt.date) == dt.date(2026, 7, 28)


async def test_a_value_of_another_type_is_an_error_that_the_model_reads() -> None:
    state = State(MemoryStore(), KEY)
    await state.set("form", {"customer": 1})
    with pytest.raises(ToolError, match=r"'form' is not what is asked for.*set it anew"):
        await state.get("form", type=Form)


async def test_values_are_replaced_named_and_deleted() -> None:
    state = State(MemoryStore(), KEY)
    await state.set("b", 1)
    await state.set("a", 1)
    await state.set("b", 2)
    assert (await state.names(), await state.get("b")) == (["a", "b"], 2)
    await state.delete("b")
    await state.delete("b")
    assert await state.names() == ["a"]


async def test_of_defaults_set_side_by_side_all_get_the_first() -> None:
    store = MemoryStore()
    got = await asyncio.gather(*(State(store, KEY).setdefault("x", [n]) for n in range(32)))
    assert got == [[0]] * 32
    assert await State(store, KEY).setdefault("x", "late") == [0]


async def test_two_keys_have_two_states_and_records_are_apart_from_both() -> None:
    store = MemoryStore()
    mine, theirs = State(store, KEY), State(store, b"o" * 16)
    await store.add(KEY, ContextRecord("v", (1,)))
    await mine.set("x", 1)
    assert await theirs.get("x") is None
    assert await store.get(KEY) == ContextRecord("v", (1,))
    assert await store.value_names(KEY) == []


async def test_values_end_after_their_own_time_or_with_the_context() -> None:
    clock = Clock()
    state = State(MemoryStore(ttl_s=100, clock=clock), KEY)
    await state.set("code", "1234", ttl_s=30)
    await state.setdefault("hold", 1, ttl_s=60)
    await state.set("form", 1)
    clock.now_s = 30
    assert await state.names() == ["form", "hold"]
    clock.now_s = 60
    assert await state.setdefault("hold", 2) == 2
    clock.now_s = 159
    assert await state.names() == ["form", "hold"]
    clock.now_s = 260
    assert await state.names() == []


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan")])
async def test_a_value_that_would_not_live_is_refused(ttl_s: float) -> None:
    with pytest.raises(ValueError, match="ttl_s must be > 0, got"):
        await State(MemoryStore(), KEY).set("x", 1, ttl_s=ttl_s)


async def test_what_is_too_large_is_an_error_that_the_model_reads() -> None:
    state = State(MemoryStore(), KEY)
    await state.set("x", "a" * (MAX_VALUE_BYTES - 2))
    for late in (state.set, state.setdefault):
        with pytest.raises(ToolError, match=r"at most 65536 bytes as JSON, got 65537: keep less"):
            await late("x", "a" * (MAX_VALUE_BYTES - 1))
    assert len(await state.get("x")) == MAX_VALUE_BYTES - 2


async def test_what_there_is_no_room_for_is_an_error_that_the_model_reads() -> None:
    state = State(MemoryStore(max_values=1), KEY)
    await state.set("x", 1)
    for late in (state.set, state.setdefault):
        with pytest.raises(ToolError, match=r"no room for 'y': delete a value first"):
            await late("y", 1)
    await state.delete("x")
    await state.set("y", 1)


@pytest.mark.parametrize("name", ["", "x" * 257])
async def test_a_name_has_a_bounded_length(name: str) -> None:
    state = State(MemoryStore(), KEY)
    for call in (state.set(name, 1), state.setdefault(name, 1), state.get(name), state.delete(name)):
        with pytest.raises(ToolError, match=f"1 to 256 characters, got {len(name)}"):
            await call


async def test_what_json_cannot_hold_is_the_authors_mistake() -> None:
    with pytest.raises(TypeError):
        await State(MemoryStore(), KEY).set("x", object())


async def test_without_a_context_the_error_says_what_to_send() -> None:
    state = State(MemoryStore(), None)
    calls = (state.get("x"), state.set("x", 1), state.setdefault("x", 1), state.delete("x"), state.names())
    for call in calls:
        with pytest.raises(ToolError, match=r"needs a context: send an ID.*Mcp-Client-Session-Id"):
            await call


class Unreachable(MemoryStore):
    async def get_value(self, key: bytes, name: str) -> bytes | None:
        raise ConnectionError("redis://user:password@db")

    async def put_value(self, key: bytes, name: str, value: bytes, *, ttl_s: float | None = None) -> bool:
        raise ConnectionError("redis://user:password@db")


async def test_a_store_that_fails_is_an_error_and_not_an_empty_state(
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = State(Unreachable(), KEY)
    for call in (state.get("x", "default"), state.set("x", 1), state.setdefault("x", 1)):
        with pytest.raises(ToolError, match="cannot be reached now") as caught:
            await call
        assert "password" not in str(caught.value)
    assert "the context store failed" in caplog.text
