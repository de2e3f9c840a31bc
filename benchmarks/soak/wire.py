"""Requests to the soak server, and how their answers are read: one result each, in one piece or in a stream."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import httpx2
import msgspec

from benchmarks.soak.ledger import Ledger
from scopedtools.protocol import meta
from scopedtools.protocol.revisions import LATEST

TIMEOUT_S: Final = 60.0
_JSON: Final = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
_NAMED_BY: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "tasks/get": "taskId"}


class Event(NamedTuple):
    """A message in a stream, and what names its place."""

    id: str | None
    message: dict[str, Any]


class Unexpected(Exception):  # noqa: N818 - what was got, not what failed
    """An answer that should not have come; the ledger has it already."""


class Wire:
    """Sends messages and reads answers.

    Args:
        client: Of the connections.
        url: Of the endpoint.
        ledger: Counts.
    """

    def __init__(self, client: httpx2.AsyncClient, url: str, ledger: Ledger) -> None:
        self.client = client
        self.url = url
        self.ledger = ledger
        self._ids = itertools.count(1)

    def next_id(self) -> int:
        """Return an ID for a request."""
        return next(self._ids)

    def fail(self, what: str) -> Unexpected:
        """Note a problem; returns what to raise."""
        self.ledger.problem(what)
        return Unexpected(what)

    async def modern(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        context: str | None = None,
        intent: str | None = None,
        capabilities: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a request of the stateless revision; return its result."""
        message, headers = self.modern_request(
            method, params, context=context, intent=intent, capabilities=capabilities
        )
        async with self.sent(message, headers) as response:
            return self.result(await self.reply(response, message), message)

    def modern_request(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        context: str | None = None,
        intent: str | None = None,
        capabilities: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Make a message of the stateless revision, and its headers."""
        settings = {"contextId": context, "intent": intent, "growth": True}
        declared = {key: value for key, value in settings.items() if value is not None}
        own = dict(capabilities or {})
        own["extensions"] = {**own.get("extensions", {}), meta.EXTENSION: declared}
        envelope = {
            meta.PROTOCOL_VERSION: LATEST.name,
            meta.CLIENT_CAPABILITIES: own,
            **params.get("_meta", {}),
        }
        headers = _JSON | {"mcp-protocol-version": LATEST.name, "mcp-method": method}
        if (named_by := _NAMED_BY.get(method)) is not None:
            headers["mcp-name"] = params[named_by]
        return self.message(method, {**params, "_meta": envelope}), headers

    def message(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make a request, or a notification, which has no ID."""
        made: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if not method.startswith("notifications/"):
            made["id"] = self.next_id()
        return made if params is None else made | {"params": dict(params)}

    @asynccontextmanager
    async def sent(self, message: Any, headers: Mapping[str, str]) -> AsyncIterator[httpx2.Response]:
        """Send a message; yield the answer, whose body is not read yet."""
        name = message.get("method", "answer") if isinstance(message, dict) else "batch"
        self.ledger.requests[name] += 1
        async with self.client.stream(
            "POST", self.url, content=msgspec.json.encode(message), headers={**_JSON, **headers}
        ) as response:
            self.ledger.statuses[response.status_code] += 1
            if response.status_code >= 300:
                body = (await response.aread())[:300]
                raise self.fail(f"{name} was answered with HTTP {response.status_code}: {body!r}")
            yield response

    async def reply(self, response: httpx2.Response, message: Mapping[str, Any]) -> dict[str, Any]:
        """Read the one reply to a message, whatever else comes before it."""
        replies = [
            event.message
            async for event in self.events(response)
            if "method" not in event.message and event.message.get("id") == message["id"]
        ]
        if len(replies) != 1:
            raise self.fail(f"{message['method']} {message['id']} was answered {len(replies)} times")
        return replies[0]

    async def events(self, response: httpx2.Response) -> AsyncIterator[Event]:
        """Read the messages of an answer."""
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            yield Event(None, msgspec.json.decode(await response.aread()))
            return
        event_id: str | None = None
        async for line in response.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "id":
                event_id = value
            elif field == "data" and value.strip():
                yield Event(event_id, msgspec.json.decode(value))

    def result(self, reply: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result in a reply."""
        if "error" in reply:
            raise self.fail(f"{message['method']} {message.get('params')} got {reply['error']}"[:600])
        result: dict[str, Any] = reply["result"]
        return result


def tool_call(name: str, call: str, **arguments: Any) -> dict[str, Any]:
    """Make the parameters of a call that is counted."""
    return {"name": name, "arguments": {"call": call, **arguments}}


def pick(weights: Mapping[str, float]) -> str:
    """Draw a name by weight."""
    return random.choices(list(weights), list(weights.values()))[0]  # noqa: S311 - no secret
