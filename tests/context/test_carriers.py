"""The table of carriers: what is found where, in which order, and what is no ID."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedtools.context.carriers import CARRIERS, Carrier, CarrierTable
from scopedtools.context.hosts import OPTIONAL
from scopedtools.exceptions import InvalidRequestError
from scopedtools.protocol import meta
from scopedtools.protocol.revisions import JUNE_2025, LATEST, MARCH_2025, NOVEMBER_2025, Revision
from tests.context.carried import ARGUMENTS, MALFORMED, found, joined, on, request

ENVIRONMENT = tuple(carrier for carrier in OPTIONAL if carrier.place == "environment")


@pytest.mark.parametrize("carrier", [*CARRIERS, *ARGUMENTS, *ENVIRONMENT], ids=str)
def test_every_carrier_of_the_table_is_found(carrier: Carrier) -> None:
    table = CarrierTable([*CARRIERS, *ARGUMENTS, *ENVIRONMENT], environment={carrier.key: "ses_1-a.b/c"})
    result = table.find(on(carrier, "ses_1-a.b/c"))
    assert result is not None
    assert (result.id, result.carrier) == ("ses_1-a.b/c", carrier)


def test_the_carriers_stand_in_order_of_precedence() -> None:
    names = [str(carrier) for carrier in CARRIERS]
    assert names[:6] == [
        "extension:contextId",
        "header:Mcp-Client-Session-Id",
        "meta:clientSessionId",
        "meta:io.modelcontextprotocol/clientSessionId",
        "header:X-Mcp-Client-Session-Id",
        "meta:contextId",
    ]
    assert names[-4:] == [
        "baggage:gen_ai.conversation.id",
        "baggage:session.id",
        "query:context",
        "header:Mcp-Session-Id",
    ]
    assert len(set(names)) == len(names)


def test_no_argument_of_a_tool_is_a_carrier_unless_an_author_says_so() -> None:
    assert not [carrier for carrier in CARRIERS if carrier.place == "argument"]


@given(st.lists(st.sampled_from(range(len(CARRIERS))), min_size=1, max_size=6, unique=True))
def test_the_first_carrier_in_the_table_wins_wherever_it_stands_on_the_request(ranks: list[int]) -> None:
    result = CarrierTable().find(joined(on(CARRIERS[rank], f"id-{rank}") for rank in ranks))
    assert result is not None
    assert (result.id, result.carrier) == (f"id-{min(ranks)}", CARRIERS[min(ranks)])


def test_an_author_can_reorder_add_and_drop_carriers() -> None:
    asked = request(
        {"threadId": "thread", "mine": {"id": "own"}}, headers=[("Mcp-Client-Session-Id", "header")]
    )
    mine = Carrier("meta", "mine", "id")
    thread = Carrier("meta", "threadId")
    for carriers, expected in (([mine, *CARRIERS], "own"), ([thread, mine], "thread"), ([], None)):
        result = CarrierTable(carriers).find(asked)
        assert (result and result.id) == expected


def test_one_header_can_serve_two_rows_of_the_table() -> None:
    name = "Mcp-Session-Id"
    table = CarrierTable([Carrier("header", name, legacy=True), Carrier("header", name)])
    for revision in (LATEST, NOVEMBER_2025):
        result = table.find(request(headers=[(name, "a")], revision=revision))
        assert result is not None
        assert result.id == "a"


def test_two_carriers_that_disagree_are_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    table = CarrierTable()
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            asked = request(
                {"clientSessionId": f"b{number}"}, headers=[("Mcp-Client-Session-Id", f"a{number}")]
            )
            result = table.find(asked)
            assert result is not None
            assert result.id == f"a{number}"
    assert len(caplog.records) == 1
    said = caplog.records[0].getMessage()
    assert "header:Mcp-Client-Session-Id" in said
    assert "meta:clientSessionId" in said
    assert "a0" not in said
    assert "b0" not in said


def test_carriers_that_agree_are_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    asked = request(
        {"clientSessionId": "a", "threadId": "a"},
        headers=[("Mcp-Client-Session-Id", "a"), ("Mcp-Session-Id", "minted")],
        revision=NOVEMBER_2025,
    )
    assert found(asked) == "a"
    assert caplog.records == []


@pytest.mark.parametrize("carrier", [carrier for carrier in CARRIERS if carrier.place == "header"], ids=str)
def test_two_lines_of_one_header_are_refused_even_if_they_agree(carrier: Carrier) -> None:
    for values in (("a", "a"), ("a", "b")):
        asked = request(headers=[(carrier.key, value) for value in values], revision=NOVEMBER_2025)
        with pytest.raises(InvalidRequestError, match=f"The header {carrier.key} came in two lines"):
            CarrierTable().find(asked)


def test_two_lines_of_a_header_that_is_no_carrier_are_nobodys_business() -> None:
    assert found(request(headers=[("X-Other", "a"), ("X-Other", "b"), ("Mcp-Conversation-Id", "c")])) == "c"


WELL_FORMED = ("a", "!", "~", "a" * 256, "550e8400-e29b-41d4-a716-446655440000", 'a"b;c,d=e', "%20")


@pytest.mark.parametrize("value", WELL_FORMED)
def test_visible_ascii_of_1_to_256_characters_is_an_id(value: str) -> None:
    assert found(request({"clientSessionId": value}), strict=True) == value
    assert found(request(settings={"contextId": value}), strict=True) == value
    assert found(request(headers=[("Mcp-Client-Session-Id", value)]), strict=True) == value


@pytest.mark.parametrize("value", [*MALFORMED, 7, 1.5, True, [], {"id": "a"}])
def test_anything_else_is_no_id_unless_the_table_is_strict(value: Any) -> None:
    for asked in (request({"clientSessionId": value}), request(settings={"contextId": value})):
        assert found(asked) is None
        with pytest.raises(InvalidRequestError, match=r"malformed.*send 1 to 256 visible ASCII characters"):
            found(asked, strict=True)


def test_a_malformed_id_gives_way_to_the_next_carrier() -> None:
    asked = request({"clientSessionId": "a b", "threadId": "thread"}, headers=[("Mcp-Client-Session-Id", "")])
    assert found(asked) == "thread"


@pytest.mark.parametrize("value", ["a b", "é", "x" * 257, ""])
def test_a_malformed_header_is_no_id(value: str) -> None:
    assert found(request(headers=[("Mcp-Client-Session-Id", value)])) is None


def test_space_around_a_header_is_no_part_of_it() -> None:
    assert found(request(headers=[("Mcp-Client-Session-Id", "\t a ")]), strict=True) == "a"


def test_null_is_an_absent_id_even_where_the_table_is_strict() -> None:
    assert found(request({"clientSessionId": None}, settings={"contextId": None}), strict=True) is None


def test_the_message_about_a_malformed_id_does_not_repeat_it() -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        found(request({"clientSessionId": "se cret"}), strict=True)
    assert "cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("", "an empty one"),
        ("a" * 257, "257 characters"),
        ("ab\x00c", "U+0000 as character 3"),
        ("a\r\nset-cookie: b", "U+000D as character 2"),
        ("\u202e", "U+202E as character 1"),
        (7, "a value of type int"),
        ([], "a value of type list"),
    ],
)
def test_the_message_about_a_malformed_id_says_what_was_got(value: Any, got: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        found(request({"clientSessionId": value}), strict=True)
    said = str(refusal.value)
    assert said.startswith(f"The context ID in meta:clientSessionId is malformed: got {got}; send ")
    assert said.isprintable()
    assert said.isascii()


@pytest.mark.parametrize("key", ["clientsessionid", "CLIENTSESSIONID", "ClientSessionID"])
def test_meta_keys_match_in_any_case(key: str) -> None:
    assert found(request({key: "a"})) == "a"


@pytest.mark.parametrize("same", ["a", "b"])
def test_one_meta_key_in_two_cases_is_one_carrier(same: str) -> None:
    assert found(request({"threadId": "a", "THREADID": same})) == "a"


@pytest.mark.parametrize("value", ["text", 3, None, [], {"other": "a"}])
def test_an_object_without_the_field_carries_no_id(value: Any) -> None:
    assert found(request({"x-codex-turn-metadata": value}), strict=True) is None


def test_of_one_object_the_first_field_counts_and_a_wider_unit_beside_it_is_no_disagreement(
    caplog: pytest.LogCaptureFixture,
) -> None:
    codex = {"session_id": "root", "thread_id": "thread", "turn_id": "turn"}
    assert found(request({"x-codex-turn-metadata": codex})) == "thread"
    assert found(request({"x-codex-turn-metadata": codex, "threadId": "thread"})) == "thread"
    assert found(request({"x-codex-turn-metadata": codex | {"thread_id": "a b"}})) == "root"
    assert caplog.records == []


@pytest.mark.parametrize(
    ("revision", "expected"),
    [(LATEST, None), (NOVEMBER_2025, "minted"), (JUNE_2025, "minted"), (MARCH_2025, "minted")],
)
def test_the_session_id_of_earlier_revisions_counts_only_there(
    revision: Revision, expected: str | None
) -> None:
    assert found(request(headers=[("Mcp-Session-Id", "minted")], revision=revision)) == expected


def test_everything_comes_before_the_session_id_of_earlier_revisions() -> None:
    asked = request(headers=[("Mcp-Session-Id", "minted")], query="context=url", revision=NOVEMBER_2025)
    assert found(asked) == "url"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("context=a", "a"),
        ("context=a%2Fb", "a/b"),
        ("context=a&context=b", "a"),
        ("context=", None),
        ("context", None),
        ("context=a+b", None),
        ("context=%ff", None),
        ("Context=a", None),
        ("&&context=a", "a"),
        ("&".join(f"n{number}=1" for number in range(200)) + "&context=a", None),
    ],
)
def test_a_context_in_the_url_is_found(query: str, expected: str | None) -> None:
    assert found(request(query=query)) == expected


@pytest.mark.parametrize(
    ("baggage", "expected"),
    [
        ("gen_ai.conversation.id=a", "a"),
        ("x=1 , gen_ai.conversation.id = a%2Fb ;prop=1 , y=2", "a/b"),
        ("session.id=s,gen_ai.conversation.id=c", "c"),
        ("session.id=s", "s"),
        ("session.id", None),
        ("session.id=%0A", None),
        ("", None),
        (3, None),
    ],
)
def test_an_item_of_baggage_is_found(baggage: Any, expected: str | None) -> None:
    assert found(request({"baggage": baggage})) == expected
    if isinstance(baggage, str):
        assert found(request(headers=[("baggage", baggage)])) == expected
        assert found(request(headers=[("baggage", "x=1"), ("baggage", baggage)])) == expected


@pytest.mark.parametrize(
    "capabilities",
    [None, 3, [], {}, {"extensions": None}, {"extensions": []}, {"extensions": {meta.EXTENSION: 3}}],
)
def test_settings_of_another_shape_are_none(capabilities: Any) -> None:
    assert found(request({meta.CLIENT_CAPABILITIES: capabilities}), strict=True) is None
