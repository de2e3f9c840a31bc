"""The server of this package with a sampling profiler: costs next to nothing, unlike one that counts calls.

Run: python -m benchmarks.serving.sampling FILE TOOLS PORT

SIGUSR1 starts it anew, SIGUSR2 stops it and writes what it saw. A sample is taken every millisecond of CPU
time of the process, in the thread that answers, between two steps of the interpreter: time in C counts for
the function that called it, and time in other threads for whatever waits meanwhile.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

import msgspec

from benchmarks.serving import ours

_EVERY_S: Final = 0.001


class Samples(msgspec.Struct):
    """What was seen.

    Attributes:
        taken: Number of samples.
        within: In how many of them each function was on the stack.
        itself: In how many of them it ran itself.
    """

    taken: int = 0
    within: dict[str, int] = {}
    itself: dict[str, int] = {}


class _Sampler:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken = 0
        self._within: Counter[str] = Counter()
        self._itself: Counter[str] = Counter()

    def start(self, *_: object) -> None:
        self._taken = 0
        self._within.clear()
        self._itself.clear()
        signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)

    def take(self, _: int, frame: FrameType | None) -> None:
        self._taken += 1
        if frame is not None:
            self._itself[_named(frame.f_code)] += 1
        stack = set()
        while frame is not None:
            stack.add(_named(frame.f_code))
            frame = frame.f_back
        self._within.update(stack)

    def stop(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        found = Samples(self._taken, dict(self._within), dict(self._itself))
        beside = self._path.with_suffix(".part")
        beside.write_bytes(msgspec.json.encode(found))
        beside.replace(self._path)  # whoever waits for it finds it whole


def _named(code: CodeType) -> str:
    parts = Path(code.co_filename).parts[-3:]
    return f"{'/'.join(parts)}:{code.co_qualname}"


def main() -> None:
    """Serve."""
    path = sys.argv.pop(1)
    sampler = _Sampler(Path(path))
    signal.signal(signal.SIGPROF, sampler.take)
    signal.signal(signal.SIGUSR1, sampler.start)
    signal.signal(signal.SIGUSR2, sampler.stop)
    ours.main()


if __name__ == "__main__":
    main()
