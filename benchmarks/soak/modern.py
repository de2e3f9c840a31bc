"""Users of revision 2026-07-28: each begins one unit of work after the other."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Mapping
from typing import Any, Final

from benchmarks.soak.server import NEWS
from benchmarks.soak.wire import Wire, pick, tool_call
from scopedtools.protocol import meta

INTENTS: Final = (
    "count the words and sort the prices",
    "merge the records of a batch, then filter the dates",
    "order copies and write a report",
    "remember what was noted",
)
_WEIGHTS: Final = {
    "list": 3,
    "quick": 6,
    "blocking": 1,
    "slow": 1,
    "counting": 2,
    "order": 1,
    "remember": 2,
    "note": 2,
    "report": 1,
    "failing": 1,
    "large": 0.3,
    "search": 1,
    "through call_tool": 1,
    "read": 1,
    "prompt": 1,
    "discover": 0.5,
    "leave": 1,
}
_CAPABILITIES: Final = {"elicitation": {}, "extensions": {meta.TASKS: {}}}
_POLL_S: Final = 0.05


class ModernUser:
    """Works through units of work: a list, then some of everything, then the next.

    Args:
        wire: To the server.
        pause_s: Mean seconds between two requests.
        units: Numbers of units of work.
        store_fails: Tells whether the store of contexts was taken away just now.
    """

    def __init__(self, wire: Wire, *, pause_s: float, units: itertools.count[int]) -> None:
        self._wire = wire
        self._pause_s = pause_s
        self._units = units
        self._unit = ""
        self._intent = ""

    async def work(self) -> None:
        """Do one unit of work."""
        self._unit, self._intent = f"unit-{next(self._units)}", random.choice(INTENTS)  # noqa: S311 - no secret
        await self._list()
        for _ in range(random.randint(5, 15)):  # noqa: S311 - no secret
            await asyncio.sleep(random.expovariate(1 / self._pause_s))
            await self._do(pick(_WEIGHTS))

    async def _do(self, what: str) -> None:
        match what:
            case "list":
                await self._list()
            case "search":
                await self._ask("tools/call", {"name": "search_tools", "arguments": {"query": self._intent}})
            case "read":
                await self._ask("resources/read", {"uri": NEWS})
            case "prompt":
                await self._ask("prompts/get", {"name": "greet", "arguments": {"name": "Ada"}})
            case "discover":
                await self._ask("server/discover", {})
            case "order":
                await self._order()
            case "report":
                await self._report()
            case "leave":
                await self._leave()
            case "through call_tool":
                call = self._wire.ledger.begin("quick")
                arguments = {"name": "quick", "arguments": {"call": call, "text": "a"}}
                await self._answered(call, {"name": "call_tool", "arguments": arguments})
            case _:
                await self._call(what)

    async def _ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        return await self._wire.modern(
            method, params, context=self._unit, intent=self._intent, capabilities=_CAPABILITIES
        )

    async def _list(self) -> None:
        listed = await self._ask("tools/list", {})
        names = [one["name"] for one in listed["tools"]]
        if not 3 <= len(names) <= 30 or len(set(names)) != len(names) or "quick" not in names:
            raise self._wire.fail(f"a list of {len(names)} rows: {names}")

    async def _call(self, name: str) -> None:
        call = self._wire.ledger.begin(name)
        params = tool_call(name, call, **_ARGUMENTS.get(name, {}))
        if name == "counting":
            params["_meta"] = {"progressToken": call}
        result = await self._answered(call, params)
        if bool(result.get("isError")) != (name == "failing"):
            raise self._wire.fail(f"{call} ended with {result}"[:600])

    async def _answered(self, call: str, params: Mapping[str, Any]) -> dict[str, Any]:
        result = await self._ask("tools/call", params)
        self._wire.ledger.answered(call, time.monotonic())
        return result

    async def _order(self) -> None:
        call = self._wire.ledger.begin("order")
        params = tool_call("order", call)
        asked = await self._ask("tools/call", params)
        if asked.get("resultType") != "input_required":
            raise self._wire.fail(f"{call} did not ask: {asked}"[:600])
        answers = {key: {"action": "accept", "content": {"copies": 3}} for key in asked["inputRequests"]}
        again = {**params, "inputResponses": answers, "requestState": asked["requestState"]}
        result = await self._answered(call, again)
        if result["content"][0]["text"] != "accept 3":
            raise self._wire.fail(f"{call} ended with {result}"[:600])

    async def _report(self) -> None:
        call = self._wire.ledger.begin("report")
        task = await self._ask("tools/call", tool_call("report", call))
        if task.get("resultType") != "task":
            raise self._wire.fail(f"{call} did not become a task: {task}"[:600])
        while (task := await self._ask("tasks/get", {"taskId": task["taskId"]}))["status"] == "working":
            await asyncio.sleep(_POLL_S)
        if task["status"] != "completed":
            raise self._wire.fail(f"{call} ended with {task}"[:600])
        self._wire.ledger.answered(call, time.monotonic())

    async def _leave(self) -> None:
        """Go away while a call runs, which cancels it."""
        call = self._wire.ledger.begin("slow")
        message, headers = self._wire.modern_request(
            "tools/call", tool_call("slow", call, seconds=2), context=self._unit, intent=self._intent
        )

        async def wait() -> None:
            async with self._wire.sent(message, headers) as response:
                await response.aread()

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(random.uniform(0, 0.2))  # noqa: S311 - no secret
        waiting.cancel()
        await asyncio.wait([waiting])
        self._wire.ledger.cut(call, time.monotonic())


_ARGUMENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "quick": {"text": "a"},
    "blocking": {"text": "b"},
    "slow": {"seconds": 0.1},
    "counting": {"steps": 3},
    "remember": {"value": "v" * 100},
    "note": {"text": "n" * 100},
    "large": {"kibibytes": 256},
}


class Listening:
    """A client that listens for a while, and goes away without a word.

    Args:
        wire: To the server.
        units: Numbers of units of work.
    """

    def __init__(self, wire: Wire, *, units: itertools.count[int]) -> None:
        self._wire = wire
        self._units = units

    async def work(self) -> None:
        """Listen once."""
        unit = f"unit-{next(self._units)}"
        await self._wire.modern("tools/list", {}, context=unit, intent=INTENTS[0])
        wanted = {"toolsListChanged": True, "resourceSubscriptions": [NEWS]}
        message, headers = self._wire.modern_request(
            "subscriptions/listen", {"notifications": wanted}, context=unit, intent=INTENTS[0]
        )
        heard: list[str] = []
        try:
            async with asyncio.timeout(random.uniform(2, 20)):  # noqa: S311 - no secret
                async with self._wire.sent(message, headers) as response:
                    async for event in self._wire.events(response):
                        heard.append(str(event.message.get("method")))
                        self._wire.ledger.outcomes[f"heard {heard[-1]}"] += 1
                raise self._wire.fail(f"a stream ended by itself after {heard}")
        except TimeoutError:
            pass
        if heard[:1] != ["notifications/subscriptions/acknowledged"]:
            raise self._wire.fail(f"a stream began with {heard[:1]}")
