"""What the command line asks for, and the run that answers it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.machine import machine
from benchmarks.selection import plots, report
from benchmarks.selection.results import Results
from benchmarks.selection.runs import Options, Run, say
from benchmarks.selection.sample import data_folder
from benchmarks.selection.sets import GROUPS, SPECS
from benchmarks.selection.systems import SYSTEMS
from benchmarks.selection.vectors import CACHE, CachingEncoder
from scopedtools.exceptions import MissingDependencyError
from scopedtools.retrieval import HashingEncoder, OnnxEncoder, default_encoder
from scopedtools.types import Encoder

OUT: Final = Path(__file__).parent / "results"
PARTS: Final = ("ranking", "needle", "abstention", "learning")
USUAL_PARTS: Final = PARTS[:3]
"""Those that are run by default; learning curves take minutes for each set."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = _options(arguments)
        results = _results(options, arguments)
    except (ValueError, MissingDependencyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not results.sets:
        print("error: none of the sets is there", file=sys.stderr)
        return 1
    _conclude(results, options.out)
    return 0


def _results(options: Options, arguments: Sequence[str]) -> Results:
    encoder = CachingEncoder(_encoder(options.encoder), options.cache)
    try:
        return asyncio.run(
            Run(options, encoder, machine("benchmarks.selection", arguments, encoder)).everything()
        )
    finally:
        encoder.close()


def _conclude(results: Results, out: Path) -> None:
    drawn = plots.draw(results, out)
    if not drawn:
        say("no plots: matplotlib is not installed; run pip install 'scopedtools[bench]'")
    report.write(results, out / "report.md", drawn)
    say(f"\n{report.summary(results)}")
    say(f"results.json, report.md, {len(drawn)} plots and lines/ are in {out}")


def _encoder(name: str) -> Encoder:
    if name == "minilm-int8":
        return OnnxEncoder(int8=True)
    return HashingEncoder() if name == "hashing" else default_encoder()


def _options(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection", description=__doc__)
    data = data_folder()
    default = "single,dialogues,enlarged"
    parser.add_argument(
        "--sets", default=default, help=f"names, or {', '.join(GROUPS)}; {default} by default"
    )
    parser.add_argument("--systems", default=",".join(SYSTEMS), help="names; all by default")
    usual = ",".join(USUAL_PARTS)
    parser.add_argument("--parts", default=usual, help=f"of {', '.join(PARTS)}; {usual} by default")
    parser.add_argument(
        "--sample", type=int, default=300, help="most requests of a set, 0 for all; 300 by default"
    )
    parser.add_argument(
        "--full", action="store_true", help="every tool of toolbench, every request of metatool"
    )
    parser.add_argument("--data", type=Path, default=data, help=f"folder of the sets; {data} here")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the results")
    parser.add_argument(
        "--encoder",
        choices=("minilm", "minilm-int8", "hashing"),
        default="minilm",
        help="hashing needs no model",
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="database of vectors")
    given = parser.parse_args(arguments)
    if given.sample < 0:
        raise ValueError(f"--sample must be >= 0, got {given.sample}")
    return Options(
        sets=_names("--sets", given.sets, {**{name: (name,) for name in SPECS}, **GROUPS}),
        systems=_names("--systems", given.systems, {name: (name,) for name in SYSTEMS}),
        parts=_names("--parts", given.parts, {name: (name,) for name in PARTS}),
        sample=given.sample,
        full=given.full,
        data=given.data,
        out=given.out,
        encoder=given.encoder,
        cache=given.cache,
    )


def _names(option: str, given: str, known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    wanted = [name.strip() for name in given.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"{option} must name some of {', '.join(known)}, got {', '.join(unknown)}")
    return tuple(dict.fromkeys(name for group in wanted for name in known[group]))
