"""The observer that keeps the trail."""

from __future__ import annotations

import asyncio

from scopedtools.audit.entry import Entry, Recording
from scopedtools.audit.redaction import Redact, mask_secrets
from scopedtools.context.context import Context
from scopedtools.context.observer import Ended
from scopedtools.exceptions import DefinitionError
from scopedtools.protocol.request import Request
from scopedtools.types import Outcome


class AuditTrail:
    """Keeps who asked what in which context, with which view, and how it ended; append-only.

    ``ScopedServer(observers=[AuditTrail("sqlite:///audit.db")])``. Read it with `AuditReader`, or with
    ``scopedtools audit CONTEXT_ID``.

    **What is kept.** Of each request that was understood, what `Event` has. The context ID is kept as it
    is: people ask with it, and its digest could not be found again after a start with another secret. Names
    and URIs are kept, arguments and results only where ``record_arguments`` and ``record_results`` say so,
    intents never. Not in the trail are requests that were refused before they were understood,
    notifications, and what a call did as a task after it was answered with one.

    **What may be missing.** A thread of its own writes, ``flush_ms`` after it wrote last or when ``batch``
    requests have ended. An orderly stop writes everything. Where the process is killed, those requests are
    missing that ended in the last ``flush_ms`` and the time that one write takes, which is milliseconds
    where the database is well; and those that still ran and had begun in the last two ``flush_ms``. Older
    ones that still ran are there without their end. Where the machine loses power, PostgreSQL keeps what was
    written; SQLite (WAL, ``synchronous=NORMAL``) stays sound and may lose what was written since its last
    checkpoint, about 4 MB. Where the database cannot be reached, requests are answered all the same and
    wait in memory, ``capacity`` of them; of more, the trail says how many are missing and when.

    **Where it is.** A new SQLite file is readable for its owner alone. Several processes may write to one
    file, and several machines to one PostgreSQL; each counts time by its own clock. Triggers refuse to
    change or delete rows. They guard against mistakes, not against the owner of the database: for
    PostgreSQL make the table as another role and grant INSERT and SELECT alone. Nothing is deleted here: to
    begin anew, stop the servers and move the file away, or drop the trigger, delete, and make it again.

    Args:
        url: ``sqlite:///FILE``, the path of an SQLite file, or ``postgresql+psycopg://USER@HOST/NAME``.
        server: Name of the server, for trails that several share.
        flush_ms: Milliseconds between two batches.
        batch: So many requests are written at once, before that time.
        capacity: Most requests that wait to be written.
        stop_s: Seconds for which a stop tries to write what is left, where the database cannot be reached.
        record_arguments: Keep the arguments of calls, prompts and completions.
        record_results: Keep what calls, reads and prompts return. Each is encoded once more for it.
        redact: Decides what is kept of arguments and results; masks what looks like a secret by default.

    Raises:
        DefinitionError: A setting is wrong.
        MissingDependencyError: The extra ``audit`` is not installed.
    """

    def __init__(
        self,
        url: str = "sqlite:///audit.db",
        *,
        server: str = "",
        flush_ms: float = 100,
        batch: int = 500,
        capacity: int = 10_000,
        stop_s: float = 10,
        record_arguments: bool = False,
        record_results: bool = False,
        redact: Redact = mask_secrets,
    ) -> None:
        from scopedtools.audit.rows import Rows  # noqa: PLC0415 - with the next, costs what SQLAlchemy does
        from scopedtools.audit.tables import parse_url  # noqa: PLC0415
        from scopedtools.audit.writer import Store, Writer  # noqa: PLC0415

        if flush_ms <= 0:
            raise DefinitionError(f"flush_ms must be > 0, got {flush_ms}")
        if not 1 <= batch <= capacity:
            raise DefinitionError(f"batch must be 1 to capacity, {capacity}, got {batch}")
        self._recording = Recording(record_arguments, record_results)
        self._writer = Writer(
            Store(parse_url(url)),
            Rows(server, recording=self._recording, redact=redact),
            flush_s=flush_ms / 1000,
            batch=batch,
            capacity=capacity,
            stop_s=stop_s,
        )
        self._holders = 0

    async def start(self) -> None:
        """Begin to write. The database need not be there yet."""
        self._holders += 1
        if self._holders == 1:
            self._writer.start()

    async def stop(self) -> None:
        """Write everything that is left; with the last of several servers that share the trail."""
        self._holders -= 1
        if self._holders == 0:
            await asyncio.to_thread(self._writer.stop)

    def begin(self, request: Request, ctx: Context) -> Ended:
        """See a request begin; return what sees its end."""
        entry = Entry(request, ctx)
        self._writer.begun(entry)

        def end(outcome: Outcome) -> None:
            entry.end(outcome, self._recording)
            self._writer.ended(entry)

        return end
