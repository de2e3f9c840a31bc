"""Tools that read small languages: versions, cron, headers, command lines, literals, arithmetic."""

import ast
import email
import email.errors
import email.header
import email.utils
import itertools
import math
import operator
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

Version = Annotated[str, Field(min_length=1, max_length=200)]
Headers = Annotated[str, Field(max_length=50_000)]

_SEMVER = re.compile(
    r"v?(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?",
    re.ASCII,
)
_CRON_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_CRON_NAMES = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "weekday": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}
_CRON_SHORTHANDS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_CRON_PART = re.compile(r"(\*|[0-9a-z]{1,3}(?:-[0-9a-z]{1,3})?)(?:/([1-9][0-9]?))?")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")

_MAX_BITS = 1_000
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs, "min": min, "max": max, "round": round, "sqrt": math.sqrt, "exp": math.exp, "log": math.log,
    "log10": math.log10, "log2": math.log2, "sin": math.sin, "cos": math.cos, "tan": math.tan,
    "floor": math.floor, "ceil": math.ceil,
}  # fmt: skip


@dataclass(frozen=True)
class SemanticVersion:
    major: int
    minor: int
    patch: int
    prerelease: str | None
    build: str | None


@dataclass(frozen=True)
class EmailHeaders:
    subject: str | None
    sender: list[str]
    to: list[str]
    cc: list[str]
    date: str | None
    message_id: str | None
    headers: list[list[str]]


def _parsed_version(version: str) -> re.Match[str]:
    match = _SEMVER.fullmatch(version.strip())
    numeric = [part for part in (match[4] or "").split(".") if part.isdigit()] if match else []
    if not match or any(part != "0" and part.startswith("0") for part in numeric):
        raise ValueError(f"version must be a semantic version such as 1.4.0-beta.2, got {version!r}")
    return match


def _precedence(version: str) -> tuple[int, int, int, bool, list[tuple[bool, int, str, str]]]:
    """Return what orders versions: a release comes after its prereleases, numbers before words."""
    match = _parsed_version(version)
    identifiers = match[4].split(".") if match[4] else []
    keys = [
        (not part.isdigit(), len(part) if part.isdigit() else 0, part if part.isdigit() else "", part)
        for part in identifiers
    ]
    return int(match[1]), int(match[2]), int(match[3]), not identifiers, keys


def _cron_value(text: str, name: str, low: int, high: int) -> int:
    names = _CRON_NAMES.get(name, [])
    value = names.index(text) + (name == "month") if text in names else int(text) if text.isdigit() else -1
    if not low <= value <= high:
        raise ValueError(f"the cron {name} must be from {low} to {high}, got {text!r}")
    return value


def _cron_set(field: str, name: str, low: int, high: int) -> set[int]:
    """Return the values that one cron field stands for."""
    values: set[int] = set()
    for part in field.split(","):
        match = _CRON_PART.fullmatch(part)
        if not match:
            raise ValueError(f"the cron {name} must look like 5, 1-5, */10 or 1,3, got {part!r}")
        first, _, last = match[1].partition("-")
        start = low if first == "*" else _cron_value(first, name, low, high)
        end = _cron_value(last, name, low, high) if last else high if first == "*" or match[2] else start
        if end < start:
            raise ValueError(f"a range of the cron {name} must not run backwards, got {part!r}")
        values.update(range(start, end + 1, int(match[2] or 1)))
    return {value % 7 for value in values} if name == "weekday" else values


def _cron_days(fields: list[str], sets: list[set[int]], first: date) -> Iterator[date]:
    """Give the days on which a cron expression runs, over the next 28 years."""
    _, _, days, months, weekdays = sets
    either = not fields[2].startswith("*") and not fields[4].startswith("*")  # both are given: one is enough
    for offset in range(28 * 366):
        day = first + timedelta(days=offset)
        fits = (day.day in days, day.isoweekday() % 7 in weekdays)
        if day.month in months and (any(fits) if either else all(fits)):
            yield day


def _decoded(value: str) -> str:
    """Return an e-mail header with encoded words decoded where that is possible."""
    try:
        text = str(email.header.make_header(email.header.decode_header(value)))
    except (LookupError, ValueError, email.errors.MessageError):
        text = value
    return " ".join(text.encode("utf-8", "replace").decode().split())


