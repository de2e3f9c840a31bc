"""What a fuzz target is: one decoder, and what has to hold for any bytes."""

from __future__ import annotations

import asyncio
import atexit
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

FOUND: Final = Path(__file__).with_name("found")
"""Inputs that found something once, in a folder for each target; tests run them for ever."""

MOST_CPU_S: Final = 1.0
"""CPU seconds that one input may take; usual ones take a ten thousandth of it."""

HANG_S: Final = 30.0
"""Seconds after which whoever still waits counts as hung."""


class FoundError(AssertionError):
    """An input for which something does not hold that has to."""


@dataclass(frozen=True, slots=True)
class Target:
    """A decoder under test.

    Attributes:
        name: As on the command line.
        check: Takes an input; raises whatever is wrong.
        seeds: Real inputs to begin with.
        words: What inputs are made of, for whoever changes them.
        max_bytes: Longest input.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    max_bytes: int = 4096

    def run(self, data: bytes) -> None:
        """Check one input, and that it does not take long.

        Raises:
            FoundError: It takes too long.
            Exception: Whatever the decoder should not have raised, or what does not hold.
        """
        # The first input starts servers: what took long once has to take long again.
        if self._cpu_s(data) > MOST_CPU_S and (took := self._cpu_s(data)) > MOST_CPU_S:
            raise FoundError(f"{self.name} took {took:.1f} s of CPU for {len(data)} bytes")

    def _cpu_s(self, data: bytes) -> float:
        start = time.process_time()
        self.check(data)
        return time.process_time() - start

    @property
    def found(self) -> tuple[Path, ...]:
        """Inputs that found something once."""
        return tuple(sorted((FOUND / self.name).glob("*")))


def require(holds: object, what: str) -> None:
    """Raise unless something holds; also where Python leaves out assertions.

    Raises:
        FoundError: It does not.
    """
    if not holds:
        raise FoundError(what)


def pieces(data: bytes, count: int) -> list[bytes]:
    """Return the first lines of an input, and what is left of it as the last piece."""
    parts = data.split(b"\n", count - 1)
    return parts + [b""] * (count - len(parts))


@cache
def _runner() -> asyncio.Runner:
    # One loop for all inputs: to make one takes longer than most of them.
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner


def awaited(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end.

    Raises:
        FoundError: It waits for something that does not come.
    """

    async def within() -> T:
        try:
            async with asyncio.timeout(HANG_S):
                return await coroutine
        except TimeoutError as error:
            raise FoundError(f"not done after {HANG_S} s") from error

    return _runner().run(within())
