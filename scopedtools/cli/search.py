"""``scopedtools search``: rank the tools of a catalog for a text, and say why."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from scopedtools.catalog.catalog import Catalog
from scopedtools.cli.output import cells
from scopedtools.cli.target import load_catalog_server
from scopedtools.types import Ranking


def search(
    target: Annotated[str, typer.Argument(help="A server as module:attribute, or a tools.jsonl[.gz].")],
    text: Annotated[str, typer.Argument(help="What somebody wants to do.")],
    limit: Annotated[int, typer.Option(help="Most rows to print.", min=1)] = 10,
) -> None:
    """Rank the rows of a catalog for TEXT, with scores and the reason."""
    server = load_catalog_server(target)
    ranking = asyncio.run(server.rank(text, limit=limit))
    Console().print(_table(server.catalog, ranking))


def _table(catalog: Catalog, ranking: Ranking) -> Table:
    verdict = None if ranking.fits else "nothing fits well enough to be offered"
    table = Table(caption=verdict, box=None, header_style="bold", expand=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("name", no_wrap=True)
    for scores in ("score", "vector", "lexical"):
        table.add_column(scores, justify="right", no_wrap=True)
    table.add_column("fits", ratio=1, no_wrap=True)
    table.add_column("description", ratio=2, no_wrap=True)
    for rank, hit in enumerate(ranking.hits, start=1):
        row = catalog.rows[hit.row]
        numbers = (f"{hit.score:.3f}", f"{hit.vector:.3f}", f"{hit.lexical:.3f}")
        description = row.description.partition("\n")[0]
        table.add_row(*cells(rank, row.name, *numbers, hit.clause, description))
    return table
