"""A selector that can know the rows of one catalog at a time, handed from one catalog to the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from scopedtools.exceptions import ToolError
from scopedtools.types import Describable, Hit, Ranking, Rows, Selector, Turn

_log = logging.getLogger(__name__)


class Tenure:
    """A selector for as long as it ranks the rows of one catalog. A `Selector` itself.

    Preparing it for other rows takes it from those who use it now: requests that began on the earlier catalog
    get an error instead of ordinals that mean other rows there. Lists do without it then.

    Args:
        selector: Prepared for ``rows``.
        rows: What it ranks.
        before: Whose it was before.
    """

    def __init__(
        self, selector: Selector, rows: Sequence[Describable], *, before: Tenure | None = None
    ) -> None:
        self.selector = selector
        self._rows = rows
        self._before = before
        self._open = True
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def prepare(self, rows: Sequence[Describable]) -> None:  # noqa: ARG002 - a `Selector` has it
        """Refuse: others would lose it unawares."""
        raise TypeError("a selector in use is handed over, not prepared again; use hand_over")

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        """See `Selector`.

        Raises:
            ToolError: It is prepared for another catalog by now.
        """
        with self._used():
            return await self.selector.search(text, within=within, limit=limit, history=history)

    async def select(
        self,
        intent: str,
        *,
        within: Rows,
        limit: int,
        costs: Sequence[int],
        budget_tokens: int,
        history: Sequence[Turn] = (),
    ) -> tuple[Hit, ...]:
        """See `Selector`.

        Raises:
            ToolError: It is prepared for another catalog by now.
        """
        with self._used():
            return await self.selector.select(
                intent,
                within=within,
                limit=limit,
                costs=costs,
                budget_tokens=budget_tokens,
                history=history,
            )

    async def hand_over(self, rows: Sequence[Describable]) -> Tenure:
        """Prepare the selector for other rows; where that fails, for these again."""
        following = Tenure(self.selector, rows, before=self)
        await self._close()
        try:
            await self.selector.prepare(rows)
        except BaseException:
            await following.give_back()
            raise
        return following

    async def give_back(self) -> None:
        """Prepare the selector for the rows before, where nobody wants these after all."""
        before, self._before = self._before, None
        if before is not None:
            await self._close()
            await before.take_back()

    async def take_back(self) -> None:
        """Prepare the selector for these rows again."""
        try:
            await self.selector.prepare(self._rows)
            self._open = True
        except Exception:  # noqa: BLE001 - why there are no other rows is what the caller is to hear
            _log.exception("the selector cannot be prepared for the earlier catalog; lists do without it")

    async def _close(self) -> None:
        self._open = False
        await self._idle.wait()

    @contextmanager
    def _used(self) -> Iterator[None]:
        if not self._open:
            raise ToolError("The catalog is being replaced, try again")
        self._users += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()
