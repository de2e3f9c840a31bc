"""What a server is made of, in two parts: what belongs to one catalog, and what outlives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from scopedtools.assembly import SEARCH_TOOLS, assemble, has_tasks, search_result
from scopedtools.catalog.primitives import Kind, Primitive
from scopedtools.catalog.view import View
from scopedtools.context.context import Context, ContextResolver
from scopedtools.context.policy import ViewPolicy, whole_lists
from scopedtools.context.settings import ViewSettings
from scopedtools.exceptions import ToolError
from scopedtools.handlers.calls import Calls, Completes
from scopedtools.handlers.connections import About, Connections
from scopedtools.handlers.links import Links
from scopedtools.handlers.lists import Hooks, Lists
from scopedtools.handlers.scopes import Scopes
from scopedtools.handlers.tasks import Tasks
from scopedtools.listeners import Listeners
from scopedtools.protocol.gate import Handler
from scopedtools.protocol.results import CallResult
from scopedtools.selection import Selection
from scopedtools.storage import ContextStore
from scopedtools.types import ANONYMOUS, Selector

_SEARCH_LIMIT: Final = 20


class Author(Hooks, Completes, Protocol):
    """The author's side; `ScopedServer` describes each hook."""

    async def intent(self, ctx: Context) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all editions of a server stand on.

    Attributes:
        author: The author's server.
        name: What the server calls itself.
        own: The rows that its class declares.
        open_to_all: Everybody may use every row.
        settings: Sizes and rules of views.
        store: Keeps what contexts were shown.
        resolver: Tells which context is asking.
        listeners: Those who want to hear of changes.
        grown: Told the key of each context whose view began or got more rows.
        tasks: What tasks there are.
        about: Says what the server is; takes ``catalog``, and ``tasks``, whether calls may become some.
        selector: Makes the first selector.
        whole: What contexts were shown of catalogs that were listed whole.
        links: What tools linked to.
    """

    author: Author
    name: str
    own: tuple[Primitive, ...]
    open_to_all: bool
    settings: ViewSettings
    store: ContextStore
    resolver: ContextResolver
    listeners: Listeners
    grown: Callable[[bytes], None]
    tasks: Tasks
    about: Callable[..., About]
    selector: Callable[[], Selector]
    whole: MutableMapping[bytes, View] = field(default_factory=whole_lists)
    links: Links = field(default_factory=Links)


class Edition:
    """Everything of a server that belongs to one catalog. Another catalog gets another edition.

    A request is answered by one edition from its beginning to its end, whatever catalog comes meanwhile.

    Args:
        ground: What it stands on.
        given: Rows besides those of the class.
        before: The edition before this one.
        anew: Read again what is kept of the selector, even where the rows are the same.

    Attributes:
        catalog: What there is.
        offers_tasks: Whether calls may become tasks; once they might, tasks may be under way.
        selection: Ranks the rows.
        policy: Decides what contexts are shown.
        lists: Answers list requests, and tells what a context may use.
        calls: Answers calls.
        about: What the server says of itself.
        handlers: What answers each method.
    """

    def __init__(
        self,
        ground: Ground,
        given: Iterable[Primitive],
        *,
        before: Edition | None = None,
        anew: bool = False,
    ) -> None:
        self._ground = ground
        self.catalog = assemble(ground.own, given, open_to_all=ground.open_to_all)
        self.offers_tasks: bool = has_tasks(self.catalog) or (before is not None and before.offers_tasks)
        self.selection: Selection = self._selection(before, anew=anew)
        search = self.catalog.of("tool").named(*SEARCH_TOOLS)
        self.policy: ViewPolicy = ViewPolicy(
            self.catalog,
            search=search,
            store=ground.store,
            selector=self.selection.ready,
            settings=ground.settings,
            grown=ground.grown,
            name=ground.name,
            whole=ground.whole,
            narrowed=before is not None and before.policy.has_narrowed,
        )
        self.about: About = ground.about(catalog=self.catalog, tasks=self.offers_tasks)
        self.lists = Lists(
            ground.author,
            self.catalog,
            search=search,
            settings=ground.settings,
            cache=self.about.cache,
            explain=partial(_explain, ground.author, self.policy),
            store=ground.store,
        )
        tasks = ground.tasks if self.offers_tasks else None
        self.calls = Calls(
            ground.author,
            self.catalog,
            lists=self.lists,
            called=partial(_called, ground.author, self.policy, self.selection),
            tasks=tasks,
            links=ground.links,
        )
        self._scopes = Scopes(
            self.catalog, lists=self.lists, resolver=ground.resolver, enforce=ground.settings.enforce
        )
        connections = Connections(resolver=ground.resolver, listeners=ground.listeners, tasks=ground.tasks)
        handlers = self.lists.table() | self.calls.table() | connections.table()
        self.handlers: Mapping[str, Handler] = handlers | (tasks.table() if tasks is not None else {})
        self.lacking = self._scopes.lacking

    async def search(self, ctx: Context, query: str, limit: int) -> CallResult:
        """Find tools for a context; see `find_tools`."""
        permitted = await self.lists.permitted(ctx)
        return await find_tools(
            ctx, query, limit, permitted=permitted, policy=self.policy, selection=self.selection
        )

    async def revision(self, ctx: Context, kind: Kind) -> str:
        """Return the revision of the list that a context would get of this catalog now."""
        return await self.lists.revision(ctx.of(self), kind)

    def _selection(self, before: Edition | None, *, anew: bool) -> Selection:
        if before is None:
            return Selection(self._ground.selector, self.catalog.rows)
        anew = anew and before.selection.rereads
        if before.catalog.version == self.catalog.version and not anew:
            return before.selection
        return before.selection.next(self.catalog.rows, anew=anew)


async def find_tools(
    ctx: Context, query: str, limit: int = 5, *, permitted: View, policy: ViewPolicy, selection: Selection
) -> CallResult:
    """Find tools for a context, and let its view grow by them.

    Args:
        ctx: Who asks.
        query: What is looked for.
        limit: Most tools to return, 1 to 20.
        permitted: The rows that the context may use.
        policy: Of their catalog.
        selection: Of their catalog.

    Raises:
        ToolError: The limit is out of range.
    """
    if not 1 <= limit <= _SEARCH_LIMIT:
        raise ToolError(f"limit must be 1 to {_SEARCH_LIMIT}, got {limit}")
    within = permitted.of("tool")
    selector = await selection.ready()
    history = await policy.history(ctx)
    ranking = await selector.search(query, within=within.bits, limit=limit, history=history)
    if ranking.fits:
        await policy.searched(ctx, query, ranking.hits, permitted)
    return search_result(permitted.catalog, ranking, query=query, within=within)


# Not methods: an edition that its parts know goes only when Python looks for cycles, and its vectors with it.


async def _called(author: Author, policy: ViewPolicy, selection: Selection, ctx: Context, row: int) -> None:
    await policy.called(ctx, row)
    if selection.learns and ctx.key is not None and row not in policy.search:
        # Where nobody has a name, each context counts as somebody.
        caller = ctx.principal.name if ctx.principal != ANONYMOUS else ctx.key.hex()
        selection.learn(await author.intent(ctx), row, by=caller)


async def _explain(
    author: Author, policy: ViewPolicy, ctx: Context, permitted: View, shown: View
) -> list[dict[str, Any]]:
    return await policy.explain_listed(ctx, permitted, shown, await author.intent(ctx))
