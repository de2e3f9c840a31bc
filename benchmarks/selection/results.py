"""What a run leaves behind: values that are written as JSON and that the report is made from."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.machine import Machine
from scopedtools.evaluation.measures import Mean


class SetFacts(msgspec.Struct, frozen=True):
    """What was run on.

    Attributes:
        name: Of the set.
        tools: In the catalog.
        tokens: Of the full list, estimated.
        units: Requests or dialogues.
        lines: Requests, or turns of the dialogues.
        needing: Those that need a tool, which is what means are over.
        origin: Repositories at their commits, with the licence.
    """

    name: str
    tools: int
    tokens: int
    units: int
    lines: int
    needing: int
    origin: str


class Curve(msgspec.Struct, frozen=True):
    """Means at several depths.

    Attributes:
        k: The depths.
        recall: Recall at each.
        complete: Completeness at each.
        tokens: Share of the full list's tokens that the first so many take.
    """

    k: tuple[int, ...]
    recall: tuple[float, ...]
    complete: tuple[float, ...]
    tokens: tuple[float, ...]


class Cell(msgspec.Struct, frozen=True):
    """One system on one set.

    Attributes:
        set: Name of the set.
        system: Name of the system.
        means: With their intervals, by measure.
        curve: Over the depths.
        parts: Recall at 5 and completeness at 10 by kind and part.
        ms: Milliseconds of a search beside the encoder: ``p50`` and ``p99``.
    """

    set: str
    system: str
    means: dict[str, Mean]
    curve: Curve
    parts: dict[str, dict[str, float]]
    ms: dict[str, float]


class Needle(msgspec.Struct, frozen=True):
    """One point of the needle test.

    Attributes:
        source: Set of the requests.
        system: Name of the system.
        tools: Size of the catalog.
        hit: How often the needle comes first.
        recall: How often it is among the first 5.
    """

    source: str
    system: str
    tools: int
    hit: Mean
    recall: Mean


class Abstention(msgspec.Struct, frozen=True):
    """Whether a system knows what a catalog cannot do.

    Attributes:
        set: Name of the set.
        system: Name of the system.
        refused: Share of requests that are answered with nothing once their tools are taken away.
        lost: Share of requests that are answered with nothing though their tools are there.
    """

    set: str
    system: str
    refused: Mean
    lost: Mean


class Lesson(msgspec.Struct, frozen=True):
    """One point of a learning curve.

    Attributes:
        set: Name of the set.
        traffic: How the calls fell on the tools.
        level: Calls of each tool that were to be learned.
        uses: Calls that were learned, for each tool that the set asks for; fewer where there are no more.
        hit: hit@1 of other requests.
        recall: recall@5.
        ndcg: nDCG@10.
        fits: Share of the requests that were found to be served.
    """

    set: str
    traffic: str
    level: int
    uses: float
    hit: Mean
    recall: Mean
    ndcg: Mean
    fits: Mean


class Results(msgspec.Struct, frozen=True):
    """A run."""

    machine: Machine
    sets: tuple[SetFacts, ...] = ()
    cells: tuple[Cell, ...] = ()
    needles: tuple[Needle, ...] = ()
    abstentions: tuple[Abstention, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out, and why."""

    def write(self, path: Path) -> None:
        """Write as JSON. What is not a number is ``null``."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")
