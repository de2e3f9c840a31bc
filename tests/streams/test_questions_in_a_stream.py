"""Before 2026-07-28: requests to the client in the stream of the request that they belong to."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio.from_thread
import msgspec
import pytest
from pydantic import BaseModel

from scopedtools import Context, ScopedServer, ToolError, prompt, resource, tool
from tests.streams.opened import LIMIT_S, Opened, opened
from tests.streams.test_http_sessions import Tokens, begin, status
from tests.transports.test_stdio_transport import Pipes, connected
from tests.wire.exchange import JSON_HEADERS, LEGACY, message

pytestmark = pytest.mark.anyio

ANYTHING: dict[str, Any] = {"type": "object", "properties": {}}
CAN: dict[str, Any] = {"elicitation": {}, "sampling": {}, "roots": {}}


class Size(BaseModel):
    """How much of it."""

    number: int


class Curious(ScopedServer):
    """Asks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.cancelled = asyncio.Event()

    @tool
    async def ask(self, ctx: Context) -> str:
        """Ask the user."""
        try:
            answer = await ctx.elicit("How many?", Size)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return f"{answer.action} {answer.data.number if answer.data else '-'}"

    @tool
    async def guess(self, ctx: Context) -> str:
        """Ask the model."""
        return (await ctx.sample("Guess", system_prompt="Be brief", temperature=0.5)).text

    @tool
    async def look(self, ctx: Context) -> str:
        """Ask for folders."""
        return ",".join(root["uri"] for root in await ctx.roots())

    @tool
    async def ask_twice(self, ctx: Context) -> str:
        """Ask two things at once."""
        first, second = await asyncio.gather(ctx.elicit("First?", ANYTHING), ctx.elicit("Second?", ANYTHING))
        return f"{first.action} {second.action}"

    @tool
    async def ask_in_a_group(self, ctx: Context) -> str:
        """Ask in a task group."""
        async with asyncio.TaskGroup() as group:
            first = group.create_task(ctx.elicit("First?", ANYTHING))
            second = group.create_task(ctx.elicit("Second?", ANYTHING))
        return f"{first.result().action} {second.result().action}"

    @tool
    async def forgive(self, ctx: Context) -> str:
        """Ask, and go on without an answer."""
        try:
            await ctx.roots()
        except ToolError as error:
            return f"never mind: {error}"
        return "seen"

    @tool
    def ask_from_a_thread(self, ctx: Context) -> str:
        """Ask from a thread."""
        return anyio.from_thread.run(ctx.elicit, "Sure?", ANYTHING).action

    @tool
    async def greet(self) -> str:
        """Greet."""
        return "hello"

    @resource("file://notes")
    async def notes(self, ctx: Context) -> str:
        """Ask before reading."""
        return (await ctx.elicit("May I?", ANYTHING)).action

    @prompt
    async def plan(self, ctx: Context) -> str:
        """Ask before writing."""
        return (await ctx.elicit("May I?", ANYTHING)).action


def calling(name: str, message_id: Any = 1) -> dict[str, Any]:
    return message("tools/call", {"name": name}, message_id=message_id)


async def asked(one: Opened, method: str) -> dict[str, Any]:
    """Wait for a question."""
    question = await one.message()
    assert question["method"] == method
    assert len(question["id"]) >= 20
    return question


def reply(question: dict[str, Any], **result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": question["id"], "result": result}


LEGACY_HEADERS = JSON_HEADERS | {"mcp-protocol-version": "2025-11-25"}


async def test_the_first_revision_has_no_forms_and_asks_for_the_rest() -> None:
    server = Curious()
    headers = JSON_HEADERS | {"mcp-protocol-version": "2025-03-26"}
    async with opened(server, calling("ask"), headers) as one:
        assert (await one.answer())["error"]["code"] == -32021
    async with opened(server, calling("look"), headers) as one:
        await status(server, reply(await asked(one, "roots/list"), roots=[]), headers)
        assert "result" in await one.message()


@pytest.mark.parametrize("revision", LEGACY[:2])
@pytest.mark.parametrize("sessions", [True, False])
async def test_a_question_is_answered_by_a_message_of_its_own(revision: str, *, sessions: bool) -> None:
    server = Curious(sessions=sessions)
    headers = await begin(server, **CAN) if sessions else JSON_HEADERS
    headers = dict(headers) | {"mcp-protocol-version": revision}
    async with opened(server, calling("ask"), headers) as one:
        question = await asked(one, "elicitation/create")
        assert question["params"]["message"] == "How many?"
        assert question["params"]["requestedSchema"]["properties"] == {"number": {"type": "integer"}}
        given = reply(question, action="accept", content={"number": 3})
        assert await status(server, given, headers) == 202
        assert (await one.message())["result"]["content"][0]["text"] == "accept 3"
        assert await one.next() is None
        assert await status(server, given, headers) == 202


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_user_who_declines_is_an_answer_too(action: str) -> None:
    server = Curious()
    async with opened(server, calling("ask"), LEGACY_HEADERS) as one:
        question = await asked(one, "elicitation/create")
        await status(server, reply(question, action=action), LEGACY_HEADERS)
        assert (await one.message())["result"]["content"][0]["text"] == f"{action} -"


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -1, "message": "no time"}},
        {"error": "no time"},
        {"error": {}},
        {"result": None},
        {"result": "yes"},
        {"result": {}},
        {"result": {"action": "perhaps"}},
        {"result": {"action": "accept"}},
        {"result": {"action": "accept", "content": {"number": "many"}}},
    ],
)
async def test_a_client_that_refuses_or_answers_nonsense_fails_the_tool_not_the_server(answer: Any) -> None:
    server = Curious()
    async with opened(server, calling("ask"), LEGACY_HEADERS) as one:
        question = await asked(one, "elicitation/create")
        await status(server, {"jsonrpc": "2.0", "id": question["id"], **answer}, LEGACY_HEADERS)
        result = (await one.message())["result"]
    assert result["isError"]
    assert "reference" not in result["content"][0]["text"]
    if answer == {"error": {"code": -1, "message": "no time"}}:
        assert "no time" in result["content"][0]["text"]


