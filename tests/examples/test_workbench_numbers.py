"""Every numeric tool of the workbench: one worked example each, its errors, and what must hold for all.

Arguments go in as JSON and results come out as JSON, as they do through a server. The expected values were
worked out by hand or with other libraries.
"""

import functools
import inspect
import itertools
import json
import math
import random
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TypeAlias, get_type_hints

import docstring_parser
import pytest
from pydantic import TypeAdapter, ValidationError

from examples.workbench.tools import (
    dates,
    decimals,
    finance,
    geometry,
    integers,
    linalg,
    sampling,
    science,
    sequences,
    stats,
    units,
)

MODULES = (stats, linalg, integers, decimals, sequences, sampling, dates, units, geometry, finance, science)

A, B = [5.1, 4.9, 6.2, 5.8, 6.0, 5.5], [4.1, 5.0, 4.4, 4.8, 3.9]
SQUARE = [{"x": 0, "y": 0}, {"x": 4, "y": 0}, {"x": 4, "y": 4}, {"x": 0, "y": 4}]
BERLIN, PARIS = {"latitude": 52.52, "longitude": 13.405}, {"latitude": 48.8566, "longitude": 2.3522}
PEOPLE = [{"name": "Ann", "age": 30}, {"name": "Bob", "age": 25}, {"name": "Cy", "age": 30}]

Tool: TypeAlias = Callable[..., Any]
Case: TypeAlias = tuple[Tool, dict[str, Any], Any]


STATS: list[Case] = [
    (stats.arithmetic_mean, {"data": [1, 2, 3, 6]}, 3),
    (stats.median, {"data": [7, 1, 4, 2]}, 3),
    (stats.mode, {"data": [1, 2, 2, 3, 3]}, [2, 3]),
    (stats.quantiles, {"data": [1, 2, 3, 4, 5]}, [2, 3, 4]),
    (stats.quantiles, {"data": [1, 2, 3, 4, 5], "method": "exclusive"}, [1.5, 3, 4.5]),
    (stats.percentile_rank, {"data": [1, 2, 3, 4], "value": 3}, 62.5),
    (stats.variance, {"data": [2, 4, 4, 4, 5, 5, 7, 9]}, 32 / 7),
    (stats.variance, {"data": [2, 4, 4, 4, 5, 5, 7, 9], "kind": "population"}, 4),
    (stats.standard_deviation, {"data": [2, 4, 4, 4, 5, 5, 7, 9], "kind": "population"}, 2),
    (stats.geometric_mean, {"data": [2, 8]}, 4),
    (stats.harmonic_mean, {"data": [40, 60]}, 48),
    (stats.weighted_mean, {"data": [1, 4], "weights": [3, 1]}, 1.75),
    (
        stats.z_scores,
        {"data": [2, 4, 4, 4, 5, 5, 7, 9], "kind": "population"},
        [-1.5, -0.5, -0.5, -0.5, 0, 0, 1, 2],
    ),
    (stats.pearson_correlation, {"x": [1, 2, 3], "y": [1, 3, 2]}, 0.5),
    (stats.spearman_correlation, {"x": [1, 2, 3, 4], "y": [1, 4, 9, 100]}, 1),
    (stats.covariance, {"x": [1, 2, 3], "y": [2, 4, 6]}, 2),
    (stats.linear_regression, {"x": [0, 1, 2], "y": [1, 3, 5]}, {"slope": 2, "intercept": 1, "r_squared": 1}),
    (
        stats.histogram,
        {"data": [0, 1, 1, 4], "bins": 2},
        [{"start": 0, "end": 2, "count": 3}, {"start": 2, "end": 4, "count": 1}],
    ),
    (
        stats.describe_data,
        {"data": [1, 2, 3, 4, 5]},
        {
            "count": 5,
            "mean": 3,
            "standard_deviation": math.sqrt(2.5),
            "minimum": 1,
            "lower_quartile": 2,
            "median": 3,
            "upper_quartile": 4,
            "maximum": 5,
        },
    ),
    (
        stats.find_outliers,
        {"data": [1, 2, 3, 4, 100]},
        {"lower_fence": -1, "upper_fence": 7, "outliers": [100]},
    ),
    (
        stats.welch_t_test,
        {"first": A, "second": B},
        {
            "statistic": 3.893957831202649,
            "degrees_of_freedom": 8.910887544045943,
            "p_value": 0.0037231466289764925,
        },
    ),
    (
        stats.paired_t_test,
        {"before": A[:5], "after": B},
        {"statistic": 3.029639846402308, "degrees_of_freedom": 4.0, "p_value": 0.03879425607116795},
    ),
    (
        stats.one_sample_t_test,
        {"data": A, "expected_mean": 5},
        {"statistic": 2.7933040956366764, "degrees_of_freedom": 5.0, "p_value": 0.03829512683726008},
    ),
    (
        stats.chi_square_goodness_of_fit,
        {"observed": [18, 22, 16, 25, 12, 15]},
        {"statistic": 6.333333333333334, "degrees_of_freedom": 5, "p_value": 0.2751216832212201},
    ),
    (
        stats.chi_square_goodness_of_fit,
        {"observed": [30, 70], "expected": [1, 1]},
        {"statistic": 16.0, "degrees_of_freedom": 1, "p_value": 6.334248366623988e-05},
    ),
    (
        stats.chi_square_independence,
        {"table": [[10, 20, 30], [6, 9, 17]]},
        {"statistic": 0.27157465150403504, "degrees_of_freedom": 2, "p_value": 0.873028283380073},
    ),
    (
        stats.mann_whitney_u_test,
        {"first": A, "second": B},
        {"u": 29.0, "z": 2.4647515087732472, "p_value": 0.01371083007813322},
    ),
    (
        stats.confidence_interval_mean,
        {"data": A},
        {"mean": 5.583333333333333, "low": 5.046511698649814, "high": 6.120154968016852},
    ),
    (stats.moving_average, {"data": [1, 2, 3, 4], "window": 2}, [1.5, 2.5, 3.5]),
    (stats.exponential_smoothing, {"data": [4, 8, 8], "alpha": 0.5}, [4, 6, 7]),
    (stats.normal_cdf, {"value": 1.959963984540054}, 0.975),
    (stats.normal_cdf, {"value": 100, "mean": 115, "standard_deviation": 15}, 0.15865525393145707),
    (stats.normal_quantile, {"probability": 0.975}, 1.959963984540054),
]

