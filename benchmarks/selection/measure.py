"""Runs a system on a set through the product's own harness, and measures what came out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from benchmarks.selection.baselines import described
from benchmarks.selection.provenance import ORIGINS
from benchmarks.selection.results import Cell, Curve, SetFacts
from benchmarks.selection.sets import HAY, Bench
from benchmarks.selection.systems import System
from benchmarks.selection.vectors import CachingEncoder
from scopedtools.catalog.catalog import Catalog
from scopedtools.context.settings import ViewSettings
from scopedtools.evaluation import measures
from scopedtools.evaluation.measures import Mean
from scopedtools.evaluation.run import Outcome, run
from scopedtools.evaluation.summary import measured
from scopedtools.retrieval.text import clauses, texts
from scopedtools.types import Encoder

DEPTH: Final = 50
"""Rows that are ranked."""

KS: Final = (1, 2, 3, 5, 10, 20, 50)

Value = Callable[[Outcome], float | None]


async def outcomes_of(bench: Bench, system: System, encoder: Encoder) -> list[Outcome]:
    """Run a system on a set, through the view policy of a server with its shipped settings."""
    selector = system.make(bench, encoder)
    await selector.prepare(bench.catalog.rows)
    lines = run(bench.catalog, bench.queries, selector=selector, settings=ViewSettings(), k=DEPTH)
    # A system of another process says itself what a search took.
    took: Mapping[str, float] = getattr(selector, "took", {})
    return [line._replace(ms=took.get(line.ask.text, line.ms)) async for line in lines]


def measure(bench: Bench, system: System, outcomes: Sequence[Outcome]) -> Cell:
    """Measure what a system found on a set."""
    values: dict[str, Value] = {**measured(bench.catalog, DEPTH), "nDCG@5": _ndcg5}
    p50, p99 = np.percentile([line.ms for line in outcomes], (50, 99))
    return Cell(
        set=bench.spec.name,
        system=system.name,
        means={name: _mean(outcomes, value) for name, value in values.items()},
        curve=_curve(bench.catalog, outcomes),
        parts=dict(_parts(outcomes)),
        ms={"p50": float(p50), "p99": float(p99)},
    )


def facts(bench: Bench) -> SetFacts:
    """Say what a set is."""
    lines = [ask for query in bench.queries for ask in query.asks]
    return SetFacts(
        name=bench.spec.name,
        tools=len(bench.catalog),
        tokens=sum(bench.catalog.costs),
        units=len(bench.queries),
        lines=len(lines),
        needing=sum(bool(ask.needed) for ask in lines),
        origin="; ".join(_origins(bench)),
    )


def write_lines(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write one line a request or turn, as ``scopedtools evaluate`` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(_line(line)) + b"\n" for line in outcomes))


def warm(bench: Bench, encoder: CachingEncoder, report: Callable[[int, int], None]) -> None:
    """Embed all that the systems will ask for, in large batches."""
    encoder.warm(dict.fromkeys(_texts(bench)), report)


def _texts(bench: Bench) -> Iterator[str]:
    for row in bench.catalog.rows:
        yield from texts(row)
        yield described(row, servers=bench.spec.servers)
    for query in bench.queries:
        for ask in query.asks:
            yield from (ask.text, " ".join(ask.text.split()), *clauses(ask.text))
            if ask.reply:
                yield from (ask.reply, " ".join(ask.reply.split()))


def _line(line: Outcome) -> dict[str, object]:
    return {
        "id": line.id,
        "turn": line.turn,
        "ranked": line.ranked,
        "view": line.view,
        "abstained": line.abstained,
        "ms": round(line.ms, 3),
    }


def _mean(lines: Sequence[Outcome], value: Value) -> Mean:
    said = [(line.id, got) for line in lines if (got := value(line)) is not None]
    return measures.mean([got for _, got in said], units=[unit for unit, _ in said])


def _ndcg5(line: Outcome) -> float | None:
    return measures.ndcg(line.ranked, line.ask.needed, 5) if line.ask.needed else None


def _curve(catalog: Catalog, outcomes: Sequence[Outcome]) -> Curve:
    cost = {row.name: tokens for row, tokens in zip(catalog.rows, catalog.costs, strict=True)}
    full = sum(catalog.costs)
    lines = [line for line in outcomes if line.ask.needed]

    def over(value: Callable[[Outcome, int], float]) -> tuple[float, ...]:
        return tuple(float(np.mean([value(line, k) for line in lines])) for k in KS)

    return Curve(
        k=KS,
        recall=over(lambda line, k: measures.recall(line.ranked, line.ask.needed, k)),
        complete=over(lambda line, k: measures.complete(line.ranked[:k], line.ask.needed)),
        tokens=over(lambda line, k: sum(cost[name] for name in line.ranked[:k]) / full),
    )


def _parts(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each kind and part with its plain means; their intervals would take longer than the run."""
    by_name: dict[str, list[Outcome]] = defaultdict(list)
    for line in outcomes:
        if line.ask.needed:
            for name in dict.fromkeys(filter(None, (line.query.kind, line.query.part))):
                by_name[name].append(line)
    for name, lines in by_name.items():
        recalls = [measures.recall(line.ranked, line.ask.needed, 5) for line in lines]
        hits = [measures.hit(line.ranked, line.ask.needed) for line in lines]
        complete = [measures.complete(line.ranked[:10], line.ask.needed) for line in lines]
        yield (
            name,
            {
                "n": len(lines),
                "hit@1": float(np.mean(hits)),
                "recall@5": float(np.mean(recalls)),
                "complete@10": float(np.mean(complete)),
            },
        )


def _origins(bench: Bench) -> Iterator[str]:
    for folder in (bench.spec.folder, HAY if bench.spec.added else ""):
        if folder in ORIGINS:
            yield f"{', '.join(ORIGINS[folder].repositories)} ({ORIGINS[folder].licence})"
    if bench.spec.folder not in ORIGINS:
        yield "made in code (benchmarks/selection/tiny.py)"
