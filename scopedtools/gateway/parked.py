"""Calls that wait for their client to come back with an answer."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from scopedtools.context.context import Context
from scopedtools.gateway.conversation import Conversation

_TTL_S: Final = 600.0
_MOST: Final = 1000


class Parked:
    """Holds calls for a while, by whose they are and what they are."""

    def __init__(self) -> None:
        self._calls: OrderedDict[Conversation, tuple[Hashable, asyncio.TimerHandle]] = OrderedDict()

    def park(self, key: Hashable, call: Conversation) -> None:
        """Keep a call; the oldest is called off where there are too many."""
        loop = asyncio.get_running_loop()
        self._calls[call] = (key, loop.call_later(_TTL_S, self._end, call))
        while len(self._calls) > _MOST:
            self._end(next(iter(self._calls)))

    def take(self, key: Hashable, ctx: Context) -> Conversation | None:
        """Return the call that a request has the answers for, or ``None``."""
        same = (call for call, (kept, _) in self._calls.items() if kept == key and not call.is_over)
        call = next((call for call in same if call.is_answered_by(ctx)), None)
        if call is not None:
            self._calls.pop(call)[1].cancel()
        return call

    def end(self) -> None:
        """Call all off."""
        for call in list(self._calls):
            self._end(call)

    def _end(self, call: Conversation) -> None:
        _, timer = self._calls.pop(call)
        timer.cancel()
        call.cancel()
