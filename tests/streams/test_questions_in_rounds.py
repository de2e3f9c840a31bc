"""Since 2026-07-28: a call that needs answers ends, and comes again with them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import anyio
import anyio.from_thread
import pytest
from pydantic import BaseModel, Field

from scopedtools import Context, ScopedServer, ToolError, prompt, resource, tool
from scopedtools.exceptions import InvalidParamsError
from scopedtools.protocol import meta
from scopedtools.protocol.inputs import InputRequired, Question, asked_in
from scopedtools.protocol.seal import Sealer
from tests.streams.opened import EVERYTHING, LIMIT_S, asked, call, modern, opened_modern, text
from tests.streams.test_http_sessions import Tokens

pytestmark = pytest.mark.anyio

ANYTHING: dict[str, Any] = {"type": "object", "properties": {}}
ACCEPT = {"action": "accept", "content": {}}


class Order(BaseModel):
    """What is ordered."""

    number: Annotated[int, Field(ge=1)]
    size: Literal["small", "large"] = "small"


class Waiter(ScopedServer):
    """Takes orders."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.calls = 0

    @tool
    async def order(self, dish: str, ctx: Context) -> str:
        """Ask how many."""
        self.calls += 1
        answer = await ctx.elicit(f"How many {dish}?", Order)
        return f"{answer.action} {answer.data.number if answer.data else '-'} {dish}"

    @tool
    async def reserve(self, dish: str, ctx: Context) -> str:
        """Ask how many too."""
        return (await ctx.elicit("How many?", Order)).action

    @tool
    async def confirm(self, ctx: Context) -> str:
        """Ask, then ask again."""
        first = await ctx.elicit("How many?", Order)
        assert first.data is not None
        second = await ctx.elicit(f"Really {first.data.number}?", ANYTHING, key="sure")
        third = await ctx.elicit("Anything else?", ANYTHING)
        return f"{first.data.number} {second.action} {third.action}"

    @tool
    async def guess(self, ctx: Context) -> str:
        """Ask the model and for folders."""
        sampled = await ctx.sample("Guess")
        roots = await ctx.roots()
        return f"{sampled.text} in {[root['uri'] for root in roots]}"

    @tool
    async def catch_everything(self, ctx: Context) -> str:
        """Ask and catch what goes wrong."""
        try:
            return (await ctx.elicit("Well?", ANYTHING)).action
        except Exception:  # noqa: BLE001 - what the test is about
            return "swallowed"

    @tool
    async def ask_at_once(self, ctx: Context) -> str:
        """Gather."""
        answers = await asyncio.gather(*(ctx.elicit(f"{n}?", ANYTHING, key=f"q{n}") for n in range(3)))
        return " ".join(answer.action for answer in answers)

    @tool
    async def ask_in_a_group(self, ctx: Context) -> str:
        """Use a task group."""
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(ctx.elicit(f"{n}?", ANYTHING, key=f"q{n}")) for n in range(3)]
        return " ".join(task.result().action for task in asking)

    @tool(task="optional", detached=False)
    async def ask_before_a_task(self, ctx: Context) -> str:
        """Ask in a group, then work as a task."""
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(ctx.elicit(f"{n}?", ANYTHING, key=f"q{n}")) for n in range(2)]
        return " ".join(task.result().action for task in asking)

    @tool
    async def ask_in_nested_groups(self, ctx: Context) -> str:
        """Use groups in groups."""
        answers: list[str] = []

        async def ask(key: str) -> None:
            answers.append((await ctx.elicit("?", ANYTHING, key=key)).action)

        async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
            outer.start_soon(ask, "q0")
            inner.start_soon(ask, "q1")
        return " ".join(answers)

    @tool
    async def ask_beside_a_failure(self, ctx: Context) -> str:
        """Ask in a group in which something else fails."""

        async def fail() -> None:
            raise ToolError("sold out")

        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.elicit("?", ANYTHING, key="q0"))
            group.create_task(fail())
        return "done"

    @tool
    async def fail_in_a_group(self) -> str:
        """Fail in a group."""

        async def fail() -> None:
            raise ToolError("sold out")

        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
        return "done"

    @tool
    async def break_in_a_group(self) -> str:
        """Break in a group."""

        async def fail() -> None:
            raise ValueError("broken")

        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
        return "done"

    @tool
    def ask_from_a_thread(self, ctx: Context) -> str:
        """Ask from a thread."""
        return anyio.from_thread.run(ctx.elicit, "Sure?", ANYTHING).action

    @tool
    async def ask_in_time(self, ctx: Context) -> str:
        """Ask within a time."""
        async with asyncio.timeout(60):
            return (await asyncio.wait_for(ctx.elicit("Well?", ANYTHING), 60)).action

    @tool
    async def say_and_ask(self, ctx: Context) -> str:
        """Report, then ask."""
        await ctx.report_progress(1)
        return (await ctx.elicit("Well?", ANYTHING)).action

    @resource("menu://today")
    async def menu(self, ctx: Context) -> str:
        """Ask before reading."""
        return (await ctx.elicit("May I?", ANYTHING)).action

    @resource("menu://{day}")
    async def menu_of(self, day: str, ctx: Context) -> str:
        """Ask before reading."""
        return f"{day} {(await ctx.elicit('May I?', ANYTHING)).action}"

    @prompt
    async def recommend(self, mood: str, ctx: Context) -> str:
        """Ask before writing."""
        return f"{mood} {(await ctx.elicit('May I?', ANYTHING)).action}"


