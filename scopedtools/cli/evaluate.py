"""``scopedtools evaluate``: how well the shipped selection does on requests with known answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scopedtools.catalog.catalog import Catalog
from scopedtools.cli.target import TargetError
from scopedtools.context.settings import ViewSettings
from scopedtools.evaluation.data import Query, read_queries
from scopedtools.evaluation.run import Outcome, run
from scopedtools.evaluation.summary import Summary, summarize
from scopedtools.evaluation.table import tables
from scopedtools.retrieval.recipe import EncoderRecipe
from scopedtools.retrieval.selector import HybridSelector
from scopedtools.retrieval.weights import DEFAULT_MODEL

_INTERRUPTED: Final = 130

_log: Final = logging.getLogger(__name__)

_Advance = Callable[[], None]


class _Task(NamedTuple):
    """What is evaluated."""

    catalog: Catalog
    queries: tuple[Query, ...]
    settings: ViewSettings
    k: int


def evaluate(
    *,
    catalog: Annotated[Path, typer.Option(help="Tools, a tools.jsonl[.gz].")],
    queries: Annotated[Path, typer.Option(help="Requests and dialogues, a queries.jsonl[.gz].")],
    out: Annotated[Path, typer.Option(help="File for the results; replaced.")],
    add_catalog: Annotated[
        list[Path] | None,
        typer.Option(help="More tools, after the others; the first of an ID counts. May be repeated."),
    ] = None,
    k: Annotated[int, typer.Option("--k", help="Rows to rank.", min=1)] = 20,
    view: Annotated[int, typer.Option(help="Most tools that a view shows.", min=0)] = 16,
    index_dir: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps the index; one of other tools or another encoder is replaced."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Run the first so many queries only.", min=1)] = None,
    summary: Annotated[Path | None, typer.Option(help="JSON file for the measures; replaced.")] = None,
    encoder: Annotated[
        str, typer.Option(help="Name of a sentence-transformers model, or hashing for one without weights.")
    ] = DEFAULT_MODEL,
) -> None:
    """Run the shipped selector and views on requests with known answers, and print how well they do.

    A tool line is {"id"?, "name", "description", "server"?, "input_schema"?};
    a query line is {"id", "query", "relevant"} or {"id", "turns": [{"query",
    "relevant", "reply"?}]} with the IDs of the tools that were called, and
    any_of beside relevant where others serve as well. A turn is ranked knowing
    the turns before it, never its own calls or reply.

    OUT gets a line a request or turn: {"id", "turn", "ranked", "view",
    "abstained", "ms"}. A server offers nothing where "abstained" is true;
    "ranked" is filled all the same, so that rankings and abstentions can be
    measured apart. "ms" is the time of the search beside the encoder. Tools
    that a server adds for searching are left out.
    """
    _check_places((out, summary), inputs=(catalog, queries, *(add_catalog or ())))
    with _warned() as warnings:
        task = _Task(
            catalog=_joined(catalog, add_catalog or ()),
            queries=_read(queries, limit),
            settings=ViewSettings(rows={"tool": view}),
            k=k,
        )
        selector = HybridSelector(EncoderRecipe(encoder).make(), index_dir=index_dir)
        found = summarize(_evaluated(task, selector, out), catalog=task.catalog, k=k)
        _show(found)
    if summary is not None:
        _write(summary, _described(task, selector, found, warnings))


def _check_places(places: Sequence[Path | None], inputs: Sequence[Path]) -> None:
    """Check where results go before the minutes of work, not after them."""
    for place in places:
        if place is None:
            continue
        if not place.parent.is_dir():
            raise TargetError(f"{place} must be in a folder that exists, got {place.parent}; make it first")
        if place.is_dir():
            raise TargetError(f"{place} must be a file, got a folder")
        if place.resolve() in {path.resolve() for path in inputs}:
            raise TargetError(f"{place} is read, and would be replaced; name another file")


def _joined(first: Path, more: Sequence[Path]) -> Catalog:
    rows = {row.name: row for row in Catalog.from_jsonl(first).rows}
    clashes = 0
    for path in more:
        for row in Catalog.from_jsonl(path).rows:
            clashes += rows.setdefault(row.name, row) is not row
    if clashes:
        _log.warning("%d tools have the ID of an earlier one and are left out", clashes)
    if not rows:
        raise TargetError(f"{first} holds no tools")
    return Catalog(rows.values())


def _read(path: Path, limit: int | None) -> tuple[Query, ...]:
    queries = tuple(islice(read_queries(path), limit))
    if not queries:
        raise TargetError(f"{path} holds no queries")
    return queries


def _evaluated(task: _Task, selector: HybridSelector, out: Path) -> list[Outcome]:
    outcomes: list[Outcome] = []
    lines = sum(len(query.asks) for query in task.queries)
    try:
        with _opened(out) as file, _progress(lines) as advance:
            asyncio.run(_run(task, selector, file, outcomes, advance))
    except KeyboardInterrupt:
        _log.warning("interrupted; %s holds %d of %d lines", out, len(outcomes), lines)
        raise typer.Exit(_INTERRUPTED) from None
    return outcomes


async def _run(
    task: _Task, selector: HybridSelector, file: BinaryIO, outcomes: list[Outcome], advance: _Advance
) -> None:
    await selector.prepare(task.catalog.rows)
    if _words_alone(selector):
        _log.warning("there are no vectors: every line is answered by words alone")
    found = run(task.catalog, task.queries, selector=selector, settings=task.settings, k=task.k)
    async for outcome in found:
        file.write(_line(outcome))
        # Whoever interrupts a run keeps what it has found.
        file.flush()
        outcomes.append(outcome)
        advance()


def _line(outcome: Outcome) -> bytes:
    fields = {
        "id": outcome.id,
        "turn": outcome.turn,
        "ranked": outcome.ranked,
        "view": outcome.view,
        "abstained": outcome.abstained,
        "ms": round(outcome.ms, 3),
    }
    return msgspec.json.encode(fields) + b"\n"


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("wb")
    except OSError as error:
        raise TargetError(f"cannot write {path}: {error}") from error
    with file:
        yield file


@contextmanager
def _progress(lines: int) -> Iterator[_Advance]:
    console = Console(stderr=True)
    columns = (TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("evaluating", total=lines)
        yield lambda: bar.advance(task)


class _Ear(logging.Handler):
    """Prints what the package logs as a warning or worse, each once: a failed encoder, an unfit index."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        message = record.getMessage() + ("" if error is None else f" ({type(error).__name__}: {error})")
        if message not in self.heard:
            self.heard.append(message)
            text = f"[yellow]warning:[/yellow] {escape(message)}"
            Console(stderr=True, highlight=False).print(text, soft_wrap=True)


