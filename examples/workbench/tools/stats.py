"""Tools that summarise samples, relate them to each other and test hypotheses about them."""

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from examples.workbench.numeric import FiniteResult, NonNegative, Number, Positive, finite, same_length

Data = Annotated[list[Number], Field(min_length=1, max_length=10_000)]
Sample = Annotated[list[Number], Field(min_length=2, max_length=10_000)]
PositiveData = Annotated[list[Positive], Field(min_length=1, max_length=10_000)]
Confidence = Annotated[float, Field(gt=0, lt=1)]
Counts = Annotated[list[NonNegative], Field(min_length=2, max_length=1_000)]
Kind = Literal["sample", "population"]
Window = Annotated[int, Field(ge=1, le=10_000)]

_TINY = 1e-300
_STEPS = 10_000


@dataclass(frozen=True)
class Line(FiniteResult):
    slope: float
    intercept: float
    r_squared: float


@dataclass(frozen=True)
class Bin(FiniteResult):
    start: float
    end: float
    count: int


@dataclass(frozen=True)
class Description(FiniteResult):
    count: int
    mean: float
    standard_deviation: float
    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float


@dataclass(frozen=True)
class Outliers(FiniteResult):
    lower_fence: float
    upper_fence: float
    outliers: list[float]


@dataclass(frozen=True)
class TTest(FiniteResult):
    statistic: float
    degrees_of_freedom: float
    p_value: float


@dataclass(frozen=True)
class ChiSquareTest(FiniteResult):
    statistic: float
    degrees_of_freedom: int
    p_value: float


@dataclass(frozen=True)
class RankTest(FiniteResult):
    u: float
    z: float
    p_value: float


@dataclass(frozen=True)
class Interval(FiniteResult):
    mean: float
    low: float
    high: float


def _ranks(data: list[float]) -> list[float]:
    """Return the rank of each value, from 1; equal values share the average of their ranks."""
    first = {value: rank for rank, value in reversed(list(enumerate(sorted(data), start=1)))}
    counts = Counter(data)
    return [first[value] + (counts[value] - 1) / 2 for value in data]


def _correlation(x: list[float], y: list[float]) -> float:
    same_length("x", x, "y", y)
    return max(-1.0, min(1.0, finite(statistics.correlation(x, y))))


def _continued_fraction(first: float, step: Callable[[int], tuple[float, float]]) -> float:
    """Evaluate first + a1/(b1 + a2/(b2 + ...)) by Lentz's method, where `step(n)` gives an and bn."""
    value = c = first or _TINY
    d = 0.0
    for index in range(1, _STEPS):
        a, b = step(index)
        d = 1 / ((b + a * d) or _TINY)
        c = (b + a / c) or _TINY
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            return value
    raise ArithmeticError("the probability did not converge: use fewer or less extreme values")


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)

    def step(index: int) -> tuple[float, float]:
        m = index // 2
        if index % 2:
            return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1.0
        return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1.0

    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / (a * _continued_fraction(1.0, step))


def _upper_gamma(a: float, x: float) -> float:
    """Return the regularised upper incomplete gamma function Q(a, x)."""
    if x <= 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x >= a + 1:
        return front / _continued_fraction(x + 1 - a, lambda n: (-n * (n - a), x + 2 * n + 1 - a))
    terms = itertools.accumulate(range(1, _STEPS), lambda term, n: term * x / (a + n), initial=1 / a)
    return max(0.0, 1 - front * math.fsum(terms))


def _t_test(difference: float, error: float, degrees: float) -> TTest:
    if error == 0:
        raise ValueError("the values must vary, got only equal ones: a t-test needs some spread")
    t = difference / error
    return TTest(t, degrees, _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t)))


def _t_critical(confidence: float, degrees: float) -> float:
    """Return the t that a share `confidence` of Student's distribution lies within, on both sides of 0."""
    low, high = 0.0, 1.0
    while _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + high * high)) > 1 - confidence:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        outside = _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + middle * middle))
        low, high = (middle, high) if outside > 1 - confidence else (low, middle)
    return high