LINALG: list[Case] = [
    (linalg.matrix_add, {"left": [[1, 2]], "right": [[3, -4]]}, [[4, -2]]),
    (linalg.matrix_scale, {"matrix": [[1, 2]], "factor": 3}, [[3, 6]]),
    (linalg.matrix_multiply, {"left": [[1, 2], [3, 4]], "right": [[5], [6]]}, [[17], [39]]),
    (linalg.matrix_power, {"matrix": [[1, 1], [1, 0]], "exponent": 10}, [[89, 55], [55, 34]]),
    (linalg.matrix_power, {"matrix": [[2, 0], [0, 4]], "exponent": -1}, [[0.5, 0], [0, 0.25]]),
    (linalg.matrix_determinant, {"matrix": [[2, 0, 1], [1, 3, 2], [1, 1, 1]]}, 0),
    (linalg.matrix_determinant, {"matrix": [[3, 8], [4, 6]]}, -14),
    (linalg.matrix_inverse, {"matrix": [[4, 7], [2, 6]]}, [[0.6, -0.7], [-0.2, 0.4]]),
    (linalg.matrix_transpose, {"matrix": [[1, 2, 3], [4, 5, 6]]}, [[1, 4], [2, 5], [3, 6]]),
    (linalg.matrix_trace, {"matrix": [[1, 9], [9, 5]]}, 6),
    (linalg.matrix_rank, {"matrix": [[1, 2], [2, 4]]}, 1),
    (linalg.matrix_norm, {"matrix": [[3, 0], [0, 4]]}, 5),
    (linalg.matrix_norm, {"matrix": [[3, 0], [0, 4]], "kind": "spectral"}, 4),
    (linalg.matrix_norm, {"matrix": [[1, -2], [3, 4]], "kind": "one"}, 6),
    (linalg.matrix_norm, {"matrix": [[1, -2], [3, 4]], "kind": "infinity"}, 7),
    (linalg.matrix_condition_number, {"matrix": [[2, 0], [0, 8]]}, 4),
    (linalg.matrix_eigenvalues, {"matrix": [[2, 1], [1, 2]]}, [{"re": 3, "im": 0}, {"re": 1, "im": 0}]),
    (linalg.matrix_eigenvalues, {"matrix": [[0, -1], [1, 0]]}, [{"re": 0, "im": 1}, {"re": 0, "im": -1}]),
    (
        linalg.singular_value_decomposition,
        {"matrix": [[3, 0], [4, 5]]},
        lambda svd: (
            close(svd["singular_values"], [math.sqrt(45), math.sqrt(5)])
            and close(
                product(product(svd["u"], diagonal(svd["singular_values"])), svd["v_transposed"]),
                [[3, 0], [4, 5]],
            )
        ),
    ),
    (
        linalg.qr_decomposition,
        {"matrix": [[3, 1], [4, 2]]},
        lambda qr: close(product(qr["q"], qr["r"]), [[3, 1], [4, 2]]) and close(qr["r"][1][0], 0),
    ),
    (linalg.cholesky_decomposition, {"matrix": [[4, 2], [2, 5]]}, [[2, 0], [1, 2]]),
    (linalg.solve_linear_system, {"matrix": [[2, 1], [1, -1]], "right_side": [5, 1]}, [2, 1]),
    (
        linalg.least_squares_solution,
        {"matrix": [[1], [1], [1]], "right_side": [1, 2, 6]},
        {"solution": [3], "residual_norm": math.sqrt(14), "rank": 1},
    ),
    (linalg.polynomial_fit, {"x": [0, 1, 2, 3], "y": [1, 3, 7, 13], "degree": 2}, [1, 1, 1]),
    (
        linalg.polynomial_roots,
        {"coefficients": [1, -1, 1, -1]},
        [{"re": 1, "im": 0}, {"re": 0, "im": 1}, {"re": 0, "im": -1}],
    ),
    (linalg.dot_product, {"first": [1, 2, 3], "second": [4, -5, 6]}, 12),
    (linalg.cross_product, {"first": [1, 0, 0], "second": [0, 1, 0]}, [0, 0, 1]),
    (linalg.vector_norm, {"vector": [3, -4]}, 5),
    (linalg.vector_norm, {"vector": [3, -4], "kind": "manhattan"}, 7),
    (linalg.vector_norm, {"vector": [3, -4], "kind": "maximum"}, 4),
    (linalg.angle_between_vectors, {"first": [1, 0], "second": [1, 1]}, 45),
]

INTEGERS: list[Case] = [
    (integers.greatest_common_divisor, {"numbers": [84, -36, 60]}, 12),
    (integers.least_common_multiple, {"numbers": [4, 6, 10]}, 60),
    (integers.extended_gcd, {"a": 240, "b": 46}, {"gcd": 2, "x": -9, "y": 47}),
    (integers.divide_with_remainder, {"dividend": -7, "divisor": 2}, {"quotient": -4, "remainder": 1}),
    (
        integers.divide_with_remainder,
        {"dividend": -7, "divisor": 2, "rounding": "truncate"},
        {"quotient": -3, "remainder": -1},
    ),
    (
        integers.prime_factors,
        {"number": 360},
        [{"prime": 2, "exponent": 3}, {"prime": 3, "exponent": 2}, {"prime": 5, "exponent": 1}],
    ),
    (integers.prime_factors, {"number": 94906249**2}, [{"prime": 94906249, "exponent": 2}]),
    (integers.is_prime, {"number": 2_147_483_647}, True),
    (integers.is_prime, {"number": 3_215_031_751}, False),
    (integers.primes_in_range, {"start": 10, "end": 30}, [11, 13, 17, 19, 23, 29]),
    (integers.next_prime, {"number": 7919}, 7927),
    (integers.divisors, {"number": 28}, [1, 2, 4, 7, 14, 28]),
    (integers.euler_totient, {"number": 36}, 12),
    (integers.binomial_coefficient, {"n": 49, "k": 6}, "13983816"),
    (integers.permutation_count, {"n": 10, "k": 3}, "720"),
    (integers.factorial, {"number": 20}, "2432902008176640000"),
    (integers.fibonacci_number, {"position": 100}, "354224848179261915075"),
    (integers.convert_number_base, {"number": "-FF", "from_base": 16, "to_base": 2}, "-11111111"),
    (integers.convert_number_base, {"number": "000", "from_base": 2, "to_base": 36}, "0"),
    (integers.to_roman_numeral, {"number": 1994}, "MCMXCIV"),
    (integers.from_roman_numeral, {"numeral": "mmxxvi"}, 2026),
    (integers.digit_sum, {"number": 98765}, 35),
    (integers.digit_sum, {"number": 255, "base": 2}, 8),
    (integers.modular_power, {"base": 4, "exponent": 13, "modulus": 497}, 445),
    (integers.modular_inverse, {"number": 3, "modulus": 11}, 4),
    (
        integers.chinese_remainder,
        {"remainders": [2, 3, 2], "moduli": [3, 5, 7]},
        {"remainder": 23, "modulus": 105},
    ),
    (integers.chinese_remainder, {"remainders": [3, 5], "moduli": [4, 6]}, {"remainder": 11, "modulus": 12}),
    (integers.integer_square_root, {"number": 99}, 9),
    (integers.collatz_steps, {"number": 27}, 111),
    (integers.bitwise_operation, {"left": 12, "right": 10, "operation": "xor"}, 6),
    (integers.bitwise_operation, {"left": 3, "right": 4, "operation": "shift_left"}, 48),
    (integers.bitwise_operation, {"left": 48, "right": 4, "operation": "shift_right"}, 3),
    (integers.round_to_multiple, {"number": 1234, "multiple": 50, "direction": "nearest"}, 1250),
    (integers.round_to_multiple, {"number": -7, "multiple": 5, "direction": "down"}, -10),
    (integers.round_to_multiple, {"number": 11, "multiple": 5, "direction": "up"}, 15),
]

DECIMALS: list[Case] = [
    (decimals.decimal_add, {"numbers": ["0.1", "0.20", "-1"]}, "-0.70"),
    (decimals.decimal_subtract, {"minuend": "1.00", "subtrahend": "0.99"}, "0.01"),
    (decimals.decimal_multiply, {"first": "1.1", "second": "1.1"}, "1.21"),
    (decimals.decimal_multiply, {"first": "9" * 50, "second": "9" * 50}, str((10**50 - 1) ** 2)),
    (decimals.decimal_divide, {"dividend": "2", "divisor": "3", "places": 4}, "0.6667"),
    (
        decimals.decimal_divide,
        {"dividend": "1", "divisor": "3", "places": 2, "rounding": "ceiling"},
        "0.34",
    ),
    (decimals.decimal_round, {"number": "2.675"}, "2.68"),
    (decimals.decimal_round, {"number": "2.665", "rounding": "half_even"}, "2.66"),
    (decimals.decimal_round, {"number": "-0.001"}, "0.00"),
    (decimals.round_to_significant_digits, {"number": "123456", "digits": 2}, "120000"),
    (decimals.decimal_compare, {"first": "1.10", "second": "1.1"}, "equal"),
    (decimals.decimal_compare, {"first": "-2", "second": "1"}, "less"),
    (decimals.format_number, {"number": "1234567.891"}, "1,234,567.89"),
    (decimals.format_number, {"number": "-1234.5", "thousands": "."}, "-1.234,50"),
    (decimals.scientific_notation, {"number": "602214076000000000000000"}, "6.02214E+23"),
    (decimals.percentage_of, {"part": "45", "whole": "60"}, "75.00"),
    (decimals.percentage_change, {"old": "80", "new": "100"}, "25.00"),
    (decimals.percentage_change, {"old": "-50", "new": "-75"}, "-50.00"),
    (decimals.apply_percentage, {"number": "19.99", "percent": "-15"}, "16.99"),
    (decimals.split_amount_evenly, {"amount": "100", "parts": 3}, ["33.34", "33.33", "33.33"]),
    (decimals.split_amount_evenly, {"amount": "-0.05", "parts": 2}, ["-0.03", "-0.02"]),
    (
        decimals.split_amount_by_weights,
        {"amount": "10.00", "weights": ["1", "1", "4"]},
        ["1.67", "1.67", "6.66"],
    ),
    (decimals.fraction_add, {"first": "1/2", "second": "1/3"}, "5/6"),
    (decimals.fraction_subtract, {"first": "3/4", "second": "1/4"}, "1/2"),
    (decimals.fraction_multiply, {"first": "2/3", "second": "0.75"}, "1/2"),
    (decimals.fraction_divide, {"first": "1/2", "second": "1/4"}, "2"),
    (decimals.simplify_fraction, {"fraction": "-84/36"}, "-7/3"),
    (decimals.fraction_to_decimal, {"fraction": "1/6"}, "0.1(6)"),
    (decimals.fraction_to_decimal, {"fraction": "-22/7"}, "-3.(142857)"),
    (decimals.fraction_to_decimal, {"fraction": "5/4"}, "1.25"),
    (decimals.approximate_fraction, {"number": "3.14159265358979"}, "355/113"),
    (decimals.continued_fraction, {"number": "415/93"}, [4, 2, 6, 7]),
]

