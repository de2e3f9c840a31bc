"""Tools that draw random numbers, samples and splits; with a seed, the same ones each time."""

import itertools
import random
import re
import string
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, JsonValue

from examples.workbench.numeric import (
    MAX_SAFE,
    FiniteResult,
    NonNegative,
    Number,
    Positive,
    finite,
    same_length,
)

Seed = Annotated[int, Field(ge=0, le=MAX_SAFE)] | None
Count = Annotated[int, Field(ge=1, le=10_000)]
Integer = Annotated[int, Field(ge=-MAX_SAFE, le=MAX_SAFE)]
Items = Annotated[list[JsonValue], Field(min_length=1, max_length=10_000)]
Sample = Annotated[list[Number], Field(min_length=2, max_length=1_000)]
Rounds = Annotated[int, Field(ge=100, le=2_000)]
Dice = Annotated[str, Field(pattern="^[0-9]{0,3}[dD][0-9]{1,4}([+-][0-9]{1,5})?$")]


@dataclass(frozen=True)
class Split:
    train: list[JsonValue]
    test: list[JsonValue]


@dataclass(frozen=True)
class Roll:
    rolls: list[int]
    modifier: int
    total: int


@dataclass(frozen=True)
class BootstrapInterval(FiniteResult):
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class PermutationTest(FiniteResult):
    difference: float
    p_value: float


def _generator(seed: int | None) -> random.Random:
    return random.Random(seed)  # noqa: S311 - for samples and games, as the descriptions say


def _ordered(low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"low must be <= high, got {low} and {high}: swap them")


def random_integers(low: Integer, high: Integer, count: Count = 1, seed: Seed = None) -> list[int]:
    """Draw random whole numbers from a range, both ends included.

    Args:
        low: The smallest number allowed.
        high: The largest number allowed.
        count: How many to draw.
        seed: Draws the same numbers each time; leave out for new ones.
    """
    _ordered(low, high)
    generator = _generator(seed)
    return [generator.randint(low, high) for _ in range(count)]


def random_floats(low: Number = 0, high: Number = 1, count: Count = 1, seed: Seed = None) -> list[float]:
    """Draw random decimal numbers, evenly distributed over a range.

    Args:
        low: The lower end.
        high: The upper end.
        count: How many to draw.
        seed: Draws the same numbers each time; leave out for new ones.
    """
    _ordered(low, high)
    generator = _generator(seed)
    return finite([generator.uniform(low, high) for _ in range(count)])


def random_normal_values(
    mean: Number = 0, standard_deviation: NonNegative = 1, count: Count = 1, seed: Seed = None
) -> list[float]:
    """Draw random numbers from a normal (Gaussian) distribution.

    Args:
        mean: The distribution's mean.
        standard_deviation: The distribution's standard deviation.
        count: How many to draw.
        seed: Draws the same numbers each time; leave out for new ones.
    """
    generator = _generator(seed)
    return finite([generator.gauss(mean, standard_deviation) for _ in range(count)])


def random_waiting_times(mean: Positive, count: Count = 1, seed: Seed = None) -> list[float]:
    """Draw random waiting times between independent events (exponential distribution).

    Args:
        mean: The average time between events.
        count: How many to draw.
        seed: Draws the same times each time; leave out for new ones.
    """
    generator = _generator(seed)
    return finite([generator.expovariate(1) * mean for _ in range(count)])


def random_walk(steps: Count, step_size: Positive = 1, seed: Seed = None) -> list[float]:
    """Simulate a random walk on a line: positions after each step up or down, starting at 0.

    Args:
        steps: How many steps to take.
        step_size: How far each goes.
        seed: Takes the same walk each time; leave out for a new one.
    """
    moves = _generator(seed).choices((-1, 1), k=steps)
    return finite([position * step_size for position in itertools.accumulate(moves, initial=0)])


def shuffle_list(items: Items, seed: Seed = None) -> list[JsonValue]:
    """Put the values of a list in random order.

    Args:
        items: Any JSON values.
        seed: Shuffles the same way each time; leave out for a new order.
    """
    return _generator(seed).sample(items, len(items))


def sample_without_replacement(items: Items, count: Count, seed: Seed = None) -> list[JsonValue]:
    """Pick some values of a list at random, none of them twice, such as winners of a raffle.

    Args:
        items: Any JSON values.
        count: How many to pick.
        seed: Picks the same ones each time; leave out for new ones.
    """
    if count > len(items):
        raise ValueError(f"count must be <= the number of items, got {count} for {len(items)}: pick fewer")
    return _generator(seed).sample(items, count)


def weighted_choice(
    items: Items,
    weights: Annotated[list[NonNegative], Field(min_length=1, max_length=10_000)],
    count: Count = 1,
    seed: Seed = None,
) -> list[JsonValue]:
    """Pick values of a list at random in proportion to weights; the same one may come again.

    Args:
        items: Any JSON values.
        weights: How likely each is, in the same order; they need not add up to 1.
        count: How many to pick.
        seed: Picks the same ones each time; leave out for new ones.
    """
    same_length("items", items, "weights", weights)
    if not any(weights):
        raise ValueError("weights must not all be 0, got only 0: give at least one item a chance")
    return _generator(seed).choices(items, weights, k=count)


