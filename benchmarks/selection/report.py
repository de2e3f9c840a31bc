"""The report of a run, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.selection.published import PUBLISHED, Published
from benchmarks.selection.results import Lesson, Needle, Results
from benchmarks.selection.sets import GROUPS
from benchmarks.selection.systems import SYSTEMS
from benchmarks.selection.tables import cell_of, groups_of, mean_of, over_sets, percent, systems_of, table
from scopedtools.evaluation.measures import Mean

_RANKING: Final = ("hit@1", "recall@5", "recall@10", "nDCG@10", "complete@5", "complete@10", "MRR@50")
_VIEW: Final = ("view_complete", "view_recall", "view_rows", "view_tokens", "prefix_kept", "prefix_cached")
_SET_HEADING: Final = "recall@5 / completeness@10"
_BESIDE: Final = ("ours", "convex")


def write(results: Results, path: Path, plots: Sequence[str]) -> None:
    """Write the report.

    Args:
        results: What was measured.
        path: Of the report.
        plots: Names of the files of its plots, which lie beside it.
    """
    path.write_text("\n".join(_sections(results, plots)), encoding="utf-8")


def summary(results: Results) -> str:
    """Return the means over each group of sets, for a terminal."""
    return "\n".join(_means(results))


def _sections(results: Results, plots: Sequence[str]) -> Iterator[str]:
    yield "# Selection accuracy\n"
    yield from _about(results)
    yield from _means(results)
    yield from _by_set(results)
    yield from _views(results)
    yield from _needles(results)
    yield from _abstentions(results)
    yield from _lessons(results)
    yield from _times(results)
    yield from _published(results)
    if plots:
        yield "## Plots\n"
        yield "\n".join(f"![{Path(plot).stem}]({plot})" for plot in plots) + "\n"


def _about(results: Results) -> Iterator[str]:
    yield from results.machine.lines()
    yield (
        "In percent, ± half of the 95 % bootstrap interval. Requests and turns that need nothing are left "
        "out of the means. Means over sets count each set alike; their interval tells what other requests "
        "of the same sets would change.\n"
    )
    yield from (f"- {note}" for note in results.notes)
    rows = [
        (facts.name, str(facts.tools), str(facts.tokens), str(facts.units), str(facts.needing), facts.origin)
        for facts in results.sets
    ]
    yield "\n## Sets\n"
    yield table(("set", "tools", "tokens", "requests or dialogues", "lines with needs", "from"), rows)
    yield "## Systems\n"
    yield table(
        ("system", "what it is"), [(name, SYSTEMS[name].about) for name in systems_of(results)], left=2
    )


def _means(results: Results) -> Iterator[str]:
    for group, names in groups_of(results).items():
        yield f"## Means: {group} ({len(names)} sets)\n"
        rows = [
            (system, *(percent(mean_of(results, names, system, measure)) for measure in _RANKING))
            for system in systems_of(results)
            if mean_of(results, names, system, _RANKING[0]) is not None
        ]
        yield table(("system", *_RANKING), rows)


def _by_set(results: Results) -> Iterator[str]:
    for group, names in groups_of(results).items():
        yield f"## By set: {group}, {_SET_HEADING}\n"
        rows = [
            (name, *(_set_cell(results, name, system) for system in _of_group(results, names)))
            for name in names
        ]
        yield table(("set", *_of_group(results, names)), rows)


def _of_group(results: Results, names: Sequence[str]) -> list[str]:
    run = {cell.system for cell in results.cells if cell.set in names}
    return [system for system in systems_of(results) if system in run]


def _set_cell(results: Results, name: str, system: str) -> str:
    cell = cell_of(results, name, system)
    if cell is None:
        return "-"
    return " / ".join(percent(cell.means[measure], interval=False) for measure in ("recall@5", "complete@10"))


def _views(results: Results) -> Iterator[str]:
    if not results.cells:
        return
    yield "## Views: what a server would list (16 rows, append-only)\n"
    yield (
        "`view_tokens`: share of the full list's tokens. `prefix_kept`: share of the earlier list's tokens "
        "that stay where they were; `prefix_cached`: share of a list's tokens that were there before.\n"
    )
    for group, names in groups_of(results).items():
        rows = [
            (
                f"{group} (mean)",
                system,
                *(_view_cell(mean_of(results, names, system, one), one) for one in _VIEW),
            )
            for system in _of_group(results, names)
        ]
        rows += [
            (cell.set, cell.system, *(_view_cell(cell.means[one], one) for one in _VIEW))
            for cell in results.cells
            if cell.system == "ours" and cell.set in names
        ]
        yield table(("set", "system", *_VIEW), rows, left=2)


def _view_cell(mean: Mean | None, measure: str) -> str:
    if measure == "view_rows":
        return "-" if mean is None else f"{mean.value:.1f}"
    return percent(mean, interval=measure == "view_complete")


def _needles(results: Results) -> Iterator[str]:
    if not results.needles:
        return
    sizes = sorted({point.tools for point in results.needles})
    yield "## Needle in a haystack (RAG-MCP's stress test): hit@1 / recall@5 by size of the catalog\n"
    for source in dict.fromkeys(point.source for point in results.needles):
        at = {(point.system, point.tools): point for point in results.needles if point.source == source}
        rows = [
            (system, *(_needle_cell(at[system, size]) if (system, size) in at else "-" for size in sizes))
            for system in dict.fromkeys(system for system, _ in at)
        ]
        yield f"Needles of {source}:\n"
        yield table(("system", *map(str, sizes)), rows)


def _needle_cell(point: Needle) -> str:
    return f"{percent(point.hit, interval=False)} / {percent(point.recall, interval=False)}"


def _abstentions(results: Results) -> Iterator[str]:
    if not results.abstentions:
        return
    systems = list(dict.fromkeys(one.system for one in results.abstentions))
    by = {
        (one.set, one.system): f"{percent(one.refused)} / {percent(one.lost)}" for one in results.abstentions
    }
    names = list(dict.fromkeys(name for name, _ in by))
    rows = [(name, *(by.get((name, system), "-") for system in systems)) for name in names]
    yield "## Abstention (leave-one-out): refused without the needed tools / lost with them\n"
    yield table(("set", *systems), [*rows, ("mean", *(_mean_abstention(results, one) for one in systems))])


def _mean_abstention(results: Results, system: str) -> str:
    single = GROUPS["single"]
    found = [one for one in results.abstentions if one.system == system and one.set in single]
    refused, lost = over_sets([one.refused for one in found]), over_sets([one.lost for one in found])
    return f"{percent(refused)} / {percent(lost)}"


def _lessons(results: Results) -> Iterator[str]:
    if not results.lessons:
        return
    yield "## Learning from use: hit@1 / recall@5 / nDCG@10 by calls of each tool\n"
    yield (
        "Learned from half of the requests and searched for the others, over several splits. `even`: up to "
        "so many calls of each tool; `natural`: on average, as the set has them; `wrong`: as even, 20 % of "
        "the calls are of a wrong tool; `partial`: as natural, 30 % of the tools are never called. `calls`: "
        "of each tool that the set asks for, on average; there may be no more. `served`: share of the "
        "requests that are found to be served.\n"
    )
    levels = sorted({one.level for one in results.lessons})
    for name in dict.fromkeys(one.set for one in results.lessons):
        at = {(one.traffic, one.level): one for one in results.lessons if one.set == name}
        yield f"{name}:\n"
        rows = [
            (head, *(told(at[traffic, level]) for level in levels))
            for traffic in dict.fromkeys(traffic for traffic, _ in at)
            for head, told in ((traffic, _lesson_cell), ("", _calls_cell))
        ]
        yield table(("calls of each tool", *map(str, levels)), rows)


def _lesson_cell(one: Lesson) -> str:
    return " / ".join(percent(mean, interval=False) for mean in (one.hit, one.recall, one.ndcg))


def _calls_cell(one: Lesson) -> str:
    return f"{one.uses:.1f} calls, {percent(one.fits, interval=False)} served"


def _times(results: Results) -> Iterator[str]:
    if not results.cells:
        return
    yield "## Milliseconds of a search beside the encoder: p50 / p99\n"
    if results.machine.encode_ms is not None:
        yield f"Encoding one request took {results.machine.encode_ms:.1f} ms (median) on top.\n"
    systems = systems_of(results)
    rows = []
    for facts in results.sets:
        cells = [cell_of(results, facts.name, system) for system in systems]
        shown = ("-" if cell is None else f"{cell.ms['p50']:.1f} / {cell.ms['p99']:.1f}" for cell in cells)
        rows.append((f"{facts.name} ({facts.tools})", *shown))
    yield table(("set (tools)", *systems), rows)


def _published(results: Results) -> Iterator[str]:
    yield "## Published figures beside ours\n"
    yield "Set-ups differ, as the last column tells: none of these compares under equal conditions.\n"
    rows = [
        (
            one.work,
            one.data,
            one.figure,
            f"{one.measure.removeprefix('part:')} on {one.set}",
            *(_ours(results, one, system) for system in _BESIDE),
            one.source,
            one.difference,
        )
        for one in PUBLISHED
    ]
    head = ("work", "data", "published", "ours: measure", "ours", "baseline (convex)", "source", "difference")
    yield table(head, rows, left=4)


def _ours(results: Results, one: Published, system: str) -> str:
    if one.measure == "needle":
        found = [point for point in results.needles if (point.source, point.system) == (one.set, system)]
        return percent(max(found, key=lambda point: point.tools).hit) if found else "-"
    if one.measure.startswith("part:"):
        _, part, measure = one.measure.split(":")
        cell = cell_of(results, one.set, system)
        return "-" if cell is None or part not in cell.parts else f"{100 * cell.parts[part][measure]:.1f}"
    return percent(mean_of(results, GROUPS.get(one.set, (one.set,)), system, one.measure))
