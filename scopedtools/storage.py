"""What is kept between requests, and the protocols that what keeps it is met by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from scopedtools.types import JSON, Turn

OWNER_BYTES: Final = 16
"""Keys of one principal begin with the same bytes, so many; where there is no authorization, with zeros."""

NOBODY: Final = bytes(OWNER_BYTES)
"""What the keys of contexts without authorization begin with. All users are one then, so it has no quota."""


class Addition(NamedTuple):
    """Why a row joined a view after it was seeded.

    Attributes:
        row: Ordinal of the row.
        cause: What brought it: a later ``intent``, a ``search``, a ``permission`` that came later, or the
            ``parent``, the context that this one was forked from.
        text: The beginning of that intent or search; empty otherwise.
    """

    row: int
    cause: Literal["intent", "search", "parent", "permission"]
    text: str = ""


class ContextRecord(NamedTuple):
    """What is kept for a context: enough to list its view again.

    In a store rows are integers that name them in every catalog, `Catalog.ids`, so that a view outlives the
    catalog; what reads it back has the ordinals of the present one instead, here and in turns and additions.

    Attributes:
        catalog: Version of the catalog that rows were chosen from last.
        rows: The shown rows, in the order in which they are listed. A row that the view has grown by stands
            there again where it joined the list of clients that do not follow growth.
        turns: What was said and called so far, the last few, oldest first. Empty where the view does not
            grow, so that nothing about the content of a context is kept without need.
        additions: Rows that were not in the seed, with the reason.
        seeded: Whether rows were chosen for an intent; a search or a parent may begin a view without one.
    """

    catalog: str
    rows: tuple[int, ...]
    turns: tuple[Turn, ...] = ()
    additions: tuple[Addition, ...] = ()
    seeded: bool = False


class ContextStore(Protocol):
    """Keeps context records, and small values that tools keep for a context.

    Losing a record is never an error: its view is seeded again. Keys are opaque digests; the store never
    sees an ID or a principal, but the first `OWNER_BYTES` of all keys of one principal are the same, so that
    nobody's contexts take the place of another's. A record and a value live under keys of their own.

    One that is an async context manager too is entered when the server starts, and left when it stops.
    It may also be a `Bus`, and `Degradable`.
    """

    async def get(self, key: bytes) -> ContextRecord | None:
        """Return the record and start its time to live anew, or ``None``."""
        ...

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        """Keep a record unless there is one for the key; return the one that is kept."""
        ...

    async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
        """Keep ``after`` where ``before`` is kept now; false, and nothing changes, where it is not.

        One step: of two that replace the same record at the same time, one gets false and looks again.
        """
        ...

    async def get_value(self, key: bytes, name: str) -> bytes | None:
        """Return a value of a context, or ``None``; starts the time to live of its values anew."""
        ...

    async def put_value(self, key: bytes, name: str, value: bytes, *, ttl_s: float | None = None) -> bool:
        """Keep a value; false where the context has no room for another.

        Args:
            key: Of the context.
            name: Of the value.
            value: What to keep.
            ttl_s: Seconds after which this value goes; by default it lives as long as the context.
        """
        ...

    async def add_value(
        self, key: bytes, name: str, value: bytes, *, ttl_s: float | None = None
    ) -> bytes | None:
        """Keep a value unless there is one of that name; return what is kept, or ``None`` for no room.

        One step: of several that add at the same time, all get the value of the first.
        """
        ...

    async def delete_value(self, key: bytes, name: str) -> None:
        """Forget a value, if it is there."""
        ...

    async def value_names(self, key: bytes) -> list[str]:
        """Return the names of the values of a context, sorted."""
        ...


@runtime_checkable
class Bus(Protocol):
    """What a `ContextStore` is besides, if it can tell the other processes that share it of changes.

    Delivery is at most once: who missed a message hears of the next, so a message says that something has
    changed, never what.
    """

    async def publish(self, message: bytes) -> None:
        """Send a message to all who listen, in this process too. Never waits long, and never raises.

        An empty one tells them that they may have missed some.
        """
        ...

    def listening(self, heard: Callable[[bytes | None], None]) -> AbstractAsyncContextManager[None]:
        """Call ``heard`` for each message for as long as this is held.

        It is called with ``None`` where messages may have been missed, as after a lost connection.
        """
        ...


@runtime_checkable
class Degradable(Protocol):
    """What a `ContextStore` is besides, if it goes on without the engine behind it."""

    @property
    def is_degraded(self) -> bool:
        """Whether it answers from what this process remembers, since the engine does not answer."""
        ...


TaskStatus: TypeAlias = Literal["working", "input_required", "completed", "failed", "cancelled"]
"""How a task is. The last three are final."""


class TaskRecord(NamedTuple):
    """What is kept for a task: all that its client may ask for.

    Attributes:
        owner: Digest of the principal whose task it is.
        created_at: Seconds since 1970.
        updated_at: Seconds since 1970.
        ttl_ms: Milliseconds from its creation for which it is kept.
        poll_interval_ms: Milliseconds that the client should wait between two looks.
        status: How it is.
        message: How far it is or why it ended, for people; or ``None``.
        questions: What the client has to answer before it goes on, by key.
        outcome: What the call returned if completed, its error if failed, as JSON; empty otherwise.
    """

    owner: bytes
    created_at: float
    updated_at: float
    ttl_ms: int
    poll_interval_ms: int
    status: TaskStatus = "working"
    message: str | None = None
    questions: Mapping[str, JSON] = {}
    outcome: bytes = b""


class TaskStore(Protocol):
    """Keeps task records. The coroutine that a record is about runs in the process that added it.

    Keys are opaque digests of principal and task ID; the store sees neither. A store that several
    processes share needs: one atomic step in `add` that checks the bounds and adds; a time to live from the
    creation on, which `put` does not renew; and, where a proxy does not send all requests of a task to
    one process (by ``Mcp-Name``, which carries its ID), a channel that takes answers and cancellations to the
    process that runs it, and changes to those that have listeners.
    """

    async def add(self, key: bytes, record: TaskRecord) -> bool:
        """Keep the record of a new task; false where there is no room for another of its owner."""
        ...

    async def get(self, key: bytes) -> TaskRecord | None:
        """Return the record, or ``None`` where there is none or its time to live is over."""
        ...

    async def put(self, key: bytes, record: TaskRecord) -> None:
        """Replace the record, if it is still there."""
        ...
