"""An OpenAI-compatible endpoint that picks tools: chat completions with function definitions."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import httpx2
import msgspec

from scopedtools.exceptions import ScopedToolsError

_REFUSALS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_PASSING: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS)

_LONGEST_WAIT_S: Final = 120.0
_BYTES_PER_TOKEN: Final = 4


class EndpointError(ScopedToolsError):
    """Nothing more can be asked: the key, the model or the address is wrong."""


class NoAnswerError(ScopedToolsError):
    """One request got no answer, however often it was asked; it may get one later."""


class RefusedError(ScopedToolsError):
    """The endpoint does not take this request, such as a list that is too long for the model."""


class Answer(NamedTuple):
    """What a model said.

    Attributes:
        called: Names of the functions that it calls, in order.
        prompt_tokens: As ``usage`` says; else estimated, at four bytes a token.
        completion_tokens: Likewise.
        estimated: Whether the tokens are estimated.
        seconds: From sending the request that was answered to its answer.
    """

    called: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int
    estimated: bool
    seconds: float


class _Function(msgspec.Struct):
    name: str


class _Call(msgspec.Struct):
    function: _Function


class _Message(msgspec.Struct):
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


_completion: Final = msgspec.json.Decoder(_Completion)


class _Passing(Exception):  # noqa: N818 - not an error to anybody outside
    """Another try may be answered, after so many seconds."""

    def __init__(self, said: str, after_s: float | None = None) -> None:
        super().__init__(said)
        self.after_s = after_s


class Endpoint:
    """Asks one model.

    Args:
        base_url: What ``/chat/completions`` is appended to.
        key: API key, or ``""`` for none.
        timeout_s: Seconds that one try may take.
        tries: How often a request is sent, at most.
        wait_s: Seconds before the second try; they double with each, unless the endpoint says how many.
    """

    def __init__(
        self, base_url: str, *, key: str = "", timeout_s: float = 120, tries: int = 6, wait_s: float = 1
    ) -> None:
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._tries = tries
        self._wait_s = wait_s
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        self._http = httpx2.AsyncClient(headers=headers, timeout=timeout_s)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def ask(self, body: bytes) -> Answer:
        """Send a request, again where that may help.

        Raises:
            EndpointError: No request will be answered.
            RefusedError: This one will not.
            NoAnswerError: This one was not, in all tries.
        """
        for number in range(self._tries - 1):
            try:
                return await self._try(body)
            except _Passing as passing:
                await asyncio.sleep(self._pause(number, passing))
        try:
            return await self._try(body)
        except _Passing as passing:
            if isinstance(passing.__cause__, httpx2.ConnectError):
                raise EndpointError(f"nobody answers at {self._url}: {passing}; look at --base-url") from None
            raise NoAnswerError(f"no answer in {self._tries} tries; the last: {passing}") from None

    async def _try(self, body: bytes) -> Answer:
        start = time.perf_counter()
        try:
            response = await self._http.post(self._url, content=body)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise EndpointError(f"--base-url must be a URL such as http://host/v1: {error}") from error
        except httpx2.TransportError as error:
            raise _Passing(f"{type(error).__name__} {error}".strip()) from error
        seconds = time.perf_counter() - start
        self._check(response)
        try:
            return _read(_completion.decode(response.content), body, response.content, seconds)
        except (msgspec.DecodeError, UnicodeDecodeError, IndexError) as error:
            raise _Passing(f"no chat completion ({error}): {response.text[:200]!r}") from error

    def _check(self, response: httpx2.Response) -> None:
        status = response.status_code
        said = f"HTTP {status} from {self._url}: {response.text[:300]!r}"
        if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _Passing(said, _retry_after_s(response.headers))
        if status in _REFUSALS:
            raise RefusedError(said)
        if status != HTTPStatus.OK:
            raise EndpointError(f"{said}; look at --base-url, --model and the API key")

    def _pause(self, number: int, passing: _Passing) -> float:
        if passing.after_s is None:
            # Of different lengths, or all that wait would come back at once.
            wait_s: float = min(self._wait_s * 2**number, _LONGEST_WAIT_S) * random.uniform(0.5, 1)  # noqa: S311
            return wait_s
        if passing.after_s > _LONGEST_WAIT_S:
            raise EndpointError(
                f"asked to wait {passing.after_s:.0f} s, run the command again then: {passing}"
            )
        return passing.after_s


def request_body(
    model: str,
    text: str,
    functions: Sequence[Mapping[str, Any]],
    *,
    tool_choice: str,
    more: Mapping[str, Any],
) -> bytes:
    """Return the body of a request to pick functions for a text."""
    instruction = "Call the functions that the request needs, one call for each, and nothing else."
    return msgspec.json.encode(
        {
            "model": model,
            "messages": [
                {"role": "system", "content": instruction},
                {"role": "user", "content": text},
            ],
            "tools": [{"type": "function", "function": function} for function in functions],
            "tool_choice": tool_choice,
            **more,
        }
    )


def _read(completion: _Completion, body: bytes, answer: bytes, seconds: float) -> Answer:
    called = tuple(call.function.name for call in completion.choices[0].message.tool_calls or ())
    usage = completion.usage or _Usage()
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return Answer(called, _tokens(body), _tokens(answer), estimated=True, seconds=seconds)
    return Answer(called, usage.prompt_tokens, usage.completion_tokens, estimated=False, seconds=seconds)


def _tokens(text: bytes) -> int:
    return -(-len(text) // _BYTES_PER_TOKEN)


def _retry_after_s(headers: httpx2.Headers) -> float | None:
    """Return the seconds of ``Retry-After``, which gives them or a date; ``None`` where it says neither."""
    said = headers.get("retry-after", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
