"""Measures one encoder in a process of its own: ``python -m benchmarks.index.encoder_worker NAME < Task``."""

from __future__ import annotations

import sys
import time

_START = time.perf_counter()

import base64  # noqa: E402 - the clock starts before what is imported
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Final  # noqa: E402

import msgspec  # noqa: E402

from scopedtools.retrieval import OnnxEncoder, SentenceTransformerEncoder  # noqa: E402
from scopedtools.types import Encoder  # noqa: E402

ENCODERS: Final[dict[str, Callable[[], Encoder]]] = {
    "torch": SentenceTransformerEncoder,
    "onnx": OnnxEncoder,
    "onnx-int8": lambda: OnnxEncoder(int8=True),
}
_WARM: Final = 10


class Task(msgspec.Struct):
    """Texts to encode: requests one by one, descriptions all at once."""

    requests: list[str]
    documents: list[str]


class Figures(msgspec.Struct):
    """What one process measured.

    Attributes:
        load_s: Seconds from the first import to the first vector.
        wall_ms: Of each request.
        cpu_ms: Of each request, all threads together.
        texts_per_s: Of all descriptions.
        rss_mb: Resident memory once loaded, and after all else, in 10^6 bytes; 0 where it cannot be told.
        private_mb: The same without what other processes share, files that are mapped.
        vectors: Of all descriptions, float32, in base 64.
    """

    load_s: float
    wall_ms: list[float]
    cpu_ms: list[float]
    texts_per_s: float
    rss_mb: tuple[float, float]
    private_mb: tuple[float, float]
    vectors: str


def measure(encoder: Encoder, task: Task) -> Figures:
    """Load an encoder and run it."""
    encoder.encode_queries(["warm up"])
    load_s = time.perf_counter() - _START
    rss, private = memory_mb()
    for text in task.requests[:_WARM]:
        encoder.encode_queries([text])
    took = [_took(encoder, text) for text in task.requests]
    start = time.perf_counter()
    vectors = encoder.encode_documents(task.documents)
    texts_per_s = len(task.documents) / (time.perf_counter() - start)
    rss_after, private_after = memory_mb()
    return Figures(
        load_s,
        [wall for wall, _ in took],
        [cpu for _, cpu in took],
        texts_per_s,
        (rss, rss_after),
        (private, private_after),
        base64.b64encode(vectors.tobytes()).decode(),
    )


def memory_mb() -> tuple[float, float]:
    """Return the resident memory of this process, and what of it is its own."""
    status = Path("/proc/self/status")
    lines = status.read_text("utf-8").splitlines() if status.exists() else []
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
    rss, private = (kilobytes.get(name, 0) * 1024 / 1e6 for name in ("VmRSS", "RssAnon"))
    return rss, private


def _took(encoder: Encoder, text: str) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    encoder.encode_queries([text])
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    sys.stdout.buffer.write(msgspec.json.encode(measure(ENCODERS[sys.argv[1]](), given)))
