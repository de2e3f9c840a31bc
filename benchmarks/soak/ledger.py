"""Every call that was made, and whether it was answered and carried out once."""

from __future__ import annotations

import itertools
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Final

_PROBLEMS: Final = 200
"""Problems that are told in full; of others only the number."""

_REMEMBERED: Final = 20_000
"""Calls that were cut off and may be carried out yet."""

_LATE_S: Final = 15.0
"""Seconds after which a call that was cut off is carried out, if it is at all."""


class Ledger:
    """Counts calls on the client's side, and compares that with the server's.

    A call is ``answered``; or ``cut``: its client went away or cancelled it, and it was carried out once or
    not at all.

    Attributes:
        requests: Requests of all kinds, by name.
        problems: What was not as it should be.
        statuses: HTTP statuses that were seen.
        outcomes: Calls by how they ended.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.problems: list[str] = []
        self.problem_count = 0
        self._numbers = itertools.count(1)
        self._open: dict[str, str] = {}
        self._answered: dict[str, float] = {}
        self._cut: OrderedDict[str, float] = OrderedDict()
        self._executed: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """Calls that are under way."""
        return len(self._open)

    def begin(self, name: str) -> str:
        """Note a call; returns what it is counted by."""
        call = f"{name}-{next(self._numbers)}"
        self._open[call] = name
        return call

    def answered(self, call: str, now: float) -> None:
        """Note that a call was answered, once."""
        if self._open.pop(call, None) is None:
            self.problem(f"{call} was answered twice")
        self._answered[call] = now
        self.outcomes["answered"] += 1

    def cut(self, call: str, now: float) -> None:
        """Note that nobody waits for a call any longer."""
        if self._open.pop(call, None) is not None:
            self._cut[call] = now
            self.outcomes["cut"] += 1
        while len(self._cut) > _REMEMBERED:
            self._cut.popitem(last=False)

    def problem(self, what: str) -> None:
        """Note that something was not as it should be."""
        self.problem_count += 1
        if len(self.problems) < _PROBLEMS:
            self.problems.append(what)

    def compare(self, executed: Mapping[str, int], asked: float) -> None:
        """Compare with what the server carried out.

        Args:
            executed: How many times each call was carried out since it was asked before.
            asked: When the server was asked, on the clock of `answered` and `cut`.
        """
        self._executed.update(executed)
        for call in [call for call, when in self._answered.items() if when < asked]:
            del self._answered[call]
            if (times := self._executed.pop(call, 0)) != 1:
                self.problem(f"{call} was answered, and carried out {times} times")
        for call in [call for call, when in self._cut.items() if when < asked - _LATE_S]:
            del self._cut[call]
            times = self._executed.pop(call, 0)
            self.outcomes["cut and carried out" if times else "cut and not carried out"] += 1
            if times > 1:
                self.problem(f"{call} was cut off, and carried out {times} times")
        for call in [call for call in self._executed if not self._knows(call)]:
            self.problem(f"{call} was carried out, and nobody made it")
            del self._executed[call]

    def finish(self) -> None:
        """Note what is still open."""
        for call in self._open:
            self.problem(f"{call} was never answered")
        for call in self._answered:
            self.problem(f"{call} was answered, and not looked up")

    def _knows(self, call: str) -> bool:
        return call in self._open or call in self._answered or call in self._cut
