"""Carriers with rules of their own: A2A, arguments of tools, the environment of the process, headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from scopedtools.context.carriers import CARRIERS, Carrier, CarrierTable
from scopedtools.context.hosts import OPTIONAL
from scopedtools.exceptions import DefinitionError, InvalidRequestError
from scopedtools.protocol.request import Request
from scopedtools.protocol.revisions import LATEST, MARCH_2025
from tests.context.carried import ARGUMENTS, MALFORMED, call, found, on_stdio, request

# A2A


A2A = Carrier("meta", "contextId", strict=True, echoed=True)


@pytest.mark.parametrize("value", [*(one for one in MALFORMED if one), 7, True, [], {"id": "a"}])
def test_a_context_of_a2a_that_cannot_be_kept_as_it_is_is_refused(value: Any) -> None:
    for others in ({}, {"clientSessionId": "well-formed"}):
        with pytest.raises(InvalidRequestError, match="The context ID in meta:contextId is malformed"):
            found(request({"contextId": value, **others}))


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_context_of_a2a_is_none_since_its_messages_cannot_leave_it_out(value: Any) -> None:
    assert found(request({"contextId": value})) is None


def echoed(asked: Request) -> Mapping[str, str]:
    result = CarrierTable().find(asked)
    assert result is not None
    return result.echo


def test_a_context_that_a2a_names_is_to_be_echoed() -> None:
    assert A2A in CARRIERS
    assert echoed(request({"contextId": "a"})) == {"contextId": "a"}
    assert echoed(request({"clientSessionId": "a"})) == {}


def test_a_context_that_a2a_names_among_others_is_to_be_echoed_where_it_is_the_one() -> None:
    assert echoed(request({"contextId": "a", "threadId": "b"})) == {"contextId": "a"}
    assert echoed(request({"contextId": "a"}, headers=[("Mcp-Client-Session-Id", "a")])) == {"contextId": "a"}
    assert echoed(request({"contextId": "a"}, headers=[("Mcp-Client-Session-Id", "b")])) == {}


@pytest.mark.parametrize("place", ["header", "extension", "query", "argument", "environment", "baggage"])
def test_only_a_key_of_meta_can_be_echoed(place: Any) -> None:
    with pytest.raises(DefinitionError, match=f"only a key of _meta can be echoed, got {place}:x"):
        Carrier(place, "x", echoed=True)
    with pytest.raises(DefinitionError, match=r"got meta:x\.id"):
        Carrier("meta", "x", "id", echoed=True)


# Arguments and the environment


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (b'{"conversation_id": "a"}', "a"),
        (b'{"arguments": {"conversation_id": "a"}}', "a"),
        (b'{"conversation_id": "a", "arguments": {"conversation_id": "b"}}', "a"),
        (b'{"conversation_id": "a b"}', None),
        (b'{"conversation_id": 3}', None),
        (b'{"Conversation_Id": "a"}', None),
        (b"{}", None),
        (b"[1]", None),
        (b'{"conversation_id": "\xff"}', None),
        (b'{"conversation_id": ', None),
        (b"[" * 100_000, None),
        (None, None),
    ],
)
def test_an_argument_is_a_carrier_where_an_author_says_so(
    arguments: bytes | None, expected: str | None
) -> None:
    for revision in (LATEST, MARCH_2025):
        result = CarrierTable(ARGUMENTS).find(call(arguments, revision))
        assert (result and result.id) == expected
        assert CarrierTable().find(call(arguments, revision)) is None


CLAUDE = {"CLAUDE_CODE_SESSION_ID": "process"}
WITH_ENVIRONMENT = (*CARRIERS, *OPTIONAL)


def test_variables_of_the_process_are_no_carriers_unless_an_author_says_so() -> None:
    assert CarrierTable(environment=CLAUDE).find(on_stdio()) is None


def test_a_variable_counts_only_where_the_client_started_this_process() -> None:
    table = CarrierTable(WITH_ENVIRONMENT, environment=CLAUDE)
    result = table.find(on_stdio())
    assert result is not None
    assert (result.id, str(result.carrier)) == ("process", "environment:CLAUDE_CODE_SESSION_ID")
    assert table.find(request()) is None


def test_a_variable_comes_last_and_disagrees_with_nobody(caplog: pytest.LogCaptureFixture) -> None:
    result = CarrierTable(WITH_ENVIRONMENT, environment=CLAUDE).find(on_stdio({"baggage": "session.id=own"}))
    assert result is not None
    assert result.id == "own"
    assert caplog.records == []


def test_variables_are_read_once() -> None:
    environment = dict(CLAUDE)
    table = CarrierTable(WITH_ENVIRONMENT, environment=environment)
    environment["CLAUDE_CODE_SESSION_ID"] = "later"
    result = table.find(on_stdio())
    assert result is not None
    assert result.id == "process"


@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_variable_is_none_even_where_the_table_is_strict(value: str) -> None:
    table = CarrierTable(WITH_ENVIRONMENT, environment={"GROK_SESSION_ID": value}, strict=True)
    assert table.find(on_stdio()) is None


def test_no_variable_is_read_that_the_table_does_not_name() -> None:
    assert CarrierTable([Carrier("query", "context")], environment=CLAUDE).find(on_stdio()) is None
    assert CarrierTable().find(on_stdio()) is None


def test_the_table_names_the_headers_that_answers_vary_by() -> None:
    carriers = [
        Carrier("header", "X-Work"),
        Carrier("meta", "threadId"),
        Carrier("header", "Mcp-Session-Id", legacy=True),
        Carrier("header", "x-work"),
        Carrier("baggage", "session.id"),
        Carrier("baggage", "gen_ai.conversation.id"),
        Carrier("header", "mcp-session-id"),
    ]
    assert CarrierTable(carriers).header_names == ("X-Work", "Mcp-Session-Id", "baggage")
    assert CarrierTable([]).header_names == ()
    assert CarrierTable().header_names[0] == "Mcp-Client-Session-Id"
