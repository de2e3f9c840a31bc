"""What a run leaves behind: values that are written as JSON and that the report is made from."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.machine import Machine
from benchmarks.serving.wire import Era, Operation

FLOOR = "floor"
OURS = "ours"


class Line(msgspec.Struct, frozen=True):
    """What one system took for one kind of request.

    Attributes:
        operation: What was asked.
        era: Protocol revision.
        rows: Of the catalog. A system whose name ends with ``-16`` has the 16 that ours shows instead.
        concurrency: Requests under way at a time.
        system: Who answered.
        cpu_us: CPU microseconds of the server for a request, median of rounds.
        ratio: Median over rounds of the same, by that of the floor in the same round.
        requests_s: Requests a second, median of rounds.
        p50_ms: Median of what a request took, as the client sees it.
        p99_ms: Of which 99 of 100 took less.
        bytes: Of the answer's body.
        requests: How many were measured.
        rounds: In how many rounds.
        client_share: Share of the time in which the client was busy, median; near 1 it, not the server,
            bounds requests a second.
    """

    operation: Operation
    era: Era
    rows: int
    concurrency: int
    system: str
    cpu_us: float
    ratio: float
    requests_s: float
    p50_ms: float
    p99_ms: float
    bytes: int
    requests: int
    rounds: int
    client_share: float


class MemoryLine(msgspec.Struct, frozen=True):
    """Memory of one server after its requests, in MiB."""

    system: str
    rows: int
    rss: float
    pss: float


class StartLine(msgspec.Struct, frozen=True):
    """Seconds from the start of a process to its first `tools/list`, median; and the CPU seconds for it."""

    system: str
    rows: int
    first_answer_s: float
    cpu_s: float


class ImportLine(msgspec.Struct, frozen=True):
    """Milliseconds to import a package in a new process above one that imports nothing, medians."""

    imported: str
    wall_ms: float
    cpu_ms: float


class Results(msgspec.Struct):
    """A run.

    Attributes:
        machine: What it ran on.
        quick: Whether it was a quick run, whose figures are rough.
        lines: Requests.
        memory: Of the servers.
        starts: Of the servers.
        imports: Of packages.
        notes: What was left out, and why.
    """

    machine: Machine
    quick: bool = False
    lines: list[Line] = []
    memory: list[MemoryLine] = []
    starts: list[StartLine] = []
    imports: list[ImportLine] = []
    notes: list[str] = []

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")
