"""What a run runs on: recorded, since figures without it mean little."""

from __future__ import annotations

import os
import platform
import shlex
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import msgspec

from scopedtools.types import Encoder

_LIBRARIES: Final = (
    "scopedtools",
    "numpy",
    "faiss-cpu",
    "bm25s",
    "onnxruntime",
    "sentence-transformers",
    "torch",
    "matplotlib",
    "mcp",
    "uvicorn",
    "uvloop",
    "httptools",
    "starlette",
    "msgspec",
    "redis",
)
_ROOT: Final = Path(__file__).parents[1]


class Machine(msgspec.Struct, frozen=True):
    """What a run ran on, and how.

    Attributes:
        command: Command line.
        commit: Of the repository, with ``+`` where files differ from it.
        processor: Name and cores.
        python: Version.
        libraries: Versions by name.
        encoder: Name and revision; none where nothing depends on it.
        encode_ms: Milliseconds to encode one request, median; none where nothing was measured.
        date: ISO 8601, UTC.
    """

    command: str
    commit: str
    processor: str
    python: str
    libraries: dict[str, str]
    encoder: str | None
    encode_ms: float | None
    date: str

    def lines(self) -> Iterator[str]:
        """Yield the paragraphs that say this at the beginning of a report."""
        versions = ", ".join(f"{name} {version}" for name, version in self.libraries.items())
        encoder = "" if self.encoder is None else f"; encoder {self.encoder}"
        yield f"`{self.command}` at {self.commit}, {self.date}\n"
        yield f"{self.processor}; Python {self.python}; {versions}{encoder}\n"


def machine(module: str, arguments: Sequence[str], encoder: Encoder | None = None) -> Machine:
    """Describe this machine and this run; what encoding takes is measured later.

    Args:
        module: What is run, as ``python -m`` takes it.
        arguments: Of the command line.
        encoder: What requests are encoded with, where that matters.
    """
    return Machine(
        command=shlex.join(["python", "-m", module, *arguments]),
        commit=_commit(),
        processor=f"{_processor()}, {os.cpu_count()} cores",
        python=platform.python_version(),
        libraries={name: found for name in _LIBRARIES if (found := _version(name))},
        encoder=None if encoder is None else f"{encoder.name} {encoder.revision[:12]}",
        encode_ms=None,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def encode_ms(encoder: Encoder, texts: Sequence[str]) -> float:
    """Return the median milliseconds that an encoder takes for one request."""
    encoder.load()
    took: list[float] = []
    for text in texts:
        start = time.perf_counter()
        encoder.encode_queries([text])
        took.append((time.perf_counter() - start) * 1000)
    return statistics.median(took)


def _commit() -> str:
    commit = _git("rev-parse", "--short", "HEAD")
    return (
        f"{commit}{'+' if _git('status', '--porcelain', '--untracked-files=no') else ''}"
        if commit
        else "unknown"
    )


def _git(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - a fixed command
        ["git", *arguments],  # noqa: S607 - whichever git there is
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
