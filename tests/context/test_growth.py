"""How a view grows: which rows something new adds, and what is remembered of what was said."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedtools import ViewSettings
from scopedtools.context.carriers import CarrierTable
from scopedtools.context.context import Context, ContextResolver
from scopedtools.context.growth import STEP_ROWS, additions, called, half, is_new, said
from scopedtools.context.store import MemoryStore
from scopedtools.exceptions import DefinitionError
from scopedtools.protocol import meta
from scopedtools.protocol.methods import METHODS, ListParams
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import LATEST
from scopedtools.protocol.session import Session
from scopedtools.storage import ContextRecord
from scopedtools.types import Hit, Turn

ROWS = 40
COSTS = [1] * ROWS


def hits(*rows: int, scores: tuple[float, ...] = ()) -> list[Hit]:
    scores = scores or (1.0,) * len(rows)
    return [Hit(row, score, 0.0, score, "") for row, score in zip(rows, scores, strict=True)]


def added(
    found: list[Hit],
    shown: tuple[int, ...] = (),
    limit: int = 16,
    costs: list[int] = COSTS,
    budget_tokens: int = 4000,
) -> tuple[int, ...]:
    return additions(found, shown, limit=limit, costs=costs, budget_tokens=budget_tokens)


# Which rows are added


@pytest.mark.parametrize(("limit", "rows"), [(16, 8), (8, 4), (5, 3), (1, 1), (0, 0)])
def test_half_of_the_rows_are_shown_at_first(limit: int, rows: int) -> None:
    assert half(limit) == rows


@pytest.mark.parametrize(("listed", "rows"), [(0, 6), (8, 3), (11, 2), (13, 1), (14, 1), (15, 1), (16, 0)])
def test_a_third_of_the_room_is_taken_until_the_view_is_full(listed: int, rows: int) -> None:
    assert len(added(hits(*range(20, 28)), tuple(range(listed)))) == rows


def test_the_best_are_added_and_stand_in_the_order_of_the_catalog() -> None:
    assert added(hits(30, 7, 21, 9, 8), tuple(range(5))) == (7, 9, 21, 30)


def test_rows_that_are_shown_already_take_no_room() -> None:
    assert added(hits(1, 2, 9, 3, 8), (1, 2, 3)) == (8, 9)


def test_only_the_best_few_are_looked_at() -> None:
    assert added(hits(*range(STEP_ROWS), 30), tuple(range(STEP_ROWS))) == ()


def test_a_row_that_fits_much_worse_than_the_best_is_not_added() -> None:
    assert added(hits(1, 2, 3, scores=(0.5, 0.3, 0.29))) == (1, 2)
    assert added(hits(1, 2, 3, scores=(0.5, 0.3, 0.29)), (1,)) == (2,)


def test_a_row_that_is_too_large_for_what_is_left_is_passed_over() -> None:
    costs = [10, 70, 20, 20]
    assert added(hits(1, 2, 3), (0,), costs=costs, budget_tokens=75) == (2, 3)
    assert added(hits(1, 2, 3), (0,), costs=costs, budget_tokens=10) == ()


def test_a_search_that_found_nothing_adds_nothing() -> None:
    assert added([]) == ()


@given(
    found=st.lists(st.integers(0, ROWS - 1), unique=True, max_size=20),
    shown=st.lists(st.integers(0, ROWS - 1), unique=True, max_size=20).map(tuple),
    costs=st.lists(st.integers(1, 500), min_size=ROWS, max_size=ROWS),
    limit=st.integers(0, 20),
    budget_tokens=st.integers(1, 4000),
)
def test_what_is_added_is_new_was_found_and_fits(
    found: list[int], shown: tuple[int, ...], costs: list[int], limit: int, budget_tokens: int
) -> None:
    scores = tuple(1 - place / 20 for place in range(len(found)))
    rows = added(hits(*found, scores=scores), shown, limit, costs, budget_tokens)
    assert list(rows) == sorted(set(rows) & set(found) - set(shown))
    assert len(rows) <= max(0, limit - len(shown))
    assert not rows or sum(costs[row] for row in (*shown, *rows)) <= budget_tokens


# What is remembered


def test_what_was_said_is_remembered_with_the_answers_between() -> None:
    turns = said(said((), "first"), "second", "a reply to the first")
    assert turns == (Turn("first", "a reply to the first"), Turn("second"))


def test_an_answer_before_anything_was_asked_is_not_remembered() -> None:
    assert said((), "first", "hello") == (Turn("first"),)


def test_a_long_text_is_remembered_by_both_its_ends() -> None:
    long = "a" * 5000 + "b" * 5000
    (turn, last) = said(said((), long), "next", long)
    for text in (turn.text, turn.reply):
        assert len(text) == 400
        assert text.startswith("aaa")
        assert text.endswith("bbb")
    assert last == Turn("next")


def test_a_long_intent_that_goes_on_is_new() -> None:
    turns = said((), "x" * 500)
    assert not is_new(turns, "x" * 500)
    assert is_new(turns, "x" * 500 + " and more")


def test_what_was_said_lately_is_not_new_and_nothing_is_known_at_first() -> None:
    turns = said(said((), "intent"), "search")
    assert [is_new(turns, text) for text in ("intent", "search", "another")] == [False, False, True]
    assert is_new((), "intent")


def test_what_is_said_again_at_once_is_remembered_once() -> None:
    turns = said(said(said((), "intent"), "search"), "search", "found nothing")
    assert turns == (Turn("intent"), Turn("search", "found nothing"))


@given(st.lists(st.tuples(st.text(max_size=900), st.text(max_size=900)), max_size=30))
def test_of_what_was_said_only_the_last_is_kept_and_of_that_a_part(told: list[tuple[str, str]]) -> None:
    turns: tuple[Turn, ...] = ()
    for text, reply in told:
        turns = said(turns, text, reply)
        assert not is_new(turns, text)
        assert len(turns) <= 8
        assert all(len(turn.text) <= 400 and len(turn.reply) <= 400 for turn in turns)


def test_calls_belong_to_what_was_said_last_and_the_last_of_them_are_kept() -> None:
    record = ContextRecord("v", (1,), said(said((), "first"), "second"))
    for row in range(20):
        record = called(record, row)
    assert record.turns == (Turn("first"), Turn("second", called=tuple(range(4, 20))))
    assert (record.catalog, record.rows) == ("v", (1,))


def test_a_call_before_anything_was_said_is_not_remembered() -> None:
    record = ContextRecord("v", (1,))
    assert called(record, 3) is record


# Who is asking


def asking(settings: Any, session: Session | None = None, told: dict[str, Any] | None = None) -> Context:
    own = dict(told or {})
    if session is None:
        own[meta.CLIENT_CAPABILITIES] = {"extensions": {meta.EXTENSION: settings}}
    request = Request(METHODS["tools/list"], ListParams(meta=own), LATEST, Ingress(session=session), 1)
    return ContextResolver(CarrierTable(), store=MemoryStore()).resolve(request)


@pytest.mark.parametrize("growth", [False, None, 1, "true", "yes", {}, []])
def test_a_client_negotiates_growth_with_true_alone(growth: Any) -> None:
    assert asking({"growth": True}).grows
    assert not asking({"growth": growth}).grows


@pytest.mark.parametrize("settings", [{}, None, [], "growth", True])
def test_settings_that_say_nothing_of_growth_negotiate_nothing(settings: Any) -> None:
    assert not asking(settings).grows


async def push(method: str, params: Any) -> None:
    raise AssertionError(method)


def test_a_session_negotiates_growth_when_it_begins() -> None:
    session = Session(push)
    assert not asking(None, session).grows
    session.capabilities = {"extensions": {meta.EXTENSION: {"growth": True}}}
    assert asking(None, session).grows


@pytest.mark.parametrize(("told", "reply"), [("Done.", "Done."), ("", ""), (None, ""), (7, ""), (["x"], "")])
def test_a_reply_is_text_or_nothing(told: Any, reply: str) -> None:
    assert asking({}, told={meta.REPLY: told}).reply == reply


def test_a_reply_is_read_up_to_a_limit_and_need_not_be_there() -> None:
    assert len(asking({}, told={meta.REPLY: "x" * 100_000}).reply) == 8192
    assert asking({}).reply == ""


@pytest.mark.parametrize("growth", ["negotiated", "always", "never"])
def test_authors_say_whose_views_grow(growth: Literal["negotiated", "always", "never"]) -> None:
    assert ViewSettings(growth=growth).growth == growth


@pytest.mark.parametrize("growth", ["", "Always", True, None])
def test_another_word_for_growth_is_refused_with_those_that_there_are(growth: Any) -> None:
    with pytest.raises(DefinitionError, match="'negotiated', 'always' or 'never', got"):
        ViewSettings(growth=growth)
