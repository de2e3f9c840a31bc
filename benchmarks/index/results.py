"""What a run leaves behind: values that are written as JSON and that the report is made from."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.machine import Machine


class Built(msgspec.Struct, frozen=True):
    """What an index takes beside searches.

    Attributes:
        engine: Which one.
        rows: Vectors in it.
        bytes_per_row: Of its file, vectors and codes and all.
        build_s: CPU seconds to train and to fill it, one thread.
        add_s: CPU seconds to add a hundredth.
        remove_s: CPU seconds to remove a hundredth; none where it cannot.
        save_s: Seconds to write the file.
        load_s: Seconds to read it, from the cache of the system.
        map_s: Seconds to map it and to search once.
    """

    engine: str
    rows: int
    bytes_per_row: float
    build_s: float
    add_s: float
    remove_s: float | None
    save_s: float
    load_s: float = 0.0
    map_s: float = 0.0


class Searched(msgspec.Struct, frozen=True):
    """What searches take and find, on one thread.

    Attributes:
        engine: Which one.
        rows: Vectors in it.
        permitted: Share of them that may be found.
        p50_ms: CPU milliseconds of one query for its 20 nearest, median.
        p99_ms: Of which 99 of 100 took less.
        wall_p50_ms: The same by the clock, which other load on the machine slows down.
        wall_p99_ms: The same.
        recall_20: Share of the 20 nearest that are found.
        ten_ms: CPU milliseconds of ten queries at once, 100 nearest each, median.
        recall_100: Share of the 100 nearest that are found.
        queries: How many were timed, one at a time.
    """

    engine: str
    rows: int
    permitted: float
    p50_ms: float
    p99_ms: float
    wall_p50_ms: float
    wall_p99_ms: float
    recall_20: float
    ten_ms: float
    recall_100: float
    queries: int


class Results(msgspec.Struct, frozen=True):
    """A run.

    Attributes:
        machine: What it ran on.
        quick: Whether it was a short one, whose figures are rough.
        real: Vectors of descriptions; the rest are perturbed copies.
        made_up: Whether the descriptions are made up, and their vectors those of their words.
        built: For each index and size.
        searched: The same, and for each share.
    """

    machine: Machine
    quick: bool
    real: int
    made_up: bool
    built: list[Built] = []
    searched: list[Searched] = []

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")