def _chi_square(observed: list[float], expected: list[float], degrees: int) -> ChiSquareTest:
    if min(expected) <= 0:
        raise ValueError("every expected count must be > 0, got 0: leave out empty categories")
    statistic = math.fsum((seen - due) ** 2 / due for seen, due in zip(observed, expected, strict=True))
    return ChiSquareTest(statistic, degrees, _upper_gamma(degrees / 2, statistic / 2))


def _deviation(data: list[float], kind: Kind) -> float:
    if kind == "sample" and len(data) < 2:
        raise ValueError(f"data must have at least 2 values for a sample, got {len(data)}: add values")
    return statistics.stdev(data) if kind == "sample" else statistics.pstdev(data)


def arithmetic_mean(data: Data) -> float:
    """Compute the average (arithmetic mean) of a list of numbers.

    Args:
        data: The numbers.
    """
    return statistics.fmean(data)


def median(data: Data) -> float:
    """Find the median, the middle value of a list of numbers when sorted.

    Args:
        data: The numbers; of an even count, the two in the middle are averaged.
    """
    return finite(statistics.median(data))


def mode(data: Data) -> list[float]:
    """Find the mode: the most frequent value of a list of numbers, or all of them on a tie.

    Args:
        data: The numbers.
    """
    return statistics.multimode(data)


def quantiles(
    data: Sample,
    groups: Annotated[int, Field(ge=2, le=1_000)] = 4,
    method: Literal["inclusive", "exclusive"] = "inclusive",
) -> list[float]:
    """Compute quantiles: the cut points that divide numbers into quartiles, deciles, percentiles and so on.

    Args:
        data: The numbers.
        groups: How many groups of equal size: 4 for quartiles, 10 for deciles, 100 for percentiles.
        method: Whether the data include the extremes of the population, or may be exceeded by it.
    """
    return finite(statistics.quantiles(data, n=groups, method=method))


def percentile_rank(data: Data, value: Number) -> float:
    """Tell what percentage of a list of numbers lies below a value; numbers equal to it count half.

    Args:
        data: The numbers.
        value: The value to place among them.
    """
    below = sum(number < value for number in data)
    return 100 * (below + data.count(value) / 2) / len(data)


def variance(data: Data, kind: Kind = "sample") -> float:
    """Compute the variance of a list of numbers, their mean squared distance from the mean.

    Args:
        data: The numbers.
        kind: Whether they are a sample (divide by n - 1) or the whole population (divide by n).
    """
    return finite(_deviation(data, kind) ** 2)


def standard_deviation(data: Data, kind: Kind = "sample") -> float:
    """Compute the standard deviation of a list of numbers, how far they typically lie from their mean.

    Args:
        data: The numbers.
        kind: Whether they are a sample (divide by n - 1) or the whole population (divide by n).
    """
    return _deviation(data, kind)


def geometric_mean(data: PositiveData) -> float:
    """Compute the geometric mean of positive numbers, such as average growth factors.

    Args:
        data: The numbers.
    """
    return statistics.geometric_mean(data)


def harmonic_mean(data: PositiveData) -> float:
    """Compute the harmonic mean of positive numbers, such as average speeds over equal distances.

    Args:
        data: The numbers.
    """
    return finite(statistics.harmonic_mean(data))


def weighted_mean(
    data: Data, weights: Annotated[list[NonNegative], Field(min_length=1, max_length=10_000)]
) -> float:
    """Compute the weighted average of numbers, such as grades by credit.

    Args:
        data: The numbers.
        weights: The weight of each, in the same order.
    """
    same_length("data", data, "weights", weights)
    return finite(statistics.fmean(data, weights))


def z_scores(data: Sample, kind: Kind = "sample") -> list[float]:
    """Standardise numbers: how many standard deviations each lies from the mean (z-score).

    Args:
        data: The numbers.
        kind: Whether they are a sample or the whole population.
    """
    mean, deviation = statistics.fmean(data), _deviation(data, kind)
    if deviation == 0:
        raise ValueError(f"data must vary, got {len(data)} equal values: z-scores need some spread")
    return finite([(value - mean) / deviation for value in data])


def pearson_correlation(x: Sample, y: Sample) -> float:
    """Compute Pearson's correlation coefficient, how linearly two series are related, from -1 to 1.

    Args:
        x: The first series.
        y: The second series, in the same order.
    """
    return _correlation(x, y)


