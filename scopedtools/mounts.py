"""Rows from elsewhere beside a server's own: catalogs, other servers, APIs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Protocol, TypeAlias, runtime_checkable

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.names import fitting, prefixed
from scopedtools.catalog.primitives import Kind, Primitive, Prompt, Tool
from scopedtools.exceptions import DefinitionError

Changed: TypeAlias = Callable[[Catalog], Awaitable[None]]
"""Takes what a source has now."""

_Key: TypeAlias = tuple[Kind, str]
_OURS: Final = -1
_TOLD_CHARACTERS: Final = 80

_log: Final = logging.getLogger(__name__)


@runtime_checkable
class Source(Protocol):
    """Rows from elsewhere, which may change while a server runs; see `ScopedServer.mount`."""

    @property
    def catalog(self) -> Catalog:
        """What there is, as far as it is known."""

    @property
    def is_bound_to_process(self) -> bool:
        """Whether requests that belong together must come to the same process."""

    @property
    def may_change(self) -> bool:
        """Whether `catalog` is what was known last: a name in it that is taken is left out, and no error."""

    def running(self, changed: Changed, /) -> AbstractAsyncContextManager[object]:
        """Hold what calls need, such as connections, while the server runs.

        Args:
            changed: To be called with each catalog that is another than the one before, also before the
                context manager is entered.
        """


@runtime_checkable
class Reloadable(Protocol):
    """What a `Source` is besides, if it was made of data that can be read again."""

    async def read_again(self) -> Callable[[], Awaitable[None]]:
        """Read the data; return what puts it into effect, by a call of ``changed`` where rows are others.

        Raises:
            Exception: It cannot be read. Nothing has changed.
        """
        ...


def as_source(what: Source | Catalog) -> Source:
    """Return what may be mounted: a source as it is, a catalog as one that does not change.

    Raises:
        DefinitionError: It is neither.
    """
    if isinstance(what, Catalog):
        return _Fixed(what)
    if not isinstance(what, Source):
        raise DefinitionError(f"only catalogs and sources can be mounted, got {type(what).__name__}")
    return what


class _Fixed:
    is_bound_to_process = False
    may_change = False

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    @asynccontextmanager
    async def running(self, _changed: Changed) -> AsyncIterator[None]:
        yield


@dataclass(frozen=True)
class Mounted:
    """What is mounted, with the names that its rows have on the server.

    Attributes:
        source: Where the rows come from.
        prefix: What the names of its tools and prompts begin with; ``""`` for nothing.
        catalog: What it has now, as it names it.
    """

    source: Source
    prefix: str
    catalog: Catalog

    @cached_property
    def rows(self) -> tuple[Primitive, ...]:
        """What it has now, as the server names it."""
        if not self.prefix:
            return self.catalog.rows
        return tuple([_renamed(row, self._name) for row in self.catalog.rows])

    def _name(self, name: str) -> str:
        return fitting(prefixed(self.prefix, name), of=(self.prefix, name))


@dataclass(frozen=True)
class Composition:
    """The rows of a server: those of its class, those that its author gave, and those of mounted sources.

    What was served first keeps its name: rows that come later and have the same are left out.

    Attributes:
        own: Rows of the class.
        given: Rows that the author gave.
        mounted: What is mounted, in order.
        before: Who had which name until now: `owners` of the composition before this one.
    """

    own: tuple[Primitive, ...]
    given: tuple[Primitive, ...] = ()
    mounted: tuple[Mounted, ...] = ()
    before: Mapping[_Key, int] = field(default_factory=dict)

    def giving(self, catalog: Catalog) -> Composition:
        """Return the rows where the author gave others."""
        return replace(self, given=catalog.rows, before=self.owners)

    def mounting(self, source: Source, prefix: str) -> Composition:
        """Return the rows with those of one more source.

        Raises:
            DefinitionError: One of them has a name that is taken, and the source does not change.
        """
        mounted = (*self.mounted, Mounted(source, prefix, source.catalog))
        after = replace(self, mounted=mounted, before=self.owners)
        lost = after.left_out(len(self.mounted))
        if lost is not None and source.may_change:
            _tell_left_out(lost)
        elif lost is not None:
            raise DefinitionError(
                f"the {lost.kind} {lost.identity!r} is there already; mount the other with another prefix=, "
                "or leave the row out"
            )
        return after

    def changing(self, place: int, catalog: Catalog) -> Composition:
        """Return the rows where the source that was mounted as ``place`` has others."""
        one = replace(self.mounted[place], catalog=catalog)
        mounted = (*self.mounted[:place], one, *self.mounted[place + 1 :])
        after = replace(self, mounted=mounted, before=self.owners)
        if (lost := after.left_out(place)) is not None:
            _tell_left_out(lost)
        return after

    @cached_property
    def owners(self) -> Mapping[_Key, int]:
        """Who has which name: the place of a mount, ``-1`` for rows of the server itself."""
        owners = {_key(row): _OURS for row in (*self.own, *self.given)}
        later = []
        for place, one in enumerate(self.mounted):
            for key in map(_key, one.rows):
                if self.before.get(key) == place:
                    owners.setdefault(key, place)
                else:
                    later.append((key, place))
        for key, place in later:
            owners.setdefault(key, place)
        return owners

    @property
    def rows(self) -> tuple[Primitive, ...]:
        """All that are served, besides those of the class."""
        owners = self.owners
        mounted = [
            row for place, one in enumerate(self.mounted) for row in one.rows if owners[_key(row)] == place
        ]
        return (*self.given, *mounted)

    def left_out(self, place: int) -> Primitive | None:
        """Return the first row of a mount whose name another has, or ``None``."""
        owners = self.owners
        return next((row for row in self.mounted[place].rows if owners[_key(row)] != place), None)


def _tell_left_out(first: Primitive) -> None:
    _log.warning(
        "mounted rows are left out, another has the name, the first is the %s %r",
        first.kind,
        first.identity[:_TOLD_CHARACTERS],
    )


def _key(row: Primitive) -> _Key:
    return row.kind, row.identity


def _renamed(row: Primitive, name: Callable[[str], str]) -> Primitive:
    # Resources go by their URIs, which mean something to whoever reads them.
    if isinstance(row, Tool | Prompt):
        return replace(row, name=name(row.name), requires=tuple(map(name, row.requires)))
    return row


@asynccontextmanager
async def held(managers: Iterable[AbstractAsyncContextManager[object]]) -> AsyncIterator[None]:
    """Enter several context managers side by side, each in a task of its own, which leaves it too.

    Raises:
        Exception: What the first that cannot be entered raises.
    """
    leave = asyncio.Event()
    holders = [_Holder(manager, leave) for manager in managers]
    try:
        # Shielded: where the start is called off, none is entered, and none has failed.
        await asyncio.gather(*(asyncio.shield(one.entered) for one in holders))
        yield
    finally:
        leave.set()
        for one in holders:
            one.end()
        if holders:
            await asyncio.wait([one.task for one in holders])


class _Holder:
    def __init__(self, manager: AbstractAsyncContextManager[object], leave: asyncio.Event) -> None:
        self.entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._hold(manager, leave))

    async def _hold(self, manager: AbstractAsyncContextManager[object], leave: asyncio.Event) -> None:
        try:
            async with manager:
                self.entered.set_result(None)
                await leave.wait()
        except Exception as error:  # noqa: BLE001 - whoever started it is told, or there is a log
            if self.entered.done():
                _log.exception("a mounted source did not end well")
            else:
                self.entered.set_exception(error)
                self.entered.exception()  # seen, where the start was called off meanwhile

    def end(self) -> None:
        if not self.entered.done():
            self.task.cancel()