SEQUENCES: list[Case] = [
    (sequences.sort_numbers, {"numbers": [3, 1, 2], "descending": True}, [3, 2, 1]),
    (sequences.rank_numbers, {"numbers": [10, 30, 20, 30]}, [4, 1, 3, 1]),
    (sequences.running_totals, {"numbers": [1, 2, 3]}, [1, 3, 6]),
    (sequences.consecutive_differences, {"numbers": [1, 4, 9]}, [3, 5]),
    (sequences.number_range, {"start": 0, "stop": 0.3, "step": 0.1}, [0, 0.1, 0.2, 0.3]),
    (sequences.number_range, {"start": 3, "stop": 1, "step": -1}, [3, 2, 1]),
    (sequences.unique_values, {"items": [1, "a", True, 1, None, "a", [1], [1]]}, [1, "a", True, None, [1]]),
    (
        sequences.count_values,
        {"items": ["b", "a", "a"]},
        [{"value": "a", "count": 2}, {"value": "b", "count": 1}],
    ),
    (sequences.chunk_list, {"items": [1, 2, 3, 4, 5], "size": 2}, [[1, 2], [3, 4], [5]]),
    (sequences.flatten_list, {"items": [1, [2, [3]]]}, [1, 2, [3]]),
    (sequences.flatten_list, {"items": [1, [2, [3]]], "levels": 2}, [1, 2, 3]),
    (sequences.rotate_list, {"items": [1, 2, 3, 4], "positions": 1}, [2, 3, 4, 1]),
    (sequences.rotate_list, {"items": [1, 2, 3, 4], "positions": -1}, [4, 1, 2, 3]),
    (sequences.zip_lists, {"first": [1, 2], "second": ["a", "b"]}, [[1, "a"], [2, "b"]]),
    (sequences.set_union, {"first": [3, 1], "second": [1, 2]}, [3, 1, 2]),
    (sequences.set_intersection, {"first": [3, 1, 2, 1], "second": [1, 3]}, [3, 1]),
    (sequences.set_difference, {"first": [3, 1, 2], "second": [1]}, [3, 2]),
    (sequences.cartesian_product, {"lists": [[1, 2], ["a"]]}, [[1, "a"], [2, "a"]]),
    (sequences.list_permutations, {"items": [1, 2, 3], "length": 1}, [[1], [2], [3]]),
    (sequences.list_permutations, {"items": [1, 2]}, [[1, 2], [2, 1]]),
    (sequences.list_combinations, {"items": [1, 2, 3], "length": 2}, [[1, 2], [1, 3], [2, 3]]),
    (
        sequences.group_records,
        {"records": PEOPLE, "key": "age"},
        {"30": [PEOPLE[0], PEOPLE[2]], "25": [PEOPLE[1]]},
    ),
    (
        sequences.sort_records,
        {"records": PEOPLE, "key": "age", "descending": True},
        [PEOPLE[0], PEOPLE[2], PEOPLE[1]],
    ),
    (sequences.deduplicate_records, {"records": PEOPLE, "keys": ["age"]}, PEOPLE[:2]),
    (sequences.deduplicate_records, {"records": [{"a": 1, "b": 2}, {"b": 2, "a": 1}]}, [{"a": 1, "b": 2}]),
    (sequences.select_record_keys, {"records": PEOPLE[:2], "keys": ["age"]}, [{"age": 30}, {"age": 25}]),
    (
        sequences.sum_records,
        {"records": [{"k": "x", "v": 1}, {"k": "y", "v": 2}, {"k": "x", "v": 4}], "key": "v", "by": "k"},
        {"x": 5, "y": 2},
    ),
    (
        sequences.sum_records,
        {"records": [{"k": "x", "v": 1}, {"k": "x", "v": 4}], "key": "v", "by": "k", "how": "mean"},
        {"x": 2.5},
    ),
    (sequences.records_to_columns, {"records": [{"a": 1}, {"a": 2, "b": 3}]}, {"a": [1, 2], "b": [None, 3]}),
    (
        sequences.columns_to_records,
        {"columns": {"a": [1, 2], "b": [3, 4]}},
        [{"a": 1, "b": 3}, {"a": 2, "b": 4}],
    ),
]

SAMPLING: list[Case] = [
    (
        sampling.random_integers,
        {"low": 1, "high": 3, "count": 500, "seed": 1},
        lambda drawn: {*drawn} == {1, 2, 3},
    ),
    (
        sampling.random_floats,
        {"low": 2, "high": 3, "count": 500, "seed": 1},
        lambda drawn: all(2 <= value <= 3 for value in drawn) and len({*drawn}) == 500,
    ),
    (
        sampling.random_normal_values,
        {"mean": 10, "standard_deviation": 2, "count": 5000, "seed": 1},
        lambda drawn: abs(sum(drawn) / 5000 - 10) < 0.15,
    ),
    (
        sampling.random_waiting_times,
        {"mean": 4, "count": 5000, "seed": 1},
        lambda drawn: abs(sum(drawn) / 5000 - 4) < 0.3 and min(drawn) >= 0,
    ),
    (
        sampling.random_walk,
        {"steps": 50, "step_size": 2, "seed": 1},
        lambda walk: walk[0] == 0 and all(abs(b - a) == 2 for a, b in itertools.pairwise(walk)),
    ),
    (
        sampling.shuffle_list,
        {"items": [*range(50)], "seed": 1},
        lambda drawn: drawn != sorted(drawn) == [*range(50)],
    ),
    (
        sampling.sample_without_replacement,
        {"items": [*range(50)], "count": 20, "seed": 1},
        lambda drawn: len({*drawn}) == 20 and {*drawn} < {*range(50)},
    ),
    (
        sampling.weighted_choice,
        {"items": ["a", "b", "c"], "weights": [0, 3, 1], "count": 4000, "seed": 1},
        lambda drawn: drawn.count("a") == 0 and abs(drawn.count("b") - 3000) < 150,
    ),
    (
        sampling.random_groups,
        {"items": [*range(7)], "groups": 3, "seed": 1},
        lambda groups: (
            sorted(map(len, groups)) == [2, 2, 3] and sorted(itertools.chain(*groups)) == [*range(7)]
        ),
    ),
    (
        sampling.split_train_test,
        {"items": [*range(10)], "seed": 1},
        lambda split: len(split["test"]) == 2 and sorted(split["train"] + split["test"]) == [*range(10)],
    ),
    (
        sampling.bootstrap_mean_interval,
        {"data": [*range(100)], "rounds": 2000, "seed": 1},
        lambda found: (
            found["mean"] == 49.5 and abs(found["low"] - 43.8) < 1 and abs(found["high"] - 55.2) < 1
        ),
    ),
    (
        sampling.permutation_test_means,
        {"first": [10, 11, 12, 13, 14], "second": [1, 2, 3, 4, 5], "rounds": 2000, "seed": 1},
        lambda found: found["difference"] == 9 and 0.002 < found["p_value"] < 0.02,
    ),
    (
        sampling.random_string,
        {"length": 200, "alphabet": "ab", "seed": 1},
        lambda text: len(text) == 200 and {*text} == {"a", "b"},
    ),
    (
        sampling.roll_dice,
        {"dice": "3d6-2", "seed": 1},
        lambda roll: (
            len(roll["rolls"]) == 3
            and all(1 <= one <= 6 for one in roll["rolls"])
            and roll["total"] == sum(roll["rolls"]) - 2
        ),
    ),
    (sampling.roll_dice, {"dice": "d1"}, {"rolls": [1], "modifier": 0, "total": 1}),
    (sampling.flip_coins, {"count": 100, "seed": 1}, lambda sides: {*sides} == {"heads", "tails"}),
    (
        sampling.random_dates,
        {"start": "2024-02-28", "end": "2024-03-01", "count": 200, "seed": 1},
        lambda days: {*days} == {"2024-02-28", "2024-02-29", "2024-03-01"},
    ),
]

