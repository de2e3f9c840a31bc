"""What the default model takes to load and to run: with torch, in ONNX Runtime, and there in 8 bits.

Run: python -m benchmarks.index.encoders [--json PATH] [--rounds N] [--requests N] [--documents N] [NAME ...]

Each encoder is measured in a fresh process on one thread; rounds alternate between them, and figures are
medians of the rounds, except that percentiles are those of the requests of all rounds. Loading is from the
first import to the first vector. Requests are encoded one by one, descriptions all in one call. Cosines are
with the vectors of the first encoder that is named.
"""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.index.encoder_worker import ENCODERS, Figures, Task
from benchmarks.index.selection_time import REAL, catalog, facts, sentences
from scopedtools.retrieval.text import texts

_ROOT: Final = Path(__file__).parents[2]
_LIBRARIES: Final = ("onnxruntime", "tokenizers", "sentence-transformers", "torch")


class Line(msgspec.Struct, kw_only=True):
    """One encoder; what is measured is explained at `Figures`, and here for one value of all rounds."""

    encoder: str
    load_s: float
    wall_p50_ms: float
    wall_p99_ms: float
    cpu_p50_ms: float
    texts_per_s: float
    rss_mb: tuple[float, float]
    private_mb: tuple[float, float]
    cosine_mean: float
    cosine_min: float


def task(requests: int, documents: int) -> Task:
    """Return short requests and descriptions, each of them spread over all that there are."""
    said, described = sentences(), [text for row in catalog(REAL) for text in texts(row)]
    return Task(
        [*said[:: max(1, len(said) // requests)]][:requests],
        [*described[:: max(1, len(described) // documents)]][:documents],
    )


def measure(name: str, given: Task) -> Figures:
    """Measure one encoder in a fresh process.

    Raises:
        CalledProcessError: It cannot be measured here; what it says has been printed.
    """
    done = subprocess.run(  # noqa: S603 - this interpreter and a name of ours
        [sys.executable, "-m", "benchmarks.index.encoder_worker", name],
        cwd=_ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        input=msgspec.json.encode(given),
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Figures)


def line(name: str, rounds: list[Figures], expected: npt.NDArray[np.float32]) -> Line:
    """Sum up all rounds of one encoder."""
    wall = [ms for one in rounds for ms in one.wall_ms]
    likeness = (_vectors(rounds[0]) * expected).reshape(-1, 384).sum(axis=1)
    return Line(
        encoder=name,
        load_s=round(median(one.load_s for one in rounds), 3),
        wall_p50_ms=round(float(np.percentile(wall, 50)), 2),
        wall_p99_ms=round(float(np.percentile(wall, 99)), 2),
        cpu_p50_ms=round(median(ms for one in rounds for ms in one.cpu_ms), 2),
        texts_per_s=round(median(one.texts_per_s for one in rounds), 1),
        rss_mb=_middle([one.rss_mb for one in rounds]),
        private_mb=_middle([one.private_mb for one in rounds]),
        cosine_mean=round(float(likeness.mean()), 6),
        cosine_min=round(float(likeness.min()), 6),
    )


def _vectors(figures: Figures) -> npt.NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(figures.vectors), np.float32)


def _middle(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    first, second = (round(median(values)) for values in zip(*pairs, strict=True))
    return first, second


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def main() -> None:
    """Read the command line, measure, print, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(ENCODERS)}; all")
    parser.add_argument("--json", type=Path, help="where to write the figures; they are also printed")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each encoder")
    parser.add_argument("--requests", type=int, default=200, help="requests for each process")
    parser.add_argument("--documents", type=int, default=400, help="descriptions for each process")
    arguments = parser.parse_args()
    names = arguments.names or list(ENCODERS)
    if unknown := set(names) - set(ENCODERS):
        parser.error(f"NAME must be one of {', '.join(ENCODERS)}, got {', '.join(sorted(unknown))}")
    given = task(arguments.requests, arguments.documents)
    rounds = [{name: measure(name, given) for name in names} for _ in range(arguments.rounds)]
    expected = _vectors(rounds[0][names[0]])
    lines = [line(name, [one[name] for one in rounds], expected) for name in names]
    report = {"machine": facts() | _versions(), "lines": lines}
    print(f"{'':10}  load s   p50 ms  p99 ms  CPU ms  texts/s  MB loaded, after (own)   cosine mean, min")
    for one in lines:
        (loaded, after), (own, own_after) = one.rss_mb, one.private_mb
        print(
            f"{one.encoder:10} {one.load_s:>7.2f} {one.wall_p50_ms:>8.2f} {one.wall_p99_ms:>7.2f} "
            f"{one.cpu_p50_ms:>7.2f} {one.texts_per_s:>8.1f}  {loaded:.0f} ({own:.0f}), {after:.0f} "
            f"({own_after:.0f})   {one.cosine_mean:.4f}, {one.cosine_min:.4f}"
        )
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


if __name__ == "__main__":
    main()
