"""What the server says of itself, and what it tells clients without being asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from msgspec import UNSET

from scopedtools.catalog.primitives import KINDS, Kind
from scopedtools.context.context import Context, ContextResolver
from scopedtools.exceptions import InvalidParamsError
from scopedtools.handlers.lists import Lists
from scopedtools.handlers.pages import Cache
from scopedtools.handlers.tasks import Tasks
from scopedtools.handlers.watching import watch, watching
from scopedtools.listeners import LISTS, Listener, Listeners, News, named
from scopedtools.protocol import meta
from scopedtools.protocol.gate import Handler
from scopedtools.protocol.methods import (
    InitializeParams,
    ListenParams,
    ReadParams,
    SetLevelParams,
    SubscriptionFilter,
)
from scopedtools.protocol.request import Request, tasks_required
from scopedtools.protocol.results import DiscoverResult, InitializeResult, Result
from scopedtools.protocol.revisions import REVISIONS, negotiate
from scopedtools.protocol.session import Session

_SUBSCRIPTIONS: Final = 1000
"""Most resources that one connection or stream hears of."""

_CAPABILITY: Final[Mapping[Kind, str]] = {
    "tool": "tools",
    "resource": "resources",
    "template": "resources",
    "prompt": "prompts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the server says of itself.

    Attributes:
        info: Name and version.
        instructions: For the model, or ``None``.
        extensions: Settings of each extension that it knows, by identifier.
        cache: For what is the same in every context.
        completes: It has something to say about what arguments may be.
    """

    info: Mapping[str, Any]
    instructions: str | None
    extensions: Mapping[str, Mapping[str, Any]]
    cache: Cache
    completes: bool = False


class Answering(Protocol):
    """What answers a request, all of one catalog, as far as it matters here."""

    @property
    def about(self) -> About:
        """What the server says of itself."""
        ...

    @property
    def lists(self) -> Lists:
        """What there is, and what a context may use."""
        ...