def _bounded(number: Any) -> int | float:
    if isinstance(number, complex) or (isinstance(number, float) and not math.isfinite(number)):
        raise ValueError(f"each result must be a finite real number, got {number}")
    if isinstance(number, int) and number.bit_length() > _MAX_BITS:
        raise ValueError(f"each result must have at most {_MAX_BITS} bits")
    real: int | float = number
    return real


def _computed(node: ast.expr) -> int | float:
    """Compute one node of an arithmetic expression and keep every result small."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _bounded(value)
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=unary, operand=operand) if type(unary) in _UNARY:
            return _bounded(_UNARY[type(unary)](_computed(operand)))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            one, two = _computed(left), _computed(right)
            whole = isinstance(one, int) and isinstance(two, int)
            if isinstance(op, ast.Pow) and whole and int(one).bit_length() * abs(two) > _MAX_BITS:
                raise ValueError(f"a power must have at most {_MAX_BITS} bits, got {ast.unparse(node)}")
            return _bounded(_BINARY[type(op)](one, two))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*map(_computed, arguments)))
    raise ValueError(f"an expression must hold numbers, + - * / // % **, and {', '.join(_FUNCTIONS)} only")


def _json(value: Any) -> JsonValue:
    """Return a Python literal as JSON: tuples and sets as lists, bytes as text, keys as text."""
    match value:
        case None | bool() | int() | str():
            _ = value.encode() if isinstance(value, str) else b""  # half a surrogate pair is no text
            plain: JsonValue = value
            return plain
        case float() if math.isfinite(value):
            return value
        case bytes():
            return value.decode("latin-1")
        case list() | tuple() | set():
            items = sorted(value, key=repr) if isinstance(value, set) else value
            return [_json(item) for item in items]
        case dict():
            return {key if isinstance(key, str) else repr(key): _json(child) for key, child in value.items()}
    raise ValueError(f"a value must be one that JSON can hold, got {value!r}"[:200])


def semver_parse(version: Version) -> SemanticVersion:
    """Parse a semantic version into major, minor, patch, prerelease and build.

    Args:
        version: The version, such as `1.4.0-beta.2+sha.5114f85`.
    """
    match = _parsed_version(version)
    return SemanticVersion(int(match[1]), int(match[2]), int(match[3]), match[4], match[5])


def semver_compare(first: Version, second: Version) -> Literal["older", "same", "newer"]:
    """Compare two semantic versions, and say whether the first is older, the same or newer.

    Args:
        first: One version.
        second: The other version; build metadata does not count.
    """
    one, two = _precedence(first), _precedence(second)
    return "older" if one < two else "newer" if one > two else "same"


def semver_sort(
    versions: Annotated[list[Version], Field(max_length=1_000)], *, newest_first: bool = False
) -> list[str]:
    """Sort semantic versions by precedence.

    Args:
        versions: The versions.
        newest_first: Whether the newest comes first.
    """
    return sorted(versions, key=_precedence, reverse=newest_first)


def semver_bump(version: Version, part: Literal["major", "minor", "patch"]) -> str:
    """Get the next semantic version after a major, minor or patch release.

    Args:
        version: The present version; a prerelease of the next one is completed, not skipped.
        part: What kind of release it is.
    """
    major, minor, patch, is_release, _ = _precedence(version)
    if part == "major":
        return f"{major if not is_release and minor == patch == 0 else major + 1}.0.0"
    if part == "minor":
        return f"{major}.{minor if not is_release and patch == 0 else minor + 1}.0"
    return f"{major}.{minor}.{patch + is_release}"


def cron_next_runs(
    expression: Annotated[str, Field(min_length=1, max_length=200)],
    after: datetime,
    count: Annotated[int, Field(ge=1, le=100)] = 5,
) -> list[str]:
    """List the next times at which a cron expression runs.

    Args:
        expression: Five fields such as `*/15 9-17 * * mon-fri`, or a shorthand such as `@daily`.
        after: The time after which to look, in ISO 8601; the runs are in its time zone.
        count: How many times to return.
    """
    fields = _CRON_SHORTHANDS.get(expression.strip().lower(), expression).lower().split()
    if len(fields) != 5:
        raise ValueError(
            f"expression must have five fields, minute hour day month weekday, got {expression!r}"
        )
    sets = [_cron_set(field, *limits) for field, limits in zip(fields, _CRON_FIELDS, strict=True)]
    runs: list[str] = []
    for day in _cron_days(fields, sets, after.date()):
        times = (
            time(hour, minute, tzinfo=after.tzinfo) for hour in sorted(sets[1]) for minute in sorted(sets[0])
        )
        moments = (datetime.combine(day, at) for at in times)
        runs += [moment.isoformat(timespec="minutes") for moment in moments if moment > after]
        if len(runs) >= count:
            return runs[:count]
    return runs


def http_headers_parse(text: Headers) -> dict[str, list[str]]:
    """Parse HTTP headers into names in lower case, each with all its values.

    Args:
        text: The header lines; a request or status line before them is skipped.
    """
    lines = text.replace("\r\n", "\n").strip("\n").split("\n")
    if re.match(r"HTTP/\d|[A-Z]+ \S+ HTTP/\d", lines[0]):
        lines = lines[1:]
    headers: dict[str, list[str]] = {}
    for line in itertools.takewhile(bool, lines):
        match = _HEADER.fullmatch(line)
        if not match:
            raise ValueError(f"a header line must look like `Name: value`, got {line[:80]!r}")
        headers.setdefault(match[1].lower(), []).append(match[2])
    return headers


def email_headers_parse(text: Headers) -> EmailHeaders:
    """Parse the headers of an e-mail: subject, addresses, date and all others, decoded.

    Args:
        text: The message, or only its headers.
    """
    message = email.message_from_string(text)
    pairs = [[name, _decoded(str(value))] for name, value in message.items()]

    def first(name: str) -> str | None:
        return next((value for key, value in pairs if key.lower() == name), None)

    def addresses(name: str) -> list[str]:
        values = [value for key, value in pairs if key.lower() == name]
        return [address for _, address in email.utils.getaddresses(values) if address]

    try:
        moment = email.utils.parsedate_to_datetime(first("date") or "").isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        moment = None
    return EmailHeaders(
        first("subject"),
        addresses("from"),
        addresses("to"),
        addresses("cc"),
        moment,
        first("message-id"),
        pairs,
    )


def shell_split(command: Annotated[str, Field(max_length=10_000)]) -> list[str]:
    """Split a command line into its arguments, as a POSIX shell reads quotation marks.

    Args:
        command: The command line; nothing is run or expanded.
    """
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ValueError(f"command must be complete, got: {error}") from error


def shell_quote(
    arguments: Annotated[list[Annotated[str, Field(max_length=10_000)]], Field(max_length=200)],
) -> str:
    """Quote arguments so that a POSIX shell reads each as one, and join them to a command line.

    Args:
        arguments: The program and its arguments.
    """
    return shlex.join(arguments)


def key_values_parse(
    text: Annotated[str, Field(max_length=50_000)],
    pair_separator: Annotated[str, Field(min_length=1, max_length=5)] = ";",
    key_separator: Annotated[str, Field(min_length=1, max_length=5)] = "=",
) -> dict[str, str]:
    """Parse a text of key-value pairs, such as `host=db; port=5432`, into a dictionary.

    Args:
        text: The pairs; of a repeated key the last counts.
        pair_separator: What stands between the pairs.
        key_separator: What stands between a key and its value.
    """
    pairs = [pair.partition(key_separator) for pair in text.split(pair_separator) if pair.strip()]
    wrong = [key for key, separator, _ in pairs if not separator or not key.strip()]
    if wrong:
        raise ValueError(f"each pair must look like key{key_separator}value, got {wrong[0].strip()[:80]!r}")
    return {key.strip(): value.strip() for key, _, value in pairs}


def python_literal_parse(text: Annotated[str, Field(min_length=1, max_length=5_000)]) -> JsonValue:
    """Read a Python literal, such as a printed list or dictionary, as JSON; no code is run.

    Args:
        text: Numbers, text, lists, tuples, sets, dictionaries, True, False and None.
    """
    try:
        return _json(ast.literal_eval(text.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"text must be a Python literal that JSON can hold: {error}") from error


def arithmetic_evaluate(expression: Annotated[str, Field(min_length=1, max_length=500)]) -> float:
    """Calculate an arithmetic expression such as `2 * (3 + 4) ** 2 / sqrt(16)`.

    Args:
        expression: Numbers, + - * / // % **, parentheses, pi, e, and functions such as sqrt, log and sin.
    """
    try:
        return _computed(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"expression must be arithmetic, got {expression[:80]!r}: {error}") from error
