"""Tools for exact decimal numbers, percentages, amounts of money and fractions."""

import decimal
import math
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

Exact = Annotated[
    Decimal,
    Field(max_digits=50, allow_inf_nan=False),
    WithJsonSchema({"type": "string", "pattern": r"^[+-]?[0-9]*\.?[0-9]+$", "maxLength": 52}),
]
Numbers = Annotated[list[Exact], Field(min_length=1, max_length=1_000)]
Ratio = Annotated[str, Field(pattern=r"^[+-]?[0-9]+(/[0-9]+|\.[0-9]+)?$", max_length=60)]
Places = Annotated[int, Field(ge=0, le=50)]
Rounding = Literal["half_even", "half_up", "half_down", "up", "down", "ceiling", "floor"]

_EXACT = decimal.Context(prec=250, rounding=decimal.ROUND_05UP)
"""Holds any sum or product of `Exact` numbers whole; its rounding keeps quotients fit to be rounded again."""

_MAX_REPEATING = 1_000


def _plain(value: Decimal) -> str:
    return format(_EXACT.plus(value), "f")


def _rounded(value: Decimal, places: int, rounding: Rounding = "half_even") -> str:
    return _plain(value.quantize(Decimal(1).scaleb(-places), f"ROUND_{rounding.upper()}", _EXACT))


def _quotient(dividend: Decimal, divisor: Decimal, name: str) -> Decimal:
    if not divisor:
        raise ValueError(f"{name} must not be 0, got {divisor}: use another")
    return _EXACT.divide(dividend, divisor)


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except ZeroDivisionError as error:
        raise ValueError(f"a fraction must not have 0 below the line, got {text!r}: use another") from error


def _shares(amount: Decimal, weights: list[Fraction], places: int) -> list[str]:
    """Split by largest remainder, so that the shares add up to the amount."""
    unit = Decimal(1).scaleb(-places)
    cents = Fraction(amount) / Fraction(unit)
    if cents.denominator != 1:
        raise ValueError(f"amount must have at most {places} decimal places, got {amount}: round it first")
    each = abs(cents) / sum(weights)
    exact = [each * weight for weight in weights]
    shares = [math.floor(share) for share in exact]
    missing = int(abs(cents)) - sum(shares)
    for index in sorted(range(len(exact)), key=lambda index: shares[index] - exact[index])[:missing]:
        shares[index] += 1
    sign = -1 if amount < 0 else 1
    return [_plain(_EXACT.multiply(Decimal(sign * share), unit)) for share in shares]


def decimal_add(numbers: Numbers) -> str:
    """Add decimal numbers exactly, without floating-point error, such as amounts of money.

    Args:
        numbers: The numbers to add, as text.
    """
    total = Decimal(0)
    for number in numbers:
        total = _EXACT.add(total, number)
    return _plain(total)


def decimal_subtract(minuend: Exact, subtrahend: Exact) -> str:
    """Subtract one decimal number from another exactly, without floating-point error.

    Args:
        minuend: The number to subtract from, as text.
        subtrahend: The number to take away, as text.
    """
    return _plain(_EXACT.subtract(minuend, subtrahend))


def decimal_multiply(first: Exact, second: Exact) -> str:
    """Multiply two decimal numbers exactly, without floating-point error.

    Args:
        first: The first number, as text.
        second: The second number, as text.
    """
    return _plain(_EXACT.multiply(first, second))


def decimal_divide(
    dividend: Exact, divisor: Exact, places: Places = 10, rounding: Rounding = "half_even"
) -> str:
    """Divide decimal numbers to a given count of decimal places, with a chosen rounding mode.

    Args:
        dividend: The number to divide, as text.
        divisor: The number to divide by, as text.
        places: How many decimal places the result has.
        rounding: How to round the last place; half_even is banker's rounding.
    """
    return _rounded(_quotient(dividend, divisor, "divisor"), places, rounding)


def decimal_round(number: Exact, places: Places = 2, rounding: Rounding = "half_up") -> str:
    """Round a decimal number to a count of decimal places, with a chosen rounding mode.

    Args:
        number: The number, as text.
        places: How many decimal places to keep.
        rounding: How to round the last place; half_even is banker's rounding.
    """
    return _rounded(number, places, rounding)


def round_to_significant_digits(number: Exact, digits: Annotated[int, Field(ge=1, le=50)]) -> str:
    """Round a decimal number to a count of significant digits; halves go up.

    Args:
        number: The number, as text.
        digits: How many digits to keep, from the first that is not 0.
    """
    return _plain(decimal.Context(prec=digits, rounding=decimal.ROUND_HALF_UP).plus(number))


def decimal_compare(first: Exact, second: Exact) -> Literal["less", "equal", "greater"]:
    """Compare two decimal numbers exactly: is the first less than, equal to or greater than the second.

    Args:
        first: The first number, as text.
        second: The second number, as text.
    """
    if first == second:
        return "equal"
    return "less" if first < second else "greater"


def format_number(
    number: Exact, places: Places = 2, thousands: Literal[",", ".", " ", "_", "'", ""] = ","
) -> str:
    """Write a number with thousands separators and fixed decimal places, such as 1,234,567.80.

    Args:
        number: The number, as text.
        places: How many decimal places to show; halves round up.
        thousands: What separates the thousands; with a full stop, the decimal mark is a comma.
    """
    mark = "," if thousands == "." else "."
    text = format(Decimal(_rounded(number, places, "half_up")), ",f")
    return text.translate({ord(","): thousands, ord("."): mark})


