"""Calls that go on after their request was answered; their clients follow them by an ID.

Source: the tasks extension of the specification (SEP-2663) at 2026-07-28.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from scopedtools.exceptions import DefinitionError, InvalidParamsError, ToolError
from scopedtools.protocol.dispatch import to_protocol_error
from scopedtools.protocol.exchange import TaskExchange
from scopedtools.protocol.inputs import InputRequired
from scopedtools.protocol.results import CallResult
from scopedtools.storage import TaskRecord, TaskStatus, TaskStore

Work: TypeAlias = Callable[[TaskExchange], Awaitable[CallResult]]
"""A call; takes what is open to one that may become a task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """How long tasks live and how often clients look.

    Attributes:
        ttl_s: Seconds for which a task is kept from its beginning on; one that runs longer is cancelled.
        poll_interval_ms: Milliseconds that clients are told to wait between two looks.
    """

    ttl_s: float = 3600.0
    poll_interval_ms: int = 1000

    def __post_init__(self) -> None:
        for name, least in (("ttl_s", 0.001), ("poll_interval_ms", 1)):
            if (value := getattr(self, name)) < least:
                raise DefinitionError(f"{name} must be >= {least}, got {value}")


class Task:
    """One call that may become a task, from its request to its end; a `TaskExchange`.

    Args:
        key: Under which it is stored.
        record: How it begins.
        store: Keeps its record.
        begun: Told when the call becomes a task.
        changed: Told of each change.

    Attributes:
        began: Whether the call is a task by now.
        record: How the task is.
        answer: To the request: what the call returned, or itself as soon as it is a task.
    """

    def __init__(
        self,
        key: bytes,
        record: TaskRecord,
        *,
        store: TaskStore,
        begun: Callable[[Task], None],
        changed: Callable[[bytes], None],
    ) -> None:
        self.key = key
        self.record = record
        self.began = False
        self.answer: asyncio.Future[CallResult | Task] = asyncio.get_running_loop().create_future()
        self._store = store
        self._begun = begun
        self._changed = changed
        self._saving = asyncio.Lock()
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._names: set[str] = set()
        self._reason: str | None = None
        self._ended = False

    def start(self, work: Work) -> asyncio.Task[None]:
        """Run the call, up to its end."""
        self._job = asyncio.create_task(self._run(work))
        return self._job

    def cancel(self, reason: str) -> None:
        """Cancel the call, unless it ended."""
        if not self._ended:
            self._reason = reason
            self._job.cancel()

    async def begin(self) -> None:
        """Make the call a task; see `TaskExchange`."""
        if self.began:
            return
        now = time.time()
        self.record = self.record._replace(created_at=now, updated_at=now)
        try:
            kept = await self._store.add(self.key, self.record)
        except asyncio.CancelledError:
            self.began = True  # it may be kept by now, and is to say that it was cancelled
            raise
        if not kept:
            raise ToolError("There are too many tasks, and no room for another; try again later")
        self.began = True
        self._begun(self)
        self._answer(self)

    async def ask(self, questions: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Wait for the client's answers; see `TaskExchange`."""
        named = {self._name(key): question for key, question in questions.items()}
        answers = {name: asyncio.get_running_loop().create_future() for name in named}
        self._waiting |= answers
        try:
            await self._change(status="input_required", questions={**self.record.questions, **named})
            return dict(zip(questions, await asyncio.gather(*answers.values()), strict=True))
        finally:
            for name in named:
                self._waiting.pop(name, None)
            await self._settle()

    async def take(self, answers: Mapping[str, Any]) -> None:
        """Take the client's answers; those that nobody waits for are dropped.

        Raises:
            InvalidParamsError: One is no object; then none is taken.
        """
        wanted = {name: answer for name, answer in answers.items() if name in self._waiting}
        for name, answer in wanted.items():
            if not isinstance(answer, dict):
                raise InvalidParamsError(f"inputResponses[{name!r}] must be an object, got {answer!r}")
        for name, answer in wanted.items():
            self._waiting.pop(name).set_result(answer)
        await self._settle()

    async def report(self, message: str) -> None:
        """Say how far the task is."""
        await self._change(message=message)

    async def _run(self, work: Work) -> None:
        try:
            result = await work(self)
        except asyncio.CancelledError:
            self.answer.cancel()
            await self._end("cancelled", self._reason)
        except (Exception, BaseExceptionGroup, InputRequired) as error:  # noqa: BLE001 - the request gets it, or the task
            if not self.answer.done():
                self.answer.set_exception(error)
            if self.began:
                await self._fail(error)
        else:
            self._answer(result)
            complete = msgspec.structs.replace(result, result_type="complete")
            await self._end("completed", outcome=msgspec.json.encode(complete))

    def _answer(self, answer: CallResult | Task) -> None:
        if not self.answer.done():  # whoever asked may be gone
            self.answer.set_result(answer)

    def _name(self, key: str) -> str:
        # Never the same for two questions: clients keep track of what they have answered by it.
        name, times = key, 1
        while name in self._names:
            times += 1
            name = f"{key}.{times}"
        self._names.add(name)
        return name

    async def _settle(self) -> None:
        left = {name: asked for name, asked in self.record.questions.items() if name in self._waiting}
        if len(left) < len(self.record.questions):
            await self._change(status="input_required" if left else "working", questions=left)

    async def _fail(self, error: BaseException) -> None:
        known = to_protocol_error(error if isinstance(error, Exception) else RuntimeError(repr(error)))
        body = {"code": known.code, "message": known.message}
        body |= {} if known.data is None else {"data": known.data}
        await self._end("failed", known.message, outcome=msgspec.json.encode(body))

    async def _end(self, status: TaskStatus, message: str | None = None, *, outcome: bytes = b"") -> None:
        if self.began:
            self._ended = True
            await self._save(status=status, message=message, questions={}, outcome=outcome)

    async def _change(self, **changes: Any) -> None:
        if self.began and not self._ended:
            await self._save(**changes)

    async def _save(self, **changes: Any) -> None:
        self.record = self.record._replace(updated_at=time.time(), **changes)
        async with self._saving:  # one after the other, so that the last record is the one that stays
            await self._store.put(self.key, self.record)
        self._changed(self.key)