def spearman_correlation(x: Sample, y: Sample) -> float:
    """Compute Spearman's rank correlation, how monotonically two series of numbers are related, from -1 to 1.

    Args:
        x: The first series.
        y: The second series, in the same order.
    """
    return _correlation(_ranks(x), _ranks(y))


def covariance(x: Sample, y: Sample) -> float:
    """Compute the sample covariance of two series of numbers.

    Args:
        x: The first series.
        y: The second series, in the same order.
    """
    same_length("x", x, "y", y)
    return finite(statistics.covariance(x, y))


def linear_regression(x: Sample, y: Sample) -> Line:
    """Fit a straight line to points by least squares: slope, intercept and R squared.

    Args:
        x: The independent variable.
        y: The dependent variable, in the same order.
    """
    same_length("x", x, "y", y)
    slope, intercept = statistics.linear_regression(x, y)
    return Line(slope, intercept, 1.0 if min(y) == max(y) else _correlation(x, y) ** 2)


def histogram(data: Data, bins: Annotated[int, Field(ge=1, le=1_000)] = 10) -> list[Bin]:
    """Count numbers in bins of equal width, as for a histogram of their distribution.

    Args:
        data: The numbers.
        bins: How many bins; equal numbers give a single one.
    """
    low, high = min(data), max(data)
    if low == high:
        return [Bin(low, high, len(data))]
    width = (high - low) / bins
    counts = Counter(min(int((value - low) / width), bins - 1) for value in data)
    return [Bin(low + width * index, low + width * (index + 1), counts[index]) for index in range(bins)]


def describe_data(data: Sample) -> Description:
    """Summarise a list of numbers: count, mean, standard deviation, minimum, quartiles and maximum.

    Args:
        data: The numbers.
    """
    lower, middle, upper = statistics.quantiles(data, n=4, method="inclusive")
    mean, deviation = statistics.fmean(data), statistics.stdev(data)
    return Description(len(data), mean, deviation, min(data), lower, middle, upper, max(data))


def find_outliers(data: Sample, factor: NonNegative = 1.5) -> Outliers:
    """Find outliers by the interquartile range: numbers far below the lower or above the upper quartile.

    Args:
        data: The numbers.
        factor: How many interquartile ranges beyond a quartile a number must lie.
    """
    lower, _, upper = statistics.quantiles(data, n=4, method="inclusive")
    low, high = lower - factor * (upper - lower), upper + factor * (upper - lower)
    return Outliers(low, high, [value for value in data if not low <= value <= high])


def welch_t_test(first: Sample, second: Sample) -> TTest:
    """Test whether the means of two independent samples differ (Welch's t-test, two-sided p-value).

    Args:
        first: The first sample.
        second: The second sample; sizes and variances may differ.
    """
    a, b = statistics.variance(first) / len(first), statistics.variance(second) / len(second)
    if a + b == 0:
        raise ValueError("the samples must vary, got two constant ones: a t-test needs some spread")
    share = a / (a + b)
    degrees = 1 / (share**2 / (len(first) - 1) + (1 - share) ** 2 / (len(second) - 1))
    return _t_test(statistics.fmean(first) - statistics.fmean(second), math.sqrt(a + b), degrees)


def paired_t_test(before: Sample, after: Sample) -> TTest:
    """Test whether paired measurements, before and after, differ on average (paired t-test, two-sided).

    Args:
        before: The first measurement of each pair.
        after: The second measurement of each pair, in the same order.
    """
    same_length("before", before, "after", after)
    return one_sample_t_test([one - two for one, two in zip(before, after, strict=True)], 0.0)


def one_sample_t_test(data: Sample, expected_mean: Number) -> TTest:
    """Test whether the mean of a sample differs from an expected mean (one-sample t-test, two-sided).

    Args:
        data: The sample.
        expected_mean: The mean under the null hypothesis.
    """
    error = statistics.stdev(finite(data)) / math.sqrt(len(data))
    return _t_test(statistics.fmean(data) - expected_mean, error, len(data) - 1)


