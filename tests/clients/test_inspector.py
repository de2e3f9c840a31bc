"""The command line of the Inspector."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from tests.clients.conftest import Transport
    from tests.clients.inspector import Inspector

pytestmark = [pytest.mark.slow, pytest.mark.node]

INTENT: Final = "Book a flight and a hotel for a trip."

REQUESTS: Final = {
    "list": ("tools/list",),
    "call": ("tools/call", "--tool-name", "count_cash", "--tool-args-json", '{"coins":3,"notes":40}'),
    "error": ("tools/call", "--tool-name", "take_cash", "--tool-args-json", '{"amount":9}'),
    "read": ("resources/read", "--uri", "office://handbook"),
    "get": ("prompts/get", "--prompt-name", "plan_day", "--prompt-args", "day=Monday", "mood=bold"),
}


@pytest.fixture(scope="session")
def answers(inspector: Inspector, transport: Transport) -> dict[str, Any]:
    work = str(uuid.uuid4())
    if transport == "http":
        context = ("--header", f"Mcp-Client-Session-Id: {work}", f"Mcp-Context-Intent: {INTENT}")
    else:
        context = ("--metadata", f"clientSessionId={work}", f"io.github.scopedtools/intent={INTENT}")
    requests = REQUESTS | {"context": ("tools/list", *context)}
    with ThreadPoolExecutor(max_workers=2) as at_once:
        answers = at_once.map(lambda request: inspector.ask(*request), requests.values())
        return dict(zip(requests, answers, strict=True))


def test_it_lists_all_tools(answers: dict[str, Any]) -> None:
    names = [row["name"] for row in answers["list"]["tools"]]

    assert len(names) == len(set(names)) == 66


def test_it_calls_a_tool(answers: dict[str, Any]) -> None:
    assert answers["call"]["structuredContent"] == {"total": 43}


def test_it_shows_what_a_tool_fails_with(answers: dict[str, Any]) -> None:
    assert answers["error"]["isError"] is True
    assert answers["error"]["content"][0]["text"].startswith("the box holds less than 9")


def test_it_reads_a_resource(answers: dict[str, Any]) -> None:
    (handbook,) = answers["read"]["contents"]

    assert (handbook["uri"], handbook["mimeType"]) == ("office://handbook", "text/markdown")


def test_it_gets_a_prompt(answers: dict[str, Any]) -> None:
    said = [message["content"]["text"] for message in answers["get"]["messages"]]

    assert said == ["Plan Monday.", "Keep it bold."]


def test_in_a_context_it_lists_what_that_needs(answers: dict[str, Any]) -> None:
    names = [row["name"] for row in answers["context"]["tools"]]

    assert names[:2] == ["search_tools", "call_tool"]
    assert len(names) <= 18
    assert {"book_flight", "book_hotel"} <= set(names)
