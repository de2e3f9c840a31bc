"""The class that authors subclass."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from scopedtools.about import describe
from scopedtools.admission.gate import LimitsGate
from scopedtools.auth.resource import ResourceServer, choose_authorizer
from scopedtools.catalog.bind import Declared, read_declarations, require_visible
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Kind
from scopedtools.catalog.view import View
from scopedtools.context.carriers import CARRIERS, Carrier, CarrierTable
from scopedtools.context.context import Context, ContextResolver, header_names
from scopedtools.context.explain import Reason, asking
from scopedtools.context.observer import Observer, guarded
from scopedtools.context.settings import ViewSettings
from scopedtools.context.store import MemoryStore, MemoryTaskStore
from scopedtools.edition import Edition, Ground
from scopedtools.handlers.tasks import Tasks
from scopedtools.health import Health
from scopedtools.limits import Limits, operated
from scopedtools.listeners import Listeners
from scopedtools.mounts import Source, as_source
from scopedtools.operated import Operated
from scopedtools.protocol.dispatch import Dispatcher
from scopedtools.protocol.request import Request
from scopedtools.ranking import default_selector
from scopedtools.running import Running
from scopedtools.sharing import Replicas, chosen
from scopedtools.storage import ContextStore, TaskStore
from scopedtools.tasks import TaskSettings
from scopedtools.transports.asgi import build_app, metadata_route
from scopedtools.transports.hosts import HostPolicy, operated_hosts
from scopedtools.transports.http import HttpTransport
from scopedtools.transports.sessions import Sessions
from scopedtools.transports.stdio import serve_stdio
from scopedtools.types import ANONYMOUS, Principal, Ranking, Selector, TokenVerifier
from scopedtools.updates import Updates


class ScopedServer(Operated):
    """An MCP server that shows each unit of work only what it needs.

    Subclass it, mark methods with `tool`, `resource` and `prompt`, override hooks where needed. The
    instance is an ASGI app; `serve_stdio` serves it over standard input and output.

    Args:
        name: What the server calls itself; the class name by default.
        version: Of the author's server.
        catalog: Rows besides those that the class declares.
        selector: Ranks rows for an intent. By default MiniLM vectors and BM25 together, loaded when first
            needed; never loaded where every list is short.
        index_dir: Where the default selector keeps its index between starts, unless ``SCOPEDTOOLS_VECTORS``
            names a database that keeps vectors.
        store: Keeps what contexts were shown, such as `scopedtools.stores.open_store` makes. By default what
            the URL in ``SCOPEDTOOLS_STORE`` names, or the memory of this process.
        views: How large views are.
        task_store: Keeps the tasks that calls have become; the memory of this process by default.
        tasks: How long tasks live.
        carriers: Where a context ID may ride on a request, first match first.
        strict_ids: Refuse malformed context IDs instead of treating them as none.
        secret: Key under which context IDs are hashed and state that travels through clients is sealed;
            give replicas of one server the same. By default from ``SCOPEDTOOLS_SECRET``, or random.
        verifier: Tells who a bearer token belongs to. Without one everybody is anonymous.
        resource_server: Instead, OAuth over HTTP: checks tokens with a verifier of its own, tells clients
            where to get them, and which scopes a request needs.
        observers: See each request begin and end, such as `scopedtools.telemetry.Telemetry` and
            `scopedtools.audit.AuditTrail`. They start before everything else and stop after it.
        sessions: Keep a session for each client of a revision before 2026-07-28 over HTTP, with its stream
            of notifications, subscriptions and resumption. Without, such clients are served statelessly.
        allowed_hosts: Names under which the server is reached over HTTP. By default any, but loopback names
            alone where it listens on a loopback address.
        allowed_origins: Web origins that may call, besides the server's own; ``*`` for all.
        path: Path of the endpoint where the server is not mounted.
        limits: How much callers may take of it: sizes, times, places, rates.

    Attributes:
        observers: Those who see every request.
        metadata_routes: Where OAuth clients look first, at the root of the host. Served here too; a server
            that is mounted deeper in another app needs them there:
            ``Starlette(routes=[*server.metadata_routes, Mount("/mcp", server)])``.
        health_routes: ``/livez`` and ``/readyz``, likewise.
    """

    _declared: ClassVar[tuple[Declared, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        require_visible(cls, ScopedServer)
        cls._declared = read_declarations(cls, inject=Context)

    def __init__(
        self,
        *,
        name: str | None = None,
        version: str = "0",
        catalog: Catalog | None = None,
        selector: Selector | None = None,
        index_dir: str | Path | None = None,
        store: ContextStore | None = None,
        views: ViewSettings | None = None,
        task_store: TaskStore | None = None,
        tasks: TaskSettings | None = None,
        carriers: Iterable[Carrier] = CARRIERS,
        strict_ids: bool = False,
        secret: bytes | None = None,
        verifier: TokenVerifier | None = None,
        resource_server: ResourceServer | None = None,
        observers: Iterable[Observer] = (),
        sessions: bool = False,
        allowed_hosts: Iterable[str] | None = None,
        allowed_origins: Iterable[str] = (),
        path: str = "/mcp",
        limits: Limits | None = None,
    ) -> None:
        self.name = name or type(self).__name__
        self.version = version
        self.index_dir = Path(index_dir) if index_dir is not None else None
        # A session ID that this server makes itself names a connection, not a unit of work.
        read = (one for one in carriers if not (sessions and one.legacy))
        table = CarrierTable(read, strict=strict_ids, environment=os.environ)
        contexts, secret = chosen(store, secret)
        self._resolver = ContextResolver(table, store=contexts, secret=secret)
        self._tasks = Tasks(
            task_store if task_store is not None else MemoryTaskStore(),
            tasks or TaskSettings(),
            key=self._resolver.task_key,
        )
        self._limits = limits = operated(limits, os.environ)
        self._listeners = Listeners(self._revision, limits=limits)
        self._replicas = Replicas(contexts, name=self.name, listeners=self._listeners)
        self._sessions = Sessions() if sessions else None
        authorizer = choose_authorizer(verifier, resource_server)
        settings = views or ViewSettings()
        about = partial(
            describe,
            type(self),
            base=ScopedServer,
            name=self.name,
            version=version,
            settings=settings,
            carriers=table,
            authorized=authorizer is not None,
        )
        declared = self._declared or read_declarations(ScopedServer, inject=Context)
        ground = Ground(
            author=self,
            name=self.name,
            own=tuple([declaration.bind(self) for declaration in declared]),
            open_to_all=type(self).permitted is ScopedServer.permitted,
            settings=settings,
            store=contexts,
            resolver=self._resolver,
            listeners=self._listeners,
            grown=self._replicas.context_changed,
            tasks=self._tasks,
            about=about,
            selector=default_selector(self.index_dir) if selector is None else lambda: selector,
        )
        self._updates = Updates(ground, catalog or Catalog(), put=self._put)
        edition = self._updates.edition
        self.catalog = edition.catalog
        gate = LimitsGate(limits, resolver=self._resolver)
        info, resolve = edition.about.info, self._resolver.resolve
        self.dispatcher = Dispatcher(edition, server_info=info, resolve=resolve, gate=gate)
        self._running = Running(self._start)
        self._health = Health(ranking=lambda: self._updates.ranking, store=contexts)
        self.health_routes: tuple[Route, ...] = self._health.routes
        self.observers: tuple[Observer, ...] = ()
        for observer in observers:
            self.observe(observer)
        origins = tuple(allowed_origins)
        hosts = operated_hosts(os.environ) if allowed_hosts is None else allowed_hosts
        transport = HttpTransport(
            self.dispatcher,
            authorizer=authorizer,
            lacking=self._lacking,
            sessions=self._sessions,
            hosts=HostPolicy(hosts=hosts, origins=origins),
            varies_by=header_names(table),
            limits=self._limits,
        )
        routes = () if resource_server is None else (metadata_route(resource_server),)
        self.metadata_routes: tuple[Route, ...] = routes
        self._app = build_app(
            transport,
            path=path,
            routes=(*self.metadata_routes, *self.health_routes),
            origins=origins,
            lifespan=lambda: self,
        )

    # Hooks; more are in the base class

    async def listed(self, ctx: Context, permitted: View) -> View:
        """Return the rows that this context is shown, in the order in which they are listed.

        By default the view of the context: pins, then what its intent needs, chosen once and kept. Rows
        that are not permitted are taken out afterwards.
        """
        return await self._edition(ctx).policy.listed(ctx, permitted, self.intent)

    # Rows from elsewhere, and news

    def mount(self, source: Source | Catalog, *, prefix: str = "") -> None:
        """Serve the rows of a source beside the server's own: one catalog, one search, one view.

        ::

            server.mount(Gateway("mcp.json"))
            server.mount(OpenApi.load("crm.yaml", base_url=...), prefix="crm")

        The source runs while the server does. What changes in it changes the catalog, as `update` does; of
        two rows with one name the one that was there first stays.

        Args:
            source: Such as `scopedtools.gateway.Gateway`, `scopedtools.openapi.OpenApi`, or a catalog.
            prefix: What the names of its tools and prompts begin with: ``crm`` makes ``crm__find``.

        Raises:
            DefinitionError: A row of it has a name that is taken; where rows may change, it is left out.
            RuntimeError: The server runs already, and the source would never be started.
        """
        self._require_stopped("mount sources")
        self._updates.mount(as_source(source), prefix)

    async def lists_changed(self) -> None:
        """Look at the lists of every listening context, and tell those whose list is another than before.

        Call it after something that the hooks `permitted` or `listed` depend on has changed. Processes that
        share the store do the same.
        """
        await self._replicas.lists_changed()

    async def update(self, catalog: Catalog) -> None:
        """Replace the rows that were given as ``catalog``, while the server runs; those of its class stay.

        A request sees the old rows or the new ones, never both: those under way finish on the old. Contexts
        keep their lists: rows stay where they are, also with a new definition, those that went away go, and
        new ones come as everything else does, by growth and search, or if they are pinned or few of their
        kind. Listeners whose own list has become another are told then.

        The index is made beside the old one; only texts that it does not have are encoded. Before that is
        done nothing changes, unless the old index is not ready itself: then lists wait for the new one.
        Updates at the same time are made one after the other.

        Raises:
            DefinitionError: Two rows have one name, or a row's scopes are wrong. Nothing has changed.
            Exception: Whatever a selector of the author's own fails with. Nothing has changed.
        """
        await self._updates.update(catalog)

    async def resource_updated(self, uri: str) -> None:
        """Tell those who subscribed to a resource, in all processes that share the store, that it changed."""
        await self._replicas.resource_updated(uri)

    def end_streams(self) -> None:
        """End all streams of notifications, and all sessions, so that the server can stop."""
        self._listeners.end()
        if self._sessions is not None:
            self._sessions.end_all()

    # Running

    def observe(self, observer: Observer) -> None:
        """Show every request to one more observer, as `observers` does; for those who host a server.

        Raises:
            RuntimeError: The server runs already, and the observer would never be started.
        """
        self._require_stopped("add observers")
        self.observers = (*self.observers, observer)
        self.dispatcher.observe(guarded(observer))

    def preload(self) -> None:
        """Make what requests need of the catalog, and map its index; for those who fork processes from here.

        Starts no thread, and loads no model that would not outlive a fork.
        """
        edition = self._updates.edition
        edition.catalog.preload()
        if edition.policy.may_narrow:
            edition.selection.preload()

    async def rank(self, text: str, *, limit: int = 10) -> Ranking:
        """Rank all rows for a text, as search and selection do, whoever asks."""
        edition = self._updates.edition
        selector = await edition.selection.ready()
        return await selector.search(text, within=edition.lists.rows.bits, limit=limit)

    async def explain(
        self,
        context_id: str,
        *,
        intent: str | None = None,
        principal: Principal = ANONYMOUS,
        parent: str | None = None,
        growth: bool = False,
    ) -> list[Reason]:
        """Say of every row why the built-in view of a context shows it or does not. Changes nothing.

        It reveals rows that the principal may not use: for those who run the server.

        Args:
            context_id: The client's name for the context.
            intent: What it is about, where it has no view yet or scores are wanted.
            principal: Whose context it is.
            parent: ID of the context that it was forked from.
            growth: Whether its client follows a list that grows.

        Returns:
            Rows that are shown, as listed; then the others, best first of each kind.

        Raises:
            ValueError: The ID is malformed.
        """
        ctx = asking(
            self._resolver, context_id, intent=intent, principal=principal, parent=parent, growth=growth
        )
        edition = self._updates.edition
        ctx = ctx.of(edition)
        return await edition.policy.explain(ctx, await edition.lists.permitted(ctx), await self.intent(ctx))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI app, on its own or mounted in another."""
        await self._app(scope, receive, send)

    async def serve_stdio(self) -> None:
        """Serve one client over standard input and output until it closes its side."""
        await serve_stdio(self.dispatcher, self, limits=self._limits)

    async def __aenter__(self) -> None:
        """Start: load the selector in the background, enter `lifespan`; once, however often entered.

        An ASGI server does this by itself. Where the server is mounted in another app, which does not
        pass its lifespan on, make it that app's: ``Starlette(..., lifespan=lambda app: server)``.
        """
        await self._running.__aenter__()

    async def __aexit__(self, *raised: Any) -> None:  # noqa: PYI036 - passed on
        await self._running.__aexit__(*raised)

    async def _start(self) -> AsyncExitStack:
        async with AsyncExitStack() as started:
            started.push_async_callback(self.dispatcher.gate.close)
            await started.enter_async_context(self._replicas.running())
            for observer in self.observers:
                started.push_async_callback(observer.stop)
                await observer.start()
            self._listeners.begin()
            started.push_async_callback(self._updates.stop)
            self._updates.begin()
            await started.enter_async_context(self.lifespan())
            await started.enter_async_context(self._updates.running())
            # Before all else: tasks, and calls in sessions, use what `lifespan` holds.
            started.push_async_callback(self._tasks.stop)
            if self._sessions is not None:
                started.push_async_callback(self._sessions.stop)
            started.push_async_callback(self._listeners.stop)
            started.enter_context(self._health.serving())
            return started.pop_all()

    @property
    def is_bound_to_process(self) -> bool:
        """Whether requests that belong together must come to the same process."""
        updates = self._updates
        return self._sessions is not None or updates.edition.offers_tasks or updates.is_bound_to_process

    def _require_stopped(self, what: str) -> None:
        if self._running.held:
            raise RuntimeError(f"the server runs already: {what} before it starts")

    def _put(self, edition: Edition) -> None:
        self.catalog = edition.catalog
        self.dispatcher.edition = edition

    @property
    def grows_in_process(self) -> bool:
        """Whether views may grow, in the memory of this process alone."""
        return self._updates.edition.policy.may_grow and isinstance(self._resolver.store, MemoryStore)

    async def _revision(self, ctx: Context, kind: Kind) -> str:
        return await self._updates.edition.revision(ctx, kind)

    async def _lacking(self, request: Request) -> frozenset[str]:
        return await cast("Edition", request.edition).lacking(request)
