"""Where a request says what its unit of work is about."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from scopedtools.context.context import INTENT_CHARACTERS, declared_intent
from scopedtools.protocol import meta
from scopedtools.protocol.mirrors import encode_value
from scopedtools.protocol.request import Request
from tests.context.carried import request

INTENT = "Pay the invoice für München"


@pytest.mark.parametrize(
    "asked",
    [
        request(settings={"intent": INTENT}),
        request({meta.INTENT: INTENT}),
        request(headers=[("Mcp-Context-Intent", encode_value(INTENT))]),
        request(query=f"intent={quote(INTENT)}"),
        request({meta.INTENT: f"\n {INTENT}\t"}),
    ],
)
def test_an_intent_is_found_on_each_carrier(asked: Request) -> None:
    assert declared_intent(asked) == INTENT


def test_intents_are_looked_for_in_order_and_blank_ones_passed_over() -> None:
    said = ["first", "second", "third", "fourth"]
    for place, intent in enumerate(said):
        for blank in ("", "  "):
            one, two, three, four = [blank] * place + said[place:]
            asked = request(
                {meta.INTENT: two},
                settings={"intent": one},
                headers=[("Mcp-Context-Intent", three)],
                query=f"intent={quote(four)}",
            )
            assert declared_intent(asked) == intent


def test_a_plain_header_is_an_intent_as_it_is() -> None:
    assert declared_intent(request(headers=[("Mcp-Context-Intent", " pay the bill ")])) == "pay the bill"


@pytest.mark.parametrize("value", ["=?base64?!!?=", "=?base64?/w==?=", "=?base64??=", "", "\xff"])
def test_a_header_that_cannot_be_decoded_is_no_intent(value: str) -> None:
    assert declared_intent(request(headers=[("Mcp-Context-Intent", value)])) is None


@pytest.mark.parametrize("value", [None, 3, [], {"a": 1}, True])
def test_an_intent_that_is_no_text_is_none(value: Any) -> None:
    assert declared_intent(request({meta.INTENT: value}, settings={"intent": value})) is None


def test_a_long_intent_is_cut() -> None:
    assert declared_intent(request({meta.INTENT: "x" * 100_000})) == "x" * INTENT_CHARACTERS