def random_groups(
    items: Items, groups: Annotated[int, Field(ge=1, le=1_000)], seed: Seed = None
) -> list[list[JsonValue]]:
    """Assign the values of a list, such as people, at random to groups or teams of nearly equal size.

    Args:
        items: Any JSON values.
        groups: How many groups to make.
        seed: Makes the same groups each time; leave out for new ones.
    """
    shuffled = _generator(seed).sample(items, len(items))
    return [shuffled[start::groups] for start in range(groups)]


def split_train_test(
    items: Items, test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2, seed: Seed = None
) -> Split:
    """Split a data set at random into a training and a test part.

    Args:
        items: Any JSON values.
        test_share: The share that becomes the test part, rounded to whole items.
        seed: Splits the same way each time; leave out for a new split.
    """
    shuffled = _generator(seed).sample(items, len(items))
    cut = round(len(items) * test_share)
    return Split(train=shuffled[cut:], test=shuffled[:cut])


def bootstrap_mean_interval(
    data: Sample,
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95,
    rounds: Rounds = 1_000,
    seed: Seed = None,
) -> BootstrapInterval:
    """Estimate a confidence interval for the mean of data by bootstrap resampling (percentile method).

    Args:
        data: The sample.
        confidence: The share of such intervals that hold the true mean.
        rounds: How many times to resample.
        seed: Resamples the same way each time; leave out for a new estimate.
    """
    values = np.array(data)
    with np.errstate(all="ignore"):
        means = np.random.default_rng(seed).choice(values, (rounds, len(data))).mean(axis=1)
        low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2]).tolist()
        return BootstrapInterval(float(values.mean()), low, high)


def permutation_test_means(
    first: Sample, second: Sample, rounds: Rounds = 1_000, seed: Seed = None
) -> PermutationTest:
    """Test whether the means of two samples differ, by shuffling them together many times (permutation test).

    Args:
        first: The first sample.
        second: The second sample.
        rounds: How many times to shuffle.
        seed: Shuffles the same way each time; leave out for a new estimate.
    """
    values, cut = np.array(first + second), len(first)
    with np.errstate(all="ignore"):
        shuffled = np.random.default_rng(seed).permuted(np.tile(values, (rounds, 1)), axis=1)
        differences = shuffled[:, :cut].mean(axis=1) - shuffled[:, cut:].mean(axis=1)
        seen = float(values[:cut].mean() - values[cut:].mean())
        extreme = int((np.abs(differences) >= abs(seen) * (1 - 1e-12)).sum())
    return PermutationTest(seen, (extreme + 1) / (rounds + 1))


def random_string(
    length: Annotated[int, Field(ge=1, le=10_000)] = 16,
    alphabet: Annotated[str, Field(min_length=1, max_length=500)] = string.ascii_letters + string.digits,
    seed: Seed = None,
) -> str:
    """Make a random string from an alphabet, for test data; not safe as a password.

    Args:
        length: How many characters it has.
        alphabet: The characters to draw from.
        seed: Makes the same string each time; leave out for a new one.
    """
    return "".join(_generator(seed).choices(alphabet, k=length))


def roll_dice(dice: Dice, seed: Seed = None) -> Roll:
    """Roll dice written as in games: 3d6+2 is three dice of six sides, plus two.

    Args:
        dice: How many dice, of how many sides, and what to add.
        seed: Rolls the same each time; leave out for a new roll.
    """
    count, rest = dice.lower().split("d")
    sides, *modifiers = re.split("(?=[+-])", rest)
    modifier = sum(map(int, modifiers))
    if int(count or 1) == 0 or int(sides) == 0:
        raise ValueError(f"dice must have at least one die of at least one side, got {dice!r}: try 2d6")
    generator = _generator(seed)
    rolls = [generator.randint(1, int(sides)) for _ in range(int(count or 1))]
    return Roll(rolls, modifier, sum(rolls) + modifier)


def flip_coins(count: Count = 1, seed: Seed = None) -> list[Literal["heads", "tails"]]:
    """Flip a fair coin once or several times.

    Args:
        count: How many times.
        seed: Flips the same each time; leave out for a new flip.
    """
    return _generator(seed).choices(("heads", "tails"), k=count)


def random_dates(start: date, end: date, count: Count = 1, seed: Seed = None) -> list[str]:
    """Draw random dates between two dates, both included.

    Args:
        start: The first date allowed.
        end: The last date allowed.
        count: How many to draw.
        seed: Draws the same dates each time; leave out for new ones.
    """
    if start > end:
        raise ValueError(f"start must be <= end, got {start} and {end}: swap them")
    generator = _generator(seed)
    return [(start + timedelta(generator.randint(0, (end - start).days))).isoformat() for _ in range(count)]
