"""What a model picked, a line a request and list, and the comparison that comes of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
from rich.table import Table

from scopedtools.evaluation.data import Slot
from scopedtools.evaluation.measures import complete, mean
from scopedtools.exceptions import ScopedToolsError

PUBLISHED: Final = (
    "RAG-MCP (arXiv 2505.03275) reports 43.13 % with retrieval, 18.20 % with keyword match, 13.62 % with all "
    "tools, and prompts about half as long with retrieval. Another set-up: web-search requests of MCPBench, "
    "one right server among others, and another model."
)


class ResultsError(ScopedToolsError):
    """A file of results cannot be used."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one request with one list.

    Attributes:
        list: Name of the list.
        id: Of the request.
        asked: Digest of what was sent; another model, list or wording has another.
        set: Name of the test set.
        model: Name of the model.
        shown: Tools in the list.
        offered: Whether all that the request needs was in the list.
        called: IDs of the tools that were called, in order; a name that was not shown has a ``?`` before it.
        correct: Whether the calls meet the need.
        prompt_tokens: Of the request.
        completion_tokens: Of the answer.
        estimated: Whether the tokens are estimated.
        seconds: Until the answer.
        refused: Why the endpoint would not take the request, or ``""``.
    """

    list: str
    id: str
    asked: str
    set: str
    model: str
    shown: int
    offered: bool
    called: tuple[str, ...] = ()
    correct: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False
    seconds: float = 0.0
    refused: str = ""


_outcome: Final = msgspec.json.Decoder(Outcome)

Key = tuple[str, str, str]


def key_of(outcome: Outcome) -> Key:
    """Return what tells an outcome from all others: list, request, and what was sent."""
    return outcome.list, outcome.id, outcome.asked


def is_correct(called: Sequence[str], needed: Sequence[Slot]) -> bool:
    """Tell whether the first call meets the only need, or all calls together meet all needs."""
    return complete(called[:1] if len(needed) == 1 else called, needed)


class ResultsFile:
    """Outcomes as JSON lines, each written as soon as it is there, so that a run can be taken up again.

    Args:
        path: Made where it is missing. A last line that was cut off is taken out.

    Attributes:
        outcomes: Those of the file, by key; what a run adds comes in as well.

    Raises:
        ResultsError: The file cannot be read or written, or is not of outcomes.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = path.read_bytes() if path.exists() else b""
            whole, end, _ = kept.rpartition(b"\n")
            self.outcomes = {key_of(one): one for one in map(_outcome.decode, whole.splitlines())}
            self._file = path.open("r+b" if path.exists() else "x+b")
            self._file.truncate(len(whole) + len(end))
            self._file.seek(0, 2)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ResultsError(f"{path} cannot be taken up ({error}); give another --out") from error

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome."""
        self._file.write(msgspec.json.encode(outcome) + b"\n")
        self._file.flush()
        self.outcomes[key_of(outcome)] = outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def comparison(outcomes: Iterable[Outcome], title: str) -> Table:
    """Return the measures of each list, in the order in which the lists first come.

    Tokens and seconds are means over what was sent and answered; accuracy is over all requests.
    """
    table = Table(title=title, title_justify="left")
    for name in (
        "list",
        "n",
        "tools",
        "offered %",
        "accuracy %",
        "95 %",
        "prompt",
        "completion",
        "s",
        "refused",
    ):
        table.add_column(name, justify="left" if name == "list" else "right")
    by_list: dict[str, list[Outcome]] = {}
    for one in outcomes:
        by_list.setdefault(one.list, []).append(one)
    for name, of_list in by_list.items():
        table.add_row(name, *_cells(of_list))
    return table


def _cells(outcomes: Sequence[Outcome]) -> list[str]:
    accuracy = mean([100.0 * one.correct for one in outcomes])
    answered = [one for one in outcomes if one.seconds]
    about = "~" if any(one.estimated for one in answered) else ""
    return [
        str(len(outcomes)),
        f"{_mean(one.shown for one in outcomes):.1f}",
        f"{_mean(100 * one.offered for one in outcomes):.1f}",
        f"{accuracy.value:.1f}",
        f"{accuracy.low:.1f} to {accuracy.high:.1f}",
        f"{about}{_mean(one.prompt_tokens for one in answered):.0f}",
        f"{about}{_mean(one.completion_tokens for one in answered):.0f}",
        f"{_mean(one.seconds for one in answered):.2f}",
        str(sum(bool(one.refused) for one in outcomes)),
    ]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.fmean(found) if found else 0.0
