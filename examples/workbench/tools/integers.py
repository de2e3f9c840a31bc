"""Tools for whole numbers: divisibility, primes, counting, modular arithmetic and ways to write them.

Integers go in and out as JSON numbers up to 2**53 - 1, which every JSON reader keeps exact; results that
may be longer are given as text.
"""

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from examples.workbench.numeric import MAX_SAFE, same_length

Integer = Annotated[int, Field(ge=-MAX_SAFE, le=MAX_SAFE)]
Natural = Annotated[int, Field(ge=0, le=MAX_SAFE)]
PositiveInteger = Annotated[int, Field(ge=1, le=MAX_SAFE)]
Integers = Annotated[list[Integer], Field(min_length=1, max_length=1_000)]
Modulus = Annotated[int, Field(ge=2, le=MAX_SAFE)]
Base = Annotated[int, Field(ge=2, le=36)]

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
_ROMAN = dict(
    zip(
        ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"),
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        strict=True,
    )
)


@dataclass(frozen=True)
class PrimePower:
    prime: int
    exponent: int


@dataclass(frozen=True)
class Division:
    quotient: int
    remainder: int


@dataclass(frozen=True)
class Bezout:
    gcd: int
    x: int
    y: int


@dataclass(frozen=True)
class Congruence:
    remainder: int
    modulus: int


def _safe(value: int) -> int:
    if abs(value) > MAX_SAFE:
        raise ValueError(
            f"the result must be at most 2**53 - 1, got {value.bit_length()} bits: use smaller numbers"
        )
    return value


def _is_prime(number: int) -> bool:
    """Test by Miller-Rabin; these witnesses decide every number below 2**64."""
    if number < 2 or any(number % prime == 0 for prime in _WITNESSES):
        return number in _WITNESSES
    twos = ((number - 1) & -(number - 1)).bit_length() - 1
    for witness in _WITNESSES:
        power = pow(witness, (number - 1) >> twos, number)
        squares = itertools.accumulate(
            range(twos - 1), lambda value, _: value * value % number, initial=power
        )
        if power != 1 and number - 1 not in squares:
            return False
    return True


def _divisor(number: int) -> int:
    """Find a proper divisor of a composite number, by Pollard's rho."""
    if number % 2 == 0:
        return 2
    for step in itertools.count(1):
        slow = fast = 2
        found = 1
        while found == 1:
            slow = (slow * slow + step) % number
            fast = (fast * fast + step) % number
            fast = (fast * fast + step) % number
            found = math.gcd(slow - fast, number)
        if found != number:
            break
    return found


