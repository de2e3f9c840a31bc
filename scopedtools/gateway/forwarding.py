"""What of a client's request goes on to an upstream: its context, its trace, and headers that were named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from scopedtools.client.unit import UnitOfWork
from scopedtools.context.context import Context
from scopedtools.gateway.config import Forward
from scopedtools.protocol import meta
from scopedtools.types import ANONYMOUS

_TRACE: Final = ("traceparent", "tracestate", "baggage")
_TRACE_CHARACTERS: Final = 8192
_ASKED: Final = ("elicitation", "sampling", "roots")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What goes around the parameters of a request.

    Attributes:
        meta: For ``_meta``.
        headers: For HTTP.
        capabilities: What the client can be asked for.
    """

    meta: Mapping[str, Any]
    headers: Mapping[str, str]
    capabilities: Mapping[str, Any]


def envelope(ctx: Context, forward: Forward, *, is_modern: bool, offers_context: bool) -> Envelope:
    """Return what goes on to an upstream.

    Args:
        ctx: Whose request it is.
        forward: What may go on.
        is_modern: Each request to the upstream says all there is to know.
        offers_context: The upstream knows our extension.
    """
    said: dict[str, Any] = {}
    given = ctx.headers
    headers = {name: given[name] for name in map(str.lower, forward.headers) if name in given}
    if forward.trace:
        said |= _trace(ctx.meta)
    if is_modern and (level := ctx.log_level) is not None:
        said[meta.LOG_LEVEL] = level
    name = upstream_id(ctx, forward)
    if name is not None:
        if forward.context_meta:
            said[forward.context_meta] = name
        if forward.context_header:
            headers[forward.context_header] = name
        if forward.extension and offers_context:
            said[meta.CLIENT_CAPABILITIES] = {"extensions": {meta.EXTENSION: _settings(ctx, forward, name)}}
    return Envelope(said, headers, askable(ctx))


def upstream_id(ctx: Context, forward: Forward) -> str | None:
    """Return what the context of a request is called upstream, or ``None``."""
    if ctx.id is None or forward.context == "never":
        return None
    # Upstream there is one principal, the gateway: two of ours must not meet in one context there.
    as_it_is = forward.context == "id" or (forward.context == "auto" and ctx.principal == ANONYMOUS)
    return ctx.id if as_it_is else ctx.digest


def askable(ctx: Context) -> dict[str, Any]:
    """Return what the client declared that it can be asked for."""
    declared = ctx.client_capabilities or {}
    return {name: declared[name] for name in _ASKED if isinstance(declared.get(name), dict)}


def _settings(ctx: Context, forward: Forward, name: str) -> Mapping[str, Any]:
    # Forks are named only where both have the name that they have here.
    parent = ctx.parent if name == ctx.id and forward.context != "digest" else None
    return UnitOfWork(id=name, intent=ctx.intent, parent=parent, growth=False).settings()


def _trace(said: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: said[name]
        for name in _TRACE
        if isinstance(said.get(name), str) and len(said[name]) <= _TRACE_CHARACTERS
    }
