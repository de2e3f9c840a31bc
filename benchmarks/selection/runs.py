"""One run: every set, every system, part after part; what is found is kept as it comes."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from msgspec.structs import replace

from benchmarks.machine import Machine, encode_ms
from benchmarks.selection.abstention import abstention
from benchmarks.selection.fastmcp_system import FastMCPUnavailableError
from benchmarks.selection.learning import LEVELS, lessons
from benchmarks.selection.measure import facts, measure, outcomes_of, warm, write_lines
from benchmarks.selection.needle import points
from benchmarks.selection.results import Results
from benchmarks.selection.sets import HAY, SPECS, Bench, MissingSetError, load, read_catalog, whole
from benchmarks.selection.systems import SYSTEMS, System, fitting_systems
from benchmarks.selection.vectors import CachingEncoder
from scopedtools.catalog.catalog import Catalog

_NEEDLES: Final = ("livemcpbench", "gtc", "tiny")
"""Sets whose tools are looked for in the hay."""


class Options(NamedTuple):
    """What was asked for.

    Attributes:
        sets: Names of sets.
        systems: Names of systems.
        parts: ``ranking``, ``needle``, ``abstention``, ``learning``, or some of them.
        sample: Most requests of a set, 0 for all.
        full: Whether sets are taken without the cuts that keep them quick.
        data: Folder of all sets.
        out: Folder of the results.
        encoder: ``minilm``, ``minilm-int8`` or ``hashing``.
        cache: Database of vectors.
    """

    sets: tuple[str, ...]
    systems: tuple[str, ...]
    parts: tuple[str, ...]
    sample: int
    full: bool
    data: Path
    out: Path
    encoder: str
    cache: Path


class Run:
    """A run and what it has found so far.

    Args:
        options: What was asked for.
        encoder: Of all systems.
        machine: What it runs on.
    """

    def __init__(self, options: Options, encoder: CachingEncoder, machine: Machine) -> None:
        self._options = options
        self._encoder = encoder
        self._results = Results(machine)
        self._unavailable: set[str] = set()

    async def everything(self) -> Results:
        """Run all that was asked for; what cannot be run is told and left out."""
        self._options.out.mkdir(parents=True, exist_ok=True)
        for name in self._options.sets:
            bench = self._loaded(name)
            if bench is not None:
                await self._one_set(bench)
                # A run takes a while: what is there is kept, should it be cut short.
                self._results.write(self._options.out / "results.json")
        return self._results

    def _loaded(self, name: str) -> Bench | None:
        spec = whole(SPECS[name]) if self._options.full else SPECS[name]
        try:
            return load(spec, self._options.data, self._options.sample)
        except MissingSetError as error:
            self._note(f"{name} is left out: {error}")
            return None

    async def _one_set(self, bench: Bench) -> None:
        say(f"{bench.spec.name}: {len(bench.catalog)} tools, {len(bench.queries)} requests or dialogues")
        warm(bench, self._encoder, _progress)
        self._time_encoder(bench)
        self._results = replace(self._results, sets=(*self._results.sets, facts(bench)))
        if "ranking" in self._options.parts:
            await self._ranking(bench)
        if "needle" in self._options.parts and bench.spec.name in _NEEDLES:
            await self._needle(bench)
        if "abstention" in self._options.parts and not bench.spec.dialogue:
            await self._abstention(bench)
        if "learning" in self._options.parts and not bench.spec.dialogue:
            await self._learning(bench)

    def _time_encoder(self, bench: Bench) -> None:
        machine = self._results.machine
        if machine.encode_ms is None:
            took = encode_ms(self._encoder.inner, [query.asks[0].text for query in bench.queries[:20]])
            self._results = replace(self._results, machine=replace(machine, encode_ms=took))

    async def _ranking(self, bench: Bench) -> None:
        for system in fitting_systems(self._options.systems, bench):
            if system.name not in self._unavailable:
                try:
                    await self._ranked(bench, system)
                except FastMCPUnavailableError as error:
                    self._unavailable.add(system.name)
                    self._note(f"{system.name} is left out: {error}")

    async def _ranked(self, bench: Bench, system: System) -> None:
        outcomes = await outcomes_of(bench, system, self._encoder)
        write_lines(self._options.out / "lines" / bench.spec.name / f"{system.name}.jsonl", outcomes)
        cell = measure(bench, system, outcomes)
        self._results = replace(self._results, cells=(*self._results.cells, cell))
        recall, complete = (100 * cell.means[name].value for name in ("recall@5", "complete@10"))
        took = f"{cell.ms['p50']:6.2f} ms"
        say(f"  {system.name:15} recall@5 {recall:5.1f}  complete@10 {complete:5.1f}  {took}")

    async def _needle(self, bench: Bench) -> None:
        hay = self._hay(bench)
        if hay is None:
            return
        warm(bench._replace(catalog=hay), self._encoder, _progress)
        for name in self._options.systems:
            if SYSTEMS[name].needle:
                found = await points(bench, hay, SYSTEMS[name], self._encoder)
                self._results = replace(self._results, needles=(*self._results.needles, *found))
                say(f"  needle {name:15} hit@1 {' '.join(f'{100 * point.hit.value:.0f}' for point in found)}")

    def _hay(self, bench: Bench) -> Catalog | None:
        if bench.spec.folder == "tiny":
            return bench.catalog
        try:
            return read_catalog(self._options.data, HAY)
        except MissingSetError as error:
            self._note(f"the needle test with {bench.spec.name} is left out: {error}")
            return None

    async def _abstention(self, bench: Bench) -> None:
        for name in self._options.systems:
            if SYSTEMS[name].abstains:
                found = await abstention(bench, SYSTEMS[name], self._encoder)
                self._results = replace(self._results, abstentions=(*self._results.abstentions, found))
                refused, lost = found.refused.value * 100, found.lost.value * 100
                say(f"  abstention {name:12} refused {refused:.1f}  lost {lost:.1f}")

    async def _learning(self, bench: Bench) -> None:
        spec = bench.spec._replace(most=MappingProxyType({}))
        everything = load(spec, self._options.data, 0)
        warm(everything, self._encoder, _progress)
        found = await lessons(everything, self._encoder, sample=self._options.sample)
        self._results = replace(self._results, lessons=(*self._results.lessons, *found))
        say(f"  learning: hit@1 after {', '.join(map(str, LEVELS))} calls of each tool")
        for traffic in dict.fromkeys(one.traffic for one in found):
            hits = (f"{100 * one.hit.value:.1f}" for one in found if one.traffic == traffic)
            say(f"  {traffic:22} {' '.join(hits)}")

    def _note(self, note: str) -> None:
        say(note)
        self._results = replace(self._results, notes=(*self._results.notes, note))


def say(text: str) -> None:
    """Tell how far the run is."""
    print(text, flush=True)


def _progress(done: int, total: int) -> None:
    say(f"  {done} of {total} texts embedded")