def _factors(number: int) -> list[int]:
    if number == 1:
        return []
    if _is_prime(number):
        return [number]
    divisor = _divisor(number)
    return sorted(_factors(divisor) + _factors(number // divisor))


def _in_base(number: int, base: int) -> str:
    digits = []
    rest = abs(number)
    while rest:
        rest, digit = divmod(rest, base)
        digits.append(_DIGITS[digit])
    return ("-" if number < 0 else "") + ("".join(reversed(digits)) or "0")


def greatest_common_divisor(numbers: Integers) -> int:
    """Find the greatest common divisor (GCD) of whole numbers.

    Args:
        numbers: The numbers.
    """
    return math.gcd(*numbers)


def least_common_multiple(numbers: Annotated[list[Integer], Field(min_length=1, max_length=100)]) -> int:
    """Find the least common multiple (LCM) of whole numbers.

    Args:
        numbers: The numbers.
    """
    return _safe(math.lcm(*numbers))


def extended_gcd(a: Integer, b: Integer) -> Bezout:
    """Find the greatest common divisor of two numbers and integers x, y with a*x + b*y = gcd (Bezout).

    Args:
        a: The first number.
        b: The second number.
    """
    (old, rest), (x, next_x), (y, next_y) = (a, b), (1, 0), (0, 1)
    while rest:
        quotient = old // rest
        old, rest = rest, old - quotient * rest
        x, next_x = next_x, x - quotient * next_x
        y, next_y = next_y, y - quotient * next_y
    sign = -1 if old < 0 else 1
    return Bezout(sign * old, sign * x, sign * y)


def divide_with_remainder(
    dividend: Integer, divisor: Integer, rounding: Literal["floor", "truncate"] = "floor"
) -> Division:
    """Divide whole numbers into a quotient and a remainder (integer division and modulo).

    Args:
        dividend: The number to divide.
        divisor: The number to divide by.
        rounding: Round the quotient down, or towards zero as C and Java do; it matters for negative numbers.
    """
    if divisor == 0:
        raise ValueError("divisor must not be 0, got 0: use another")
    quotient = dividend // divisor
    if rounding == "truncate" and quotient < 0 and dividend % divisor:
        quotient += 1
    return Division(quotient, dividend - quotient * divisor)


def prime_factors(number: Annotated[int, Field(ge=2, le=MAX_SAFE)]) -> list[PrimePower]:
    """Factorize a whole number into primes.

    Args:
        number: The number to factor.
    """
    return [PrimePower(prime, exponent) for prime, exponent in Counter(_factors(number)).items()]


def is_prime(number: Integer) -> bool:
    """Tell whether a whole number is prime.

    Args:
        number: The number to test.
    """
    return _is_prime(number)


def primes_in_range(
    start: Annotated[int, Field(ge=0, le=1_000_000)], end: Annotated[int, Field(ge=0, le=1_000_000)]
) -> list[int]:
    """List the prime numbers from a start up to an end, both included.

    Args:
        start: The first number to consider.
        end: The last number to consider, at most 100,000 after the start.
    """
    if end - start > 100_000:
        raise ValueError(f"end must be at most 100,000 after start, got {end - start:,}: ask in parts")
    return [number for number in range(start, end + 1) if _is_prime(number)]


def next_prime(number: Annotated[int, Field(ge=0, le=2**52)]) -> int:
    """Find the smallest prime number greater than a number.

    Args:
        number: The number to start after.
    """
    return next(candidate for candidate in itertools.count(number + 1) if _is_prime(candidate))


def divisors(number: PositiveInteger) -> list[int]:
    """List all divisors of a whole number, in order.

    Args:
        number: The number to divide.
    """
    found = [1]
    for prime, exponent in Counter(_factors(number)).items():
        found = [divisor * prime**power for divisor in found for power in range(exponent + 1)]
    return sorted(found)


def euler_totient(number: PositiveInteger) -> int:
    """Count the whole numbers up to a number that share no divisor with it (Euler's phi function).

    Args:
        number: The number.
    """
    for prime in set(_factors(number)):
        number -= number // prime
    return number


def binomial_coefficient(
    n: Annotated[int, Field(ge=0, le=10_000)], k: Annotated[int, Field(ge=0, le=10_000)]
) -> str:
    """Count the ways to choose k of n things (n choose k), as exact digits.

    Args:
        n: How many things there are.
        k: How many are chosen.
    """
    return str(math.comb(n, k))


def permutation_count(
    n: Annotated[int, Field(ge=0, le=1_000)], k: Annotated[int, Field(ge=0, le=1_000)]
) -> str:
    """Count the ways to arrange k of n things in order (nPk), as exact digits.

    Args:
        n: How many things there are.
        k: How many are arranged.
    """
    return str(math.perm(n, k))


def factorial(number: Annotated[int, Field(ge=0, le=1_000)]) -> str:
    """Compute the factorial of a whole number, n!, as exact digits.

    Args:
        number: The number.
    """
    return str(math.factorial(number))


def fibonacci_number(position: Annotated[int, Field(ge=0, le=10_000)]) -> str:
    """Compute the Fibonacci number at a position, as exact digits.

    Args:
        position: The position; 0 gives 0, 1 and 2 give 1.
    """
    now, following = 0, 1
    for _ in range(position):
        now, following = following, now + following
    return str(now)


def convert_number_base(
    number: Annotated[str, Field(pattern="^[+-]?[0-9A-Za-z]+$", max_length=200)],
    from_base: Base,
    to_base: Base,
) -> str:
    """Convert a whole number between bases, such as decimal, binary, octal and hexadecimal.

    Args:
        number: The digits; letters count from a = 10, in either case.
        from_base: The base that they are in.
        to_base: The base to write them in.
    """
    try:
        return _in_base(int(number, from_base), to_base)
    except ValueError as error:
        last = _DIGITS[from_base - 1]
        raise ValueError(
            f"number must have digits 0 to {last} in base {from_base}, got {number!r}"
        ) from error


def to_roman_numeral(number: Annotated[int, Field(ge=1, le=3_999)]) -> str:
    """Write a number as a Roman numeral.

    Args:
        number: The number.
    """
    numeral = ""
    for symbol, value in _ROMAN.items():
        count, number = divmod(number, value)
        numeral += symbol * count
    return numeral


def from_roman_numeral(numeral: Annotated[str, Field(pattern="^[IVXLCDMivxlcdm]+$", max_length=20)]) -> int:
    """Read a Roman numeral as a number.

    Args:
        numeral: The numeral, in upper or lower case.
    """
    values = [_ROMAN[symbol] for symbol in numeral.upper()]
    number = sum(
        -value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True)
    )
    if not 1 <= number <= 3_999 or to_roman_numeral(number) != numeral.upper():
        raise ValueError(
            f"numeral must be written by the usual rules, got {numeral!r}: 4 is IV, 1999 is MCMXCIX"
        )
    return number


def digit_sum(number: Natural, base: Base = 10) -> int:
    """Add up the digits of a whole number.

    Args:
        number: The number.
        base: The base in which to take its digits.
    """
    return sum(int(digit, 36) for digit in _in_base(number, base))


def modular_power(base: Integer, exponent: Natural, modulus: Modulus) -> int:
    """Compute a power modulo a number, base ** exponent mod modulus.

    Args:
        base: The base.
        exponent: The exponent.
        modulus: The modulus.
    """
    return pow(base, exponent, modulus)


def modular_inverse(number: Integer, modulus: Modulus) -> int:
    """Find the inverse of a number modulo another: x with number * x = 1 mod modulus.

    Args:
        number: The number to invert.
        modulus: The modulus, which shares no divisor with the number.
    """
    if (shared := math.gcd(number, modulus)) != 1:
        raise ValueError(
            f"number and modulus must share no divisor, got {number} and {modulus}, both have {shared}"
        )
    return pow(number, -1, modulus)


def chinese_remainder(
    remainders: Annotated[list[Integer], Field(min_length=1, max_length=50)],
    moduli: Annotated[list[Modulus], Field(min_length=1, max_length=50)],
) -> Congruence:
    """Find the number that leaves given remainders by several moduli (Chinese remainder theorem).

    Args:
        remainders: The remainder by each modulus.
        moduli: The moduli, in the same order; they need not be coprime.
    """
    same_length("remainders", remainders, "moduli", moduli)
    result, combined = 0, 1
    for remainder, modulus in zip(remainders, moduli, strict=True):
        shared = math.gcd(combined, modulus)
        if (remainder - result) % shared:
            raise ValueError(
                f"the remainders must agree, got {remainder} mod {modulus} against {result} mod {combined}"
            )
        step = modulus // shared
        result += combined * ((remainder - result) // shared * pow(combined // shared, -1, step) % step)
        combined = _safe(combined * step)
    return Congruence(result % combined, combined)


def integer_square_root(number: Natural) -> int:
    """Find the square root of a whole number, rounded down.

    Args:
        number: The number.
    """
    return math.isqrt(number)


def collatz_steps(number: Annotated[int, Field(ge=1, le=10**12)]) -> int:
    """Count the Collatz steps (halve if even, else triple and add one) until a number reaches 1.

    Args:
        number: The number to start from.
    """
    steps = 0
    while number != 1:
        number = 3 * number + 1 if number % 2 else number // 2
        steps += 1
    return steps


def bitwise_operation(
    left: Natural, right: Natural, operation: Literal["and", "or", "xor", "shift_left", "shift_right"]
) -> int:
    """Combine two whole numbers bit by bit: and, or, xor, or shift by a count of bits.

    Args:
        left: The first number.
        right: The second number, or how far to shift.
        operation: What to do.
    """
    if operation == "shift_left":
        return _safe(left << min(right, 64))
    if operation == "shift_right":
        return left >> right
    return {"and": left & right, "or": left | right, "xor": left ^ right}[operation]


def round_to_multiple(
    number: Integer, multiple: PositiveInteger, direction: Literal["nearest", "up", "down"]
) -> int:
    """Round a whole number to a multiple of another, such as to the nearest 50.

    Args:
        number: The number to round.
        multiple: The number whose multiples are allowed.
        direction: To the nearest multiple (halves go up), or always up or down.
    """
    shift = {"nearest": multiple // 2, "up": multiple - 1, "down": 0}[direction]
    return _safe((number + shift) // multiple * multiple)
