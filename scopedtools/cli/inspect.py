"""``scopedtools inspect``: what a context would see, and why."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from scopedtools.cli.target import is_url, load_catalog_server
from scopedtools.protocol.meta import EXPLAIN, VIEW
from scopedtools.testing import Client

_KINDS: Final = {
    "tools": "tools",
    "resources": "resources",
    "resources/templates": "resourceTemplates",
    "prompts": "prompts",
}


def inspect(
    target: Annotated[
        str, typer.Argument(help="A server as module:attribute, a tools.jsonl[.gz], or a URL.")
    ],
    context: Annotated[str, typer.Option(help="Context ID.")] = "inspect",
    intent: Annotated[str | None, typer.Option(help="What the context is about.")] = None,
    token: Annotated[str | None, typer.Option(help="Bearer token.")] = None,
) -> None:
    """Print what a context is shown, what it costs against the full list, and why each row is in."""
    asyncio.run(_inspect(target, context, intent, token))


async def _inspect(target: str, context: str, intent: str | None, token: str | None) -> None:
    subject = target if is_url(target) else load_catalog_server(target)
    console = Console()
    # The full list is what a request without a context gets.
    async with (
        Client(subject, token=token) as plain,
        Client(subject, context=context, intent=intent, token=token) as scoped,
    ):
        offered = (await scoped.request("server/discover"))["capabilities"]
        for kind, field in _KINDS.items():
            if kind.partition("/")[0] not in offered:
                continue
            page = await scoped.request(f"{kind}/list", meta={EXPLAIN: True})
            shown, full = page[field], await plain.list_all(kind)
            if full:
                _print(console, kind, shown, full, page.get("_meta", {}).get(VIEW))


def _print(
    console: Console, kind: str, shown: list[Any], full: list[Any], view: dict[str, Any] | None
) -> None:
    part, whole = _tokens(shown), _tokens(full)
    size = f"{len(shown)} of {len(full)} rows, about {part} of {whole} tokens ({part / whole:.1%})"
    console.print(f"[bold]{kind}[/bold]: {size}")
    if view is None:
        console.print("  the full list\n")
        return
    table = Table(
        box=None, header_style="bold", caption=f"revision {view['revision']}", caption_justify="left"
    )
    for column in ("name", "why", "score", "vector", "lexical", "clause"):
        table.add_column(column)
    for row in view.get("rows", []):
        scores = [f"{row[key]:.3f}" if key in row else "" for key in ("score", "vector", "lexical")]
        table.add_row(row["name"], row["reason"], *scores, row.get("clause", "")[:60])
    console.print(table, "")


def _tokens(rows: list[Any]) -> int:
    """Estimate the tokens of a list, at four bytes each."""
    return max(1, len(msgspec.json.encode(rows)) // 4)
