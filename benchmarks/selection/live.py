"""Drives a live server over MCP, and checks that it shows and finds what selection in this process does.

Run: python -m benchmarks.selection.live --set gtc --sample 50

``scopedtools serve`` hosts the tools of the set in another process. Each request is a context of its own that
declares the request as its intent, lists the tools and searches once, over HTTP on loopback.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.selection.live_server import hosted, make_selector, make_server
from benchmarks.selection.sample import Request, take_sample
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.catalog import Catalog
from scopedtools.context.settings import ViewSettings
from scopedtools.evaluation.data import Slot
from scopedtools.evaluation.measures import complete, hit, mean, recall
from scopedtools.evaluation.run import view_policy
from scopedtools.exceptions import ScopedToolsError
from scopedtools.retrieval import HybridSelector
from scopedtools.retrieval.weights import DEFAULT_MODEL
from scopedtools.testing import Client

_CACHE: Final = Path(__file__).parent / ".cache" / "live"
_LIMIT: Final = 10
_BYTES_PER_TOKEN: Final = 4
_SHOWN: Final = 5
"""Differences that are printed in full."""


class Seen(NamedTuple):
    """What a request is shown and what it finds.

    Attributes:
        view: IDs of the listed tools in order, without the search tools.
        ranked: IDs that the search returned, best first; none where it abstained.
        abstained: Whether the search said that nothing fits.
    """

    view: tuple[str, ...]
    ranked: tuple[str, ...]
    abstained: bool


class Visit(NamedTuple):
    """One request, over MCP and in this process.

    Attributes:
        request: What was asked.
        live: What the server said.
        here: What selection in this process says.
        tokens: Of the list as it came, search tools and all, estimated at four bytes a token.
        list_ms: Until the list came; it is chosen then.
        search_ms: Until the search was answered.
    """

    request: Request
    live: Seen
    here: Seen
    tokens: int
    list_ms: float
    search_ms: float


class Report(NamedTuple):
    """What a run saw.

    Attributes:
        visits: One for each request.
        full_tokens: Of the whole list, estimated.
        seconds: For all requests over MCP, one after the other.
    """

    visits: tuple[Visit, ...]
    full_tokens: int
    seconds: float

    @property
    def differing(self) -> list[Visit]:
        """The visits where the server said something else than selection in this process."""
        return [visit for visit in self.visits if visit.live != visit.here]


class InProcess:
    """Selects without a server, over the same rows.

    Args:
        catalog: Of the server, search tools and all: they are indexed with the others.
        selector: Ready.
    """

    def __init__(self, catalog: Catalog, selector: HybridSelector) -> None:
        self.catalog = catalog
        self.permitted = catalog.all - catalog.named(*SEARCH_TOOLS)
        self._selector = selector
        self._policy = view_policy(catalog, selector, ViewSettings())

    async def see(self, text: str) -> Seen:
        """Choose a view and search."""
        view, _ = await self._policy.choose(self.permitted, text)
        ranking = await self._selector.search(text, within=self.permitted.bits, limit=_LIMIT)
        hits = ranking.hits if ranking.fits else ()
        ranked = tuple(self.catalog.rows[hit.row].name for hit in hits)
        return Seen(tuple(row.name for row in view), ranked, abstained=not hits)


async def drive(test_set: str, requests: Sequence[Request], *, encoder: str, index_dir: Path) -> Report:
    """Host a set, ask every request, and select the same in this process.

    Raises:
        HostingError: The server did not start.
    """
    selector = make_selector(encoder, index_dir)
    here = InProcess(make_server(test_set, selector).catalog, selector)
    # Before the server starts: it finds the index ready then, and answers at once.
    await selector.prepare(here.catalog.rows)
    seen = [await here.see(request.text) for request in requests]
    with hosted(test_set, encoder, index_dir) as url:
        await _visit(url, requests[0], seen[0])  # waits for the model
        start = time.perf_counter()
        visits = [await _visit(url, *one) for one in zip(requests, seen, strict=True)]
        seconds = time.perf_counter() - start
    full = sum(here.catalog.costs[row] for row in here.permitted.order)
    return Report(tuple(visits), full, seconds)


async def _visit(url: str, request: Request, here: Seen) -> Visit:
    async with Client(url, context=secrets.token_hex(8), intent=request.text) as client:
        start = time.perf_counter()
        rows = await client.list_tools()
        listed = time.perf_counter()
        found = await client.call_tool("search_tools", query=request.text, limit=_LIMIT)
        end = time.perf_counter()
    return Visit(
        request,
        _seen(rows, found),
        here,
        tokens=-(-len(msgspec.json.encode(rows)) // _BYTES_PER_TOKEN),
        list_ms=(listed - start) * 1e3,
        search_ms=(end - listed) * 1e3,
    )


def _seen(rows: Sequence[dict[str, Any]], found: dict[str, Any]) -> Seen:
    view = tuple(row["name"] for row in rows if row["name"] not in SEARCH_TOOLS)
    tools = found.get("structuredContent", {}).get("tools", ())
    return Seen(view, tuple(tool["name"] for tool in tools), abstained=not tools)


def report_table(report: Report, title: str) -> Table:
    """Return the measures with their 95 % intervals; a search that abstained found nothing."""
    visits = report.visits
    table = Table("measure", "mean", "95 %", title=title, title_justify="left")
    table.add_row("requests", str(len(visits)), "")
    for name, measured in _MEASURES.items():
        found = mean([100 * measured(visit.live, visit.request.needed) for visit in visits])
        table.add_row(f"{name} %", f"{found.value:.1f}", f"{found.low:.1f} to {found.high:.1f}")
    tokens = statistics.fmean(visit.tokens for visit in visits)
    share = 100 * tokens / report.full_tokens
    table.add_row("tokens of the list", f"{tokens:.0f}", f"{share:.1f} % of {report.full_tokens}")
    for name, times in (
        ("tools/list ms, median", [visit.list_ms for visit in visits]),
        ("search_tools ms, median", [visit.search_ms for visit in visits]),
    ):
        table.add_row(name, f"{statistics.median(times):.1f}", f"at most {max(times):.1f}")
    table.add_row("wall time s, all", f"{report.seconds:.1f}", "")
    table.add_row("as in process", f"{len(visits) - len(report.differing)} of {len(visits)}", "")
    return table


_MEASURES: Final[dict[str, Callable[[Seen, Sequence[Slot]], float]]] = {
    "view completeness": lambda seen, needed: complete(seen.view, needed),
    "search hit@1": lambda seen, needed: hit(seen.ranked, needed),
    "search recall@5": lambda seen, needed: recall(seen.ranked, needed, 5),
    "search recall@10": lambda seen, needed: recall(seen.ranked, needed, 10),
    "search abstained": lambda seen, _: seen.abstained,
}


def main(
    *,
    test_set: Annotated[str, typer.Option("--set", help="Test set; read from $SCOPEDTOOLS_DATA.")],
    sample: Annotated[int, typer.Option(help="Requests to ask, 0 for all.", min=0)] = 50,
    encoder: Annotated[str, typer.Option(help="Model of the selector, or hashing.")] = DEFAULT_MODEL,
    out: Annotated[Path | None, typer.Option(help="A line a request, as scopedtools evaluate has.")] = None,
) -> None:
    """Host a set, drive it over MCP, and compare with selection in this process."""
    try:
        requests = take_sample(test_set, sample).requests
        index_dir = _CACHE / f"{test_set}-{encoder.replace('/', '_')}"
        report = asyncio.run(drive(test_set, requests, encoder=encoder, index_dir=index_dir))
    except (ScopedToolsError, ValueError) as error:
        raise SystemExit(f"live: {error}") from error
    Console(width=100).print(report_table(report, f"{test_set}, {encoder}, over MCP"))
    if out is not None:
        out.write_bytes(b"".join(map(_line, report.visits)))
    for visit in report.differing[:_SHOWN]:
        print(f"{visit.request.id}: the server says {visit.live}, selection here {visit.here}")
    if report.differing:
        raise SystemExit(f"live: {len(report.differing)} of {len(report.visits)} differ")


def _line(visit: Visit) -> bytes:
    said = {"id": visit.request.id, "turn": 0, **visit.live._asdict(), "ms": visit.search_ms}
    return msgspec.json.encode(said) + b"\n"


if __name__ == "__main__":
    typer.run(main)