class Connections:
    """Answers requests about the server and about what a connection wants.

    Requests that listen outlive many catalogs, so what depends on one is taken from the request.

    Args:
        resolver: Tells which context is asking.
        listeners: Those who want to hear of changes.
        tasks: What tasks there are.
    """

    def __init__(self, *, resolver: ContextResolver, listeners: Listeners, tasks: Tasks) -> None:
        self._resolver = resolver
        self._listeners = listeners
        self._tasks = tasks

    def table(self) -> dict[str, Handler]:
        """Return the handler of each method."""
        return {
            "server/discover": self._discover,
            "initialize": self._initialize,
            "ping": self._ping,
            "logging/setLevel": self._set_level,
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": self._unsubscribe,
            "subscriptions/listen": self._listen,
        }

    async def _discover(self, request: Request, _: Context) -> Result:
        about = _edition(request).about
        extensions = {name: dict(settings) for name, settings in about.extensions.items()}
        return DiscoverResult(
            supported_versions=list(REVISIONS),
            capabilities=_capabilities(request, notifies=True) | {"extensions": extensions},
            instructions=about.instructions or UNSET,
            ttl_ms=about.cache.ttl_ms,
            cache_scope=about.cache.scope,
        )

    async def _initialize(self, request: Request, _: Context) -> Result:
        params = cast("InitializeParams", request.params)
        about = _edition(request).about
        revision = negotiate(params.protocol_version)
        session = request.ingress.session
        if session is not None:
            session.revision = revision
            session.capabilities = params.capabilities
            await self._listen_for(request, session)
        return InitializeResult(
            protocol_version=revision.name,
            # Earlier revisions have no field for extensions.
            capabilities=_capabilities(request, notifies=session is not None)
            | {"experimental": {meta.EXTENSION: dict(about.extensions[meta.EXTENSION])}},
            server_info=dict(about.info),
            instructions=about.instructions or UNSET,
        )

    async def _ping(self, _request: Request, _ctx: Context) -> Result:
        return Result()

    async def _set_level(self, request: Request, _: Context) -> Result:
        session = request.ingress.session
        if session is not None:
            session.level = cast("SetLevelParams", request.params).level
        return Result()

    async def _subscribe(self, request: Request, ctx: Context) -> Result:
        uri = cast("ReadParams", request.params).uri
        session = self._session(request)
        rows = await _edition(request).lists.readable(ctx, [uri])
        if not rows:
            raise InvalidParamsError(f"Resource not found: {uri!r}", data={"uri": uri})
        if uri in session.subscriptions:
            return Result()
        if len(session.subscriptions) >= _SUBSCRIPTIONS:
            raise InvalidParamsError(f"There are {_SUBSCRIPTIONS} subscriptions already; end one of them")
        session.subscribe(uri, await watch(rows[uri], uri, session.push))
        return Result()

    async def _unsubscribe(self, request: Request, _: Context) -> Result:
        self._session(request).unsubscribe(cast("ReadParams", request.params).uri)
        return Result()

    async def _listen(self, request: Request, ctx: Context) -> Result:
        """Tell one stream of the changes that it asked for, until the client or the server ends it."""
        with self._listeners.place(ctx.principal):
            return await self._told(request, ctx)

    async def _told(self, request: Request, ctx: Context) -> Result:
        wanted = cast("ListenParams", request.params).notifications
        push = named(request.ingress.exchange.notify, request.id)
        if wanted.task_ids and not request.follows_tasks:
            raise tasks_required()
        honoured = _honoured(request, wanted)
        tasks = await self._tasks.known(request.ingress.principal, wanted.task_ids)
        honoured.task_ids = list(tasks.values())
        lists = tuple(name for name in LISTS if getattr(honoured, f"{name}_list_changed"))
        asked = tuple(dict.fromkeys(wanted.resource_subscriptions))[:_SUBSCRIPTIONS]
        rows = await _edition(request).lists.readable(ctx, asked)
        news = News()
        if request.pin is not None:
            request.pin.edition = None  # nothing is asked of it any more, and the stream may last for days
        async with (
            watching(rows, news.put) as uris,
            self._listeners.listening(Listener(ctx, lists, frozenset(uris), news.put)),
        ):
            honoured.resource_subscriptions = uris
            await push("notifications/subscriptions/acknowledged", {"notifications": honoured})
            async with self._tasks.telling(tasks, push), asyncio.TaskGroup() as group:
                forwarding = group.create_task(news.forward(push))
                await self._listeners.until_end()
                forwarding.cancel()
        return Result(meta={meta.SUBSCRIPTION_ID: request.id})

    async def _listen_for(self, request: Request, session: Session) -> None:
        """Tell a connection of an earlier revision of everything that changes."""
        lists = tuple(name for name in LISTS if name in _capabilities(request, notifies=True))
        session.begin()  # a client may open anew on the same pipe
        # Anew, since the session knows only now what was declared.
        ctx = self._resolver.resolve(request).of(None)
        end = await self._listeners.add(Listener(ctx, lists, session.subscriptions, session.push))
        session.at_close(end)

    def _session(self, request: Request) -> Session:
        if request.ingress.session is None:
            raise InvalidParamsError("This server keeps no sessions, so it cannot keep subscriptions")
        return request.ingress.session


def _honoured(request: Request, wanted: SubscriptionFilter) -> SubscriptionFilter:
    offered = _capabilities(request, notifies=True)
    return SubscriptionFilter(
        tools_list_changed=wanted.tools_list_changed and "tools" in offered,
        prompts_list_changed=wanted.prompts_list_changed and "prompts" in offered,
        resources_list_changed=wanted.resources_list_changed and "resources" in offered,
    )


def _edition(request: Request) -> Answering:
    return cast("Answering", request.edition)


def _capabilities(request: Request, *, notifies: bool) -> dict[str, Any]:
    edition = _edition(request)
    changes = {"listChanged": True} if notifies else {}
    offered: dict[str, Any] = {
        _CAPABILITY[kind]: dict(changes) for kind in KINDS if edition.lists.rows.of(kind)
    }
    if "resources" in offered and notifies:
        offered["resources"]["subscribe"] = True
    if edition.about.completes:
        offered["completions"] = {}
    return offered | {"logging": {}}