DATES: list[Case] = [
    (dates.add_to_date, {"start": "2024-01-31", "months": 1}, "2024-02-29"),
    (dates.add_to_date, {"start": "2024-02-29", "years": 1, "days": -1}, "2025-02-27"),
    (dates.add_to_time, {"moment": "2024-12-31T23:30:00", "hours": 1}, "2025-01-01T00:30:00"),
    (
        dates.date_difference,
        {"start": "2020-01-31", "end": "2024-03-01"},
        {"days": 1491, "years": 4, "months": 1, "remaining_days": 1},
    ),
    (dates.time_difference, {"start": "2024-01-01T12:00:00Z", "end": "2024-01-01T12:00:00+02:00"}, -2),
    (
        dates.time_difference,
        {"start": "2024-01-01T00:00:00", "end": "2024-01-01T00:01:30", "unit": "seconds"},
        90,
    ),
    (dates.day_of_week, {"day": "1969-07-20"}, "Sunday"),
    (dates.day_of_year, {"day": "2024-12-31"}, 366),
    (dates.iso_week, {"day": "2021-01-03"}, {"year": 2020, "week": 53, "weekday": 7, "text": "2020-W53-7"}),
    (dates.date_from_iso_week, {"year": 2020, "week": 53, "weekday": "Sunday"}, "2021-01-03"),
    (
        dates.month_calendar,
        {"year": 2021, "month": 2},
        lambda text: (
            text.splitlines()[0].strip() == "February 2021"
            and [line.split() for line in text.splitlines()[2:]]
            == [[str(day) for day in range(first, first + 7)] for first in (1, 8, 15, 22)]
        ),
    ),
    (dates.days_in_month, {"year": 1900, "month": 2}, 28),
    (dates.is_leap_year, {"year": 2000}, True),
    (dates.month_boundaries, {"day": "2024-02-10"}, {"start": "2024-02-01", "end": "2024-02-29", "days": 29}),
    (
        dates.quarter_of_date,
        {"day": "2024-05-15"},
        {"year": 2024, "quarter": 2, "first_day": "2024-04-01", "last_day": "2024-06-30"},
    ),
    (dates.age_on_date, {"birth": "2000-06-15", "day": "2024-06-14"}, {"years": 23, "days_to_birthday": 1}),
    (dates.age_on_date, {"birth": "2000-06-15", "day": "2024-06-15"}, {"years": 24, "days_to_birthday": 0}),
    (
        dates.business_days_between,
        {"start": "2024-12-20", "end": "2025-01-03", "holidays": ["2024-12-25", "2025-01-01", "2024-12-28"]},
        9,
    ),
    (dates.add_business_days, {"start": "2024-12-24", "days": 2, "holidays": ["2024-12-25"]}, "2024-12-27"),
    (dates.add_business_days, {"start": "2024-12-23", "days": -1}, "2024-12-20"),
    (dates.add_business_days, {"start": "2024-12-22", "days": 0}, "2024-12-22"),
    (dates.easter_date, {"year": 2024}, "2024-03-31"),
    (dates.easter_date, {"year": 1981}, "1981-04-19"),
    (dates.easter_date, {"year": 2038}, "2038-04-25"),
    (
        dates.nth_weekday_of_month,
        {"year": 2024, "month": 11, "weekday": "Thursday", "position": "fourth"},
        "2024-11-28",
    ),
    (
        dates.nth_weekday_of_month,
        {"year": 2024, "month": 5, "weekday": "Monday", "position": "last"},
        "2024-05-27",
    ),
    (dates.next_weekday, {"start": "2024-05-27", "weekday": "Monday"}, "2024-06-03"),
    (dates.next_weekday, {"start": "2024-05-27", "weekday": "Friday", "direction": "before"}, "2024-05-24"),
    (
        dates.list_dates,
        {"start": "2024-01-31", "end": "2024-04-30", "unit": "months"},
        ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"],
    ),
    (
        dates.list_dates,
        {"start": "2024-05-31", "end": "2024-06-04", "unit": "business days"},
        ["2024-05-31", "2024-06-03", "2024-06-04"],
    ),
    (
        dates.list_dates,
        {"start": "9999-12-24", "end": "9999-12-31", "unit": "weeks"},
        ["9999-12-24", "9999-12-31"],
    ),
    (
        dates.date_ranges_overlap,
        {
            "first_start": "2024-01-01",
            "first_end": "2024-01-10",
            "second_start": "2024-01-08",
            "second_end": "2024-02-01",
        },
        {"start": "2024-01-08", "end": "2024-01-10", "days": 3},
    ),
    (
        dates.date_ranges_overlap,
        {
            "first_start": "2024-01-01",
            "first_end": "2024-01-02",
            "second_start": "2024-01-03",
            "second_end": "2024-01-04",
        },
        None,
    ),
    (
        dates.parse_date,
        {"text": "3 March 2024"},
        {"date": "2024-03-03", "time": "00:00:00", "format": "%d %B %Y"},
    ),
    (
        dates.parse_date,
        {"text": "03/04/24 17h", "formats": ["%Y", "%d%d", "%m/%d/%y %Hh"]},
        {"date": "2024-03-04", "time": "17:00:00", "format": "%m/%d/%y %Hh"},
    ),
    (
        dates.format_date,
        {"moment": "2024-03-04T17:05:00", "pattern": "%A, %d.%m.%y %H:%M"},
        "Monday, 04.03.24 17:05",
    ),
    (
        dates.convert_time_zone,
        {"moment": "2024-07-01T09:00:00", "from_zone": "America/New_York", "to_zone": "Asia/Tokyo"},
        "2024-07-01T22:00:00+09:00",
    ),
    (
        dates.time_zone_offset,
        {"moment": "2024-07-01T00:00:00", "zone": "Europe/Berlin"},
        {"zone": "Europe/Berlin", "abbreviation": "CEST", "utc_offset": "+02:00", "daylight_saving": True},
    ),
    (dates.to_unix_timestamp, {"moment": "2001-09-09T01:46:40"}, 1_000_000_000),
    (dates.to_unix_timestamp, {"moment": "1970-01-01T01:00:00", "zone": "Europe/Paris"}, 0),
    (dates.from_unix_timestamp, {"timestamp": 1e12, "unit": "milliseconds"}, "2001-09-09T01:46:40+00:00"),
    (dates.parse_duration, {"duration": "P1DT2H30M0.5S"}, 95_400.5),
    (dates.parse_duration, {"duration": "-P2W"}, -1_209_600),
    (dates.format_duration, {"seconds": 95_400}, "1 day 2 hours 30 minutes"),
    (dates.format_duration, {"seconds": 95_401.25, "style": "iso"}, "P1DT2H30M1.25S"),
    (dates.format_duration, {"seconds": 0, "style": "iso"}, "PT0S"),
    (dates.format_duration, {"seconds": -95_405, "style": "clock"}, "-26:30:05"),
]