@contextmanager
def _warned() -> Iterator[list[str]]:
    ear, logger = _Ear(), logging.getLogger("scopedtools")
    logger.addHandler(ear)
    try:
        yield ear.heard
    finally:
        logger.removeHandler(ear)


def _words_alone(selector: HybridSelector) -> bool:
    return selector.index is None or selector.index.vectors is None


def _show(summary: Summary) -> None:
    console = Console()
    # A pipe has no width to fit into, and numbers must not be cut.
    if not console.is_terminal:
        console.width = 200
    for table in tables(summary, width=console.width):
        console.print(table, "")
    if summary.lacking:
        _log.warning(
            "%d lines need tools that the catalog lacks, %d of them nothing else; they count as misses",
            summary.lacking,
            summary.unservable,
        )


def _described(
    task: _Task, selector: HybridSelector, summary: Summary, warnings: Sequence[str]
) -> dict[str, Any]:
    name, revision = ("", "") if selector.index is None else selector.index.encoder
    return {
        "catalog": {
            "rows": len(task.catalog),
            "tokens": sum(task.catalog.costs),
            "version": task.catalog.version,
        },
        "queries": len(task.queries),
        "k": task.k,
        "view": task.settings.rows["tool"],
        "encoder": {"name": name, "revision": revision},
        "words_alone": _words_alone(selector),
        "warnings": warnings,
        "lacking": summary.lacking,
        "unservable": summary.unservable,
        "groups": [
            group._asdict() | {"means": {measure: mean._asdict() for measure, mean in group.means.items()}}
            for group in summary.groups
        ],
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
    except OSError as error:
        raise TargetError(f"cannot write {path}: {error}") from error
