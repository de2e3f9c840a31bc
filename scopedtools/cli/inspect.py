"""``scopedtools inspect``: what a context would see, and why."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from scopedtools.catalog.primitives import KINDS
from scopedtools.cli.target import is_url, load_catalog_server
from scopedtools.context.explain import Reason
from scopedtools.protocol.meta import EXPLAIN, VIEW
from scopedtools.server import ScopedServer
from scopedtools.testing import Client

_KINDS: Final = {
    "tools": "tools",
    "resources": "resources",
    "resources/templates": "resourceTemplates",
    "prompts": "prompts",
}

_KINDS_OF: Final = {
    "tool": "tools",
    "resource": "resources",
    "template": "resources/templates",
    "prompt": "prompts",
}

_EVERY: Final = 10**9


def inspect(  # noqa: PLR0917 - typer's options
    target: Annotated[
        str, typer.Argument(help="A server as module:attribute, a tools.jsonl[.gz], or a URL.")
    ],
    context: Annotated[str, typer.Option(help="Context ID.")] = "inspect",
    intent: Annotated[str | None, typer.Option(help="What the context is about.")] = None,
    token: Annotated[str | None, typer.Option(help="Bearer token.")] = None,
    out: Annotated[int, typer.Option(help="Rows of each kind that are out to print, best first.", min=0)] = 0,
    everything: Annotated[bool, typer.Option("--all", help="Print all rows that are out.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Print what a context is shown, what it costs against the full list, and why each row is in.

    With --out or --all, of a server that is here, also why the others are out.
    """
    out = _EVERY if everything else out
    if out and (is_url(target) or token is not None):
        raise typer.BadParameter("--out and --all need a server that is here, and no token")
    asyncio.run(_inspect(target, context, intent, token, out))


async def _inspect(target: str, context: str, intent: str | None, token: str | None, out: int) -> None:
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
        if out and isinstance(subject, ScopedServer):
            _print_out(console, await subject.explain(context, intent=intent), out)


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
        table.add_row(row["name"], row["reason"], *scores, (row.get("clause") or row.get("text", ""))[:60])
    console.print(table, "")


def _print_out(console: Console, reasons: list[Reason], limit: int) -> None:
    """Print why rows are out, at most ``limit`` of each kind."""
    for kind in KINDS:
        out = [reason for reason in reasons if reason.kind == kind and not reason.shown]
        if not out:
            continue
        console.print(f"[bold]{_KINDS_OF[kind]}[/bold]: {len(out)} rows are out")
        table = Table(box=None, header_style="bold")
        for column in ("name", "why", "rank", "score", "vector", "lexical"):
            table.add_column(column)
        for reason in out[:limit]:
            scores = (reason.score, reason.vector, reason.lexical)
            rank = "" if reason.rank is None else str(reason.rank)
            numbers = ["" if score is None else f"{score:.3f}" for score in scores]
            table.add_row(reason.name, reason.reason, rank, *numbers)
        console.print(table, "")


def _tokens(rows: list[Any]) -> int:
    """Estimate the tokens of a list, at four bytes each."""
    return max(1, len(msgspec.json.encode(rows)) // 4)
