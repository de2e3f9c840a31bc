"""What is embedded and indexed: the texts of a row, its terms, and the clauses of a request."""

from __future__ import annotations

import re
from typing import Final

from scopedtools.types import Describable

MAX_CLAUSES: Final = 8
"""Most clauses of one request. A longer request keeps its first ones; its whole is searched anyway."""

MAX_CLAUSE_CHARACTERS: Final = 400
"""Longest clause. The encoders read about 256 tokens, and a longer clause is no clause."""

_MIN_CLAUSE_WORDS: Final = 3

_SEPARATORS: Final = re.compile(r"[\s_\-/.:]+")

# A lower letter or digit before a capital (`findBooks`, `v2Orders`), the last capital of a run that begins a
# word (`HTTPResponse`, but not `IDs`), and a digit before a longer word (`md5sum`, but not `k8s` or `3d`).
_HUMPS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z]{2})(?=[A-Z][a-z]{2})|(?<=\d)(?=[A-Za-z]{2})")

# What a request may ask for. "and" before one of these begins a clause; before anything else it joins nouns.
_VERBS: Final = (
    "add|analy[sz]e|ask|book|build|buy|calculate|call|cancel|change|check|compare|compute|convert|copy|count|create"
    "|decode|delete|describe|draft|email|encode|estimate|explain|export|extract|fetch|filter|find|fix|format"
    "|generate|get|give|group|identify|inform|insert|join|list|look|make|measure|merge|move|notify|open|order|parse"
    "|pay|plan|play|plot|post|predict|print|provide|pull|query|rank|read|recommend|record|remind|remove|rename"
    "|replace|reply|report|request|reserve|retrieve|run|save|schedule|search|see|send|set|share|show|solve|sort"
    "|split|start|stop|store|submit|suggest|summari[sz]e|tell|test|track|transfer|translate|update|upload|use"
    "|validate|verify|view|write"
)

_CUTS: Final = re.compile(
    r"(?<=[.!?])\s+|[\n;\u3002\uff01\uff1f\uff1b]+"  # the last four are the Chinese . ! ? ;
    r"|,?\s*\b(?:and\s+)?(?:then|also|finally|lastly|afterwards?|additionally|furthermore|moreover"
    r"|after\s+that|as\s+well\s+as|in\s+addition|next,)\b,?\s*"
    rf"|,?\s+and\s+(?=(?:{_VERBS})\b)",
    re.IGNORECASE,
)


# Where a docstring goes on to its arguments: of those a vector keeps little but noise.
_SECTION: Final = re.compile(r"\b(?:Args|Arguments|Parameters|Params|Returns)\s*:")


def words(name: str) -> str:
    """Split a name into words on separators, case and digits: ``"findBooks_v2"`` is ``"find Books v2"``."""
    return " ".join(_HUMPS.sub(" ", _SEPARATORS.sub(" ", name)).split())


def texts(row: Describable) -> tuple[str, ...]:
    """Return the texts of a row that get vectors: the main one, then one for each example.

    Equal rows give equal texts, which is what vectors are cached and reused by.
    """
    return (_main(row), *(" ".join(example.split()) for example in row.examples if example.strip()))


def count(row: Describable) -> int:
    """Return how many texts a row has, without making them."""
    return 1 + sum(1 for example in row.examples if example.strip())


def terms(row: Describable) -> str:
    """Return the text of a row whose words are indexed: all of its own words, and its parameters'.

    Measured on ten sets: vectors are better without parameters (recall@5 up 0.4), words with the names and
    the descriptions of parameters (up 0.3).
    """
    parameters = (f"{words(parameter.name)} {parameter.description}" for parameter in row.parameters())
    return " ".join([f"{_heading(row)}: {row.description}", *parameters, *row.examples])


def clauses(intent: str) -> tuple[str, ...]:
    """Cut a request into the parts that may each need a row of their own.

    Args:
        intent: A request in users' words; may ask for several things.

    Returns:
        At most ``MAX_CLAUSES`` distinct clauses in order, each of at most ``MAX_CLAUSE_CHARACTERS``; none
        where the request is in one piece, since the whole is searched anyway.
    """
    # One space between words: cutting takes a time that is quadratic in the length of a run of blanks.
    lines = "\n".join(" ".join(line.split()) for line in intent.splitlines() if line.strip())
    pieces = (" ".join(piece.split())[:MAX_CLAUSE_CHARACTERS] for piece in _CUTS.split(lines))
    kept = dict.fromkeys(piece for piece in pieces if len(piece.split()) >= _MIN_CLAUSE_WORDS)
    return tuple(kept)[:MAX_CLAUSES] if len(kept) > 1 else ()


def _main(row: Describable) -> str:
    heading = _heading(row)
    said = " ".join(_SECTION.split(row.description, maxsplit=1)[0].split())
    body = said or " ".join(row.description.split())
    if body:
        return f"{heading}: {body}"
    parameters = ", ".join(words(parameter.name) for parameter in row.parameters())
    return f"{heading}: Parameters: {parameters}" if parameters else f"{heading}:"


def _heading(row: Describable) -> str:
    name = words(row.name)
    title = row.title or ""
    # A title that only repeats the name would count its words twice.
    adds = {word.lower() for word in words(title).split()} - {word.lower() for word in name.split()}
    return f"{name} ({title})" if adds else name
