"""What a server's catalog consists of: its own rows, those it is given, and the search tools."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from msgspec import Raw

from scopedtools.auth.bearer import check_scopes
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.convert import text_result
from scopedtools.catalog.primitives import Primitive, Prompt, ResourceTemplate, Tool
from scopedtools.catalog.view import View
from scopedtools.exceptions import DefinitionError
from scopedtools.protocol.request import CALL_TOOL
from scopedtools.protocol.results import CallResult
from scopedtools.protocol.revisions import LATEST
from scopedtools.types import Ranking

_KINDS: Final = 30
"""Kinds of tools that are named, at most."""

_FEW: Final = 1_000
"""Rows that are gone through one by one to count their tags, which takes 0.2 ms; more are counted as sets."""

_QUERY: Final = 200
"""Characters of a query that are repeated to whoever asked."""

SEARCH_TOOLS: Final = ("search_tools", CALL_TOOL)
"""Names of the tools that lead to all others."""


def assemble(own: Iterable[Primitive], more: Iterable[Primitive], *, open_to_all: bool) -> Catalog:
    """Make the catalog of a server.

    Args:
        own: What its class declares, the search tools first.
        more: Further rows.
        open_to_all: Everybody may use every row, so that the search tools may say what kinds there are.

    Raises:
        DefinitionError: Two rows have one name, a row's scopes are wrong, or a tool of its own requires a
            tool that there is not.
    """
    own = tuple(own)
    rows = (*own, *more)
    for row in rows:
        _check_row(row)
    _check_requires(own, frozenset(row.name for row in rows if row.kind == "tool"))
    if not open_to_all or any(row.scopes for row in rows):
        return Catalog(rows)
    tools = [row for row in rows if row.kind == "tool" and row.name not in SEARCH_TOOLS]
    summary = kinds_of_tools(tools)
    return Catalog(_described(row, summary) for row in rows)


def _check_row(row: Primitive) -> None:
    check_scopes(f"scopes of the {row.kind} {row.identity!r}", row.scopes)
    if row.scopes and row.name in SEARCH_TOOLS and row.kind == "tool":
        raise DefinitionError(
            f"{row.name} takes no scopes of its own; give them to the tools that it reaches"
        )


def _check_requires(own: Iterable[Primitive], tools: AbstractSet[str]) -> None:
    # Rows from a file may name what is not in it: that describes a larger catalog, of which it is a part.
    for row in own:
        for name in row.requires:
            if name not in tools:
                raise DefinitionError(
                    f"the tool {row.name!r} must require tools of this server, got {name!r}; "
                    "correct the name, or add the tool"
                )


def has_tasks(catalog: Catalog) -> bool:
    """Tell whether any tool may become a task."""
    own = (row for row in catalog.rows if isinstance(row, Tool) and row.name not in SEARCH_TOOLS)
    return any(row.task != "never" for row in own)


def _described(row: Primitive, summary: str) -> Primitive:
    if isinstance(row, Tool) and row.name == "search_tools":
        return replace(row, description=f"{row.description}\n\n{summary}")
    return row


def kinds_of_tools(tools: View | Sequence[Primitive]) -> str:
    """Say what there is to search, from the tags that most rows carry."""
    kinds = ", ".join(f"{tag} ({size})" for tag, size in _largest(tools))
    return f"There are {len(tools)} tools" + (f": {kinds}." if kinds else ".")


def _largest(tools: View | Sequence[Primitive]) -> list[tuple[str, int]]:
    """Return the tags that most of some rows carry, with how many do, most first, then by name."""
    if isinstance(tools, View) and len(tools) > _FEW:
        sizes = _sizes(tools)
    else:
        sizes = Counter(tag for row in tools for tag in row.tags)
    return sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:_KINDS]


def _sizes(tools: View) -> dict[str, int]:
    """Return how many rows carry each tag, but of tags that are rarer than the commonest ones."""
    catalog, rows = tools.catalog, tools.bits
    sizes: dict[str, int] = {}
    least: list[int] = []
    # Those that most of all rows carry come first: once they are too few, so are those after them.
    for tag, of_all in catalog.tags.items():
        if len(least) == _KINDS and of_all < least[0]:
            break
        if size := (catalog.tagged(tag).bits & rows).bit_count():
            sizes[tag] = size
            (heapq.heappushpop if len(least) == _KINDS else heapq.heappush)(least, size)
    return sizes


def completes(catalog: Catalog) -> bool:
    """Tell whether any row can say what an argument of it may be."""
    return any(map(_completes, catalog.rows))


def _completes(row: Primitive) -> bool:
    if isinstance(row, Prompt):
        return row.complete is not None or any(argument.choices for argument in row.arguments)
    return isinstance(row, ResourceTemplate) and row.complete is not None


def search_result(catalog: Catalog, ranking: Ranking, *, query: str, within: View) -> CallResult:
    """Tell the model what a search found: definitions, enough to call; or what else there is."""
    if not ranking.hits or not ranking.fits:
        return text_result(f"No tool fits {query[:_QUERY]!r}. {kinds_of_tools(within)}")
    rows = catalog.encoded(LATEST)
    found = b'{"tools":[%b]}' % b",".join([rows[hit.row] for hit in ranking.hits])
    result = text_result(found.decode())
    result.structured_content = Raw(found)
    return result
