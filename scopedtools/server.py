"""The class that authors subclass."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final

import msgspec
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from scopedtools.about import describe
from scopedtools.assembly import SEARCH_TOOLS, assemble, has_tasks, search_result
from scopedtools.auth.resource import ResourceServer, choose_authorizer
from scopedtools.catalog.bind import Declared, read_declarations
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.declare import tool
from scopedtools.catalog.primitives import KINDS
from scopedtools.catalog.view import View
from scopedtools.context.carriers import CARRIERS, Carrier, CarrierTable
from scopedtools.context.context import Context, ContextResolver, header_names
from scopedtools.context.explain import Reason, asking
from scopedtools.context.observer import Observer, guarded
from scopedtools.context.policy import ViewPolicy
from scopedtools.context.settings import ViewSettings
from scopedtools.context.store import MemoryStore, MemoryTaskStore
from scopedtools.exceptions import InvalidParamsError, ToolError
from scopedtools.handlers.calls import Calls
from scopedtools.handlers.connections import Connections
from scopedtools.handlers.lists import Lists
from scopedtools.handlers.scopes import Scopes
from scopedtools.handlers.tasks import Tasks
from scopedtools.hooks import Hooks
from scopedtools.listeners import Listeners
from scopedtools.protocol.dispatch import Dispatcher
from scopedtools.protocol.meta import TASKS
from scopedtools.protocol.results import CallResult
from scopedtools.running import Running
from scopedtools.selection import Selection
from scopedtools.tasks import TaskSettings
from scopedtools.transports.asgi import build_app, metadata_route
from scopedtools.transports.hosts import HostPolicy
from scopedtools.transports.http import HttpTransport
from scopedtools.transports.sessions import Sessions
from scopedtools.transports.stdio import serve_stdio
from scopedtools.types import (
    ANONYMOUS,
    ContextStore,
    Principal,
    Ranking,
    Selector,
    TaskStore,
    TokenVerifier,
)

SECRET_VARIABLE: Final = "SCOPEDTOOLS_SECRET"  # noqa: S105 - where it is found, not what it is
"""Environment variable that ``secret`` is taken from where it is not given."""

_SEARCH_LIMIT: Final = 20


class ScopedServer(Hooks):
    """An MCP server that shows each unit of work only what it needs.

    Subclass it, mark methods with `tool`, `resource` and `prompt`, override hooks where needed. The
    instance is an ASGI app; `serve_stdio` serves it over standard input and output.

    Args:
        name: What the server calls itself; the class name by default.
        version: Of the author's server.
        catalog: Rows besides those that the class declares.
        selector: Ranks rows for an intent. By default MiniLM vectors and BM25 together, loaded when first
            needed; never loaded where every list is short.
        index_dir: Where the default selector keeps its index between starts.
        store: Keeps what contexts were shown; the memory of this process by default.
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
        max_body_bytes: Larger HTTP bodies are refused.

    Attributes:
        observers: Those who see every request.
        metadata_routes: Where OAuth clients look first, at the root of the host. Served here too; a server
            that is mounted deeper in another app needs them there:
            ``Starlette(routes=[*server.metadata_routes, Mount("/mcp", server)])``.
    """

    _declared: ClassVar[tuple[Declared, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
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
        max_body_bytes: int = 4 * 2**20,
    ) -> None:
        self.name = name or type(self).__name__
        self.version = version
        declared = self._declared or read_declarations(ScopedServer, inject=Context)
        open_to_all = type(self).permitted is ScopedServer.permitted
        own = (declaration.bind(self) for declaration in declared)
        self.catalog = assemble(own, catalog, open_to_all=open_to_all)
        search = self.catalog.of("tool").named(*SEARCH_TOOLS)
        settings = views or ViewSettings()
        self.index_dir = Path(index_dir) if index_dir is not None else None
        self._selection = Selection(lambda: selector or _default_selector(self.index_dir), self.catalog.rows)
        contexts = store if store is not None else MemoryStore()
        self._policy = ViewPolicy(
            self.catalog,
            search=search,
            store=contexts,
            selector=self._selection.ready,
            settings=settings,
            grown=lambda key: self._listeners.context_changed(key),  # noqa: PLW0108 - they are made below
        )
        # A session ID that this server makes itself names a connection, not a unit of work.
        read = (one for one in carriers if not (sessions and one.legacy))
        table = CarrierTable(read, strict=strict_ids, environment=os.environ)
        secret = secret or os.environ.get(SECRET_VARIABLE, "").encode()
        resolver = ContextResolver(table, store=contexts, secret=secret)
        self._resolver = resolver
        self.is_bound_to_process = sessions or has_tasks(self.catalog)
        self.grows_in_process = self._policy.may_grow and isinstance(contexts, MemoryStore)
        authorizer = choose_authorizer(verifier, resource_server)
        about = describe(
            type(self),
            base=ScopedServer,
            name=self.name,
            version=self.version,
            catalog=self.catalog,
            settings=settings,
            carriers=table,
            authorized=authorizer is not None,
        )
        self._tasks = Tasks(
            task_store if task_store is not None else MemoryTaskStore(),
            tasks or TaskSettings(),
            key=resolver.task_key,
        )
        offered = self._tasks if TASKS in about.extensions else None
        self._lists = Lists(
            self,
            self.catalog,
            search=search,
            settings=settings,
            cache=about.cache,
            explain=self._explain,
        )
        self._calls = Calls(self, self.catalog, lists=self._lists, called=self._called, tasks=offered)
        self._listeners = Listeners(self._lists.revision)
        connections = Connections(
            about,
            self._lists.rows,
            readable=self._lists.readable,
            resolver=resolver,
            listeners=self._listeners,
            tasks=self._tasks,
        )
        handlers = self._lists.table() | self._calls.table() | connections.table()
        handlers |= offered.table() if offered is not None else {}
        self.dispatcher = Dispatcher(handlers, server_info=about.info, resolve=resolver.resolve)
        self._running = Running(self._start)
        self.observers: tuple[Observer, ...] = ()
        for observer in observers:
            self.observe(observer)
        scopes = Scopes(self.catalog, lists=self._lists, resolver=resolver, enforce=settings.enforce)
        self._sessions = Sessions() if sessions else None
        origins = tuple(allowed_origins)
        transport = HttpTransport(
            self.dispatcher,
            authorizer=authorizer,
            lacking=scopes.lacking if self.catalog.has_scopes else None,
            sessions=self._sessions,
            hosts=HostPolicy(hosts=allowed_hosts, origins=origins),
            varies_by=header_names(table),
            max_body_bytes=max_body_bytes,
        )
        routes = () if resource_server is None else (metadata_route(resource_server),)
        self.metadata_routes: tuple[Route, ...] = routes
        self._app = build_app(
            transport,
            path=path,
            routes=self.metadata_routes,
            origins=origins,
            lifespan=lambda: self,
        )

    # Hooks; more are in the base class

    async def listed(self, ctx: Context, permitted: View) -> View:
        """Return the rows that this context is shown, in the order in which they are listed.

        By default the view of the context: pins, then what its intent needs, chosen once and kept. Rows
        that are not permitted are taken out afterwards.
        """
        return await self._policy.listed(ctx, permitted, self.intent)

    # Tools of every narrowed list

    @tool(read_only=True)
    async def search_tools(self, query: str, limit: int = 5, *, ctx: Context) -> CallResult:
        """Find tools that are not in your list. Says what each does and takes, enough to call it.

        Call what you find by its name, or with call_tool if your client knows only listed names.

        Args:
            query: What you want to do, in plain words.
            limit: Most tools to return, 1 to 20.
            ctx: Who asks.
        """
        if not 1 <= limit <= _SEARCH_LIMIT:
            raise ToolError(f"limit must be 1 to {_SEARCH_LIMIT}, got {limit}")
        permitted = await self._lists.permitted(ctx)
        within = permitted.of("tool")
        selector = await self._selection.ready()
        history = await self._policy.history(ctx)
        ranking = await selector.search(query, within=within.bits, limit=limit, history=history)
        if ranking.fits:
            await self._policy.searched(ctx, query, ranking.hits, permitted)
        return search_result(self.catalog, ranking, query=query, within=within)

    @tool(task="optional", detached=False)
    async def call_tool(
        self, name: str, arguments: dict[str, Any] | None = None, *, ctx: Context
    ) -> CallResult:
        """Call a tool that search_tools found, whether or not it is in your list.

        Args:
            name: Of the tool.
            arguments: What it takes, as its inputSchema says.
            ctx: Who asks.
        """
        if name in SEARCH_TOOLS:
            raise ToolError(f"call {name} directly")
        try:
            return await self._calls.run_tool(ctx, name, msgspec.json.encode(arguments or {}))
        except InvalidParamsError as error:
            raise ToolError(f"{error}; find tools with search_tools") from error

    # News for clients that listen

    async def lists_changed(self) -> None:
        """Look at the lists of every listening context, and tell those whose list is another than before.

        Call it after something that the hooks `permitted` or `listed` depend on has changed.
        """
        await self._listeners.lists_changed()

    async def resource_updated(self, uri: str) -> None:
        """Tell those who subscribed to a resource that it holds something else."""
        await self._listeners.resource_updated(uri)

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
        if self._running.held:
            raise RuntimeError("the server runs already: add observers before it starts")
        self.observers = (*self.observers, observer)
        self.dispatcher.observe(guarded(observer))

    async def rank(self, text: str, *, limit: int = 10) -> Ranking:
        """Rank all rows for a text, as search and selection do, whoever asks."""
        selector = await self._selection.ready()
        return await selector.search(text, within=self._lists.rows.bits, limit=limit)

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
        return await self._policy.explain(ctx, await self._lists.permitted(ctx), await self.intent(ctx))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI app, on its own or mounted in another."""
        await self._app(scope, receive, send)

    async def serve_stdio(self) -> None:
        """Serve one client over standard input and output until it closes its side."""
        await serve_stdio(self.dispatcher, self)

    async def __aenter__(self) -> None:
        """Start: load the selector in the background, enter `lifespan`; once, however often entered.

        An ASGI server does this by itself. Where the server is mounted in another app, which does not
        pass its lifespan on, make it that app's: ``Starlette(..., lifespan=lambda app: server)``.
        """
        await self._running.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._running.__aexit__(kind, error, trace)

    async def _start(self) -> AsyncExitStack:
        async with AsyncExitStack() as started:
            for observer in self.observers:
                started.push_async_callback(observer.stop)
                await observer.start()
            self._listeners.begin()
            started.push_async_callback(self._selection.stop)
            if any(self._policy.narrows(self.catalog.all, kind) for kind in KINDS):
                self._selection.start()
            await started.enter_async_context(self.lifespan())
            # Before all else: tasks, and calls in sessions, use what `lifespan` holds.
            started.push_async_callback(self._tasks.stop)
            if self._sessions is not None:
                started.push_async_callback(self._sessions.stop)
            started.push_async_callback(self._listeners.stop)
            return started.pop_all()

    async def _called(self, ctx: Context, row: int) -> None:
        await self._policy.called(ctx, row)
        if self._selection.learns and ctx.key is not None and self.catalog.rows[row].name not in SEARCH_TOOLS:
            # Where nobody has a name, each context counts as somebody.
            caller = ctx.principal.name if ctx.principal != ANONYMOUS else ctx.key.hex()
            self._selection.learn(await self.intent(ctx), row, by=caller)

    async def _explain(self, ctx: Context, permitted: View, shown: View) -> list[dict[str, Any]]:
        return await self._policy.explain_listed(ctx, permitted, shown, await self.intent(ctx))


def _default_selector(index_dir: Path | None) -> Selector:
    from scopedtools.retrieval.selector import HybridSelector  # noqa: PLC0415 - brings numpy and faiss

    return HybridSelector(index_dir=index_dir)
