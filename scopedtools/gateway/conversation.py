"""A call to an upstream while it runs: what it asks, what it tells, how long it may take.

The upstream's side runs in a task of its own, which may live longer than the client's request: a client of
2026-07-28 answers a question in another request, and an upstream of an earlier revision waits for the
answer meanwhile. Such a call is parked until the client comes back.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, cast, get_args

from scopedtools.context.context import Context
from scopedtools.context.dialogue import Level
from scopedtools.gateway.errors import DownError, UpstreamError
from scopedtools.protocol.inputs import Asked, InputRequired, Question

_METHODS: Final = frozenset(get_args(Asked))
_ROUNDS: Final = 20
"""Questions of one call: an upstream that always asks must not keep a user for ever."""


class _Pending(NamedTuple):
    questions: Mapping[str, Question]
    answers: asyncio.Future[dict[str, dict[str, Any]]]


class Conversation:
    """One call.

    Args:
        run: Makes the call, with this conversation to turn to.
        asker: Whose call it is.
        timeout_s: Seconds for an answer; time in which the client is asked does not count.
    """

    def __init__(
        self,
        run: Callable[[Conversation], Awaitable[dict[str, Any]]],
        *,
        asker: object,
        timeout_s: float,
    ) -> None:
        self._asker = asker
        self._timeout_s = timeout_s
        self._clock = asyncio.timeout(None)
        self._coming: asyncio.Queue[_Pending] = asyncio.Queue()
        self._pending: _Pending | None = None
        self._ctx: Context | None = None
        self._asked = 0
        self._progressed = False
        self._task = asyncio.create_task(self._run(run))
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def asker(self) -> object:
        return self._asker

    async def _run(self, run: Callable[[Conversation], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        try:
            async with self._clock:
                self._start_clock()
                return await run(self)
        except TimeoutError as error:
            if not self._clock.expired():
                raise
            raise DownError("did not answer in time") from error

    def _start_clock(self) -> None:
        self._clock.reschedule(asyncio.get_running_loop().time() + self._timeout_s)

    # The upstream's side

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the client one thing."""
        key = method.partition("/")[0]
        question = {"method": method, "params": params}
        return (await self.ask_all({key: question}))[key]

    async def ask_all(self, wire: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Ask the client several things.

        Args:
            wire: Questions by key, as they stand in ``inputRequests``.

        Raises:
            UpstreamError: They are malformed, or too many.
        """
        self._asked += 1
        if self._asked > _ROUNDS:
            raise UpstreamError(f"asked more than {_ROUNDS} times")
        # By round, since what is asked again is not answered yet; and so that nobody else guesses a key, who
        # would answer in the place of the client.
        round_name = secrets.token_hex(8)
        keys = {key: f"upstream-{round_name}-{key}" for key in wire}
        questions = {keys[key]: one for key, one in _questions(wire).items()}
        pending = _Pending(questions, asyncio.get_running_loop().create_future())
        self._clock.reschedule(None)
        await self._coming.put(pending)
        try:
            answers = await pending.answers
            return {key: answers[keys[key]] for key in wire}
        finally:
            self._start_clock()

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Tell the client how far the call is."""
        self.keep_alive()
        self._progressed = True
        if self._ctx is not None:
            await self._ctx.report_progress(progress, total, message)

    async def report(self, message: str, *, times: int) -> None:
        """Tell the client what the upstream says of how it goes, where it gives no numbers.

        Args:
            message: What it says.
            times: How often it has said something.
        """
        if self._ctx is not None and not self._progressed:
            await self._ctx.report_progress(times, None, message)

    def keep_alive(self) -> None:
        """Take it that the upstream is at work: its time for an answer begins anew."""
        if self._pending is None and self._coming.empty() and not self._clock.expired():
            self._start_clock()

    async def tell(self, method: str, params: Mapping[str, Any]) -> None:  # noqa: ARG002 - messages alone so far
        """Pass a log message on."""
        level, logger = params.get("level"), params.get("logger")
        if self._ctx is not None and level in get_args(Level):
            name = logger if isinstance(logger, str) else None
            await self._ctx.log(cast("Level", level), params.get("data"), logger=name)

    # The client's side

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._task.done()

    def cancel(self) -> None:
        """Call it off; the upstream is told."""
        self._task.cancel()

    async def attend(self, ctx: Context) -> dict[str, Any]:
        """Pass on what is asked until the call ends; return its result.

        Raises:
            InputRequired: The client has to answer in another request, which attends the same call.
            UpstreamError: There is no result.
        """
        self._ctx = ctx
        try:
            while True:
                if self._pending is None and not await self._next():
                    return await self._task
                await self._pass_on(ctx)
        except InputRequired:
            raise
        except BaseException:
            self.cancel()
            raise
        finally:
            self._ctx = None

    def is_answered_by(self, ctx: Context) -> bool:
        """Tell whether a request brings the answers that this call waits for."""
        return self._pending is not None and ctx.has_answers(self._pending.questions)

    async def _next(self) -> bool:
        """Wait for a question; false where the call has ended instead."""
        asking = asyncio.create_task(self._coming.get())
        try:
            await asyncio.wait({asking, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not asking.done():
                asking.cancel()
                with suppress(asyncio.CancelledError):
                    await asking
        if asking.cancelled() or self._task.done():
            return False
        self._pending = asking.result()
        return True

    async def _pass_on(self, ctx: Context) -> None:
        pending = cast("_Pending", self._pending)
        try:
            answers = await ctx.ask(**pending.questions)
        except Exception as error:  # noqa: BLE001 - the upstream is told, and decides what comes of it
            if not pending.answers.done():
                pending.answers.set_exception(error)
        else:
            if not pending.answers.done():
                pending.answers.set_result(answers)
        self._pending = None


def _questions(wire: Mapping[str, Any]) -> dict[str, Question]:
    questions: dict[str, Question] = {}
    for key, one in wire.items():
        method = one.get("method") if isinstance(one, dict) else None
        params = (one.get("params") or {}) if isinstance(one, dict) else None
        if method not in _METHODS or not isinstance(params, dict):
            raise UpstreamError("asked something that is not known here")
        questions[key] = Question(cast("Asked", method), params)
    return questions