UNITS: list[Case] = [
    (units.convert_length, {"value": 26.2, "from_unit": "mi", "to_unit": "km"}, 42.1648128),
    (units.convert_length, {"value": 0.1, "from_unit": "in", "to_unit": "cm"}, 0.254),
    (units.convert_mass, {"value": 150, "from_unit": "lb", "to_unit": "kg"}, 68.0388555),
    (units.convert_volume, {"value": 1, "from_unit": "US gallon", "to_unit": "l"}, 3.785411784),
    (units.convert_volume, {"value": 1, "from_unit": "cup", "to_unit": "tablespoon"}, 16),
    (units.convert_area, {"value": 1, "from_unit": "acre", "to_unit": "m2"}, 4046.8564224),
    (units.convert_temperature, {"value": 98.6, "from_unit": "F", "to_unit": "C"}, 37),
    (units.convert_temperature, {"value": -40, "from_unit": "C", "to_unit": "F"}, -40),
    (units.convert_speed, {"value": 60, "from_unit": "mph", "to_unit": "km/h"}, 96.56064),
    (units.convert_force, {"value": 1, "from_unit": "lbf", "to_unit": "N"}, 4.4482216152605),
    (units.convert_pressure, {"value": 1, "from_unit": "psi", "to_unit": "Pa"}, 6894.757293168361),
    (units.convert_energy, {"value": 2000, "from_unit": "kcal", "to_unit": "kWh"}, 2.3244444444444445),
    (units.convert_power, {"value": 1, "from_unit": "hp", "to_unit": "W"}, 745.6998715822702),
    (units.convert_data_size, {"value": 1, "from_unit": "TB", "to_unit": "GiB"}, 931.3225746154785),
    (units.convert_data_rate, {"value": 100, "from_unit": "Mbit/s", "to_unit": "MB/s"}, 12.5),
    (units.convert_angle, {"value": 180, "from_unit": "degree", "to_unit": "radian"}, math.pi),
    (units.convert_time_duration, {"value": 1, "from_unit": "week", "to_unit": "min"}, 10_080),
    (
        units.convert_fuel_economy,
        {"value": 30, "from_unit": "US mpg", "to_unit": "l/100km"},
        7.840486111111111,
    ),
    (units.convert_fuel_economy, {"value": 5, "from_unit": "l/100km", "to_unit": "km/l"}, 20),
    (units.frequency_to_wavelength, {"frequency_hz": 299_792_458}, 1),
    (units.wavelength_to_frequency, {"wavelength_m": 2, "wave_speed": 343}, 171.5),
]

GEOMETRY: list[Case] = [
    (geometry.distance_2d, {"first": {"x": 1, "y": 2}, "second": {"x": 4, "y": 6}}, 5),
    (geometry.distance_3d, {"first": [0, 0, 0], "second": [2, 3, 6]}, 7),
    (geometry.midpoint, {"first": {"x": 0, "y": 0}, "second": {"x": 4, "y": -2}}, {"x": 2, "y": -1}),
    (
        geometry.circle_properties,
        {"radius": 2},
        {"area": 4 * math.pi, "circumference": 4 * math.pi, "diameter": 4},
    ),
    (geometry.rectangle_properties, {"width": 3, "height": 4}, {"area": 12, "perimeter": 14, "diagonal": 5}),
    (
        geometry.triangle_from_sides,
        {"a": 3, "b": 4, "c": 5},
        {"area": 6, "perimeter": 12, "angles": [36.86989764584402, 53.13010235415598, 90]},
    ),
    (
        geometry.polygon_properties,
        {"corners": SQUARE},
        {"area": 16, "perimeter": 16, "centroid": {"x": 2, "y": 2}},
    ),
    (geometry.regular_polygon_area, {"sides": 6, "side_length": 2}, 6 * math.sqrt(3)),
    (geometry.point_in_polygon, {"point": {"x": 1, "y": 3}, "corners": SQUARE}, "inside"),
    (geometry.point_in_polygon, {"point": {"x": 5, "y": 4}, "corners": SQUARE}, "outside"),
    (geometry.point_in_polygon, {"point": {"x": 4, "y": 1}, "corners": SQUARE}, "on the edge"),
    (geometry.convex_hull, {"points": [*SQUARE, {"x": 1, "y": 2}, {"x": 2, "y": 0}]}, SQUARE),
    (
        geometry.line_intersection,
        {
            "first_start": {"x": 0, "y": 0},
            "first_end": {"x": 1, "y": 1},
            "second_start": {"x": 0, "y": 4},
            "second_end": {"x": 1, "y": 3},
        },
        {"x": 2, "y": 2},
    ),
    (
        geometry.point_to_line_distance,
        {"point": {"x": 0, "y": 0}, "line_start": {"x": 0, "y": 5}, "line_end": {"x": 5, "y": 0}},
        5 / math.sqrt(2),
    ),
    (
        geometry.bounding_box,
        {"points": [{"x": 1, "y": 5}, {"x": -2, "y": 3}]},
        {"min_x": -2, "min_y": 3, "max_x": 1, "max_y": 5, "width": 3, "height": 2},
    ),
    (
        geometry.rotate_points,
        {"points": [{"x": 2, "y": 1}], "degrees": 90, "center": {"x": 1, "y": 1}},
        [{"x": 1, "y": 2}],
    ),
    (geometry.path_length, {"points": SQUARE}, 12),
    (geometry.to_polar_coordinates, {"point": {"x": 0, "y": 2}}, {"radius": 2, "angle": 90}),
    (geometry.from_polar_coordinates, {"radius": 2, "angle": 180}, {"x": -2, "y": 0}),
    (geometry.sphere_properties, {"radius": 3}, {"volume": 36 * math.pi, "surface_area": 36 * math.pi}),
    (
        geometry.cylinder_properties,
        {"radius": 1, "height": 2},
        {"volume": 2 * math.pi, "surface_area": 6 * math.pi},
    ),
    (
        geometry.cone_properties,
        {"radius": 3, "height": 4},
        {"volume": 12 * math.pi, "surface_area": 24 * math.pi},
    ),
    (geometry.great_circle_distance, {"start": BERLIN, "end": PARIS}, lambda km: abs(km - 877.46) < 0.1),
    (
        geometry.great_circle_distance,
        {"start": {"latitude": 0, "longitude": 0}, "end": {"latitude": 0, "longitude": 180}},
        6371.0088 * math.pi,
    ),
    (
        geometry.compass_bearing,
        {"start": {"latitude": 0, "longitude": 0}, "end": {"latitude": 0, "longitude": -90}},
        270,
    ),
]

