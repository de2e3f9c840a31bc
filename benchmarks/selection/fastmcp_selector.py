"""FastMCP's search transform as a selector: all texts are searched for ahead, in FastMCP's own process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.selection.fastmcp_system import FastMCPSearch
from scopedtools.catalog.primitives import Tool
from scopedtools.retrieval.ranking import choose
from scopedtools.retrieval.vectors import members
from scopedtools.types import Describable, Hit, Ranking, Rows, Turn

_DEPTH: Final = 64


class FastMCPSelector:
    """Ranks as FastMCP did. A ``types.Selector`` that never abstains and forgets earlier turns.

    Args:
        texts: All that will be asked.

    Attributes:
        took: Milliseconds that FastMCP took for each text, by the text.

    Raises:
        FastMCPUnavailableError: The environment cannot be made; `prepare` raises it where a search fails.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._search = FastMCPSearch()
        self._texts = list(dict.fromkeys(texts))
        self._rows: dict[str, int] = {}
        self._ranked: dict[str, list[str]] = {}
        self.took: Mapping[str, float] = {}

    async def prepare(self, rows: Sequence[Describable]) -> None:
        self._rows = {row.name: ordinal for ordinal, row in enumerate(rows)}
        self._search.prepare(map(_line, rows))
        ranked = self._search.rank_all(self._texts, _DEPTH)
        self._ranked = dict(zip(self._texts, ranked, strict=True))
        costs = (cost.wall_ms for cost in self._search.costs)
        self.took = dict(zip(self._texts, costs, strict=True))

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        del history
        permitted = members(within, len(self._rows))
        rows = [row for name in self._ranked[text] if permitted[row := self._rows[name]]]
        hits = (Hit(row, 1.0 / place, 0.0, 0.0, text) for place, row in enumerate(rows[:limit], start=1))
        return Ranking(tuple(hits), fits=True)

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
        ranking = await self.search(intent, within=within, limit=_DEPTH, history=history)
        return choose(iter(ranking.hits), limit=limit, costs=costs, budget_tokens=budget_tokens)


def _line(row: Describable) -> dict[str, Any]:
    schema = row.input_schema if isinstance(row, Tool) else {}
    return {
        "id": row.name,
        "name": row.title or row.name,
        "description": row.description,
        "input_schema": schema,
    }
