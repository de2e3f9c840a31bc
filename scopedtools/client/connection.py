"""Connecting the official client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from scopedtools.client.cache import ContextCache
from scopedtools.client.unit import UnitOfWork
from scopedtools.exceptions import MissingDependencyError

if TYPE_CHECKING:
    import httpx2
    from mcp import Client
    from mcp.client import Transport

    from scopedtools.client.transport import Target


def connect(
    target: Target,
    unit: UnitOfWork | None = None,
    *,
    cache: bool | ContextCache = True,
    partition: str | None = None,
    http_client: httpx2.AsyncClient | None = None,
    **options: Any,
) -> Client:
    """Return an `mcp.Client` whose every request names its unit of work.

    ::

        async with connect("http://127.0.0.1:8000/mcp", UnitOfWork(intent="book a flight")) as client:
            tools = await client.list_tools()

    It is named in the settings of the extension, in ``_meta`` and, over HTTP, in a header; also on what the
    client sends on its own account: ``server/discover``, ``initialize``, ``subscriptions/listen`` and the
    lists that it reads to check results. The unit is the one that is active in the task that makes the
    request (`UnitOfWork.active`), else ``unit``, else none. So one client may serve many tasks::

        async with connect(url) as client:
            with unit.active():
                tools = await client.list_tools()

    Results are kept by context, where the server says that they may be, instead of by the client's own cache,
    which takes no notice of contexts; see `ContextCache`. The ``cache_mode`` of its methods means what it
    always means. Results say ``ttl_ms=0``, so that nobody keeps them who does not know of contexts; what
    the server said of a list is in its ``meta``.

    Args:
        target: A URL, ``StdioServerParameters``, or a transport of the official client.
        unit: Of requests for which no other unit is active, or ``None``.
        cache: ``True`` for a cache of its own, a cache to share, or ``False`` for none; then every list is
            asked for, and no scope is declared that would not be kept.
        partition: Name of the authorization that requests carry, by which connections share what a common
            cache keeps. Derive it from the credential, and take another one with another credential. By
            default nothing is shared.
        http_client: For a URL: carries headers, authentication and timeouts. `add_context` is added to its
            hooks; it is not closed.
        **options: Everything else that `mcp.Client` takes, such as ``mode="legacy"``.

    Raises:
        MissingDependencyError: ``mcp`` 2.3 or later is not installed.
        TypeError: ``target`` or ``cache`` is something else, or an option is unknown.
        ValueError: ``http_client`` came with something that is not a URL.
    """
    if not isinstance(cache, bool | ContextCache):
        raise TypeError(f"cache must be True, False or a ContextCache, got {type(cache).__name__}")
    try:
        from scopedtools.client import sdk, transport  # noqa: PLC0415 - the rest is of use without it
    except ImportError as error:
        raise _missing() from error
    inner = transport.to(target, http_client=http_client)
    server = _without_userinfo(target) if isinstance(target, str) else None
    wrapped = in_context(inner, unit, cache=cache, server=server, partition=partition)
    return sdk.ContextClient(wrapped, cache=None, **options)


def in_context(
    transport: Transport,
    unit: UnitOfWork | None = None,
    *,
    cache: bool | ContextCache = True,
    server: str | None = None,
    partition: str | None = None,
) -> Transport:
    """Return a transport of the official client on which every request names its unit of work.

    For those who make their own `mcp.Client` or ``mcp.ClientSession``::

        async with in_context(stdio_client(parameters), unit) as streams, ClientSession(*streams) as session:
            await session.initialize()

    Args:
        transport: Any transport.
        unit: Of requests for which no other unit is active, or ``None``.
        cache: As for `connect`.
        server: Identity of the server, by which connections share what a common cache keeps.
        partition: As for `connect`.

    Raises:
        MissingDependencyError: ``mcp`` 2.3 or later is not installed.
    """
    try:
        from scopedtools.client.traffic import Traffic  # noqa: PLC0415 - the rest is of use without it
        from scopedtools.client.transport import named  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise _missing() from error
    kept = cache if isinstance(cache, ContextCache) else ContextCache() if cache else None
    traffic = Traffic(unit, kept, server=server or uuid4().hex, partition=partition or uuid4().hex)
    return named(transport, traffic)


def _missing() -> MissingDependencyError:
    return MissingDependencyError('mcp 2.3 or later is not installed; run pip install "scopedtools[client]"')


def _without_userinfo(url: str) -> str:
    """Return a URL without what may be a password."""
    head, slashes, rest = url.partition("//")
    authority, slash, path = rest.partition("/")
    return f"{head}{slashes}{authority.rpartition('@')[2]}{slash}{path}"
