"""The lists of tools that a model is shown: all, by meaning, by keywords, and the view of a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from scopedtools.catalog.catalog import Catalog
from scopedtools.context.settings import ViewSettings
from scopedtools.evaluation.run import view_policy
from scopedtools.retrieval.lexical import LexicalIndex
from scopedtools.retrieval.text import words
from scopedtools.types import Encoder, Selector

KINDS: Final = ("all", "rag", "keyword", "view")

Rows = Callable[[str], Awaitable[tuple[int, ...]]]
"""Takes a request; returns the ordinals of the rows to show, in order."""


class Shown(NamedTuple):
    """A way to make lists.

    Attributes:
        name: Of the list, with its size.
        about: What it is, in a sentence.
        rows: Makes the list for a request.
    """

    name: str
    about: str
    rows: Rows


def make_lists(
    catalog: Catalog, kinds: Sequence[str], *, encoder: Encoder, selector: Selector, k: int, most: int
) -> list[Shown]:
    """Make ready the lists that RAG-MCP compares, and ours.

    Args:
        catalog: What there is to show.
        kinds: Some of ``KINDS``, in the order of the report.
        encoder: Of requests and tools, for the list by meaning.
        selector: Ready; for the view.
        k: Size of the list by meaning.
        most: Most tools of the full list; the first of the catalog where it has more.

    Raises:
        ValueError: There is no such kind.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ValueError(f"lists must be some of {', '.join(KINDS)}, got {', '.join(unknown)}")
    makers: dict[str, Callable[[], Shown]] = {
        "all": lambda: _all(catalog, most),
        "rag": lambda: _nearest(_plain_texts(catalog), encoder, k),
        "keyword": lambda: _keyword(_plain_texts(catalog)),
        "view": lambda: _view(catalog, selector),
    }
    return [makers[kind]() for kind in kinds]


def _plain_texts(catalog: Catalog) -> list[str]:
    return [f"{words(row.name)}: {row.description}" for row in catalog.rows]


def _all(catalog: Catalog, most: int) -> Shown:
    rows = tuple(range(min(len(catalog), most)))
    cut = "" if len(rows) == len(catalog) else f"; CUT to the first {most}, which --max-tools allows"

    async def shown(_: str) -> tuple[int, ...]:
        return rows

    return Shown(f"all-{len(rows)}", f"every one of {len(catalog)} tools{cut}", shown)


def _nearest(texts: Sequence[str], encoder: Encoder, k: int) -> Shown:
    vectors = encoder.encode_documents(texts)

    async def shown(text: str) -> tuple[int, ...]:
        near = vectors @ encoder.encode_queries([text])[0]
        return tuple(np.argsort(-near, kind="stable")[:k].tolist())

    return Shown(f"rag-{k}", f"the {k} nearest by plain {encoder.name}: RAG-MCP's retrieval", shown)


def _keyword(texts: Sequence[str]) -> Shown:
    index = LexicalIndex.build(texts)

    async def shown(text: str) -> tuple[int, ...]:
        scores = index.scores(text)
        best = int(np.argmax(scores))
        return (best,) if scores[best] > 0 else ()

    return Shown("keyword-1", "the best by BM25 alone: RAG-MCP's keyword match", shown)


def _view(catalog: Catalog, selector: Selector) -> Shown:
    policy = view_policy(catalog, selector, ViewSettings())

    async def shown(text: str) -> tuple[int, ...]:
        chosen, _ = await policy.choose(catalog.all, text)
        return chosen.order

    return Shown("view", "what a scopedtools server lists, without its two search tools", shown)