def chi_square_goodness_of_fit(observed: Counts, expected: Counts | None = None) -> ChiSquareTest:
    """Test whether observed counts fit expected ones, such as a fair die (chi-square goodness of fit).

    Args:
        observed: How often each category was seen.
        expected: How often each was expected, scaled to the observed total; all alike if left out.
    """
    weights = expected or [1.0] * len(observed)
    same_length("observed", observed, "expected", weights)
    scale = math.fsum(observed) / (math.fsum(weights) or 1)
    return _chi_square(observed, [weight * scale for weight in weights], len(observed) - 1)


def chi_square_independence(
    table: Annotated[list[Counts], Field(min_length=2, max_length=100)],
) -> ChiSquareTest:
    """Test whether the rows and columns of a contingency table of counts are independent (chi-square test).

    Args:
        table: Rows of counts, all of one length; no continuity correction is made.
    """
    for row in table[1:]:
        same_length("the first row", table[0], "each other row", row)
    rows = [math.fsum(row) for row in table]
    columns = [math.fsum(column) for column in zip(*table, strict=True)]
    total = math.fsum(rows) or 1
    expected = [row * column / total for row in rows for column in columns]
    return _chi_square(list(itertools.chain(*table)), expected, (len(table) - 1) * (len(columns) - 1))


def mann_whitney_u_test(first: Sample, second: Sample) -> RankTest:
    """Test whether one of two samples tends to larger values, without assuming a normal distribution.

    The Mann-Whitney U test (Wilcoxon rank-sum), two-sided, by the normal approximation with corrections for
    ties and continuity.

    Args:
        first: The first sample, to which U refers.
        second: The second sample.
    """
    n, m = len(first), len(second)
    ties = sum(count**3 - count for count in Counter(first + second).values())
    spread = math.sqrt(n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1))))
    if spread == 0:
        raise ValueError("the samples must vary, got only equal values: ranks need some difference")
    u = math.fsum(_ranks(first + second)[:n]) - n * (n + 1) / 2
    z = math.copysign(max(0.0, abs(u - n * m / 2) - 0.5) / spread, u - n * m / 2)
    return RankTest(u, z, math.erfc(abs(z) / math.sqrt(2)))


def confidence_interval_mean(data: Sample, confidence: Confidence = 0.95) -> Interval:
    """Compute a confidence interval for the mean of a sample, by Student's t distribution.

    Args:
        data: The sample.
        confidence: The share of such intervals that hold the true mean.
    """
    mean = statistics.fmean(data)
    margin = _t_critical(confidence, len(data) - 1) * statistics.stdev(data) / math.sqrt(len(data))
    return Interval(mean, mean - margin, mean + margin)


def moving_average(data: Data, window: Window = 3) -> list[float]:
    """Smooth a series with a moving average: the mean of each run of consecutive values.

    Args:
        data: The series, in order.
        window: How many consecutive values each mean covers.
    """
    if window > len(data):
        raise ValueError(
            f"window must be <= the number of values, got {window} for {len(data)}: use a smaller one"
        )
    return [statistics.fmean(data[end - window : end]) for end in range(window, len(data) + 1)]


def exponential_smoothing(data: Data, alpha: Annotated[float, Field(gt=0, le=1)] = 0.3) -> list[float]:
    """Smooth a series exponentially, so that recent values weigh most (simple exponential smoothing).

    Args:
        data: The series, in order.
        alpha: The weight of each new value; the rest stays with the smoothed past.
    """
    return finite(list(itertools.accumulate(data, lambda past, value: alpha * value + (1 - alpha) * past)))


def normal_cdf(value: Number, mean: Number = 0, standard_deviation: Positive = 1) -> float:
    """Compute the probability that a normal (Gaussian) variable is at most a value.

    Args:
        value: The value.
        mean: The distribution's mean.
        standard_deviation: The distribution's standard deviation.
    """
    return finite(math.erfc((mean - value) / standard_deviation / math.sqrt(2)) / 2)


def normal_quantile(probability: Confidence, mean: Number = 0, standard_deviation: Positive = 1) -> float:
    """Find the value that a normal (Gaussian) variable stays below with a given probability (inverse CDF).

    Args:
        probability: The probability, between 0 and 1.
        mean: The distribution's mean.
        standard_deviation: The distribution's standard deviation.
    """
    return finite(statistics.NormalDist(mean, standard_deviation).inv_cdf(probability))
