"""Tools that search and change text by regular expression.

Python's `re` cannot be interrupted and a pattern such as `(a+)+b` can run for years, so a caller's
pattern runs in a child process with a time limit. Patterns that are ours run here; they are linear.
"""

import inspect
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

Text = Annotated[str, Field(max_length=20_000)]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]
Flags = Annotated[str, Field(pattern="^[aimsx]*$", max_length=5)]
Limit = Annotated[int, Field(ge=1, le=1_000)]

_SECONDS = 3
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,10}[^\W\d_]{2,63}(?![\w-])")
_URL = re.compile(r"\bhttps?://[^\s<>\"'`|\\^{}]{1,2000}", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,18})(?:\.\d{1,18})?(?!\w|[.,]\d)")


@dataclass(frozen=True)
class Match:
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Groups:
    match: str
    groups: list[str | None]
    named: dict[str, str | None]


def _work(
    *, pattern: str, text: str, flags: str = "", limit: int = 1_000, template: str = "", whole: bool = False
) -> dict[str, Any]:
    """Run in the child process: give the matches, and the text with each of them replaced."""
    try:
        compiled = re.compile(pattern, sum(re.RegexFlag[flag] for flag in set(flags.upper())))
        found = filter(None, [compiled.fullmatch(text)]) if whole else compiled.finditer(text)
        matches: list[Any] = []
        pieces: list[str] = []
        size = end = 0
        for match in found:
            if len(matches) == limit:
                break
            matches.append([match.start(), match.end(), match.groups(), match.groupdict()])
            pieces += [text[end : match.start()], match.expand(template)]
            size += sum(len(group or "") for group in match.groups()) + len(pieces[-1])
            if size > 1_000_000:
                return {"error": "the result must be at most 1,000,000 characters"}
            end = match.end()
        return {"matches": matches, "text": "".join([*pieces, text[end:]])}
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        return {"error": f"pattern and replacement must be valid, got: {error}"}


_CHILD = f"""
import json, re, sys
from typing import Any
{inspect.getsource(_work)}
print(json.dumps(_work(**json.load(sys.stdin))))
"""


def _run(pattern: str, text: str, **options: str | int) -> dict[str, Any]:
    """Run `_work` under a time limit; what it reports as an error becomes a `ValueError`."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and script; the job is data on stdin
            [sys.executable, "-I", "-S", "-W", "ignore", "-c", _CHILD],
            input=json.dumps({"pattern": pattern, "text": text, **options}),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(
            f"pattern must finish within {_SECONDS} s, {pattern!r} did not: simplify it"
        ) from error
    except (subprocess.CalledProcessError, OSError) as error:
        raise ValueError(f"pattern could not be run, got {pattern!r}: simplify it") from error
    result: dict[str, Any] = json.loads(done.stdout)
    if "error" in result:
        raise ValueError(f"{result['error']} (pattern {pattern!r})")
    return result


def _cut(pattern: re.Pattern[str], text: str, trailing: str = "") -> list[str]:
    return list(
        dict.fromkeys(match[0].rstrip(trailing) if trailing else match[0] for match in pattern.finditer(text))
    )


def regex_find_all(pattern: Pattern, text: Text, flags: Flags = "", limit: Limit = 100) -> list[Match]:
    """Find all matches of a regular expression in a text, with their positions.

    Args:
        pattern: A Python regular expression, at most 200 characters.
        text: The text to search, at most 20,000 characters.
        flags: Letters of Python's flags: `i` ignore case, `m` multiline, `s` dot matches all, `x`, `a`.
        limit: The most matches to return.
    """
    found = _run(pattern, text, flags=flags, limit=limit)["matches"]
    return [Match(text[start:end], start, end) for start, end, *_ in found]


def regex_replace(
    pattern: Pattern,
    replacement: Annotated[str, Field(max_length=1_000)],
    text: Text,
    flags: Flags = "",
    limit: Annotated[int, Field(ge=1, le=20_001)] = 20_001,
) -> str:
    r"""Replace the matches of a regular expression in a text.

    Args:
        pattern: A Python regular expression, at most 200 characters.
        replacement: What to put in place of each match; `\1` or `\g<name>` stand for its groups.
        text: The text to change, at most 20,000 characters.
        flags: Letters of Python's flags: `i` ignore case, `m` multiline, `s` dot matches all, `x`, `a`.
        limit: The most matches to replace, from the start.
    """
    changed: str = _run(pattern, text, flags=flags, limit=limit, template=replacement)["text"]
    return changed


def regex_split(pattern: Pattern, text: Text, flags: Flags = "", limit: Limit = 1_000) -> list[str]:
    """Split a text at the matches of a regular expression.

    Args:
        pattern: A Python regular expression for what stands between the pieces, at most 200 characters.
        text: The text to split, at most 20,000 characters.
        flags: Letters of Python's flags: `i` ignore case, `m` multiline, `s` dot matches all, `x`, `a`.
        limit: The most splits to make, from the start.
    """
    found = _run(pattern, text, flags=flags, limit=limit)["matches"]
    starts, ends = [0, *(match[1] for match in found)], [*(match[0] for match in found), len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def regex_test(pattern: Pattern, text: Text, flags: Flags = "", *, whole: bool = False) -> bool:
    """Check whether a regular expression matches somewhere in a text, or the whole text.

    Args:
        pattern: A Python regular expression, at most 200 characters.
        text: The text to test, at most 20,000 characters.
        flags: Letters of Python's flags: `i` ignore case, `m` multiline, `s` dot matches all, `x`, `a`.
        whole: Whether the whole text must match.
    """
    return bool(_run(pattern, text, flags=flags, limit=1, whole=whole)["matches"])


def regex_groups(pattern: Pattern, text: Text, flags: Flags = "", limit: Limit = 100) -> list[Groups]:
    """Extract the numbered and named groups of each match of a regular expression.

    Args:
        pattern: A Python regular expression with groups such as `(?P<year>[0-9]+)`, at most 200 characters.
        text: The text to search, at most 20,000 characters.
        flags: Letters of Python's flags: `i` ignore case, `m` multiline, `s` dot matches all, `x`, `a`.
        limit: The most matches to return.
    """
    found = _run(pattern, text, flags=flags, limit=limit)["matches"]
    return [Groups(text[start:end], groups, named) for start, end, groups, named in found]


def regex_escape(text: Text) -> str:
    """Escape a text so that a regular expression matches it literally.

    Args:
        text: The literal text.
    """
    return re.escape(text)


def extract_emails(text: Text) -> list[str]:
    """Find the e-mail addresses in a text, each once, in order.

    Args:
        text: The text to search.
    """
    return _cut(_EMAIL, text)


def extract_urls(text: Text) -> list[str]:
    """Find the http and https addresses (URLs, links) in a plain text, each once, in order.

    Args:
        text: The text to search; punctuation that ends a sentence is not part of an address.
    """
    return _cut(_URL, text, trailing=".,;:!?)]*")


def extract_numbers(text: Text) -> list[float]:
    """Find the numbers written in digits in a text, in order.

    Args:
        text: The text to search, such as `1,250 items at -3.5 °C`.
    """
    return [float(match[0].replace(",", "")) for match in _NUMBER.finditer(text)]