FINANCE: list[Case] = [
    (
        finance.simple_interest,
        {"principal": 1000, "annual_rate": 5, "years": 3},
        {"balance": 1150, "interest": 150},
    ),
    (
        finance.compound_interest,
        {"principal": 1000, "annual_rate": 10, "years": 2, "compounding": "half-yearly"},
        {"balance": 1215.50625, "interest": 215.50625},
    ),
    (finance.future_value, {"rate_per_period": 10, "periods": 2, "payment": 100, "initial": 1000}, 1420),
    (finance.future_value, {"rate_per_period": 10, "periods": 2, "payment": 100, "due": "start"}, 231),
    (finance.future_value, {"rate_per_period": 0, "periods": 12, "payment": 100}, 1200),
    (finance.present_value, {"amount": 1210, "rate_per_period": 10, "periods": 2}, 1000),
    (finance.annuity_present_value, {"payment": 121, "rate_per_period": 10, "periods": 2}, 210),
    (
        finance.loan_payment,
        {"principal": 200_000, "annual_rate": 6, "months": 360},
        lambda loan: round(loan["payment"], 2) == 1199.10 and round(loan["total_interest"]) == 231_676,
    ),
    (
        finance.loan_amortization_schedule,
        {"principal": 1000, "annual_rate": 12, "months": 2},
        [
            {"number": 1, "payment": 507.51, "interest": 10, "principal": 497.51, "balance": 502.49},
            {"number": 2, "payment": 507.51, "interest": 5.02, "principal": 502.49, "balance": 0},
        ],
    ),
    (finance.loan_term, {"principal": 200_000, "annual_rate": 6, "payment": 1199.11}, 360),
    (finance.loan_term, {"principal": 1000, "annual_rate": 0, "payment": 100}, 10),
    (finance.net_present_value, {"cash_flows": [-100, 60, 60], "rate_per_period": 20}, -25 / 3),
    (finance.internal_rate_of_return, {"cash_flows": [-100, 0, 121]}, 10),
    (finance.internal_rate_of_return, {"cash_flows": [-100, 50, 50]}, 0),
    (finance.internal_rate_of_return, {"cash_flows": [-100, 0, 64]}, -20),
    (finance.internal_rate_of_return, {"cash_flows": [-100, 2600]}, 2500),
    (finance.payback_period, {"cash_flows": [-100, 60, 80]}, 1.5),
    (
        finance.break_even_point,
        {"fixed_costs": 10_000, "price": 25, "unit_cost": 15},
        {"units": 1000, "revenue": 25_000},
    ),
    (
        finance.profit_margin,
        {"cost": 60, "price": 80},
        {"profit": 20, "margin_percent": 25, "markup_percent": 100 / 3},
    ),
    (finance.price_for_margin, {"cost": 60, "margin": 25}, 80),
    (finance.add_sales_tax, {"net": 100, "tax_rate": 19}, {"net": 100, "tax": 19, "gross": 119}),
    (finance.remove_sales_tax, {"gross": 119, "tax_rate": 19}, {"net": 100, "tax": 19, "gross": 119}),
    (
        finance.straight_line_depreciation,
        {"cost": 1000, "salvage": 100, "years": 2},
        [
            {"year": 1, "depreciation": 450, "book_value": 550},
            {"year": 2, "depreciation": 450, "book_value": 100},
        ],
    ),
    (
        finance.declining_balance_depreciation,
        {"cost": 1000, "salvage": 400, "years": 4},
        [
            {"year": 1, "depreciation": 500, "book_value": 500},
            {"year": 2, "depreciation": 100, "book_value": 400},
            {"year": 3, "depreciation": 0, "book_value": 400},
            {"year": 4, "depreciation": 0, "book_value": 400},
        ],
    ),
    (finance.compound_annual_growth_rate, {"start_value": 100, "end_value": 144, "years": 2}, 20),
    (finance.effective_annual_rate, {"nominal_rate": 12}, 12.682503013196972),
    (finance.effective_annual_rate, {"nominal_rate": 100, "compounding": "continuous"}, (math.e - 1) * 100),
    (finance.real_interest_rate, {"nominal_rate": 5, "inflation_rate": 2}, 2.9411764705882355),
    (finance.return_on_investment, {"cost": 200, "proceeds": 250}, {"gain": 50, "return_percent": 25}),
    (
        finance.split_bill_with_tip,
        {"bill": 100, "tip_percent": 10, "people": 3},
        {"tip": 10, "total": 110, "per_person": [36.67, 36.67, 36.66]},
    ),
]

SCIENCE: list[Case] = [
    (science.kinetic_energy, {"mass": 2, "speed": 3}, 9),
    (science.potential_energy, {"mass": 10, "height": 2}, 196.133),
    (science.gravitational_force, {"first_mass": 10, "second_mass": 20, "distance": 2}, 3.33715e-09),
    (
        science.ideal_gas,
        {"pressure": 101_325, "moles": 1, "temperature": 273.15},
        lambda gas: abs(gas["volume"] - 0.022413969545) < 1e-12,
    ),
    (
        science.ideal_gas,
        {"pressure": 8314.46261815324, "volume": 2, "moles": 4},
        {"pressure": 8314.46261815324, "volume": 2, "moles": 4, "temperature": 500},
    ),
    (
        science.projectile_motion,
        {"speed": 20, "angle": 30, "gravity": 10},
        {"range": 20 * math.sqrt(3), "max_height": 5, "flight_time": 2},
    ),
    (science.free_fall, {"height": 20, "gravity": 10}, {"time": 2, "impact_speed": 20}),
    (
        science.speed_distance_time,
        {"distance": 150, "speed": 60},
        {"speed": 60, "distance": 150, "time": 2.5},
    ),
    (
        science.speed_distance_time,
        {"distance": 150, "time": 2.5},
        {"speed": 60, "distance": 150, "time": 2.5},
    ),
    (science.speed_distance_time, {"speed": 60, "time": 2.5}, {"speed": 60, "distance": 150, "time": 2.5}),
    (
        science.ohms_law,
        {"voltage": 12, "resistance": 4},
        {"voltage": 12, "current": 3, "resistance": 4, "power": 36},
    ),
    (
        science.ohms_law,
        {"voltage": 12, "current": 3},
        {"voltage": 12, "current": 3, "resistance": 4, "power": 36},
    ),
    (
        science.ohms_law,
        {"current": 3, "resistance": 4},
        {"voltage": 12, "current": 3, "resistance": 4, "power": 36},
    ),
    (science.combined_resistance, {"resistances": [3, 6], "connection": "parallel"}, 2),
    (science.combined_resistance, {"resistances": [3, 6], "connection": "series"}, 9),
    (
        science.radioactive_decay,
        {"amount": 80, "half_life": 5730, "time": 11_460},
        {"remaining": 20, "remaining_percent": 25, "half_lives": 2},
    ),
    (science.molar_mass, {"formula": "H2O"}, {"molar_mass": 18.015, "atoms": {"H": 2, "O": 1}}),
    (
        science.molar_mass,
        {"formula": "K4[Fe(CN)6]"},
        {"molar_mass": 368.345, "atoms": {"K": 4, "Fe": 1, "C": 6, "N": 6}},
    ),
    (
        science.photon_energy,
        {"wavelength_nm": 500},
        {
            "energy_joules": 3.972891714297857e-19,
            "energy_ev": 2.479683968664,
            "frequency_hz": 5.99584916e14,
            "wavelength_m": 5e-07,
        },
    ),
    (science.doppler_shift, {"frequency": 440, "source_speed": 34.3}, 4400 / 9),
    (science.density_mass_volume, {"mass": 10, "volume": 4}, {"density": 2.5, "mass": 10, "volume": 4}),
    (science.density_mass_volume, {"mass": 10, "density": 2.5}, {"density": 2.5, "mass": 10, "volume": 4}),
    (science.density_mass_volume, {"density": 2.5, "volume": 4}, {"density": 2.5, "mass": 10, "volume": 4}),
    (science.ph_from_concentration, {"concentration": 0.001}, {"ph": 3, "poh": 11, "nature": "acidic"}),
    (
        science.ph_from_concentration,
        {"concentration": 1e-7, "ion": "hydroxide"},
        {"ph": 7, "poh": 7, "nature": "neutral"},
    ),
    (
        science.dilution_volume,
        {"stock_concentration": 10, "target_concentration": 2, "target_volume": 50},
        10,
    ),
]

CASES = list(
    itertools.chain(
        STATS, LINALG, INTEGERS, DECIMALS, SEQUENCES, SAMPLING, DATES, UNITS, GEOMETRY, FINANCE, SCIENCE
    )
)

