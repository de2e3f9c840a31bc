"""The field's measures of a ranking, and confidence intervals for their means."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from scopedtools.evaluation.data import Slot

_RESAMPLES: Final = 2000

_PORTION: Final = 1_000_000
"""Draws made at once, about, so that memory stays small."""

_Floats = npt.NDArray[np.float64]


def recall(ranked: Sequence[str], needed: Sequence[Slot], k: int) -> float:
    """Return the share of the needs that the first ``k`` meet."""
    return _met(set(ranked[:k]), needed) / len(needed)


def complete(shown: Sequence[str], needed: Sequence[Slot]) -> bool:
    """Tell whether every need is met. Over the first ``k`` of a ranking this is completeness@k."""
    return _met(set(shown), needed) == len(needed)


def hit(ranked: Sequence[str], needed: Sequence[Slot]) -> bool:
    """Tell whether the first of a ranking meets a need: hit@1."""
    return _met(set(ranked[:1]), needed) > 0


def reciprocal_rank(ranked: Sequence[str], needed: Sequence[Slot]) -> float:
    """Return 1 over the rank of the first that meets a need, 0 where none does. Its mean is MRR."""
    wanted = {name for slot in needed for name in slot}
    return next((1 / rank for rank, name in enumerate(ranked, start=1) if name in wanted), 0.0)


def ndcg(ranked: Sequence[str], needed: Sequence[Slot], k: int) -> float:
    """Return the normalised discounted cumulative gain of the first ``k``, each need worth 1 once.

    Järvelin and Kekäläinen, 2002, with binary gain and a discount of log2(rank + 1).
    """
    left = list(needed)
    gain = 0.0
    for rank, name in enumerate(ranked[:k], start=1):
        slot = next((slot for slot in left if name in slot), None)
        if slot is not None:
            left.remove(slot)
            gain += 1 / math.log2(rank + 1)
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(needed)) + 1))


class Mean(NamedTuple):
    """A mean with its 95 % confidence interval.

    Attributes:
        value: The mean, or ``nan`` of nothing.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: Number of values.
    """

    value: float
    low: float
    high: float
    n: int


def mean(values: Sequence[float] | _Floats, *, units: Sequence[str] | None = None) -> Mean:
    """Return the mean and its percentile bootstrap interval (Efron, 1979), the same each time.

    Args:
        values: One for each line.
        units: What each value belongs to, or ``None`` where each stands alone. Whole units are drawn: the
            turns of a dialogue resemble each other, and an interval from single ones is too narrow.
    """
    sample = np.asarray(values, dtype=np.float64)
    if not sample.size:
        return Mean(math.nan, math.nan, math.nan, 0)
    sums, sizes = _by_unit(sample, units)
    random = np.random.default_rng(0)
    at_once = max(1, _PORTION // sums.size)
    rounds = [min(at_once, _RESAMPLES - done) for done in range(0, _RESAMPLES, at_once)]
    means = [_drawn_means(sums, sizes, random, n) for n in rounds]
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975))
    return Mean(float(sample.mean()), float(low), float(high), int(sample.size))


def _drawn_means(sums: _Floats, sizes: _Floats, random: np.random.Generator, n: int) -> _Floats:
    drawn = random.integers(0, sums.size, (n, sums.size))
    means: _Floats = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def _by_unit(sample: _Floats, units: Sequence[str] | None) -> tuple[_Floats, _Floats]:
    if units is None:
        return sample, np.ones_like(sample)
    places: dict[str, int] = {}
    unit = [places.setdefault(name, len(places)) for name in units]
    return _sums(unit, sample), _sums(unit, np.ones_like(sample))


def _sums(unit: Sequence[int], values: _Floats) -> _Floats:
    return np.bincount(unit, weights=values).astype(np.float64)


def _met(shown: Collection[str], needed: Sequence[Slot]) -> int:
    return sum(any(name in shown for name in slot) for slot in needed)
