"""Users of the revisions that open with ``initialize``: one session after the other, each with its streams."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from benchmarks.soak.modern import INTENTS
from benchmarks.soak.server import NEWS
from benchmarks.soak.wire import Event, Wire, pick, tool_call
from scopedtools.protocol import meta

_WEIGHTS: Final = {
    "list": 2,
    "quick": 5,
    "counting": 2,
    "order": 1,
    "failing": 1,
    "remember": 1,
    "read": 1,
    "ping": 1,
    "subscribe": 0.5,
    "resume": 1.5,
    "cancel": 1,
    "batch": 2,
}
_BATCHES: Final = "2025-03-26"
_ASKS: Final = "2025-06-18"
"""The first revision in which a tool may ask the user."""


class LegacyUser:
    """Opens sessions and works in them.

    Args:
        wire: To the server.
        revision: That it speaks.
        pause_s: Mean seconds between two requests.
        units: Numbers of units of work.
    """

    def __init__(self, wire: Wire, revision: str, *, pause_s: float, units: itertools.count[int]) -> None:
        self._wire = wire
        self._revision = revision
        self._pause_s = pause_s
        self._units = units
        self._headers: dict[str, str] = {}

    async def work(self) -> None:
        """Open a session, use it, end it."""
        self._headers = {meta.ID_HEADER: f"unit-{next(self._units)}", meta.INTENT_HEADER: INTENTS[1]}
        await self._open()
        following = asyncio.create_task(self._follow())
        try:
            for _ in range(random.randint(5, 15)):  # noqa: S311 - no secret
                await asyncio.sleep(random.expovariate(1 / self._pause_s))
                await self._do(pick(_WEIGHTS))
        finally:
            following.cancel()
            await asyncio.wait([following])
            await self._end()

    async def _open(self) -> None:
        message = self._wire.message(
            "initialize",
            {
                "protocolVersion": self._revision,
                "capabilities": {"elicitation": {}},
                "clientInfo": {"name": "soak", "version": "1"},
            },
        )
        async with self._wire.sent(message, self._headers) as response:
            opened = self._wire.result(await self._wire.reply(response, message), message)
            self._headers["mcp-session-id"] = response.headers["mcp-session-id"]
        if opened["protocolVersion"] != self._revision:
            raise self._wire.fail(f"asked for {self._revision}, got {opened['protocolVersion']}")
        if self._revision != _BATCHES:  # whose clients did not know that header yet
            self._headers["mcp-protocol-version"] = self._revision
        await self._notify("notifications/initialized")

    async def _end(self) -> None:
        response = await self._wire.client.delete(self._wire.url, headers=self._headers)
        self._wire.ledger.statuses[response.status_code] += 1
        if response.status_code != 204:
            raise self._wire.fail(f"a session ended with HTTP {response.status_code}")

    async def _follow(self) -> None:
        """Hear what belongs to no request, until the session ends; lose the connection now and then."""
        headers = {**self._headers, "accept": "text/event-stream"}
        while True:
            try:
                async with asyncio.timeout(random.uniform(1, 5)):  # noqa: S311 - no secret
                    async with self._wire.client.stream("GET", self._wire.url, headers=headers) as response:
                        if response.status_code != 200:
                            raise self._wire.fail(f"GET was answered with HTTP {response.status_code}")
                        async for event in self._wire.events(response):
                            self._wire.ledger.outcomes[f"heard {event.message.get('method')}"] += 1
            except TimeoutError:
                continue

    async def _notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        async with self._wire.sent(self._wire.message(method, params), self._headers) as response:
            if response.status_code != 202:
                raise self._wire.fail(f"{method} was answered with HTTP {response.status_code}")

    async def _do(self, what: str) -> None:
        match what:
            case "list":
                await self._list()
            case "read":
                await self._ask("resources/read", {"uri": NEWS})
            case "ping":
                await self._ask("ping", {})
            case "subscribe":
                await self._ask("resources/subscribe", {"uri": NEWS})
            case "resume":
                await self._resume()
            case "cancel":
                await self._cancel()
            case "order" if self._revision >= _ASKS:
                await self._order()
            case "batch" if self._revision == _BATCHES:
                await self._batch()
            case "order" | "batch":
                await self._call("quick")
            case _:
                await self._call(what)

    @asynccontextmanager
    async def _asked(self, message: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[Event]]:
        async with self._wire.sent(message, self._headers) as response:
            yield self._wire.events(response)

    async def _ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        message = self._wire.message(method, params)
        async with self._wire.sent(message, self._headers) as response:
            return self._wire.result(await self._wire.reply(response, message), message)

    async def _list(self) -> None:
        names = [one["name"] for one in (await self._ask("tools/list", {}))["tools"]]
        if not 3 <= len(names) <= 30 or len(set(names)) != len(names):
            raise self._wire.fail(f"a list of {len(names)} rows: {names}")

    async def _call(self, name: str) -> None:
        call = self._wire.ledger.begin(name)
        arguments = {"remember": {"value": "v" * 100}}.get(name, {})
        params = tool_call(name, call, **arguments) | {"_meta": {"progressToken": call}}
        result = await self._ask("tools/call", params)
        self._wire.ledger.answered(call, time.monotonic())
        if bool(result.get("isError")) != (name == "failing"):
            raise self._wire.fail(f"{call} ended with {result}"[:600])

    async def _order(self) -> None:
        """Answer a question that comes in the stream, with a message of its own."""
        call = self._wire.ledger.begin("order")
        message = self._wire.message("tools/call", tool_call("order", call))
        replies: list[dict[str, Any]] = []
        async with self._asked(message) as events:
            async for event in events:
                if event.message.get("method") == "elicitation/create":
                    result = {"action": "accept", "content": {"copies": 3}}
                    answer = {"jsonrpc": "2.0", "id": event.message["id"], "result": result}
                    async with self._wire.sent(answer, self._headers):
                        pass
                elif event.message.get("id") == message["id"]:
                    replies.append(event.message)
        self._finish(call, message, replies)

    def _finish(self, call: str, message: Mapping[str, Any], replies: list[dict[str, Any]]) -> None:
        if len(replies) != 1:
            raise self._wire.fail(f"{call} was answered {len(replies)} times")
        self._wire.result(replies[0], message)
        self._wire.ledger.answered(call, time.monotonic())

    async def _resume(self) -> None:
        """Lose the connection in the middle of an answer, and come back for the rest."""
        call = self._wire.ledger.begin("counting")
        params = tool_call("counting", call, steps=10) | {"_meta": {"progressToken": call}}
        message = self._wire.message("tools/call", params)
        last: str | None = None
        seen: list[dict[str, Any]] = []
        async with self._asked(message) as events:
            async for event in events:
                seen.append(event.message)
                last = event.id
                if len(seen) == 3:
                    break
        headers = {**self._headers, "accept": "text/event-stream", "last-event-id": last or ""}
        async with self._wire.client.stream("GET", self._wire.url, headers=headers) as response:
            if response.status_code != 200:
                raise self._wire.fail(f"coming back was answered with HTTP {response.status_code}")
            seen += [event.message async for event in self._wire.events(response)]
        steps = [one["params"]["progress"] for one in seen if one.get("method") == "notifications/progress"]
        if steps != list(range(1, 11)):
            raise self._wire.fail(f"{call} reported {steps}")
        self._finish(call, message, [one for one in seen if one.get("id") == message["id"]])
        self._wire.ledger.outcomes["resumed"] += 1

    async def _cancel(self) -> None:
        """Cancel a call by a notification; nothing more comes of it."""
        call = self._wire.ledger.begin("slow")
        message = self._wire.message("tools/call", tool_call("slow", call, seconds=2))

        async def wait() -> list[Event]:
            async with self._asked(message) as events:
                return [event async for event in events]

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(random.uniform(0.05, 0.2))  # noqa: S311 - no secret
        await self._notify("notifications/cancelled", {"requestId": message["id"], "reason": "soak"})
        came = await waiting
        self._wire.ledger.cut(call, time.monotonic())
        if came:
            raise self._wire.fail(f"{call} was cancelled, and still got {came}"[:600])

    async def _batch(self) -> None:
        calls = [self._wire.ledger.begin("quick") for _ in range(3)]
        messages = [self._wire.message("tools/call", tool_call("quick", call, text=call)) for call in calls]
        others = [self._wire.message("ping"), self._wire.message("notifications/progress", {"progressToken": 1})]
        async with self._wire.sent([*messages, *others], self._headers) as response:
            replies = {one["id"]: one for one in msgspec.json.decode(await response.aread())}
        if set(replies) != {one["id"] for one in [*messages, others[0]]}:
            raise self._wire.fail(f"a batch of {len(messages) + 1} requests got replies to {sorted(replies)}")
        for call, message in zip(calls, messages, strict=True):
            if self._wire.result(replies[message["id"]], message)["content"][0]["text"] != call:
                raise self._wire.fail(f"{call} got the answer of another")
            self._wire.ledger.answered(call, time.monotonic())
