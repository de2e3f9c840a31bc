"""What a run leaves behind: figures beside what is expected of them, as JSON and as a report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.machine import Machine
from benchmarks.markdown import head, row

_INTRO: Final = """\
# Replicas behind proxies

Replicas of one server share contexts on Redis; HAProxy, nginx and Envoy stand before them with the files
of `examples/deploy`. `make scale-test` ends with status 1 where a figure is not as expected. Shares, counts and
bytes hold on any machine; times are of this one, on which clients, proxies, replicas and Redis share the cores.
"""


class Figure(msgspec.Struct, frozen=True):
    """Something that was counted or measured.

    Attributes:
        name: What.
        value: How much.
        unit: Of what.
        least: Least that is expected, or ``None`` for any.
        most: Most that is expected, or ``None`` for any.
    """

    name: str
    value: float
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether it is as expected."""
        return (self.least is None or self.value >= self.least) and (
            self.most is None or self.value <= self.most
        )

    @property
    def expected(self) -> str:
        """What is expected, for people."""
        if self.least is not None and self.least == self.most:
            return f"{self.least:g}"
        bounds = [
            f"{sign} {bound:g}"
            for sign, bound in (("at least", self.least), ("at most", self.most))
            if bound is not None
        ]
        return ", ".join(bounds)


class Results(msgspec.Struct):
    """A run.

    Attributes:
        machine: What it ran on.
        figures: In the order in which they were measured.
    """

    machine: Machine
    figures: list[Figure] = []

    def write(self, folder: Path) -> None:
        """Write as JSON, and as a report."""
        (folder / "results").mkdir(exist_ok=True)
        encoded = msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"
        (folder / "results" / "scale.json").write_bytes(encoded)
        (folder / "README.md").write_text("\n".join(self.lines()) + "\n", encoding="utf-8")

    def lines(self) -> Iterator[str]:
        """Yield the lines of the report."""
        yield _INTRO
        yield from self.machine.lines()
        yield from head(["", "measured", "expected", ""])
        for one in self.figures:
            verdict = "" if not one.expected else "ok" if one.holds else "**missed**"
            yield row([one.name, f"{one.value:.4g} {one.unit}".strip(), one.expected, verdict])
