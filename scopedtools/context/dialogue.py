"""What a tool may say to the client, and ask of it, while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar, overload

import msgspec
from pydantic import TypeAdapter, ValidationError

from scopedtools.context.forms import form
from scopedtools.protocol import meta
from scopedtools.protocol.content import PromptMessage, Text
from scopedtools.protocol.exchange import TaskExchange
from scopedtools.protocol.inputs import Inputs, Question
from scopedtools.protocol.request import Request
from scopedtools.protocol.seal import Sealer
from scopedtools.protocol.session import LEVELS

T = TypeVar("T")

Level = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


class Elicited(NamedTuple, Generic[T]):
    """What a user answered.

    Attributes:
        action: ``accept``, ``decline`` or ``cancel``.
        data: What was filled in, or ``None`` unless accepted.
    """

    action: Literal["accept", "decline", "cancel"]
    data: T | None


class Sampled(NamedTuple):
    """What the client's model wrote.

    Attributes:
        text: Its text; empty where it wrote none.
        message: The whole result, as the client sent it.
    """

    text: str
    message: Mapping[str, Any]


class Dialogue:
    """The way back to the client of one request."""

    __slots__ = ("_inputs", "_progress", "_request", "_sealer")

    def __init__(self, request: Request, sealer: Sealer) -> None:
        self._request = request
        self._sealer = sealer
        self._inputs: Inputs | None = None
        self._progress = float("-inf")

    @property
    def client_capabilities(self) -> Mapping[str, Any] | None:
        """What the client declared that it can do, or ``None`` where that is not known here."""
        return deepcopy(self._request.client_capabilities)

    @property
    def log_level(self) -> str | None:
        """The least level of log messages that the client wants, or ``None`` where it wants none."""
        if self._request.revision.stateless:
            level = self._request.meta.get(meta.LOG_LEVEL)
            return level if level in LEVELS else None
        session = self._request.ingress.session
        return session.level if session is not None else _DEFAULT_LEVEL

    async def report_progress(
        self, progress: float, total: float | None = None, message: str | None = None
    ) -> None:
        """Tell the client how far the call is, where it asked for that; a task says so in its status.

        Args:
            progress: Grows with each report; one that does not grow is not sent.
            total: What it will be at the end, if that is known.
            message: For people.
        """
        if progress <= self._progress:
            return
        if self._task is not None:
            self._progress = progress
            done = f"{progress:g}" if total is None else f"{progress:g} of {total:g}"
            await self._task.report(message or done)
            return
        token = self._request.meta.get("progressToken")
        if isinstance(token, bool) or not isinstance(token, int | str):
            return  # none, or one that no notification can carry
        self._progress = progress
        params = {"progressToken": token, "progress": progress, "total": total, "message": message}
        await self._notify("notifications/progress", params)

    async def log(self, level: Level, data: Any, *, logger: str | None = None) -> None:
        """Send a log message to the client, where it wants messages of this level; not from a task.

        Args:
            level: As in RFC 5424.
            data: Text, or anything that JSON can hold.
            logger: Name of what logs.
        """
        if level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
        least = self.log_level
        if least is not None and LEVELS.index(level) >= LEVELS.index(least):
            await self._notify("notifications/message", {"level": level, "data": data, "logger": logger})

    @overload
    async def elicit(self, message: str, schema: type[T], *, key: str | None = None) -> Elicited[T]: ...

    @overload
    async def elicit(
        self, message: str, schema: Mapping[str, Any], *, key: str | None = None
    ) -> Elicited[dict[str, Any]]: ...

    async def elicit(
        self, message: str, schema: type[Any] | Mapping[str, Any], *, key: str | None = None
    ) -> Elicited[Any]:
        """Ask the user to fill in a form.

        At 2026-07-28 the call ends here and comes again with the answer: what a tool does before it asks
        is done again, so ask first and act afterwards. A task waits here for the answer.

        Args:
            message: What is asked.
            schema: A pydantic model, dataclass or TypedDict of plain fields, or a JSON Schema.
            key: Names the question; by its place in the call by default.

        Raises:
            MissingCapabilityError: The client cannot ask its user.
            DefinitionError: A field of the model is more than text, a number, a choice or several choices.
        """
        adapter = None if isinstance(schema, Mapping) else TypeAdapter(schema)
        wire = dict(schema) if isinstance(schema, Mapping) else form(TypeAdapter(schema))
        question = Question(
            "elicitation/create", {"mode": "form", "message": message, "requestedSchema": wire}
        )
        key = key or self._questions().next_key("elicitation")
        while True:
            answer = (await self._questions().ask({key: question}))[key]
            try:
                return _elicited(answer, adapter)
            except (ValidationError, TypeError) as error:
                self._questions().reject(key, question, f"The answer does not fit what was asked: {error}")

    async def sample(
        self,
        messages: str | Sequence[PromptMessage],
        *,
        max_tokens: int = 1024,
        system_prompt: str | None = None,
        temperature: float | None = None,
        key: str | None = None,
    ) -> Sampled:
        """Have the client's model write something.

        Args:
            messages: The conversation, or what a user would say.
            max_tokens: Most tokens to write.
            system_prompt: Instructions, which the client may ignore.
            temperature: Of the sampling.
            key: Names the question; by its place in the call by default.

        Raises:
            MissingCapabilityError: The client has no model to lend.
        """
        said = [PromptMessage(Text(messages))] if isinstance(messages, str) else list(messages)
        params = _present(
            messages=msgspec.to_builtins(said),
            maxTokens=max_tokens,
            systemPrompt=system_prompt,
            temperature=temperature,
        )
        key = key or self._questions().next_key("sampling")
        answer = (await self._questions().ask({key: Question("sampling/createMessage", params)}))[key]
        content = answer.get("content")
        text = content.get("text") if isinstance(content, dict) else None
        return Sampled(text if isinstance(text, str) else "", answer)

    async def roots(self, *, key: str | None = None) -> list[dict[str, Any]]:
        """Return the folders that the client works in, each with a ``uri`` and perhaps a ``name``.

        Raises:
            MissingCapabilityError: The client has none to tell.
        """
        key = key or self._questions().next_key("roots")
        answer = (await self._questions().ask({key: Question("roots/list", {})}))[key]
        roots = answer.get("roots")
        return [root for root in roots if isinstance(root, dict)] if isinstance(roots, list) else []

    async def ask(self, **questions: Question) -> dict[str, dict[str, Any]]:
        """Ask several things at once; returns the client's answers by key."""
        return await self._questions().ask(questions)

    def has_answers(self, keys: Iterable[str]) -> bool:
        """Tell whether the request itself brings the answers to some questions, so that nobody is asked."""
        return self._questions().has(keys)

    @property
    def follows_tasks(self) -> bool:
        """Whether the client can follow this call as a task."""
        return self._request.task is not None

    async def detach(self) -> None:
        """Let the client's connection go and work on; the client fetches the rest later.

        At 2026-07-28 the call becomes a task, where `follows_tasks`: the client gets the ID of the task
        and polls, and from here on questions wait for their answer. Before, the client comes back to its
        stream, where sessions are kept. Elsewhere it does nothing.

        Raises:
            ToolError: There are too many tasks.
        """
        if self._request.task is not None:
            await self._request.task.begin()
        else:
            await self._request.ingress.exchange.detach()

    @property
    def _task(self) -> TaskExchange | None:
        return self._request.begun_task

    def _questions(self) -> Inputs:
        if self._inputs is None:
            self._inputs = Inputs(self._request, self._sealer)
        return self._inputs

    async def _notify(self, method: str, params: Mapping[str, Any]) -> None:
        if self._task is not None:
            return  # the request is answered, and tasks have no notifications but those of their status
        await self._request.ingress.exchange.notify(method, _present(**params))


_DEFAULT_LEVEL: Final = "info"


def _elicited(answer: Mapping[str, Any], adapter: TypeAdapter[Any] | None) -> Elicited[Any]:
    action, content = answer.get("action"), answer.get("content")
    if action == "decline" or action == "cancel":  # noqa: PLR1714 - narrows the type
        return Elicited(action, None)
    if action != "accept":
        raise TypeError(f"action must be accept, decline or cancel, got {action!r}")
    if adapter is not None:
        return Elicited("accept", adapter.validate_python(content))
    if not isinstance(content, dict):
        raise TypeError(f"content must be an object, got {content!r}")
    return Elicited("accept", content)


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
