"""Lets requests in as `Limits` say."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable
from typing import Any, Final, Protocol

from scopedtools.admission.places import Places
from scopedtools.catalog.convert import text_result
from scopedtools.context.context import ContextResolver
from scopedtools.deadline import DeadlineError, within
from scopedtools.exceptions import CallTimeoutError, MissingDependencyError, OverShareError
from scopedtools.limits import Limits
from scopedtools.protocol.gate import Handler
from scopedtools.protocol.methods import CallParams
from scopedtools.protocol.prepared import Prepared
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.results import Result

_TIMED: Final = frozenset({"tools/call", "resources/read", "prompts/get", "completion/complete"})
"""What runs an author's code for as long as that likes."""

_LASTING: Final = "subscriptions/listen"
"""It lasts until its client goes away; listeners are counted where they are kept."""


class Rate(Protocol):
    """Counts requests by key."""

    async def take(self, key: bytes) -> int | None:
        """Count one more; return the seconds after which to try again instead, where there were too many."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class LimitsGate:
    """Lets requests in as `Limits` say; see `scopedtools.protocol.gate.Gate`.

    Args:
        limits: How much there is.
        resolver: Tells which context is asking, and under which keys to count.
    """

    def __init__(self, limits: Limits, *, resolver: ContextResolver) -> None:
        self._resolver = resolver
        self._timeout_s = limits.call_timeout_s
        self._places = Places(limits.concurrent_calls, limits.concurrent_calls_per_principal, "requests")
        self._of_principal = _rate(limits.rate_per_principal, limits.rate_store)
        self._of_context = _rate(limits.rate_per_context, limits.rate_store)

    async def admit(self, request: Request) -> None:
        if self._of_principal is not None:
            await self.visit(request.ingress)
        if self._of_context is not None:
            key = self._resolver.resolve(request).key
            if key is not None:
                await _take(self._of_context, key, "context")
        if request.ingress.session is not None:
            # Once a session has a stream for the answer, its HTTP status is said.
            self._places.require(request.ingress.principal)

    async def visit(self, ingress: Ingress) -> None:
        if self._of_principal is not None:
            key = self._resolver.caller_key(ingress.principal, network_of(ingress.address))
            await _take(self._of_principal, key, "caller")

    async def run(self, request: Request, ctx: Any, handler: Handler) -> Result | Prepared:
        name = request.method.name
        if name == _LASTING:
            return await handler(request, ctx)
        principal = request.ingress.principal
        self._places.enter(principal)
        try:
            if self._timeout_s is None or name not in _TIMED:
                return await handler(request, ctx)
            return await self._within(self._timeout_s, request, handler(request, ctx))
        finally:
            self._places.leave(principal)

    async def close(self) -> None:
        for rate in (self._of_principal, self._of_context):
            if rate is not None:
                await rate.close()

    async def _within(
        self, seconds: float, request: Request, running: Awaitable[Result | Prepared]
    ) -> Result | Prepared:
        try:
            return await within(seconds, running)
        except DeadlineError as error:
            target = request.tool or request.method.name
            told = f"{target} took longer than {seconds:g} s and was cancelled"
            if isinstance(request.params, CallParams):
                return text_result(told, is_error=True)
            raise CallTimeoutError(told) from error


def network_of(address: str) -> str:
    """Return what one client has of the addresses of the Internet: an address, or 64 bits of one of IPv6."""
    if ":" not in address:
        return address
    try:
        read = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    # On a socket for both, clients of IPv4 come under one prefix of IPv6, all of them.
    mapped = read.ipv4_mapped
    return str(mapped or ipaddress.ip_network((int(read), 64), strict=False))


async def _take(rate: Rate, key: bytes, who: str) -> None:
    after_s = await rate.take(key)
    if after_s is not None:
        told = f"There are too many requests of this {who}, try again in {after_s} s"
        raise OverShareError(told, retry_after_s=after_s)


def _rate(rate: str | None, store: str | None) -> Rate | None:
    if rate is None:
        return None
    try:
        from scopedtools.admission.rates import Windows  # noqa: PLC0415 - the extra brings it
    except ImportError as error:
        raise MissingDependencyError("rates need pip install 'scopedtools[limits]'") from error
    return Windows(rate, store)
