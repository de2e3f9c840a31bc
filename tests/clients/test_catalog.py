"""Official clients that name no context: they see the whole catalog and can use all of it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import pytest

from tests.clients.driving import Params, Step

if TYPE_CHECKING:
    from tests.clients.conftest import Peer, Seen

pytestmark = pytest.mark.slow


TOOLS: Final[list[Step]] = [
    ("tools/list", {}),
    ("tools/list", {}),
    ("tools/call", {"name": "count_cash", "arguments": {"coins": 3, "notes": 40}}),
    ("tools/call", {"name": "take_cash", "arguments": {"amount": 9}}),
    ("tools/call", {"name": "count_cash", "arguments": {"coins": "three"}}),
    ("tools/call", {"name": "no_such_tool", "arguments": {}}),
]
RESOURCES: Final[list[Step]] = [
    ("resources/list", {}),
    ("resources/templates/list", {}),
    ("resources/read", {"uri": "office://handbook"}),
    ("resources/read", {"uri": "office://logo"}),
    ("resources/read", {"uri": "office://rooms/attic"}),
    ("resources/read", {"uri": "office://cellar"}),
]
PROMPTS: Final[list[Step]] = [
    ("prompts/list", {}),
    ("prompts/get", {"name": "summarize", "arguments": {}}),
    ("prompts/get", {"name": "plan_day", "arguments": {"day": "Monday", "mood": "bold"}}),
    ("prompts/get", {"name": "no_such_prompt", "arguments": {}}),
]


@pytest.fixture(scope="session")
def visit(peer: Peer) -> Seen:
    return peer.visit(*TOOLS, *RESOURCES, *PROMPTS)


@pytest.fixture(scope="session")
def tools(visit: Seen) -> list[Params]:
    return visit.answers[: len(TOOLS)]


@pytest.fixture(scope="session")
def resources(visit: Seen) -> list[Params]:
    return visit.answers[len(TOOLS) : -len(PROMPTS)]


@pytest.fixture(scope="session")
def prompts(visit: Seen) -> list[Params]:
    return visit.answers[-len(PROMPTS) :]


def test_client_and_server_agree_on_the_newest_revision_that_both_speak(peer: Peer, visit: Seen) -> None:
    assert visit.protocol_version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[peer.mode]
    assert visit.server_info == {"name": "office", "version": "1.0"}
    assert visit.instructions == "Runs a small office."


def test_without_a_context_all_tools_are_listed_page_after_page(visit: Seen) -> None:
    whole, again = visit.tools

    assert len(whole) == len(set(whole)) == 66
    assert whole[0] == "create_invoice"
    assert whole[-1] == "is_table_free"
    assert again == whole


def test_a_listed_tool_says_what_it_does_takes_and_returns(tools: list[Params]) -> None:
    listed = {row["name"]: row for row in tools[0]["tools"]}
    tool = listed["book_flight"]

    assert tool["description"] == "Book a flight for a traveller."
    assert tool["inputSchema"]["required"] == ["subject"]
    assert tool["inputSchema"]["properties"]["subject"]["description"] == "Whom or what it is about."
    assert set(tool["outputSchema"]["properties"]) == {"tool", "subject"}
    assert listed["count_cash"]["annotations"] == {"readOnlyHint": True}


def test_a_tool_returns_structured_content_and_the_same_as_text(tools: list[Params]) -> None:
    result = tools[2]

    assert result["structuredContent"] == {"total": 43}
    assert [block["text"] for block in result["content"]] == ['{"total":43}']
    assert not result.get("isError")


def test_what_a_tool_fails_with_is_a_result_that_the_model_reads(tools: list[Params]) -> None:
    result = tools[3]

    assert result["isError"] is True
    assert result["content"][0]["text"] == "the box holds less than 9; count_cash tells how much"


def test_arguments_that_do_not_fit_are_a_result_that_names_them(tools: list[Params]) -> None:
    result = tools[4]

    assert result["isError"] is True
    assert "coins" in result["content"][0]["text"]


def test_an_unknown_tool_is_a_protocol_error(tools: list[Params]) -> None:
    error = tools[5]["error"]

    assert error["code"] == -32602
    assert "no_such_tool" in error["message"]


def test_resources_and_templates_are_listed(resources: list[Params]) -> None:
    listed = {row["uri"]: row for row in resources[0]["resources"]}
    (template,) = resources[1]["resourceTemplates"]

    assert list(listed) == ["office://handbook", "office://logo"]
    assert listed["office://handbook"]["mimeType"] == "text/markdown"
    assert (template["name"], template["uriTemplate"]) == ("room", "office://rooms/{room}")


def test_a_resource_is_read_as_text_or_bytes(resources: list[Params]) -> None:
    (handbook,) = resources[2]["contents"]
    (logo,) = resources[3]["contents"]

    assert (handbook["uri"], handbook["mimeType"]) == ("office://handbook", "text/markdown")
    assert handbook["text"].endswith("植物.")
    assert base64.b64decode(logo["blob"]) == b"\x89PNG\r\n\x1a\n"


def test_a_resource_is_read_through_its_template(resources: list[Params]) -> None:
    (room,) = resources[4]["contents"]

    assert room["uri"] == "office://rooms/attic"
    assert room["text"] == '{"room":"attic"}'


def test_an_unknown_resource_is_a_protocol_error(resources: list[Params]) -> None:
    assert resources[5]["error"]["code"] == -32602


def test_prompts_are_listed_with_their_arguments(prompts: list[Params]) -> None:
    summarize, plan_day = prompts[0]["prompts"]

    assert summarize["name"] == "summarize"
    assert plan_day["title"] == "Plan a day"
    assert [(argument["name"], argument["required"]) for argument in plan_day["arguments"]] == [
        ("day", True),
        ("mood", False),
    ]


def test_a_prompt_is_filled_in(prompts: list[Params]) -> None:
    plain, filled_in = prompts[1:3]

    assert [message["content"]["text"] for message in plain["messages"]] == ["Summarize what happened today."]
    assert [message["content"]["text"] for message in filled_in["messages"]] == [
        "Plan Monday.",
        "Keep it bold.",
    ]


def test_an_unknown_prompt_is_a_protocol_error(prompts: list[Params]) -> None:
    assert prompts[3]["error"]["code"] == -32602
