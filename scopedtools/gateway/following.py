"""Calls that an upstream answers with a task: followed to their end, so that their client gets a result.

Two generations: the experimental tasks of 2025-11-25, and the tasks extension at 2026-07-28 (SEP-2663).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

import anyio

from scopedtools.gateway.connection import Connection
from scopedtools.gateway.conversation import Conversation
from scopedtools.gateway.errors import RefusedError, UpstreamError
from scopedtools.protocol import meta

Ask: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Sends a request of the same call: its method and parameters."""

_POLL_S: Final = 1.0
_LEAST_POLL_S: Final = 0.05
_MOST_POLL_S: Final = 30.0
_LONGEST_S: Final = 24 * 3600.0
"""Seconds after which a call is given up whose server names no end of its task."""

_CANCEL_S: Final = 5.0
_OVER: Final = frozenset({"completed", "failed", "cancelled"})


def offers_tasks(connection: Connection) -> bool:
    """Tell whether a server may answer calls with tasks, of its own accord or when asked to."""
    if connection.is_modern:
        return meta.declares_tasks(connection.capabilities)
    offered: Any = connection.capabilities
    for name in ("tasks", "requests", "tools", "call"):
        offered = offered.get(name) if isinstance(offered, Mapping) else None
    return isinstance(offered, Mapping)


def asked_for(connection: Connection, definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with which a tool has to be called to run as a task, if it cannot run without."""
    execution = definition.get("execution")
    required = isinstance(execution, dict) and execution.get("taskSupport") == "required"
    return {"task": {}} if required and not connection.is_modern and offers_tasks(connection) else {}


def begun(result: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the task that a result tells of instead of what was asked for."""
    task = result if result.get("resultType") == "task" else result.get("task")
    if isinstance(task, dict) and isinstance(task.get("taskId"), str) and "content" not in result:
        return task
    return None


async def follow(
    task: Mapping[str, Any], conversation: Conversation, ask: Ask, *, is_modern: bool
) -> dict[str, Any]:
    """Return what a call comes to that has become a task. If nobody waits for it any more, it is cancelled.

    Args:
        task: How it began.
        conversation: The call.
        ask: Sends a request to the server that runs the task.
        is_modern: Whether it is a task of the extension.

    Raises:
        UpstreamError: There is no result.
    """
    followed = _Followed(task, conversation, ask)
    try:
        async with asyncio.timeout(followed.longest_s):
            return await (followed.poll() if is_modern else followed.wait())
    except (RefusedError, TimeoutError) as error:
        if isinstance(error, RefusedError):
            raise
        raise UpstreamError("did not end its task in time") from error
    finally:
        await followed.leave()


class _Followed:
    def __init__(self, task: Mapping[str, Any], conversation: Conversation, ask: Ask) -> None:
        self._named = {"taskId": task["taskId"]}
        self._task = task
        self._conversation = conversation
        self._ask = ask
        self._said: Any = None
        self._times = 0
        self._is_over = False

    @property
    def longest_s(self) -> float:
        """How long it may take."""
        ttl_ms = _number(self._task, "ttlMs", "ttl")
        return min(_LONGEST_S, ttl_ms / 1000) if ttl_ms is not None else _LONGEST_S

    async def poll(self) -> dict[str, Any]:
        """Look until it is over, and answer what it asks meanwhile; as it is at 2026-07-28."""
        answered: set[str] = set()
        while True:
            await self._look()
            asked = self._task.get("inputRequests")
            if self._task.get("status") == "input_required" and isinstance(asked, dict):
                new = {key: one for key, one in asked.items() if key not in answered}
                if new:
                    answers = await self._conversation.ask_all(new)
                    answered |= new.keys()
                    await self._ask("tasks/update", {**self._named, "inputResponses": answers})
            elif self._is_over:
                return self._outcome()

    def _outcome(self) -> dict[str, Any]:
        result, error = self._task.get("result"), self._task.get("error")
        if self._task.get("status") == "completed" and isinstance(result, dict):
            return result
        if isinstance(error, dict) and isinstance(error.get("code"), int):
            raise RefusedError(str(error.get("message")), code=error["code"], data=error.get("data"))
        raise UpstreamError(f"its task ended as {str(self._task.get('status'))[:40]!r}")

    async def wait(self) -> dict[str, Any]:
        """Wait for the result, while it is looked at; as it was at 2025-11-25, where questions come there."""
        looking = asyncio.create_task(self._look_on())
        try:
            result = await self._ask("tasks/result", self._named)
        except RefusedError:
            self._is_over = True
            raise
        finally:
            looking.cancel()
        self._is_over = True
        return result

    async def _look_on(self) -> None:
        with suppress(UpstreamError):  # whoever waits for the result is told
            while not self._is_over:
                await self._look()

    async def _look(self) -> None:
        """Wait for the time to look, look, and tell the client what the server says of it."""
        if self._task.get("status") not in _OVER:
            pause_ms = _number(self._task, "pollIntervalMs", "pollInterval")
            pause_s = _POLL_S if pause_ms is None else pause_ms / 1000
            await asyncio.sleep(min(max(pause_s, _LEAST_POLL_S), _MOST_POLL_S))
        self._task = await self._ask("tasks/get", self._named)
        self._is_over = self._task.get("status") in _OVER
        said = self._task.get("statusMessage")
        if isinstance(said, str) and said != self._said and not self._is_over:
            self._said, self._times = said, self._times + 1
            await self._conversation.report(said, times=self._times)
        self._conversation.keep_alive()

    async def leave(self) -> None:
        """Cancel it, unless it is over."""
        if not self._is_over:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CANCEL_S), suppress(UpstreamError):
                await self._ask("tasks/cancel", self._named)


def _number(task: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = task.get(name)
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and value > 0
        ):
            return float(value)
    return None
