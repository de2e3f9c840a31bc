"""Notices that what answers has failed, and tries again beside the requests until it works."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from typing import Final

from scopedtools.exceptions import VectorsUnavailableError

_TOLERATED: Final = 3
"""Failures in a row from which nobody waits for the next."""

_AGAIN_S: Final = 0.5
_AGAIN_MOST_S: Final = 5.0
"""Seconds until the first attempt, and most seconds between two."""

_log: Final = logging.getLogger(__name__)


class Mender:
    """Counts failures, and repeats an attempt on a thread of its own; one at a time."""

    def __init__(self) -> None:
        self._failures = 0
        self._lock = threading.Lock()
        self._busy = False

    def worked(self) -> None:
        """Forget the failures."""
        self._failures = 0

    def failed(self) -> bool:
        """Count a failure; true where it is one too many."""
        with self._lock:
            self._failures += 1
            return self._failures >= _TOLERATED

    def mend(self, attempt: Callable[[], None]) -> None:
        """Call a bound method until it does not raise `VectorsUnavailableError`, or its object is gone."""
        with self._lock:
            if self._busy:
                return
            self._busy = True
        # Not kept alive by being mended: a selector that has made way for another is gone.
        again = weakref.WeakMethod(attempt)
        threading.Thread(target=self._run, args=(again,), name="scopedtools-mender", daemon=True).start()

    def _run(self, again: weakref.WeakMethod[Callable[[], None]]) -> None:
        wait_s = _AGAIN_S
        pause = threading.Event()
        try:
            while not pause.wait(wait_s):
                attempt = again()
                if attempt is None:
                    return
                try:
                    attempt()
                except VectorsUnavailableError as error:
                    _log.debug("still no vectors: %s", error)
                except Exception:  # noqa: BLE001 - on a thread nobody else tells of it
                    _log.exception("vectors cannot be had again; words alone answer")
                    return
                else:
                    self._failures = 0
                    return
                del attempt
                wait_s = min(2 * wait_s, _AGAIN_MOST_S)
        finally:
            with self._lock:
                self._busy = False