# What each module must refuse, and words that its message must hold.
REFUSED: list[tuple[Tool, dict[str, Any], str]] = [
    (stats.standard_deviation, {"data": [1]}, "at least 2 values"),
    (stats.weighted_mean, {"data": [1, 2], "weights": [1]}, "same length, got 2 and 1"),
    (stats.weighted_mean, {"data": [1], "weights": [0]}, "sum"),
    (stats.z_scores, {"data": [2, 2]}, "must vary"),
    (stats.pearson_correlation, {"x": [1, 1], "y": [1, 2]}, "constant"),
    (stats.welch_t_test, {"first": [1, 1], "second": [2, 2]}, "must vary"),
    (stats.one_sample_t_test, {"data": [1, 1], "expected_mean": 0}, "must vary"),
    (stats.mann_whitney_u_test, {"first": [1, 1], "second": [1, 1]}, "must vary"),
    (stats.chi_square_independence, {"table": [[1, 2], [0, 0]]}, "expected count"),
    (stats.moving_average, {"data": [1], "window": 2}, "window must be <="),
    (stats.median, {"data": [1e308, 1.7e308]}, "finite"),
    (linalg.matrix_add, {"left": [[1]], "right": [[1, 2]]}, "one shape"),
    (linalg.matrix_multiply, {"left": [[1, 2]], "right": [[1, 2]]}, "got 1 for 2"),
    (linalg.matrix_transpose, {"matrix": [[1], [1, 2]]}, "same length, got 1 and 2"),
    (linalg.matrix_determinant, {"matrix": [[1, 2]]}, "square, got 1 x 2"),
    (linalg.matrix_inverse, {"matrix": [[1, 2], [2, 4]]}, "[Ss]ingular"),
    (linalg.matrix_condition_number, {"matrix": [[1, 0], [0, 0]]}, "finite"),
    (linalg.cholesky_decomposition, {"matrix": [[1, 2], [3, 4]]}, "symmetric"),
    (linalg.polynomial_fit, {"x": [1, 1], "y": [1, 2], "degree": 1}, "at least 2 different"),
    (linalg.polynomial_roots, {"coefficients": [0, 1]}, "leading zeros"),
    (linalg.angle_between_vectors, {"first": [0, 0], "second": [1, 1]}, "direction"),
    (linalg.matrix_power, {"matrix": [[1e100]], "exponent": 4}, "finite"),
    (
        integers.least_common_multiple,
        {"numbers": [9_007_199_254_740_991, 9_007_199_254_740_990]},
        "2\\*\\*53",
    ),
    (integers.divide_with_remainder, {"dividend": 1, "divisor": 0}, "divisor must not be 0"),
    (integers.primes_in_range, {"start": 0, "end": 1_000_000}, "at most 100,000"),
    (integers.convert_number_base, {"number": "129", "from_base": 8, "to_base": 10}, "digits 0 to 7"),
    (integers.from_roman_numeral, {"numeral": "IIII"}, "usual rules"),
    (integers.modular_inverse, {"number": 2, "modulus": 4}, "share no divisor"),
    (integers.chinese_remainder, {"remainders": [1, 2], "moduli": [2, 4]}, "must agree"),
    (decimals.decimal_divide, {"dividend": "1", "divisor": "0"}, "divisor must not be 0"),
    (decimals.percentage_change, {"old": "0", "new": "1"}, "old must not be 0"),
    (decimals.split_amount_evenly, {"amount": "0.001", "parts": 2}, "at most 2 decimal places"),
    (decimals.split_amount_by_weights, {"amount": "1", "weights": ["0"]}, "weights must be"),
    (decimals.fraction_add, {"first": "1/0", "second": "1"}, "0 below the line"),
    (decimals.fraction_divide, {"first": "1", "second": "0"}, "second must not be 0"),
    (decimals.fraction_to_decimal, {"fraction": "1/1000003"}, "within 1,000 digits"),
    (sequences.number_range, {"start": 0, "stop": 1, "step": 0}, "step must not be 0"),
    (sequences.number_range, {"start": 0, "stop": 1e9}, "at most 10,000 rows"),
    (sequences.zip_lists, {"first": [1], "second": []}, "same length"),
    (sequences.list_permutations, {"items": [*range(10)]}, "at most 10,000 rows, got 3,628,800"),
    (sequences.group_records, {"records": PEOPLE, "key": "height"}, "'height'"),
    (sequences.sort_records, {"records": [{"a": 1}, {"a": "x"}], "key": "a"}, "all numbers or all text"),
    (sequences.sum_records, {"records": PEOPLE, "key": "name", "by": "age"}, "must be numbers, got 'Ann'"),
    (sequences.columns_to_records, {"columns": {"a": [1], "b": []}}, "one length"),
    (sampling.random_integers, {"low": 2, "high": 1}, "low must be <= high"),
    (sampling.sample_without_replacement, {"items": [1], "count": 2}, "got 2 for 1"),
    (sampling.weighted_choice, {"items": [1], "weights": [0]}, "not all be 0"),
    (sampling.roll_dice, {"dice": "0d6"}, "at least one die"),
    (sampling.random_dates, {"start": "2024-01-02", "end": "2024-01-01"}, "start must be <= end"),
    (dates.add_to_date, {"start": "9999-12-31", "months": 1}, "years 1 to 9999"),
    (dates.date_difference, {"start": "2024-01-02", "end": "2024-01-01"}, "start must be <= end"),
    (
        dates.nth_weekday_of_month,
        {"year": 2023, "month": 2, "weekday": "Monday", "position": "fifth"},
        "got four",
    ),
    (dates.list_dates, {"start": "2000-01-01", "end": "2024-01-01"}, "at most 5,000 dates"),
    (dates.parse_date, {"text": "soon"}, "got 'soon'"),
    (dates.convert_time_zone, {"moment": "2024-01-01T00:00:00", "to_zone": "Mars/Olympus"}, "IANA name"),
    (dates.time_zone_offset, {"moment": "2024-01-01T00:00:00", "zone": "../etc/passwd"}, "IANA name"),
    (dates.parse_duration, {"duration": "P1Y"}, "without years"),
    (dates.parse_duration, {"duration": "P1DT"}, "ISO 8601"),
    (units.convert_temperature, {"value": -300, "from_unit": "C", "to_unit": "K"}, "absolute zero"),
    (units.convert_length, {"value": 1e308, "from_unit": "km", "to_unit": "nm"}, "too large"),
    (geometry.triangle_from_sides, {"a": 1, "b": 2, "c": 3}, "shorter than the others"),
    (geometry.polygon_properties, {"corners": SQUARE[:1] * 3}, "enclose an area"),
    (
        geometry.line_intersection,
        dict(
            zip(
                ("first_start", "first_end", "second_start", "second_end"),
                SQUARE[:2] + SQUARE[3:1:-1],
                strict=True,
            )
        ),
        "parallel",
    ),
    (
        geometry.point_to_line_distance,
        {"point": SQUARE[0], "line_start": SQUARE[1], "line_end": SQUARE[1]},
        "must differ",
    ),
    (geometry.circle_properties, {"radius": 1e200}, "finite"),
    (
        finance.loan_term,
        {"principal": 1000, "annual_rate": 12, "payment": 10},
        "exceed the first interest of 10.00",
    ),
    (finance.internal_rate_of_return, {"cash_flows": [1, 2]}, "one sign only"),
    (finance.internal_rate_of_return, {"cash_flows": [1, -3, 3]}, "got none"),
    (finance.payback_period, {"cash_flows": [-10, 1]}, "balance of -9"),
    (finance.break_even_point, {"fixed_costs": 1, "price": 1, "unit_cost": 1}, "must exceed unit_cost"),
    (finance.straight_line_depreciation, {"cost": 1, "salvage": 2, "years": 1}, "salvage must be <= cost"),
    (science.ideal_gas, {"pressure": 1}, "all but one of .* got pressure"),
    (science.ohms_law, {}, "got none"),
    (science.molar_mass, {"formula": "Xx2"}, "'Xx2'"),
    (science.molar_mass, {"formula": "H2)"}, "open each bracket"),
    (science.molar_mass, {"formula": "(H2"}, "close each bracket"),
    (science.molar_mass, {"formula": "((H9999)9999)9999"}, "1,000,000 atoms"),
    (science.doppler_shift, {"frequency": 1, "source_speed": 400}, "slower than the wave"),
    (
        science.dilution_volume,
        {"stock_concentration": 1, "target_concentration": 2, "target_volume": 1},
        "dilution only lowers",
    ),
]

