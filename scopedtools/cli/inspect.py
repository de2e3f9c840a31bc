"""``scopedtools inspect``: what a context would see, and why."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console

from scopedtools.catalog.primitives import KINDS
from scopedtools.cli.output import cells, plain_table
from scopedtools.cli.target import is_url, load_catalog_server
from scopedtools.context.explain import Reason
from scopedtools.protocol.meta import EXPLAIN, VIEW
from scopedtools.server import ScopedServer
from scopedtools.testing import Client

_FIELDS: Final = {
    "tools": "tools",
    "resources": "resources",
    "resources/templates": "resourceTemplates",
    "prompts": "prompts",
}
"""The field of a result that holds the rows, by what is listed; in the order of `KINDS`."""

_LISTS: Final = dict(zip(KINDS, _FIELDS, strict=True))
"""The list that rows of a kind are in."""

_SCORES: Final = ("score", "vector", "lexical")

_CLAUSE_CHARACTERS: Final = 60

_EVERY: Final = 10**9


def inspect(
    target: Annotated[
        str, typer.Argument(help="A server as module:attribute, a tools.jsonl[.gz], or a URL.")
    ],
    *,
    context: Annotated[str, typer.Option(help="Context ID.")] = "inspect",
    intent: Annotated[str | None, typer.Option(help="What the context is about.")] = None,
    token: Annotated[str | None, typer.Option(help="Bearer token.")] = None,
    out: Annotated[int, typer.Option(help="Rows of each kind that are out to print, best first.", min=0)] = 0,
    everything: Annotated[bool, typer.Option("--all", help="Print all rows that are out.")] = False,
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
        for kind, field in _FIELDS.items():
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
    table = plain_table("name", "why", *_SCORES, "clause")
    (table.caption,) = cells(f"revision {view.get('revision')}")
    for row in view.get("rows", []):
        scores = (_number(row.get(key)) for key in _SCORES)
        clause = row.get("clause") or row.get("text", "")
        table.add_row(*cells(row["name"], row["reason"], *scores, clause[:_CLAUSE_CHARACTERS]))
    console.print(table, "")


def _print_out(console: Console, reasons: list[Reason], limit: int) -> None:
    """Print why rows are out, at most ``limit`` of each kind."""
    for kind in KINDS:
        out = [reason for reason in reasons if reason.kind == kind and not reason.shown]
        if not out:
            continue
        console.print(f"[bold]{_LISTS[kind]}[/bold]: {len(out)} rows are out")
        table = plain_table("name", "why", "rank", *_SCORES)
        for reason in out[:limit]:
            scores = (_number(getattr(reason, key)) for key in _SCORES)
            rank = "" if reason.rank is None else reason.rank
            table.add_row(*cells(reason.name, reason.reason, rank, *scores))
        console.print(table, "")


def _number(score: float | None) -> str:
    return "" if score is None else f"{score:.3f}"


def _tokens(rows: list[Any]) -> int:
    """Estimate the tokens of a list, at four bytes each."""
    return max(1, len(msgspec.json.encode(rows)) // 4)
