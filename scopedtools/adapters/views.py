"""Context views over what a server of another framework lists."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypedDict

from cachetools import LRUCache

from scopedtools.adapters.asked import Asked, HostRequest, asked
from scopedtools.adapters.rows import LISTS, Definition
from scopedtools.adapters.search import search_rows, searched
from scopedtools.adapters.shelf import Generation, Shelf
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import KINDS, Kind
from scopedtools.catalog.view import View
from scopedtools.context.carriers import CARRIERS, Carrier, CarrierTable
from scopedtools.context.context import Context, ContextResolver
from scopedtools.context.offer import offer
from scopedtools.context.policy import ViewPolicy, whole_lists
from scopedtools.context.settings import ViewSettings
from scopedtools.context.store import MemoryStore
from scopedtools.handlers.lists import Lists
from scopedtools.handlers.pages import Cache
from scopedtools.protocol.meta import EXTENSION
from scopedtools.protocol.prepared import Prepared
from scopedtools.protocol.results import CallResult, ListResult
from scopedtools.selection import Selection
from scopedtools.sharing import SECRET_VARIABLE
from scopedtools.storage import ContextStore
from scopedtools.types import Encoder, Selector

_GENERATIONS: Final = 16
"""Catalogs that are kept: of each kind at each revision, and what they were a moment ago."""

_CARRIERS: Final = tuple(one for one in CARRIERS if not one.legacy)
"""Servers of other frameworks make session IDs themselves, which name connections and not units of work."""


class Options(TypedDict, total=False):
    """What the adapters take, all optional.

    Attributes:
        settings: How large views are, and when lists are narrowed.
        pinned: Names of tools and prompts, URIs of resources and templates that every view shows.
        encoder: Encodes texts; all-MiniLM-L6-v2 by default, without which words alone decide.
        index_dir: Folder where vectors are kept between starts.
        store: Keeps what contexts were shown; the memory of this process by default.
        name: Of the server, where others use the same store.
        carriers: Where a context ID may ride on a request, first match first; by default all that
            `scopedtools.context.hosts.CARRIERS` has, but the session of a connection.
        strict_ids: Refuse malformed context IDs instead of treating them as none.
        secret: Key under which context IDs are hashed; give replicas of one server the same. By default from
            ``SCOPEDTOOLS_SECRET``, or random.
    """

    settings: ViewSettings
    pinned: Iterable[str]
    encoder: Encoder
    index_dir: str | Path
    store: ContextStore
    name: str
    carriers: Iterable[Carrier]
    strict_ids: bool
    secret: bytes


class Views:
    """Says what each context is shown of what a server lists.

    Knows no framework: it is given requests and definitions. Each kind of definitions has a catalog of its
    own, since a server tells them one list at a time.

    Args:
        options: As the adapters take them.

    Attributes:
        settings: How large views are, and when lists are narrowed.
        extensions: What a server declares of our extension, by its identifier.

    Raises:
        TypeError: There is no such option.
    """

    def __init__(self, options: Options) -> None:
        if unknown := sorted(options.keys() - Options.__annotations__.keys()):
            known = ", ".join(Options.__annotations__)
            raise TypeError(f"ScopedViews takes {known}; got {', '.join(unknown)}")
        self.settings = options.get("settings") or ViewSettings()
        self._encoder = options.get("encoder")
        self._index_dir = options.get("index_dir")
        self._store = options["store"] if "store" in options else MemoryStore()  # an empty one is false
        table = CarrierTable(
            options.get("carriers", _CARRIERS),
            strict=options.get("strict_ids", False),
            environment=os.environ,
        )
        secret = options.get("secret") or os.environ.get(SECRET_VARIABLE, "").encode()
        self._resolver = ContextResolver(table, store=self._store, secret=secret)
        self.extensions: Mapping[str, dict[str, Any]] = {EXTENSION: offer(table, self.settings)}
        self._pinned = frozenset(options.get("pinned", ()))
        self._name = options.get("name", "")
        self._shelves: dict[tuple[Kind, str], Shelf] = {}
        self._generations: LRUCache[tuple[Kind, str], Generation] = LRUCache(_GENERATIONS)
        self._latest: dict[Kind, Generation] = {}
        self._whole = {kind: whole_lists() for kind in KINDS}

    def asked(self, host: HostRequest, method: str, params: Mapping[str, Any] | None) -> Asked:
        """Understand a request of the server.

        Args:
            host: The request as its framework tells it.
            method: Of the request, as on the wire.
            params: Of the request, as on the wire.

        Raises:
            ProtocolError: Its parameters are malformed, or it is not clear which context it names.
        """
        return asked(host, method, params, self._resolver)

    def may_differ(self, ctx: Context) -> bool:
        """Tell whether a list may be another for this request than what the server lists."""
        return ctx.key is not None or ctx.declared or self.settings.without_context == "search"

    async def listed(
        self, asking: Asked, definitions: Iterable[Definition], *, cache: Cache
    ) -> ListResult | None:
        """Answer a list request.

        Args:
            asking: The request.
            definitions: All that the server lists for it.
            cache: How long and for whom the server lets clients keep that list.

        Returns:
            A page of what the context is shown; ``None`` where the server's own answer says it all.
        """
        request, ctx = asking
        method = request.method.name
        generation, permitted = self._put(asking, LISTS[method], definitions)
        permission = _Permission(generation, permitted)
        shown = await permission.listed(ctx, permitted)
        if not ctx.declared and shown.bits == permitted.bits:
            return None
        answer = await self._lists(permission, cache).table()[method](request, ctx)
        result = answer.result if isinstance(answer, Prepared) else answer
        assert isinstance(result, ListResult)  # noqa: S101 - they answer nothing else
        return result

    async def shown(
        self, asking: Asked, kind: Kind, definitions: Sequence[Definition]
    ) -> Sequence[str] | None:
        """Return what clients call the rows that a context is shown, in the order in which they are listed.

        Args:
            asking: A request.
            kind: Of the definitions.
            definitions: All that the server lists for it.

        Returns:
            With tools, the search tools first. ``None`` where all is shown.
        """
        generation, permitted = self._put(asking, kind, definitions)
        shown = await generation.policy.listed(asking.ctx, permitted, _intent)
        shown &= permitted | generation.search
        return None if shown.bits == permitted.bits else [row.identity for row in shown]

    async def search(self, asking: Asked, definitions: Iterable[Definition], arguments: bytes) -> CallResult:
        """Answer a call of ``search_tools``.

        Args:
            asking: The call.
            definitions: All tools that the server lists for it.
            arguments: Of the call, a JSON object.
        """
        generation, permitted = self._put(asking, "tool", definitions)
        return await searched(generation, asking.ctx, permitted, arguments)

    async def may_call(self, asking: Asked, definitions: Iterable[Definition], name: str) -> bool:
        """Tell whether a tool may be called where the settings make those unknown that are not shown."""
        generation, permitted = self._put(asking, "tool", definitions)
        ordinal = generation.catalog.find("tool", name)
        lists = self._lists(_Permission(generation, permitted), Cache(0, "private"))
        return ordinal is not None and await lists.may_call(asking.ctx, ordinal)

    async def called(self, asking: Asked, name: str) -> None:
        """Remember that a tool was called without an error, where that helps to choose what comes next."""
        generation = self._shelf("tool", asking).generation
        ordinal = generation.catalog.find("tool", name) if generation is not None else None
        if generation is not None and ordinal is not None:
            await generation.policy.called(asking.ctx, ordinal)

    def _put(self, asking: Asked, kind: Kind, definitions: Iterable[Definition]) -> tuple[Generation, View]:
        return self._shelf(kind, asking).put(definitions)

    def _shelf(self, kind: Kind, asking: Asked) -> Shelf:
        # What a server lists is cut to what the revision knows: the same tool is another text at another one.
        key = (kind, asking.request.revision.name)
        if key not in self._shelves:
            search = search_rows() if kind == "tool" else ()
            make = partial(self._generation, kind)
            self._shelves[key] = Shelf(kind, search=search, pinned=self._pinned, make=make)
        return self._shelves[key]

    def _generation(self, kind: Kind, catalog: Catalog) -> Generation:
        key = (kind, catalog.version)
        if key not in self._generations:
            self._generations[key] = self._latest[kind] = self._made(kind, catalog, self._latest.get(kind))
        return self._generations[key]

    def _made(self, kind: Kind, catalog: Catalog, before: Generation | None) -> Generation:
        search = catalog.named(*SEARCH_TOOLS) if kind == "tool" else View(catalog, 0)
        if before is None:
            selection = Selection(partial(self._selector, kind), catalog.rows)
        else:
            selection = before.selection.next(catalog.rows)
        policy = ViewPolicy(
            catalog,
            search=search,
            store=self._store,
            selector=selection.ready,
            settings=self.settings,
            # Each kind has views of its own, since what a context says comes with each list anew.
            name=f"{self._name} {kind}",
            whole=self._whole[kind],
            narrowed=before is not None and before.policy.has_narrowed,
        )
        if policy.narrows(catalog.all - search, kind):
            selection.start()
        return Generation(catalog, search, policy, selection)

    def _selector(self, kind: Kind) -> Selector:
        from scopedtools.retrieval.encoders import default_encoder  # noqa: PLC0415 - brings numpy
        from scopedtools.retrieval.queries import EncoderThread  # noqa: PLC0415 - likewise
        from scopedtools.retrieval.selector import HybridSelector  # noqa: PLC0415 - brings faiss

        if not isinstance(self._encoder, EncoderThread):
            # One model for all kinds, and one call at a time.
            self._encoder = EncoderThread(self._encoder or default_encoder())
        folder = Path(self._index_dir) / kind if self._index_dir is not None else None
        return HybridSelector(self._encoder, index_dir=folder)

    def _lists(self, permission: _Permission, cache: Cache) -> Lists:
        generation = permission.generation
        return Lists(
            permission,
            generation.catalog,
            search=generation.search,
            settings=self.settings,
            cache=cache,
            explain=permission.explain,
            store=self._store,
        )


class _Permission:
    """The hooks of one request: what the server lists for it is what it may use."""

    def __init__(self, generation: Generation, permitted: View) -> None:
        self.generation = generation
        self._permitted = permitted
        self._shown: View | None = None

    async def permitted(self, ctx: Context, rows: View) -> View:  # noqa: ARG002 - known before
        return self._permitted

    async def listed(self, ctx: Context, permitted: View) -> View:
        if self._shown is None:
            self._shown = await self.generation.policy.listed(ctx, permitted, _intent)
        return self._shown

    async def explain(self, ctx: Context, permitted: View, shown: View) -> list[dict[str, Any]]:
        return await self.generation.policy.explain_listed(ctx, permitted, shown, ctx.intent)


async def _intent(ctx: Context) -> str | None:
    return ctx.intent