TOOLS: list[Tool] = [
    function
    for module in MODULES
    for name, function in vars(module).items()
    if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
]

# Texts of every form that a tool asks for; a schema's pattern picks those that fit.
TEXTS = [
    *("a", "b", "UTC") * 5, "", "0", "1", "-3/4", "7/0", "0.125", "9" * 50, "3d6+2", "0d0", "d9999", "zz",
    "IX", "iiii", "%Y-%m-%d", "%d%d", "%A %j", "plain", "P1DT2H", "PT", "Europe/Paris", "Europe", "../x",
    "H2O", "((", "Fe2(SO4)3", "\x00", "é\ud800", "x" * 45,
]  # fmt: skip
TRIALS = 80
INSTANTS = ["0001-01-01", "9999-12-31", "1970-01-01", "2024-02-29", "2024-03-31", "1999-06-15"]
NUMBERS = [0, 1, -1, 2, 3, 5, 0.5, -2.5, 12, 97, 1000, 1e-300, -1e-300, 1e15, -1e100, 1e160, 1e308, -1e308]


def close(seen: Any, expected: Any) -> bool:
    """Compare JSON values, numbers with a tolerance for rounding."""
    if isinstance(expected, dict):
        return seen.keys() == expected.keys() and all(
            close(seen[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return len(seen) == len(expected) and all(map(close, seen, expected))
    if isinstance(expected, int | float) and not isinstance(expected, bool):
        return math.isclose(seen, expected, rel_tol=1e-9, abs_tol=0 if 0 < abs(expected) < 1e-3 else 1e-9)
    return type(seen) is type(expected) and bool(seen == expected)


def product(left: list[list[float]], right: list[list[float]]) -> list[list[float]]:
    return [[sum(map(float.__mul__, row, column)) for column in zip(*right, strict=True)] for row in left]


def diagonal(values: list[float]) -> list[list[float]]:
    return [
        [value if row == column else 0.0 for column in range(len(values))] for row, value in enumerate(values)
    ]


def call(function: Tool, arguments: dict[str, Any]) -> Any:
    """Call a tool with JSON and return its result from JSON; a wrong type or a lost number fails."""
    result = adapter(function).validate_json(json.dumps(arguments))
    assert all(map(math.isfinite, floats(result))), f"{function.__name__} returned {result}"
    encoded = TypeAdapter(get_type_hints(function, include_extras=True)["return"]).dump_json(
        result, warnings="error"
    )
    return json.loads(encoded)


@functools.cache
def adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from floats(item)
    elif hasattr(value, "__dict__"):
        yield from floats(list(vars(value).values()))
    elif isinstance(value, dict):
        yield from floats(list(value.values()))


def name_of(function: Any) -> str | None:
    return function.__name__ if inspect.isfunction(function) and function.__name__ != "<lambda>" else None


@pytest.mark.parametrize(("function", "arguments", "expected"), CASES, ids=name_of)
def test_tool_gives_the_worked_result(function: Tool, arguments: dict[str, Any], expected: Any) -> None:
    result = call(function, arguments)
    assert expected(result) if callable(expected) else close(result, expected), result


@pytest.mark.parametrize(("function", "arguments", "words"), REFUSED, ids=name_of)
def test_tool_refuses_what_it_cannot_do_and_says_why(
    function: Tool, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises((ValueError, ArithmeticError), match=words) as caught:
        call(function, arguments)
    assert not isinstance(caught.value, ValidationError)


@pytest.mark.parametrize(
    "function", [one for one in TOOLS if one.__module__ == sampling.__name__], ids=name_of
)
def test_seed_repeats_a_draw(function: Tool) -> None:
    arguments = next(arguments for tool, arguments, _ in CASES if tool is function)
    assert call(function, arguments | {"seed": 7}) == call(function, arguments | {"seed": 7})


def test_every_tool_has_a_worked_example() -> None:
    assert {tool.__name__ for tool in TOOLS} == {tool.__name__ for tool, _, _ in CASES}


def test_tool_names_are_unique() -> None:
    assert len({tool.__name__ for tool in TOOLS}) == len(TOOLS) >= 165


@pytest.mark.parametrize("function", TOOLS, ids=name_of)
def test_tool_is_described_and_typed(function: Tool) -> None:
    documented = docstring_parser.parse(inspect.getdoc(function) or "")
    hints = get_type_hints(function)
    parameters = list(inspect.signature(function).parameters)
    assert documented.short_description
    assert documented.short_description.endswith(".")
    assert [item.arg_name for item in documented.params] == parameters
    assert all(item.description for item in documented.params)
    assert list(hints) == [*parameters, "return"]
    assert len(function.__name__) <= 40


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rsplit(".", 1)[-1])
def test_nothing_but_tool_errors_escapes(module: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    for function in (tool for tool in TOOLS if tool.__module__ == module.__name__):
        schema = adapter(function).json_schema()
        rng = random.Random(function.__name__)  # noqa: S311 - the same trials each time
        trials = [Inventor(schema.get("$defs", {}), rng).value(schema) for _ in range(TRIALS)]
        outcomes = [outcome(function, arguments) for arguments in trials]
        assert "returned" in outcomes, f"{function.__name__}: {set(outcomes)}"
        assert "" not in outcomes
    assert capfd.readouterr() == ("", "")


def outcome(function: Tool, arguments: dict[str, Any]) -> str:
    try:
        call(function, arguments)
    except ValidationError:
        return "invalid"
    except (ValueError, ArithmeticError, LookupError) as error:
        return str(error)
    return "returned"


class Inventor:
    """Makes up values that a JSON Schema allows, with lists mostly of one length so that they fit."""

    def __init__(self, definitions: dict[str, Any], rng: random.Random) -> None:
        self.definitions = definitions
        self.rng = rng
        self.length = rng.choice((1, 2, 3, 6))

    def value(self, schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            return self.value(self.definitions[schema["$ref"].rsplit("/", 1)[-1]])
        if "anyOf" in schema:
            return self.value(self.rng.choice(schema["anyOf"]))
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        if "type" not in schema:
            return self.rng.choice([None, True, 1, 2, 0.5, "a", [1], {"a": 1}])
        return getattr(self, schema["type"])(schema)

    def object(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "properties" not in schema:
            return {key: self.value(schema.get("additionalProperties") or {}) for key in ("a", "b")}
        keys = [
            key
            for key in schema["properties"]
            if key in schema.get("required", ()) or self.rng.random() < 0.5
        ]
        return {key: self.value(schema["properties"][key]) for key in keys}

    def array(self, schema: dict[str, Any]) -> list[Any]:
        length = self.length if self.rng.random() < 0.95 else self.rng.randrange(6)
        length = min(max(length, schema.get("minItems", 0)), schema.get("maxItems", 100))
        return [self.value(schema.get("items") or {}) for _ in range(length)]

    def number(self, schema: dict[str, Any]) -> float:
        low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
        above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
        edges: list[float] = [edge for edge in (low, high) if math.isfinite(edge)]
        return self.rng.choice(
            [one for one in [*NUMBERS, *edges] if low <= one <= high and above < one < below]
        )

    def integer(self, schema: dict[str, Any]) -> int:
        return math.ceil(self.number(schema))

    def string(self, schema: dict[str, Any]) -> str:
        if "format" in schema:
            clock = self.rng.choice(("T12:34:56", "T00:00:00Z", "T23:59:59-05:00"))
            return self.rng.choice(INSTANTS) + (clock if schema["format"] == "date-time" else "")
        lengths = range(schema.get("minLength", 0), schema.get("maxLength", 100) + 1)
        pattern: str = schema.get("pattern", "")
        fitting = [text for text in TEXTS if len(text) in lengths and re.search(pattern, text)]
        return self.rng.choice(fitting)

    def boolean(self, _: dict[str, Any]) -> bool:
        return self.rng.random() < 0.5

    def null(self, _: dict[str, Any]) -> None:
        return None
