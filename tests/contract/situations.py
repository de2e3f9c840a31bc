"""What clients do, so that the server says everything that it can say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from tests.contract.more import More
from tests.contract.peers import HttpCall, HttpPeer, Peer, StdioPeer

LISTS: Final = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")

_LEVEL: Final = "io.modelcontextprotocol/logLevel"
_VERSION: Final = "io.modelcontextprotocol/protocolVersion"

_ARGUMENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "test_sampling": {"prompt": "Hello"},
    "test_elicitation": {"message": "Who?"},
    "test_x_mcp_header": {"region": "eu-wést"},
    "json_schema_2020_12_tool": {"name": "Ann", "email": "a@example.com"},
    "greet": {"name": "Ann"},
    "slow_compute": {"seconds": 0.05},
    "confirm_delete": {"filename": "a.txt"},
    "find_book": {"title": "Dune"},
}
_ENDLESS: Final = "wait"
_ASKING: Final = "test://asking"
_SINCE_NOVEMBER: Final = ("test_elicitation_sep1330_enums", "ask_much")
"""Their forms have lists of choices, which forms did not have before."""


async def lists(peer: Peer, server: More) -> None:
    """Read every list."""
    server.extra_tool = server.extra_prompt = True
    for method in LISTS:
        await peer.result(method)
        await peer.ask(method, {"cursor": "made up"})
    server.extra_tool = server.extra_prompt = False
    for method in LISTS:
        await peer.result(method, {})


async def calls(peer: Peer, server: More) -> None:
    """Call every tool, all at once, and want to hear everything of it."""
    tools = [row["name"] for row in (await peer.result("tools/list"))["tools"]]
    tools += ["search_tools", "call_tool", "unknown"]
    later = peer.revision >= "2025-11-25"
    await asyncio.gather(
        *(
            peer.through(
                "tools/call",
                {"name": name, "arguments": _ARGUMENTS.get(name, {})},
                meta={"progressToken": f"p-{name}", _LEVEL: "debug"},
            )
            for name in tools
            if name != _ENDLESS and (later or name not in _SINCE_NOVEMBER)
        )
    )


async def calls_of_a_client_that_can_do_nothing(peer: Peer, server: More) -> None:
    """Call what needs a client that can do something, as one that cannot."""
    if not peer.modern:
        return
    before, peer.capabilities = peer.capabilities, {}
    for name in ("test_missing_capability", "test_elicitation", "failing_job", "slow_compute", "multi_input"):
        await peer.ask("tools/call", {"name": name, "arguments": _ARGUMENTS.get(name, {})})
    await peer.ask("prompts/get", {"name": "test_input_required_result_prompt"})
    await peer.ask("resources/read", {"uri": _ASKING})
    await peer.ask("tasks/get", {"taskId": "made up"})
    await peer.ask("subscriptions/listen", {"notifications": {"taskIds": ["made up"]}})
    peer.capabilities = before


async def bad_calls(peer: Peer, server: More) -> None:
    """Call with arguments that do not fit, and with state that the server did not give."""
    for arguments in ({}, {"title": 1}, {"title": "Dune", "limit": "many"}, {"title": None}):
        await peer.ask("tools/call", {"name": "find_book", "arguments": arguments})
    for params in ({}, {"name": 1}, {"name": "find_book", "arguments": []}, {"name": "greet", "_meta": 1}):
        await peer.ask("tools/call", params)
    state = {"requestState": "made up", "inputResponses": {"confirm": {"action": "accept"}}}
    await peer.ask("tools/call", {"name": "test_input_required_result_tampered_state", **state})
    await peer.ask("tools/call", {"name": "test_elicitation", "inputResponses": {"user_name": 5}})
    if peer.modern:
        name = {"name": "test_input_required_result_elicitation"}
        asked = await peer.result("tools/call", name)
        again = {"requestState": asked["requestState"], "inputResponses": {"user_name": {"action": "no"}}}
        await peer.ask("tools/call", {**name, **again})
        for answer in ({"action": "decline"}, {"action": "cancel"}):
            await peer.result("tools/call", {**name, **again, "inputResponses": {"user_name": answer}})


async def reads(peer: Peer, server: More) -> None:
    """Read every resource, and some that are none."""
    uris = [row["uri"] for row in (await peer.result("resources/list"))["resources"]]
    for uri in (*uris, "test://template/1/data", "test://template/%C3%BC/data"):
        answer = await peer.through("resources/read", {"uri": uri})
        assert ("result" in answer) == (uri != _ASKING or peer.revision >= "2025-06-18"), answer
    for uri in ("test://unknown", "", "not a uri", 5):
        assert "error" in await peer.ask("resources/read", {"uri": uri})


async def prompts(peer: Peer, server: More) -> None:
    """Get every prompt."""
    arguments = {"arg1": "hello", "arg2": "wörld", "resourceUri": "test://static-text"}
    for row in (await peer.result("prompts/list"))["prompts"]:
        taken = {one["name"]: arguments[one["name"]] for one in row.get("arguments", ()) if one["required"]}
        await peer.through("prompts/get", {"name": row["name"], "arguments": taken})
    await peer.ask("prompts/get", {"name": "test_prompt_with_arguments", "arguments": {"other": "1"}})
    await peer.ask("prompts/get", {"name": "test_prompt_with_arguments", "arguments": {"arg1": 1}})
    await peer.ask("prompts/get", {"name": "unknown"})


async def completions(peer: Peer, server: More) -> None:
    """Complete arguments of prompts and templates."""
    for name, argument in (("recommend", "taste"), ("test_prompt_with_arguments", "arg1")):
        ref = {"type": "ref/prompt", "name": name}
        await peer.result("completion/complete", {"ref": ref, "argument": {"name": argument, "value": "c"}})
    template = {"type": "ref/resource", "uri": "test://template/{id}/data"}
    await peer.result("completion/complete", {"ref": template, "argument": {"name": "id", "value": "1"}})
    odd: tuple[Any, ...] = ({"type": "ref/prompt", "name": "unknown"}, {"type": "ref/other"}, {}, "text")
    for one in odd:
        await peer.ask("completion/complete", {"ref": one, "argument": {"name": "a", "value": ""}})


async def odd_messages(peer: Peer, server: More) -> None:
    """Say what no client should."""
    for method in ("unknown/method", "sampling/createMessage", "notifications/initialized"):
        await peer.ask(method, {})
    for method in ("ping", "initialize", "logging/setLevel", "resources/subscribe", "server/discover"):
        await peer.ask(method, {})
    await peer.ask("tools/list", meta={_VERSION: "1999-01-01"})
    await peer.ask("tools/list", meta={_VERSION: 5})
    await peer.ask("tools/list", message_id="text")
    await peer.ask("tools/list", message_id=-(2**53))
    for body in (b"", b"{", b"null", b"[]", b"[1]", b'"\xff"', b'{"jsonrpc":"2.0"}', b"[" * 100_000):
        if body or not isinstance(peer, StdioPeer):
            await peer.raw(body)
    for body in (
        b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
    ):
        await peer.raw(body)


async def batches(peer: Peer, server: More) -> None:
    """Send several messages in one array, which one revision has."""
    asked = [peer.message(method, {}, None, method) for method in (*LISTS, "ping", "unknown")]
    told = peer.message("notifications/cancelled", {"requestId": 0}, None, None)
    called = peer.message("tools/call", {"name": "find_book", "arguments": {"title": "Dune"}}, None, "call")
    crash = peer.message("tools/call", {"name": "crash"}, None, "crash")
    for batch in ([*asked, told, called, crash], [called, called], [asked[0], 1, "text", None, {}]):
        await peer.raw(json.dumps(batch).encode())


async def notifications(peer: Peer, server: More) -> None:
    """Tell the server things."""
    await peer.tell("notifications/cancelled", {"requestId": "unknown", "reason": "changed my mind"})
    await peer.tell("notifications/progress", {"progressToken": 1, "progress": 1})
    await peer.tell("notifications/unknown", {})
    if not peer.modern:
        await peer.tell("notifications/roots/list_changed")


async def levels(peer: Peer, server: More) -> None:
    """Choose the log level."""
    for level in ("debug", "info") if not peer.modern else ():
        await peer.result("logging/setLevel", {"level": level})
        await peer.result("ping")
    await peer.ask("tools/call", {"name": "test_tool_with_logging"}, meta={_LEVEL: "info"})
    await peer.ask("tools/call", {"name": "test_tool_with_logging"}, meta={_LEVEL: "loud"})


async def cancellation(peer: Peer, server: More) -> None:
    """Give up a call that would never end."""
    call = {"name": _ENDLESS, "arguments": {}}
    asking = asyncio.create_task(
        peer.ask("tools/call", call, meta={"progressToken": 7}, message_id="endless")
    )
    await peer.hear("notifications/progress")
    await peer.give_up(asking, "endless")


async def changes(peer: Peer, server: More) -> None:
    """Hear of changes."""
    uri = "test://watched-resource"
    listening: asyncio.Task[Any] | None = None
    if peer.modern:
        wanted = {f"{kind}ListChanged": True for kind in ("tools", "prompts", "resources")}
        wanted_all = {"notifications": {**wanted, "resourceSubscriptions": [uri]}}
        listening = asyncio.create_task(peer.result("subscriptions/listen", wanted_all, message_id="l-1"))
        await peer.hear("notifications/subscriptions/acknowledged")
    elif "error" in await peer.ask("resources/subscribe", {"uri": uri}):
        return  # without a session there is nobody to tell
    for kind in ("tool", "prompt") * 2:
        await peer.result("tools/call", {"name": f"test_trigger_{kind}_change"})
        await peer.hear(f"notifications/{kind}s/list_changed")
    await server.resource_updated(uri)
    await peer.hear("notifications/resources/updated")
    if not peer.modern:
        await peer.result("resources/unsubscribe", {"uri": uri})
    if listening is not None:
        server.end_streams()
        await listening


async def tasks(peer: Peer, server: More) -> None:
    """Follow calls as tasks, by looking and by listening."""
    if not peer.modern:
        return
    slow = {"name": "slow_compute", "arguments": {"seconds": 60}}
    task_id = (await peer.result("tools/call", slow))["taskId"]
    asking = (await peer.result("tools/call", {"name": "multi_input"}))["taskId"]
    failing = (await peer.result("tools/call", {"name": "protocol_error_job"}))["taskId"]
    wanted = {"notifications": {"taskIds": [task_id, asking, failing, "unknown"]}}
    listening = asyncio.create_task(peer.ask("subscriptions/listen", wanted, message_id="l-0"))
    await peer.hear("notifications/subscriptions/acknowledged")
    for _ in range(3):
        await peer.hear("notifications/tasks")
    await peer.result("tasks/cancel", {"taskId": task_id})
    while (await peer.hear("notifications/tasks"))["params"]["status"] != "cancelled":
        pass
    for one in (task_id, asking, failing):
        await peer.result("tasks/get", {"taskId": one})
    await peer.ask("tasks/update", {"taskId": asking, "inputResponses": {"first": 5}})
    await peer.result("tasks/update", {"taskId": asking, "inputResponses": {"other": {}}})
    await peer.result("tasks/cancel", {"taskId": asking})
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        await peer.ask(method, {"taskId": "unknown", "inputResponses": {}})
        await peer.ask(method, {})
    await peer.give_up(listening, "l-0")


async def http_refusals(peer: Peer, server: More) -> None:
    """Use HTTP wrongly."""
    if not isinstance(peer, HttpPeer):
        return
    good = peer.message("tools/list", {}, None, 1)
    for headers in (
        {"content-type": "text/plain"},
        {"accept": "text/html"},
        {"mcp-protocol-version": "1999-01-01"},
        {"mcp-method": "tools/call"},
        {"origin": "http://evil.example.com"},
        {"host": "evil.example.com"},
        {"content-length": "99999999999"},
    ):
        async with peer.post(good, headers) as call:
            await call.read()
    unknown = peer.message("tools/list", {}, {_VERSION: "1999-01-01"}, 1)
    async with peer.post(unknown, {"mcp-protocol-version": "1999-01-01"}) as call:
        await call.read()
    for method in ("GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"):
        bare = {name: text for name, text in peer.headers({}).items() if name != "mcp-session-id"}
        async with HttpCall(peer.app, method, bare) as call:
            await call.read()
    if peer.modern:
        call_of = peer.message(
            "tools/call", {"name": "test_x_mcp_header", "arguments": {"region": "a"}}, None, 1
        )
        for headers in ({"mcp-param-region": "b"}, {"mcp-name": "=?base64?x?="}, {"mcp-name": "other"}):
            async with peer.post(call_of, headers) as call:
                await call.read()


async def silence_about_the_revision(peer: Peer, server: More) -> None:
    """Leave out the version header where a session knows the version."""
    if not isinstance(peer, HttpPeer) or peer.session_id is None:
        return
    call = peer.message("tools/call", {"name": "find_book", "arguments": {"title": "Dune"}}, None, "silent")
    headers = {name: text for name, text in peer.headers(call).items() if name != "mcp-protocol-version"}
    async with HttpCall(peer.app, "POST", headers, json.dumps(call).encode()) as answer:
        assert (b"structuredContent" in await answer.read()) == (peer.revision >= "2025-06-18")


async def end_of_session(peer: Peer, server: More) -> None:
    """End the session, then use it."""
    if not isinstance(peer, HttpPeer) or peer.session_id is None:
        return
    for last_event_id in ("unknown.1", "push.x", ""):
        async with peer.get(last_event_id=last_event_id) as call:
            if call.status != 200:
                await call.read()
    async with HttpCall(peer.app, "GET", peer.headers({}) | {"accept": "application/json"}) as call:
        await call.read()
    for status in (204, 404):
        async with HttpCall(peer.app, "DELETE", peer.headers({})) as call:
            await call.read()
            assert call.status == status
    await peer.ask("tools/list")


SITUATIONS: Final[tuple[Callable[[Peer, More], Awaitable[None]], ...]] = (
    lists,
    calls,
    calls_of_a_client_that_can_do_nothing,
    bad_calls,
    reads,
    prompts,
    completions,
    odd_messages,
    batches,
    notifications,
    levels,
    cancellation,
    tasks,
    changes,
    http_refusals,
    silence_about_the_revision,
    end_of_session,
)
"""In order: the last ones end what the others need."""
