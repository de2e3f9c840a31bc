"""Tasks: calls that became one, and what their clients ask of them later."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, cast

import msgspec
from msgspec import UNSET, Raw

from scopedtools.exceptions import InvalidParamsError
from scopedtools.listeners import Watches
from scopedtools.protocol.gate import Handler
from scopedtools.protocol.methods import TaskParams, UpdateTaskParams
from scopedtools.protocol.request import Request, tasks_required
from scopedtools.protocol.results import CallResult, CreateTaskResult, Result, TaskResult
from scopedtools.protocol.session import Push
from scopedtools.storage import TaskRecord, TaskStore
from scopedtools.tasks import Task, TaskSettings
from scopedtools.types import Principal

_log: Final = logging.getLogger(__name__)

_GRACE_S: Final = 5.0
"""Seconds for which a server that stops waits for the tasks that it cancelled."""

Key: TypeAlias = Callable[[Principal, str], bytes]
"""Takes a principal and a task ID; returns the key of the task in the store."""


class Tasks:
    """Runs the tasks of one process and answers requests about tasks.

    Args:
        store: Keeps their records.
        settings: How long they live.
        key: Makes keys for the store. They hold the principal, so nobody finds a task of somebody else.
    """

    def __init__(self, store: TaskStore, settings: TaskSettings, *, key: Key) -> None:
        self._store = store
        self._settings = settings
        self._key = key
        self._running: dict[bytes, Task] = {}
        self._jobs: dict[bytes, asyncio.Task[None]] = {}
        self._watches = Watches()

    def table(self) -> dict[str, Handler]:
        """Return the handler of each method."""
        return {"tasks/get": self._get, "tasks/update": self._update, "tasks/cancel": self._cancel}

    async def follow(self, request: Request, work: Callable[[Request], Awaitable[CallResult]]) -> Result:
        """Run a call that may become a task.

        Args:
            request: From a client that can follow tasks.
            work: The call; takes the request with its `TaskExchange`.

        Returns:
            What the call returned, or how the task is as soon as it is one.
        """
        principal = request.ingress.principal
        task_id = secrets.token_urlsafe(24)  # where nobody is authenticated, who knows it has the task
        ttl_ms, poll_ms = round(self._settings.ttl_s * 1000), self._settings.poll_interval_ms
        record = TaskRecord(self._key(principal, ""), 0, 0, ttl_ms, poll_ms)
        task = Task(
            self._key(principal, task_id),
            record,
            store=self._store,
            begun=self._begun,
            changed=self._watches.changed,
        )
        job = task.start(lambda exchange: work(msgspec.structs.replace(request, task=exchange)))
        self._jobs[task.key] = job  # the event loop alone would not keep it alive
        job.add_done_callback(lambda _: self._jobs.pop(task.key, None))
        try:
            answer = await task.answer
        except asyncio.CancelledError:
            job.cancel()  # the client is gone; if there is a task, it never heard of it
            raise
        return CreateTaskResult(**_state(task_id, answer.record)) if isinstance(answer, Task) else answer

    async def known(self, principal: Principal, task_ids: Iterable[str]) -> dict[bytes, str]:
        """Return those of the IDs that are tasks of a principal, by key."""
        keys = {self._key(principal, task_id): task_id for task_id in task_ids}
        return {key: task_id for key, task_id in keys.items() if await self._store.get(key) is not None}

    @asynccontextmanager
    async def telling(self, tasks: Mapping[bytes, str], push: Push) -> AsyncIterator[None]:
        """Tell a stream how tasks are, and of each change, for as long as this is held.

        Args:
            tasks: From `known`.
            push: Sends a notification.
        """
        async with asyncio.TaskGroup() as group:
            # Beside the tasks: a client that is slow to read must not hold them up.
            telling = group.create_task(self._tell(tasks, push)) if tasks else None
            yield
            if telling is not None:
                telling.cancel()

    async def stop(self) -> None:
        """Cancel all tasks, and wait for them, though not for ever."""
        jobs = [self._jobs[key] for key in self._running if key in self._jobs]
        for task in tuple(self._running.values()):
            task.cancel("The server stopped")
        if jobs:
            _, stubborn = await asyncio.wait(jobs, timeout=_GRACE_S)
            if stubborn:
                _log.warning("%d tasks run on although they were cancelled", len(stubborn))

    def _begun(self, task: Task) -> None:
        self._running[task.key] = task
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._settings.ttl_s, task.cancel, "Its time to live is over")

        def ended(_: object) -> None:
            del self._running[task.key]
            timer.cancel()

        self._jobs[task.key].add_done_callback(ended)

    async def _tell(self, tasks: Mapping[bytes, str], push: Push) -> None:
        async with aclosing(self._watches.changes(tasks)) as changes:
            async for key in changes:
                record = await self._store.get(key)
                if record is not None:
                    params = msgspec.json.encode(_detailed(tasks[key], record))
                    await push("notifications/tasks", msgspec.json.decode(params))

    async def _get(self, request: Request, _: Any) -> Result:
        task_id, record, _ = await self._find(request)
        return _detailed(task_id, record)

    async def _update(self, request: Request, _: Any) -> Result:
        _, _, task = await self._find(request)
        if task is not None:
            await task.take(cast("UpdateTaskParams", request.params).input_responses)
        return Result()

    async def _cancel(self, request: Request, _: Any) -> Result:
        _, _, task = await self._find(request)
        if task is not None:
            task.cancel("The client cancelled it")
        return Result()

    async def _find(self, request: Request) -> tuple[str, TaskRecord, Task | None]:
        if not request.follows_tasks:
            raise tasks_required()
        task_id = cast("TaskParams", request.params).task_id
        key = self._key(request.ingress.principal, task_id)
        record = await self._store.get(key)
        if record is None:
            raise InvalidParamsError(f"Unknown task {task_id!r}; if it was one, its time to live is over")
        return task_id, record, self._running.get(key)


def _detailed(task_id: str, record: TaskRecord) -> TaskResult:
    waits = record.status == "input_required"
    return TaskResult(
        **_state(task_id, record),
        input_requests=dict(record.questions) if waits else UNSET,
        result=Raw(record.outcome) if record.status == "completed" else UNSET,
        error=Raw(record.outcome) if record.status == "failed" else UNSET,
    )


def _state(task_id: str, record: TaskRecord) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "status": record.status,
        "status_message": record.message or UNSET,
        "created_at": _iso(record.created_at),
        "last_updated_at": _iso(record.updated_at),
        "ttl_ms": record.ttl_ms,
        "poll_interval_ms": record.poll_interval_ms,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