async def test_a_tool_may_go_on_without_an_answer() -> None:
    server = Curious()
    async with opened(server, calling("forgive"), LEGACY_HEADERS) as one:
        question = await asked(one, "roots/list")
        refused = {"jsonrpc": "2.0", "id": question["id"], "error": {"code": -32601, "message": "what?"}}
        await status(server, refused, LEGACY_HEADERS)
        assert "never mind" in (await one.message())["result"]["content"][0]["text"]


async def test_sampling_and_roots_bring_what_the_client_sent() -> None:
    server = Curious()
    async with opened(server, calling("guess"), LEGACY_HEADERS) as one:
        question = await asked(one, "sampling/createMessage")
        assert question["params"] == {
            "messages": [{"role": "user", "content": {"type": "text", "text": "Guess"}}],
            "maxTokens": 1024,
            "systemPrompt": "Be brief",
            "temperature": 0.5,
        }
        said = {"role": "assistant", "content": {"type": "text", "text": "42"}, "model": "m"}
        await status(server, reply(question, **said), LEGACY_HEADERS)
        assert (await one.message())["result"]["content"][0]["text"] == "42"
    async with opened(server, calling("look"), LEGACY_HEADERS) as one:
        question = await asked(one, "roots/list")
        await status(server, reply(question, roots=[{"uri": "file:///a"}, 5]), LEGACY_HEADERS)
        assert (await one.message())["result"]["content"][0]["text"] == "file:///a"


@pytest.mark.parametrize("name", ["ask_twice", "ask_in_a_group"])
async def test_two_questions_at_once_are_answered_in_any_order(name: str) -> None:
    server = Curious()
    async with opened(server, calling(name), LEGACY_HEADERS) as one:
        questions = [await asked(one, "elicitation/create") for _ in range(2)]
        first, second = sorted(questions, key=lambda question: str(question["params"]["message"]))
        await status(server, reply(second, action="decline"), LEGACY_HEADERS)
        await status(server, reply(first, action="cancel"), LEGACY_HEADERS)
        assert (await one.message())["result"]["content"][0]["text"] == "cancel decline"


@pytest.mark.parametrize(
    ("method", "params"), [("resources/read", {"uri": "file://notes"}), ("prompts/get", {"name": "plan"})]
)
async def test_resources_and_prompts_ask_as_well(method: str, params: dict[str, Any]) -> None:
    server = Curious()
    async with opened(server, message(method, params), LEGACY_HEADERS) as one:
        question = await asked(one, "elicitation/create")
        await status(server, reply(question, action="cancel"), LEGACY_HEADERS)
        assert "cancel" in str((await one.message())["result"])


async def test_a_thread_asks_through_the_loop() -> None:
    server = Curious()
    async with opened(server, calling("ask_from_a_thread"), LEGACY_HEADERS) as one:
        question = await asked(one, "elicitation/create")
        await status(server, reply(question, action="decline"), LEGACY_HEADERS)
        assert (await one.message())["result"]["content"][0]["text"] == "decline"


async def test_a_question_that_nobody_answers_ends_with_its_client() -> None:
    server = Curious()
    async with opened(server, calling("ask"), LEGACY_HEADERS) as one:
        question = await asked(one, "elicitation/create")
        await one.leave()
        async with asyncio.timeout(LIMIT_S):
            await server.cancelled.wait()
    assert await status(server, reply(question, action="decline"), LEGACY_HEADERS) == 202


async def test_a_question_outlives_a_lost_connection_in_a_session_and_is_answered_over_another() -> None:
    server = Curious(sessions=True)
    headers = await begin(server, **CAN)
    async with opened(server, calling("ask"), headers) as one:
        first = await one.next()
        assert first is not None
        await one.leave()
    async with opened(server, None, headers | {"last-event-id": first.id}, method="GET") as again:
        question = await asked(again, "elicitation/create")
        await status(server, reply(question, action="decline"), headers)
        assert "result" in await again.message()