def scientific_notation(number: Exact, digits: Annotated[int, Field(ge=1, le=50)] = 6) -> str:
    """Write a decimal number in scientific notation, such as 6.02214E+23.

    Args:
        number: The number, as text.
        digits: How many significant digits to show.
    """
    return format(number, f".{digits - 1}E")


def percentage_of(part: Exact, whole: Exact, places: Places = 2) -> str:
    """Compute what percentage one number is of another.

    Args:
        part: The part, as text.
        whole: The whole, as text.
        places: How many decimal places the result has.
    """
    return _rounded(_quotient(_EXACT.multiply(part, Decimal(100)), whole, "whole"), places)


def percentage_change(old: Exact, new: Exact, places: Places = 2) -> str:
    """Compute by what percentage a value rose or fell, relative to the old one.

    Args:
        old: The value before, as text.
        new: The value after, as text.
        places: How many decimal places the result has.
    """
    rise = _EXACT.multiply(_EXACT.subtract(new, old), Decimal(100))
    return _rounded(_quotient(rise, abs(old), "old"), places)


def apply_percentage(number: Exact, percent: Exact, places: Places = 2) -> str:
    """Increase or decrease a number by a percentage, such as a price by a discount.

    Args:
        number: The number, as text.
        percent: How many percent to add, as text; negative to take off.
        places: How many decimal places the result has; halves round up.
    """
    factor = _EXACT.add(Decimal(1), percent.scaleb(-2, _EXACT))
    return _rounded(_EXACT.multiply(number, factor), places, "half_up")


def split_amount_evenly(
    amount: Exact, parts: Annotated[int, Field(ge=1, le=1_000)], places: Places = 2
) -> list[str]:
    """Split an amount of money into equal parts without losing a cent; the first parts take the rest.

    Args:
        amount: The amount, as text.
        parts: How many parts to make.
        places: Decimal places of the smallest unit: 2 for cents.
    """
    return _shares(amount, [Fraction(1)] * parts, places)


def split_amount_by_weights(amount: Exact, weights: Numbers, places: Places = 2) -> list[str]:
    """Split an amount of money in proportion to weights without losing a cent (largest remainder).

    Args:
        amount: The amount, as text.
        weights: The weight of each share, as text.
        places: Decimal places of the smallest unit: 2 for cents.
    """
    if min(weights) < 0 or not any(weights):
        raise ValueError(f"weights must be >= 0 and not all 0, got {min(weights)} as the least: change them")
    return _shares(amount, [Fraction(weight) for weight in weights], places)


def fraction_add(first: Ratio, second: Ratio) -> str:
    """Add two fractions, such as 1/2 and 1/3, in lowest terms.

    Args:
        first: The first fraction, whole number or decimal.
        second: The second fraction, whole number or decimal.
    """
    return str(_fraction(first) + _fraction(second))


def fraction_subtract(first: Ratio, second: Ratio) -> str:
    """Subtract the second fraction from the first, in lowest terms.

    Args:
        first: The fraction to subtract from.
        second: The fraction to take away.
    """
    return str(_fraction(first) - _fraction(second))


def fraction_multiply(first: Ratio, second: Ratio) -> str:
    """Multiply two fractions, in lowest terms.

    Args:
        first: The first fraction, whole number or decimal.
        second: The second fraction, whole number or decimal.
    """
    return str(_fraction(first) * _fraction(second))


def fraction_divide(first: Ratio, second: Ratio) -> str:
    """Divide the first fraction by the second, in lowest terms.

    Args:
        first: The fraction to divide.
        second: The fraction to divide by.
    """
    divisor = _fraction(second)
    if not divisor:
        raise ValueError(f"second must not be 0, got {second!r}: use another")
    return str(_fraction(first) / divisor)


def simplify_fraction(fraction: Ratio) -> str:
    """Reduce a fraction to lowest terms, or turn a decimal such as 0.375 into the exact fraction.

    Args:
        fraction: The fraction or decimal.
    """
    return str(_fraction(fraction))


def fraction_to_decimal(fraction: Ratio) -> str:
    """Write a fraction as an exact decimal, with the repeating digits in brackets: 1/6 is 0.1(6).

    Args:
        fraction: The fraction; refused where its decimals start to repeat only after 1,000 digits.
    """
    value = _fraction(fraction)
    whole, rest = divmod(abs(value.numerator), value.denominator)
    digits = ""
    seen: dict[int, int] = {}
    while rest and rest not in seen:
        if len(digits) == _MAX_REPEATING:
            raise ValueError(
                f"fraction must repeat within 1,000 digits, got {fraction!r}: use decimal_divide"
            )
        seen[rest] = len(digits)
        digit, rest = divmod(rest * 10, value.denominator)
        digits += str(digit)
    if rest:
        digits = f"{digits[: seen[rest]]}({digits[seen[rest] :]})"
    return ("-" if value < 0 else "") + str(whole) + (f".{digits}" if digits else "")


def approximate_fraction(
    number: Ratio, max_denominator: Annotated[int, Field(ge=1, le=10**12)] = 1_000
) -> str:
    """Find the fraction closest to a number among those with a small denominator, such as 355/113 for pi.

    Args:
        number: The number, as a decimal or fraction.
        max_denominator: The largest denominator allowed.
    """
    return str(_fraction(number).limit_denominator(max_denominator))


def continued_fraction(number: Ratio) -> list[int]:
    """Expand a number into its continued fraction: a0 + 1/(a1 + 1/(a2 + ...)).

    Args:
        number: The number, as a fraction or decimal.
    """
    value = _fraction(number)
    terms = [math.floor(value)]
    while value != terms[-1]:
        value = 1 / (value - terms[-1])
        terms.append(math.floor(value))
    return terms
