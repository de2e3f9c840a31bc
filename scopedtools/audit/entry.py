"""A request on its way into the trail. What is made here is made on the path of every request."""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from scopedtools.context.carriers import Carrier
from scopedtools.context.context import Context
from scopedtools.protocol import meta
from scopedtools.protocol.methods import CallParams, CompleteParams, GetPromptParams, InitializeParams
from scopedtools.protocol.request import Request
from scopedtools.protocol.results import CallResult, PromptResult, ReadResult
from scopedtools.types import Outcome, Principal

MOST_BYTES: Final = 65536
"""Arguments and results with more bytes of JSON are not recorded; that they were left out is."""

_CHARACTERS: Final = 2048
"""Longer names, URIs and IDs are cut: requests that wait to be written must not fill the memory."""


class Recording(NamedTuple):
    """What is recorded of the content of requests."""

    arguments: bool = False
    results: bool = False


class Asked(NamedTuple):
    """What a request says, without what is large."""

    principal: Principal
    context_id: str | None
    digest: str | None
    parent: str | None
    carrier: Carrier | None
    method: str
    target: str | None
    tool: str | None
    protocol_version: str
    rpc_id: str | int | None
    client_info: tuple[str | None, str | None]
    traceparent: str | None
    arguments: bytes | None


class Answered(NamedTuple):
    """How a request ended; ``status`` is ``None`` while it runs."""

    status: str | None
    code: int | None
    view: str | None
    shown: int | None
    total: int | None
    result: bytes | None


class Entry:
    """A request, from its beginning until it is written.

    Attributes:
        started_ns: Nanoseconds since 1970 when it began.
        duration_ns: Nanoseconds until it ended, or ``None`` while it runs.
        live: The request itself and who asks, while it runs.
        asked: What is left of them when it has ended.
        answered: How it ended.
        id: Given when it is first written, else ``""``.
    """

    __slots__ = ("_began_ns", "answered", "asked", "duration_ns", "id", "live", "started_ns")

    def __init__(self, request: Request, ctx: Context) -> None:
        self.started_ns = time.time_ns()
        self._began_ns = time.perf_counter_ns()
        self.live: tuple[Request, Context] | None = (request, ctx)
        self.duration_ns: int | None = None
        self.asked: Asked | None = None
        self.answered: Answered | None = None
        self.id = ""

    def end(self, outcome: Outcome, recording: Recording) -> None:
        """Keep what is to be written, and let go of the rest."""
        self.duration_ns = time.perf_counter_ns() - self._began_ns
        if self.live is not None:
            self.asked = asked_of(*self.live, recording=recording)
            self.answered = _answered(outcome, recording)
            self.live = None


def asked_of(request: Request, ctx: Context, *, recording: Recording) -> Asked:
    """Return what is kept of a request."""
    said = request.meta
    traceparent = said.get("traceparent")
    context_id = ctx.id
    return Asked(
        ctx.principal,
        context_id,
        ctx.digest,
        ctx.parent if context_id is not None else None,
        ctx.carrier,
        request.method.name,
        _cut(request.target),
        _cut(request.tool),
        request.revision.name,
        _cut(request.id),
        _client_info(request, said),
        _cut(traceparent) if isinstance(traceparent, str) else None,
        _arguments(request) if recording.arguments else None,
    )


def _answered(outcome: Outcome, recording: Recording) -> Answered:
    shown = total = None
    if outcome.view is not None:
        view = outcome.result.meta[meta.VIEW]
        shown, total = view["shown"], view["total"]
    result = _result(outcome.result) if recording.results else None
    return Answered(outcome.status, outcome.code, outcome.view, shown, total, result)


def _client_info(request: Request, said: dict[str, Any]) -> tuple[str | None, str | None]:
    info = said.get(meta.CLIENT_INFO)
    if info is None and isinstance(request.params, InitializeParams):
        info = request.params.client_info
    if not isinstance(info, dict):
        return None, None
    name, version = info.get("name"), info.get("version")
    return (
        _cut(name) if isinstance(name, str) else None,
        _cut(version) if isinstance(version, str) else None,
    )


def _arguments(request: Request) -> bytes | None:
    params = request.params
    if isinstance(params, CallParams):
        return None if params.arguments is UNSET else _bounded(bytes(params.arguments))
    if isinstance(params, GetPromptParams):
        return _bounded(msgspec.json.encode(params.arguments or {}))
    if isinstance(params, CompleteParams):
        return _bounded(msgspec.json.encode(params.argument))
    return None


def _result(result: Any) -> bytes | None:
    # Of a list the revision says what was in it.
    if not isinstance(result, CallResult | ReadResult | PromptResult):
        return None
    return _bounded(msgspec.json.encode(result))


def _bounded(encoded: bytes) -> bytes:
    if len(encoded) <= MOST_BYTES:
        return encoded
    return b'{"omitted":"%d bytes"}' % len(encoded)


def _cut(text: Any) -> Any:
    return text if not isinstance(text, str) or len(text) <= _CHARACTERS else text[:_CHARACTERS] + "…"
