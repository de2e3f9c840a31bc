"""Those who see every request: telemetry, the audit trail, or an author's own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from scopedtools.context.context import Context
from scopedtools.protocol.request import Request
from scopedtools.types import Outcome

_log: Final = logging.getLogger(__name__)

Ended: TypeAlias = Callable[[Outcome], None]
"""Told how a request ended; called exactly once, in the asyncio task in which it began."""


class Observer(Protocol):
    """Sees each request begin and end.

    `begin` and what it returns run on the path of every request: they must be quick and must not wait.
    """

    async def start(self) -> None:
        """Make ready. The server calls it when it starts, before any request."""
        ...

    async def stop(self) -> None:
        """Finish what is pending. The server calls it when it stops, after the last request."""
        ...

    def begin(self, request: Request, ctx: Context) -> Ended:
        """See a request begin.

        Args:
            request: What is asked.
            ctx: Who asks, and in which context.

        Returns:
            What to call when the request has ended.
        """
        ...


def guarded(observer: Observer) -> Callable[[Request, Context], Ended]:
    """Return `Observer.begin` such that an observer which fails harms no request."""

    def begin(request: Request, ctx: Context) -> Ended:
        try:
            ended = observer.begin(request, ctx)
        except Exception:  # noqa: BLE001 - see above
            _log.exception("%r failed when a request began", observer)
            return _nothing

        def end(outcome: Outcome) -> None:
            try:
                ended(outcome)
            except Exception:  # noqa: BLE001 - see above
                _log.exception("%r failed when a request ended", observer)

        return end

    return begin


def _nothing(_: Outcome) -> None:
    """See nothing of the end of a request whose beginning was not seen."""
