"""Builds and measures one index at one size."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.index.data import DEPTH, SHARES, Data
from benchmarks.index.engines import ENGINES, EXACT, Engine, Found, Mask, faiss
from benchmarks.index.results import Built, Searched

WALL, CPU = 0, 1

_TOGETHER = 10
"""Queries that are searched for at once, as the clauses of a request are."""

_SLOW_S = 8.0
"""Seconds that the searches of one kind may take; fewer queries are asked then."""


def build(name: str, data: Data, folder: Path) -> Path:
    """Build an index and save it; returns its file. What is there already is kept.

    Adding and removing a hundredth of the vectors is measured on the way, since it spoils what was built.
    """
    n = len(data.vectors)
    path, figures = folder / f"{name}-{n}.index", folder / f"built-{name}-{n}.json"
    if path.exists() and figures.exists():
        return path
    path.unlink(missing_ok=True)
    faiss.omp_set_num_threads(1)
    engine = ENGINES[name]()
    vectors = np.array(data.vectors)
    build_s = _cpu_s(lambda: engine.build(vectors))
    save_s = _wall_s(lambda: engine.save(path))
    some = np.sort(np.random.default_rng(4).choice(n, n // 100, replace=False))
    add_s = _cpu_s(lambda: engine.add(-vectors[some]))
    try:
        remove_s: float | None = _cpu_s(lambda: engine.remove(some))
    except RuntimeError:
        remove_s = None
    built = Built(name, n, path.stat().st_size / n, build_s, add_s, remove_s, save_s)
    figures.write_bytes(msgspec.json.encode(built))
    return path


def measure(name: str, data: Data, folder: Path) -> tuple[Built, list[Searched]]:
    """Load a saved index and search it, one thread, with each share of the rows permitted."""
    path = build(name, data, folder)
    built = msgspec.json.decode((folder / f"built-{name}-{len(data.vectors)}.json").read_bytes(), type=Built)
    faiss.omp_set_num_threads(1)
    engine = ENGINES[name]()
    load_s = _wall_s(lambda: engine.load(path, mapped=False))
    engine = ENGINES[name]()
    permitted = data.permitted(0.1)
    map_s = _wall_s(lambda: engine.load(path, mapped=True))
    map_s += _wall_s(lambda: engine.search(data.queries[:1], permitted, 20))
    lines = [_search(engine, name, data, share) for share in SHARES]
    return msgspec.structs.replace(built, load_s=load_s, map_s=map_s), lines


def _search(engine: Engine, name: str, data: Data, share: float) -> Searched:
    permitted, truth = data.permitted(share), data.truth[share]
    alone, found_20 = _timed(engine, data, permitted, 20, 1)
    together, found_100 = _timed(engine, data, permitted, DEPTH, _TOGETHER)
    return Searched(
        name,
        len(data.vectors),
        share,
        p50_ms=_ms(alone, 50, CPU),
        p99_ms=_ms(alone, 99, CPU),
        wall_p50_ms=_ms(alone, 50, WALL),
        wall_p99_ms=_ms(alone, 99, WALL),
        recall_20=1.0 if name == EXACT else _recall(found_20, truth[:, :20]),
        ten_ms=_ms(together, 50, CPU),
        recall_100=1.0 if name == EXACT else _recall(found_100, truth),
        queries=len(alone),
    )


def _timed(
    engine: Engine, data: Data, permitted: Mask, k: int, at_once: int
) -> tuple[list[tuple[float, float]], list[Found]]:
    """Ask everything once to warm up and for the answers, then once for the times, in the time there is."""
    took: list[tuple[float, float]] = []
    found: list[Found] = []
    for timed in (False, True):
        begun = time.perf_counter()
        for start in range(0, len(data.queries), at_once):
            queries = data.queries[start : start + at_once]
            before = time.perf_counter(), time.thread_time()
            rows = engine.search(queries, permitted, k)
            if timed:
                took.append((time.perf_counter() - before[WALL], time.thread_time() - before[CPU]))
            else:
                found += rows
            if time.perf_counter() - begun > _SLOW_S / 2:
                break
    return took, found


def _ms(took: list[tuple[float, float]], percentile: int, clock: int) -> float:
    return float(np.percentile([one[clock] for one in took], percentile)) * 1000


def _recall(found: list[Found], truth: Found) -> float:
    shares = [
        len({*rows.tolist()} & {*best.tolist()}) / max(1, len(best))
        for rows, best in zip(found, truth[: len(found)], strict=True)
    ]
    return float(np.mean(shares))


def _wall_s(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _cpu_s(act: Callable[[], object]) -> float:
    begun = time.process_time()
    act()
    return time.process_time() - begun
