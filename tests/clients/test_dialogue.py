"""Official clients that the server talks with while a tool runs, and that change their mind."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

import pytest

from tests.clients.driving import CALL_IN_VAIN, Params, Step
from tests.clients.roster import TALKING, marked

if TYPE_CHECKING:
    from tests.clients.conftest import Peer, Seen

pytestmark = pytest.mark.slow

ELICIT: Final = "elicitation/create"
SAMPLE: Final = "sampling/createMessage"

NOON: Final[Params] = {"action": "accept", "content": {"time": "noon"}}
NEVER: Final[Params] = {"action": "decline"}
LETTER: Final[Params] = {
    "role": "assistant",
    "content": {"type": "text", "text": "Come at noon!"},
    "model": "none",
    "stopReason": "endTurn",
}

BAKE: Final[Step] = ("tools/call", {"name": "bake_bread", "arguments": {}})


def inviting(guest: str) -> Step:
    return "tools/call", {"name": "invite_guest", "arguments": {"guest": guest}}


def text(result: Params) -> str:
    said: str = result["content"][0]["text"]
    return said


@pytest.fixture(scope="session", params=marked(TALKING))
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def evening(peer: Peer) -> Seen:
    table = {"name": str(uuid.uuid4())}
    return peer.visit(
        BAKE,
        inviting("Ada"),
        inviting("Grace"),
        (CALL_IN_VAIN, {"name": "keep_table", "arguments": table}),
        ("tools/call", {"name": "is_table_free", "arguments": table}),
        app="vault",
        replies={ELICIT: [NOON, NEVER], SAMPLE: [LETTER]},
        log_level="warning",
    )


def test_a_tool_asks_the_user_and_the_model_of_the_client(evening: Seen) -> None:
    assert text(evening.answers[1]) == "Ada reads: Come at noon!"
    question = evening.heard_of(ELICIT)[0]
    assert question["message"] == "When shall Ada come?"
    assert list(question["requestedSchema"]["properties"]) == ["time"]
    (request,) = evening.heard_of(SAMPLE)
    assert request["messages"][0]["content"]["text"] == "Invite Ada for noon."


def test_a_user_declines(evening: Seen) -> None:
    assert text(evening.answers[2]) == "decline, so Grace stays at home"
    assert [question["message"] for question in evening.heard_of(ELICIT)] == [
        "When shall Ada come?",
        "When shall Grace come?",
    ]


def test_a_client_hears_of_progress_before_the_result(evening: Seen) -> None:
    assert text(evening.answers[0]) == "bread"
    # What follows comes from the npm client itself: it counts the rounds of questions.
    progress = [(one["progress"], one.get("message")) for one in evening.heard_of("notifications/progress")]
    assert progress[:2] == [(1, "in the oven"), (2, None)]


def test_a_client_hears_log_messages_of_the_level_that_it_asked_for(evening: Seen) -> None:
    (message,) = evening.heard_of("notifications/message")

    assert (message["level"], message["logger"], message["data"]) == ("warning", "kitchen", {"oven": "hot"})


def test_a_call_that_the_client_cancels_is_cancelled_in_the_tool(evening: Seen) -> None:
    assert evening.answers[-1]["structuredContent"] == {"result": True}


@pytest.mark.parametrize(
    "client", marked(("mcp-2.3.0-legacy", "npm-2.4.0-legacy", "npm-1.32.2-legacy")), indirect=True
)
@pytest.mark.parametrize("transport", ["http"], indirect=True)
def test_without_a_session_a_legacy_client_is_asked_and_told_as_well(peer: Peer) -> None:
    seen = peer.visit(BAKE, inviting("Ada"), replies={ELICIT: [NOON], SAMPLE: [LETTER]})

    assert [text(answer) for answer in seen.answers] == ["bread", "Ada reads: Come at noon!"]
    assert [one["progress"] for one in seen.heard_of("notifications/progress")] == [1, 2]
    assert [one["level"] for one in seen.heard_of("notifications/message")] == ["info", "warning"]