async def test_a_call_that_waits_for_an_answer_can_be_cancelled_and_its_session_ended() -> None:
    server = Curious(sessions=True)
    headers = await begin(server, **CAN)
    gone = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    async with opened(server, calling("ask"), headers) as one:
        await asked(one, "elicitation/create")
        assert await status(server, gone, headers) == 202
        assert await one.messages() == []
    assert server.cancelled.is_set()
    server.cancelled.clear()
    async with opened(server, calling("ask"), headers) as one:
        await asked(one, "elicitation/create")
        assert await status(server, None, headers, "DELETE") == 204
        assert await one.messages() == []
    assert server.cancelled.is_set()


async def test_answers_of_somebody_else_and_forged_ones_are_dropped() -> None:
    server = Curious(verifier=Tokens())
    ada = LEGACY_HEADERS | {"authorization": "Bearer ada"}
    bob = LEGACY_HEADERS | {"authorization": "Bearer bob"}
    async with opened(server, calling("ask"), ada) as one:
        question = await asked(one, "elicitation/create")
        assert await status(server, reply(question, action="accept", content={"number": 9}), bob) == 202
        for forged in (1, "", "1", question["id"][:-1], question["id"] + " ", question["id"].swapcase()):
            assert await status(server, reply({"id": forged}, action="cancel"), ada) == 202
        assert await status(server, reply(question, action="decline"), ada) == 202
        assert (await one.message())["result"]["content"][0]["text"] == "decline -"


async def test_a_client_that_declared_less_is_not_asked() -> None:
    server = Curious(sessions=True)
    headers = await begin(server, sampling={})
    async with opened(server, calling("ask"), headers) as one:
        error = (await one.answer())["error"]
    assert error["code"] == -32021
    assert error["data"] == {"requiredCapabilities": {"elicitation": {}}}


async def opened_pipe(client: Pipes, **capabilities: Any) -> None:
    await client.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": capabilities})


def answer(client: Pipes, question: dict[str, Any], **result: Any) -> None:
    client.write(msgspec.json.encode(reply(question, **result)) + b"\n")


async def test_on_stdio_a_question_is_answered_while_other_requests_are() -> None:
    async with connected(Curious()) as client:
        await opened_pipe(client, **CAN)
        client.send("tools/call", {"name": "ask"}, 1)
        question = await client.read()
        assert question["method"] == "elicitation/create"
        assert "result" in await client.ask("tools/call", {"name": "greet"}, 2)
        answer(client, {"id": "forged"}, action="cancel")
        answer(client, question, action="accept", content={"number": 4})
        assert (await client.read())["result"]["content"][0]["text"] == "accept 4"


async def test_on_stdio_a_client_that_closes_its_side_leaves_no_question_open() -> None:
    server = Curious()
    async with connected(server) as client:
        await opened_pipe(client, **CAN)
        client.send("tools/call", {"name": "ask"}, 1)
        assert (await client.read())["method"] == "elicitation/create"
        client.to_server.close()
        failed = await client.read()
        assert failed["id"] == 1
        assert failed["result"]["isError"]


async def test_on_stdio_nobody_is_asked_after_the_client_closed_its_side() -> None:
    class Late(ScopedServer):
        """Asks late."""

        def __init__(self) -> None:
            super().__init__()
            self.go_on = asyncio.Event()

        @tool
        async def ask_late(self, ctx: Context) -> str:
            """Ask when it is too late."""
            await self.go_on.wait()
            return (await ctx.elicit("Still there?", ANYTHING)).action

        @tool
        async def greet(self) -> str:
            """Greet."""
            return "hello"

    server = Late()
    closed = asyncio.Event()
    async with connected(server) as client:
        await opened_pipe(client, **CAN)
        client.send("tools/call", {"name": "ask_late"}, 1)
        # What ends it all: a listener goes as soon as the server has seen the end of its input.
        server._listeners._listeners.copy().pop().ctx._request.ingress.session.at_close(closed.set)  # type: ignore[union-attr]
        client.to_server.close()
        async with asyncio.timeout(LIMIT_S):
            await closed.wait()
        server.go_on.set()
        failed = await client.read()
        assert failed["result"]["isError"]
        assert "gone" in failed["result"]["content"][0]["text"]


async def test_on_stdio_a_message_of_a_batch_may_ask() -> None:
    async with connected(Curious()) as client:
        await client.ask("initialize", {"protocolVersion": "2025-03-26", "capabilities": CAN})
        batch = [calling("look", 5), message("ping", message_id=6)]
        client.write(msgspec.json.encode(batch) + b"\n")
        question = await client.read()
        assert question["method"] == "roots/list"
        answer(client, question, roots=[])
        replies = msgspec.json.decode(await client._replies.readline())
        assert [one["id"] for one in replies] == [5, 6]
