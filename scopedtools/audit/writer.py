"""The thread that writes the trail. Needs the extra ``audit``."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from scopedtools.audit.entry import Entry
from scopedtools.audit.rows import Row, Rows
from scopedtools.audit.sql import sa
from scopedtools.audit.tables import create, insert, reason, writing_engine

_log: Final = logging.getLogger(__name__)

_CHUNK: Final = 1000
"""Most rows in one transaction."""

_FIRST_PAUSE_S: Final = 0.1
_LAST_PAUSE_S: Final = 5.0


class Store:
    """The database, as the writer sees it. Connects when first needed."""

    def __init__(self, url: sa.URL) -> None:
        self._engine = writing_engine(url)
        self._made = False

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows in one transaction.

        Raises:
            SQLAlchemyError: The database is not there, or does not take them.
            OSError: The file cannot be made.
        """
        made, self._made = self._made, False  # unless all goes well, somebody may have taken the table away
        with self._engine.begin() as connection:
            if not made:
                create(connection)
            insert(connection, rows)
        self._made = True

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()


class Writer:
    """Takes entries, and writes them in batches. What is put in costs its request next to nothing.

    Args:
        store: Where they go.
        rows: Makes rows of them.
        flush_s: Seconds between two batches.
        batch: So many requests that have ended are written at once.
        capacity: Most requests that wait; more are counted, and a row says how many are missing.
        stop_s: Seconds for which `stop` tries to write what is left.
    """

    def __init__(
        self, store: Store, rows: Rows, *, flush_s: float, batch: int, capacity: int, stop_s: float
    ) -> None:
        self._store = store
        self._rows = rows
        self._flush_s = flush_s
        self._batch = batch
        self._capacity = capacity
        self._stop_s = stop_s
        # Used by event loops and by the thread, each step one atomic operation, so no lock is needed.
        self._running: dict[Entry, None] = {}
        self._ended: deque[Entry] = deque()
        self._refused = 0
        self._unwritable = 0
        self._reported = 0
        self._looked_ns = time.time_ns()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._give_up_at = 0.0
        self._gave_up = False
        self._down = False
        self._thread: threading.Thread | None = None

    def begun(self, entry: Entry) -> None:
        """Take a request that has begun."""
        self._running[entry] = None

    def ended(self, entry: Entry) -> None:
        """Take a request that has ended."""
        self._running.pop(entry, None)
        waiting = len(self._ended)
        if waiting >= self._capacity:
            self._refused += 1
            return
        self._ended.append(entry)
        if waiting + 1 >= self._batch and not self._wake.is_set():
            self._wake.set()

    def start(self) -> None:
        """Begin to write."""
        self._stopping.clear()
        self._gave_up = False
        self._thread = threading.Thread(target=self._run, name="scopedtools-audit", daemon=True)
        self._thread.start()
        atexit.register(self.stop)  # for a process that ends without stopping its server

    def stop(self) -> None:
        """Write everything that has ended so far, and whatever still runs; blocks until it is done."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        atexit.unregister(self.stop)
        self._give_up_at = time.monotonic() + self._stop_s
        self._stopping.set()
        self._wake.set()
        thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            self._wake.wait(self._flush_s)
            stopping = self._stopping.is_set()
            self._wake.clear()
            try:
                self._flush(all_running=stopping)
            except Exception:  # noqa: BLE001 - the thread must not end before it is told to
                _log.exception("the audit trail left something out")
        if missing := self._missing():
            _log.error("the audit trail ends without %d requests", missing)
        self._store.close()

    def _flush(self, *, all_running: bool) -> None:
        gap = self._gap()
        rows = [gap] if gap is not None else []
        for _ in range(len(self._ended)):
            self._make(rows, self._ended.popleft())
            if len(rows) >= _CHUNK:
                self._write(rows)
                rows = []
        # Most requests end before they are this old, and so take one row.
        begun_before_ns = time.time_ns() - int(self._flush_s * 1e9)
        for entry in list(self._running):
            old = all_running or entry.started_ns <= begun_before_ns
            if old and self._running.pop(entry, self) is None:
                self._make(rows, entry)
        if rows:
            self._write(rows)

    def _make(self, rows: list[Row], entry: Entry) -> None:
        try:
            row = self._rows.ended(entry) if entry.answered is not None else self._rows.started(entry)
        except Exception as error:  # noqa: BLE001 - what is wrong with one request must not harm others
            self._unwritable += 1
            _log.error("a request cannot be written to the audit trail: %s", type(error).__name__)
        else:
            rows.extend(() if row is None else (row,))

    def _missing(self) -> int:
        """Return how many requests are missing that no gap tells of."""
        return self._refused + self._unwritable - self._reported

    def _gap(self) -> Row | None:
        since, self._looked_ns = self._looked_ns, time.time_ns()
        missing = self._missing()
        if not missing:
            return None
        self._reported += missing
        _log.error("%d requests are missing in the audit trail, which could not be written in time", missing)
        return self._rows.gap(since, self._looked_ns, missing)

    def _write(self, rows: list[Row]) -> None:
        pause = _FIRST_PAUSE_S
        while not self._gave_up:
            try:
                self._store.add(rows)
            except sa.exc.DataError as error:
                self._write_halves(rows, error)
                return
            except (sa.exc.SQLAlchemyError, OSError) as error:
                if not self._down:
                    self._down = True
                    _log.warning("the audit trail cannot be written, requests wait: %s", reason(error))
                self._gave_up = not self._may_try_again(pause)
                pause = min(2 * pause, _LAST_PAUSE_S)
            else:
                if self._down:
                    self._down = False
                    _log.warning("the audit trail is written again")
                return
        self._unwritable += sum(row["missing"] or 1 for row in rows)

    def _write_halves(self, rows: list[Row], error: Exception) -> None:
        """Find the rows that the database never takes, and write the others."""
        if len(rows) == 1:
            self._unwritable += 1
            _log.error("a request cannot be written to the audit trail: %s", reason(error))
            return
        middle = len(rows) // 2
        self._write(rows[:middle])
        self._write(rows[middle:])

    def _may_try_again(self, pause_s: float) -> bool:
        """Wait before another try; return whether there is time for one."""
        if not self._stopping.wait(pause_s):
            return True
        if time.monotonic() >= self._give_up_at:
            return False
        time.sleep(_FIRST_PAUSE_S)
        return True
