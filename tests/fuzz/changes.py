"""Changes to inputs that know what inputs are made of: JSON, lines, and the words of a decoder.

Coverage alone does not lead through a JSON parser that is written in C, or through a checksum.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

_SCALARS: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53, 2**63 - 1, 2**64, -(2**63), 1e308, 0.1, 1e-9),
    *("", " ", "a", "\u00e9", "\U0001f600", "\0", "\x7f", "a\nb", "..", "%00", "{x}", "x" * 300),
)
_EMPTY: Final[tuple[Any, ...]] = ([], {}, [[]], [{}], {"": {}}, {"_meta": {}})
_DEEP: Final = (10, 100, 900)


def changed(data: bytes, words: Sequence[bytes], most_bytes: int, rng: random.Random) -> bytes:
    """Return an input that differs from another in one to four places."""
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(_CHANGES)(data, words, rng)
    return data[:most_bytes]


def _json_changed(data: bytes, words: Sequence[bytes], rng: random.Random) -> bytes:
    """Change a part of the JSON that one of the lines is, or that the last paragraph is."""
    start, end = _json_span(data, rng)
    try:
        value = json.loads(data[start:end])
    except (ValueError, RecursionError):
        return _word_put(data, words, rng)
    made = _value_changed(value, words, rng)
    try:
        text = json.dumps(made, ensure_ascii=rng.random() < 0.5, separators=(",", ":"))
    except (ValueError, RecursionError):
        return data
    return data[:start] + text.encode(errors="replace") + data[end:]


def _json_span(data: bytes, rng: random.Random) -> tuple[int, int]:
    starts = [at for at in (data.find(mark) for mark in (b"{", b"[")) if at >= 0]
    if rng.random() < 0.5 and starts:
        return min(starts), len(data)
    lines = data.split(b"\n")
    chosen = rng.randrange(len(lines))
    start = sum(len(line) + 1 for line in lines[:chosen])
    return start, start + len(lines[chosen])


def _value_changed(value: Any, words: Sequence[bytes], rng: random.Random) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.8:
        return _object_changed(value, words, rng)
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], _value_changed(value[at], words, rng), *value[at + 1 :]]
    return _value(value, words, rng)


def _object_changed(value: dict[str, Any], words: Sequence[bytes], rng: random.Random) -> dict[str, Any]:
    key = rng.choice(list(value))
    made = dict(value)
    match rng.randrange(6):
        case 0:
            del made[key]
        case 1:
            made[_word(words, rng)] = made.pop(key)
        case 2:
            made[_word(words, rng)] = _value(None, words, rng)
        case _:
            made[key] = _value_changed(made[key], words, rng)
    return made


def _value(value: Any, words: Sequence[bytes], rng: random.Random) -> Any:
    match rng.randrange(7):
        case 0:
            return _word(words, rng)
        case 1:
            return [value]
        case 2:
            return {_word(words, rng): value}
        case 3:
            return rng.choice(_EMPTY)
        case 4 if rng.random() < 0.1:
            for _ in range(rng.choice(_DEEP)):
                value = [value]
            return value
        case 5 if isinstance(value, str):
            at = rng.randint(0, len(value))
            return value[:at] + rng.choice((_word(words, rng), chr(rng.randrange(0xD800)))) + value[at:]
        case _:
            return rng.choice(_SCALARS)


def _word(words: Sequence[bytes], rng: random.Random) -> str:
    return rng.choice(words).decode(errors="replace") if words else "a"


def _word_put(data: bytes, words: Sequence[bytes], rng: random.Random) -> bytes:
    at = rng.randint(0, len(data))
    end = at + (rng.randrange(8) if rng.random() < 0.5 else 0)
    return data[:at] + (rng.choice(words) if words else b"\n") + data[end:]


def _bytes_changed(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    at = rng.randint(0, len(data))
    end = min(len(data), at + rng.randrange(4))
    return data[:at] + rng.randbytes(rng.randrange(4)) + data[end:]


def _line_changed(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(3):
        case 0:
            lines.insert(at, lines[other])
        case 1:
            lines[at], lines[other] = lines[other], lines[at]
        case _:
            del lines[at]
    return b"\n".join(lines)


def _cut(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    return data[: rng.randint(0, len(data))]


_Change = Callable[[bytes, Sequence[bytes], random.Random], bytes]
_CHANGES: Final[tuple[_Change, ...]] = (
    *((_json_changed,) * 6),
    *((_word_put,) * 2),
    *((_bytes_changed,) * 2),
    _line_changed,
    _cut,
)