def required(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked for."""
    result = answer["result"]
    assert result["resultType"] == "input_required"
    assert "content" not in result
    requests: dict[str, Any] = result["inputRequests"]
    assert requests
    return requests


def state(answer: Mapping[str, Any]) -> str:
    return str(answer["result"]["requestState"])


DISH = {"dish": "soup"}


async def test_a_call_ends_with_its_question_and_comes_again_with_the_answer() -> None:
    server = Waiter()
    first = await call(server, "order", DISH)
    ((key, question),) = required(first).items()
    assert question["method"] == "elicitation/create"
    assert question["params"]["message"] == "How many soup?"
    assert question["params"]["mode"] == "form"
    assert question["params"]["requestedSchema"]["required"] == ["number"]
    given = {key: {"action": "accept", "content": {"number": 2}}}
    second = await call(server, "order", DISH, answers=given, state=state(first))
    assert text(second) == "accept 2 soup"
    assert second["result"]["resultType"] == "complete"
    assert server.calls == 2


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_user_who_declines_is_an_answer_too(action: str) -> None:
    server = Waiter()
    first = await call(server, "order", DISH)
    given = {next(iter(required(first))): {"action": action}}
    assert text(await call(server, "order", DISH, answers=given, state=state(first))) == f"{action} - soup"


@pytest.mark.parametrize(
    "content",
    [None, {}, {"number": 0}, {"number": "many"}, {"number": 1, "size": "huge"}, [], "two"],
)
async def test_an_answer_that_does_not_fit_is_asked_for_again_until_it_does(content: Any) -> None:
    server = Waiter()
    first = await call(server, "order", DISH)
    key = next(iter(required(first)))
    bad = {key: {"action": "accept", "content": content}}
    second = await call(server, "order", DISH, answers=bad, state=state(first))
    assert list(required(second)) == [key]
    third = await call(server, "order", DISH, answers=bad, state=state(second))
    assert list(required(third)) == [key]
    good = {key: {"action": "accept", "content": {"number": 5}}}
    assert text(await call(server, "order", DISH, answers=good, state=state(third))) == "accept 5 soup"


@pytest.mark.parametrize("answer", [{}, {"action": "perhaps"}, {"action": 5}, {"content": {"number": 1}}])
async def test_an_answer_that_says_neither_yes_nor_no_is_asked_for_again(answer: Any) -> None:
    server = Waiter()
    first = await call(server, "order", DISH)
    key = next(iter(required(first)))
    assert required(await call(server, "order", DISH, answers={key: answer}, state=state(first)))


@pytest.mark.parametrize("answer", [None, 5, "yes", [], True])
async def test_an_answer_that_is_no_object_is_refused(answer: Any) -> None:
    server = Waiter()
    first = await call(server, "order", DISH)
    again = await call(server, "order", DISH, answers={"elicitation-1": answer}, state=state(first))
    assert again["error"]["code"] == -32602


async def test_several_rounds_carry_what_was_answered_and_each_asks_one_thing_more() -> None:
    server = Waiter()
    first = await call(server, "confirm")
    assert list(required(first)) == ["elicitation-1"]
    given: dict[str, Any] = {"elicitation-1": {"action": "accept", "content": {"number": 3}}}
    second = await call(server, "confirm", answers=given, state=state(first))
    assert required(second)["sure"]["params"]["message"] == "Really 3?"
    third = await call(server, "confirm", answers={"sure": ACCEPT}, state=state(second))
    assert list(required(third)) == ["elicitation-2"]
    assert len({state(answer) for answer in (first, second, third)}) == 3
    last = await call(server, "confirm", answers={"elicitation-2": ACCEPT}, state=state(third))
    assert text(last) == "3 accept accept"


async def test_what_was_answered_in_an_earlier_round_cannot_be_changed_later() -> None:
    server = Waiter()
    first = await call(server, "confirm")
    given: dict[str, Any] = {"elicitation-1": {"action": "accept", "content": {"number": 3}}}
    second = await call(server, "confirm", answers=given, state=state(first))
    changed = {"elicitation-1": {"action": "accept", "content": {"number": 300}}, "sure": ACCEPT}
    third = await call(server, "confirm", answers=changed, state=state(second))
    last = await call(server, "confirm", answers={"elicitation-2": ACCEPT}, state=state(third))
    assert text(last).startswith("3 ")


async def test_answers_may_come_before_they_are_asked_for_and_others_are_ignored() -> None:
    given = {"elicitation-1": {"action": "accept", "content": {"number": 1}}, "unknown": ACCEPT}
    assert text(await call(Waiter(), "order", DISH, answers=given)) == "accept 1 soup"


async def test_a_state_without_answers_and_answers_without_a_state_ask_again() -> None:
    server = Waiter()
    first = await call(server, "confirm")
    assert list(required(await call(server, "confirm", state=state(first)))) == ["elicitation-1"]
    assert list(required(await call(server, "confirm", answers={}))) == ["elicitation-1"]


async def test_sampling_and_roots_are_asked_in_rounds_too() -> None:
    server = Waiter()
    first = await call(server, "guess")
    assert required(first)["sampling-1"]["method"] == "sampling/createMessage"
    said = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "42"}}
    second = await call(server, "guess", answers={"sampling-1": said}, state=state(first))
    assert required(second) == {"roots-2": {"method": "roots/list", "params": {}}}
    roots = {"roots-2": {"roots": [{"uri": "file:///a"}]}}
    assert text(await call(server, "guess", answers=roots, state=state(second))) == "42 in ['file:///a']"


@pytest.mark.parametrize(
    "answer", [{}, {"content": None}, {"content": "text"}, {"content": {"type": "image", "data": ""}}]
)
async def test_a_model_that_writes_no_text_has_written_none(answer: Any) -> None:
    first = await call(Waiter(), "guess", answers={"sampling-1": answer})
    given = {"sampling-1": answer, "roots-2": {"roots": "none"}}
    assert text(await call(Waiter(), "guess", answers=given)) == " in []"
    assert required(first)


@pytest.mark.parametrize(
    ("name", "can", "needed"),
    [
        ("confirm", {}, {"elicitation": {}}),
        ("confirm", {"sampling": {}}, {"elicitation": {}}),
        ("confirm", {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
        ("guess", {"elicitation": {}}, {"sampling": {}}),
        ("ask_in_a_group", {}, {"elicitation": {}}),
    ],
)
async def test_a_client_that_cannot_answer_is_told_what_it_lacks(
    name: str, can: dict[str, Any], needed: dict[str, Any]
) -> None:
    request = modern("tools/call", {"name": name}, can=can)
    async with opened_modern(Waiter(), request) as one:
        assert await one.status() == 400
        error = (await one.json())["error"]
    assert error["code"] == -32021
    assert error["data"] == {"requiredCapabilities": needed}


@pytest.mark.parametrize("elicitation", [{}, {"form": {}}, {"form": {}, "url": {}}])
async def test_a_client_that_knows_forms_is_asked(elicitation: dict[str, Any]) -> None:
    assert required(await call(Waiter(), "confirm", can={"elicitation": elicitation}))


async def test_a_capability_is_not_needed_for_what_is_answered_already() -> None:
    given = {"elicitation-1": {"action": "accept", "content": {"number": 1}}}
    assert text(await call(Waiter(), "order", DISH, answers=given, can={})) == "accept 1 soup"


def tampered(sealed: str) -> list[str]:
    raw = base64.urlsafe_b64decode(sealed)
    flipped = base64.urlsafe_b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()
    return ["", "x", sealed + "-TAMPERED", sealed[:-4], "A" + sealed[1:], flipped, "é", sealed + "\n"]


@pytest.mark.parametrize("number", range(8))
async def test_a_state_that_was_changed_is_refused(number: int) -> None:
    server = Waiter()
    first = await call(server, "order", DISH)
    bad = tampered(state(first))[number]
    assert (await call(server, "order", DISH, state=bad))["error"]["code"] == -32602


async def test_a_state_is_good_for_its_own_tool_arguments_and_principal_alone() -> None:
    server = Waiter(verifier=Tokens())
    ada, bob = {"authorization": "Bearer ada"}, {"authorization": "Bearer bob"}
    given = {"elicitation-1": {"action": "decline"}}
    kept = state(await call(server, "order", DISH, headers=ada))

    async def code(name: str, arguments: Any, headers: dict[str, str]) -> Any:
        answer = await call(server, name, arguments, answers=given, state=kept, headers=headers)
        return answer.get("error", {}).get("code")

    assert await code("order", DISH, bob) == -32602
    assert await code("order", {"dish": "stew"}, ada) == -32602
    assert await code("reserve", DISH, ada) == -32602
    read = modern("resources/read", {"uri": "menu://today", "requestState": kept}, can=EVERYTHING)
    assert (await asked(server, read, ada))["error"]["code"] == -32602
    assert await code("order", DISH, ada) is None


async def test_a_state_of_another_server_is_refused_and_one_of_a_replica_is_not() -> None:
    given = {"elicitation-1": {"action": "decline"}}
    kept = state(await call(Waiter(secret=b"shared"), "order", DISH))
    assert "result" in await call(Waiter(secret=b"shared"), "order", DISH, answers=given, state=kept)
    assert "error" in await call(Waiter(secret=b"other"), "order", DISH, answers=given, state=kept)
    assert "error" in await call(Waiter(), "order", DISH, answers=given, state=kept)


def test_a_state_expires() -> None:
    fresh, late = Sealer(b"k", ttl_s=60), Sealer(b"k", ttl_s=-1)
    sealed = fresh.seal({"a": 1}, purpose=b"p")
    assert fresh.open(sealed, purpose=b"p") == {"a": 1}
    with pytest.raises(InvalidParamsError, match="no longer"):
        late.open(sealed, purpose=b"p")
    with pytest.raises(InvalidParamsError, match="another"):
        fresh.open(sealed, purpose=b"q")


def test_a_state_says_nothing_of_what_is_in_it() -> None:
    sealed = Sealer(b"k").seal({"secret": "soup"}, purpose=b"p")
    assert b"soup" not in base64.urlsafe_b64decode(sealed)
    assert sealed != Sealer(b"k").seal({"secret": "soup"}, purpose=b"p")


async def test_a_tool_that_catches_every_exception_does_not_swallow_its_question() -> None:
    server = Waiter()
    first = await call(server, "catch_everything")
    given = {next(iter(required(first))): ACCEPT}
    assert text(await call(server, "catch_everything", answers=given, state=state(first))) == "accept"


async def test_questions_that_are_gathered_are_asked_one_by_one_at_least() -> None:
    server = Waiter()
    answers: dict[str, Any] = {}
    answer = await call(server, "ask_at_once")
    for _ in range(3):
        if "content" in answer["result"]:
            break
        answers |= dict.fromkeys(required(answer), ACCEPT)
        answer = await call(server, "ask_at_once", answers=answers)
    assert text(answer) == "accept accept accept"


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("ask_in_a_group", {"q0", "q1", "q2"}, "accept accept accept"),
        ("ask_in_nested_groups", {"q0", "q1"}, "accept accept"),
    ],
)
async def test_questions_of_a_task_group_are_asked_together(name: str, keys: set[str], said: str) -> None:
    server = Waiter()
    first = await call(server, name)
    assert set(required(first)) == keys
    given = dict.fromkeys(keys, ACCEPT)
    assert text(await call(server, name, answers=given, state=state(first))) == said


async def test_questions_of_a_group_are_asked_before_a_call_is_a_task() -> None:
    server = Waiter()
    can = {**EVERYTHING, "extensions": {meta.TASKS: {}}}
    async with asyncio.timeout(LIMIT_S):
        first = await call(server, "ask_before_a_task", can=can)
        assert set(required(first)) == {"q0", "q1"}
        given = dict.fromkeys(("q0", "q1"), ACCEPT)
        last = await call(server, "ask_before_a_task", can=can, answers=given, state=state(first))
    assert text(last) == "accept accept"


async def test_a_question_beside_a_failure_in_one_group_is_asked_or_the_failure_told() -> None:
    result = (await call(Waiter(), "ask_beside_a_failure"))["result"]
    assert result["resultType"] == "input_required" or result["content"][0]["text"] == "sold out"


async def test_what_a_tool_says_to_the_model_is_found_in_a_group() -> None:
    result = (await call(Waiter(), "fail_in_a_group"))["result"]
    assert result["isError"]
    assert result["content"][0]["text"] == "sold out"
    hidden = (await call(Waiter(), "break_in_a_group"))["result"]
    assert "reference" in hidden["content"][0]["text"]


def test_questions_are_found_in_groups_and_nothing_else_is() -> None:
    one = InputRequired({"a": Question("roots/list", {})}, lambda: "s")
    two = InputRequired({"b": Question("roots/list", {})}, lambda: "s")
    group = BaseExceptionGroup("", [ValueError(), one, BaseExceptionGroup("", [two])])
    found = asked_in(group)
    assert found is not None
    assert set(found.questions) == {"a", "b"}
    assert asked_in(ExceptionGroup("", [ValueError()])) is None
    assert asked_in(ValueError()) is None
    assert asked_in(KeyboardInterrupt()) is None


@pytest.mark.parametrize("name", ["ask_from_a_thread", "ask_in_time", "say_and_ask"])
async def test_a_question_comes_through_threads_timeouts_and_streams(name: str) -> None:
    server = Waiter()

    async def again(params: dict[str, Any]) -> dict[str, Any]:
        params = {"name": name, "arguments": {}, **params}
        return await asked(server, modern("tools/call", params, can=EVERYTHING, meta={"progressToken": 1}))

    first = await again({})
    given = {next(iter(required(first))): ACCEPT}
    assert text(await again({"inputResponses": given, "requestState": state(first)})) == "accept"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/read", {"uri": "menu://today"}),
        ("resources/read", {"uri": "menu://monday"}),
        ("prompts/get", {"name": "recommend", "arguments": {"mood": "hungry"}}),
    ],
)
async def test_resources_and_prompts_ask_as_well(method: str, params: dict[str, Any]) -> None:
    server = Waiter()
    first = await asked(server, modern(method, params, can=EVERYTHING))
    more = {"inputResponses": {next(iter(required(first))): ACCEPT}, "requestState": state(first)}
    last = await asked(server, modern(method, {**params, **more}, can=EVERYTHING))
    assert "accept" in str(last["result"])
    assert last["result"]["resultType"] == "complete"
    refused = await asked(server, modern(method, params))
    assert refused["error"]["code"] == -32021


async def test_a_prompt_asked_with_other_arguments_has_another_state() -> None:
    server = Waiter()
    params = {"name": "recommend", "arguments": {"mood": "hungry"}}
    kept = state(await asked(server, modern("prompts/get", params, can=EVERYTHING)))
    other = {"name": "recommend", "arguments": {"mood": "full"}, "requestState": kept}
    assert (await asked(server, modern("prompts/get", other, can=EVERYTHING)))["error"]["code"] == -32602


async def test_a_question_goes_through_the_tool_that_calls_others() -> None:
    server = Waiter()
    through = {"name": "order", "arguments": DISH}
    first = await call(server, "call_tool", through)
    given = {next(iter(required(first))): {"action": "decline"}}
    assert (
        text(await call(server, "call_tool", through, answers=given, state=state(first))) == "decline - soup"
    )


@pytest.mark.parametrize("params", [{"inputResponses": 5}, {"inputResponses": []}, {"requestState": 5}])
async def test_rounds_of_the_wrong_shape_are_refused(params: dict[str, Any]) -> None:
    request = modern("tools/call", {"name": "order", "arguments": DISH, **params}, can=EVERYTHING)
    assert (await asked(Waiter(), request))["error"]["code"] == -32602
