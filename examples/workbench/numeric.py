"""Types and checks that the workbench's numeric tools share."""

import math
from collections.abc import Iterator, Sized
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from pydantic import Field

Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

MAX_SAFE: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""

T = TypeVar("T")


def finite(value: T) -> T:
    """Return `value`, or refuse it where a number inside left the range of floats.

    Raises:
        ValueError: JSON has no infinity and no NaN.
    """
    if not all(map(math.isfinite, _floats(value))):
        raise ValueError("the result must be a finite number, got one out of range: use smaller numbers")
    return value


def same_length(first_name: str, first: Sized, second_name: str, second: Sized) -> None:
    """Refuse two collections that do not pair up.

    Raises:
        ValueError: Their lengths differ.
    """
    if len(first) != len(second):
        raise ValueError(
            f"{first_name} and {second_name} must have the same length, got {len(first)} and {len(second)}: "
            "give one value of each for every pair"
        )


@dataclass(frozen=True)
class FiniteResult:
    """A result of named numbers that refuses to hold one that JSON cannot."""

    def __post_init__(self) -> None:
        finite(list(vars(self).values()))


def _floats(value: object) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _floats(item)
