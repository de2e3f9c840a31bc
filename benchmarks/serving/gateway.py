"""What a gateway costs: a call through it, lists with more upstreams, and a tool that changed behind it.

Run: python -m benchmarks.serving.gateway [calls] [lists] [update] [--encoder minilm|hashing] [--json PATH]

Without names it measures all three. See the README in this folder for what each column is.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.machine import Machine, machine
from benchmarks.serving.gateway_calls import CallLine, measure_calls
from benchmarks.serving.gateway_lists import ListLine, UpdateLine, measure_lists, measure_update
from scopedtools.retrieval import HashingEncoder
from scopedtools.retrieval.encoders import default_encoder
from scopedtools.types import Encoder

PARTS: Final = ("calls", "lists", "update")


class Results(msgspec.Struct):
    """All that was measured, and where."""

    machine: Machine
    calls: list[CallLine] = []
    lists: list[ListLine] = []
    update: list[UpdateLine] = []


def show(lines: Sequence[msgspec.Struct], *, say: Callable[[str], None] = print) -> None:
    """Print lines of one kind as a table."""
    if not lines:
        return
    names = lines[0].__struct_fields__
    rows = [names, *([str(getattr(line, name)) for name in names] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    say("")


async def measure(parts: Sequence[str], encoder: Encoder, results: Results) -> None:
    """Measure, and print each part as soon as it is there."""
    if "calls" in parts:
        results.calls = await measure_calls()
        show(results.calls)
    if "lists" in parts:
        results.lists = await measure_lists()
        show(results.lists)
    if "update" in parts:
        results.update = [await measure_update(encoder)]
        show(results.update)


def main() -> None:
    """Read the command line, measure, print, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"among {', '.join(PARTS)}")
    parser.add_argument("--encoder", choices=("minilm", "hashing"), default="minilm", help="of the update")
    parser.add_argument("--json", type=Path, help="where to write the figures; they are also printed")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    encoder: Encoder = default_encoder() if arguments.encoder == "minilm" else HashingEncoder(384)
    results = Results(machine("benchmarks.serving.gateway", arguments.parts, encoder))
    asyncio.run(measure(arguments.parts or PARTS, encoder, results))
    said = results.machine
    libraries = ", ".join(f"{name} {version}" for name, version in said.libraries.items())
    print(f"{said.processor}, Python {said.python}, {libraries}, commit {said.commit}, {said.date}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


if __name__ == "__main__":
    main()
