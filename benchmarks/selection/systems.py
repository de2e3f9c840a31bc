"""The systems side by side. Each is a ``types.Selector``, so that one harness drives them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.selection.baselines import Convex, Dense, Reciprocal, Scored, Words, described
from benchmarks.selection.fastmcp_selector import FastMCPSelector
from benchmarks.selection.sets import Bench
from scopedtools.exceptions import MissingDependencyError
from scopedtools.retrieval import HybridSelector
from scopedtools.types import Describable, Encoder, Hit, Ranking, Rows, Selector, Turn

if TYPE_CHECKING:
    from scopedtools.types import Vectors

Make = Callable[[Bench, Encoder], Selector]


class System(NamedTuple):
    """A system.

    Attributes:
        name: Names it on the command line and in results.
        about: What it is, in a sentence.
        make: Makes it for a set; it is prepared with the set's rows afterwards.
        history: Whether it differs from others by what it makes of earlier turns, so that it is run on
            dialogues alone.
        abstains: Whether it may find that nothing fits.
        needle: Whether it takes part in the needle test.
    """

    name: str
    about: str
    make: Make
    history: bool = False
    abstains: bool = False
    needle: bool = False


class NoEncoder:
    """An encoder that is not there: the selector then goes by words alone, as where none is installed."""

    name = "none"
    revision = "none"
    dimensions = 0

    def load(self) -> None:
        raise MissingDependencyError("left out on purpose")

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        raise MissingDependencyError(f"left out on purpose, {len(texts)} texts")

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        return self.encode_queries(texts)


class Forgetful:
    """Hides what came before from a selector."""

    def __init__(self, selector: Selector) -> None:
        self._selector = selector

    async def prepare(self, rows: Sequence[Describable]) -> None:
        await self._selector.prepare(rows)

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        del history
        return await self._selector.search(text, within=within, limit=limit)

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
        del history
        return await self._selector.select(
            intent, within=within, limit=limit, costs=costs, budget_tokens=budget_tokens
        )


def _ours(_: Bench, encoder: Encoder) -> Selector:
    return HybridSelector(encoder)


def _ours_last(_: Bench, encoder: Encoder) -> Selector:
    return Forgetful(HybridSelector(encoder))


def _ours_vectors(_: Bench, encoder: Encoder) -> Selector:
    return HybridSelector(encoder, dense_weight=1.0)


def _ours_words(_: Bench, __: Encoder) -> Selector:
    return HybridSelector(NoEncoder())


def _dense(bench: Bench, encoder: Encoder) -> Dense:
    return Dense(encoder, partial(described, servers=bench.spec.servers))


def _words(bench: Bench) -> Words:
    return Words(partial(described, servers=bench.spec.servers))


def _minilm(decay: float, bench: Bench, encoder: Encoder) -> Selector:
    return Scored(_dense(bench, encoder), decay=decay)


def _bm25(decay: float, bench: Bench, _: Encoder) -> Selector:
    return Scored(_words(bench), decay=decay)


def _rrf(bench: Bench, encoder: Encoder) -> Selector:
    return Scored(Reciprocal(_dense(bench, encoder), _words(bench)))


def _convex(decay: float, replies: bool, bench: Bench, encoder: Encoder) -> Selector:  # noqa: FBT001
    return Scored(Convex(_dense(bench, encoder), _words(bench)), decay=decay, replies=replies)


def _rag_mcp(most: int, bench: Bench, encoder: Encoder) -> Selector:
    return Scored(_dense(bench, encoder), most=most)


def _fastmcp(bench: Bench, _: Encoder) -> Selector:
    return FastMCPSelector([ask.text for query in bench.queries for ask in query.asks])


_ALL: Final = (
    System("ours", "HybridSelector as shipped", _ours, abstains=True, needle=True),
    System("ours-last", "the same, told nothing of earlier turns", _ours_last, history=True),
    System("ours-words", "the same without an encoder", _ours_words, abstains=True, needle=True),
    System("ours-vectors", "the same by vectors alone (dense_weight=1)", _ours_vectors),
    System(
        "convex", "0.7 MiniLM + 0.3 BM25, the measured baseline", partial(_convex, 0.0, False), needle=True
    ),
    System("convex-ema", "the same, turns decayed by 0.5", partial(_convex, 0.5, False), history=True),
    System("convex-replies", "the same with the replies", partial(_convex, 0.5, True), history=True),
    System("rrf", "MiniLM and BM25 by reciprocal rank fusion, k 60", _rrf),
    System("minilm", "all-MiniLM-L6-v2, the whole request, exact cosine", partial(_minilm, 0.0), needle=True),
    System("minilm-ema", "the same, turns decayed by 0.5", partial(_minilm, 0.5), history=True),
    System("bm25", "bm25s as it comes, the whole request", partial(_bm25, 0.0), needle=True),
    System("bm25-ema", "the same, turns decayed by 0.5", partial(_bm25, 0.5), history=True),
    System("ragmcp-1", "RAG-MCP: the nearest tool alone is shown", partial(_rag_mcp, 1)),
    System("ragmcp-5", "RAG-MCP's retrieval with 5 tools shown", partial(_rag_mcp, 5)),
    System("fastmcp", "FastMCP's BM25 search transform", _fastmcp),
)

SYSTEMS: Final[Mapping[str, System]] = MappingProxyType({system.name: system for system in _ALL})


def fitting_systems(names: Sequence[str], bench: Bench) -> list[System]:
    """Return the systems that are worth running on a set."""
    systems = [SYSTEMS[name] for name in names]
    return [system for system in systems if bench.spec.dialogue or not system.history]
