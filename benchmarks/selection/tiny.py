"""A small set made in code, the same everywhere: what the harness is tested with where no data is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Tool
from scopedtools.evaluation.data import Ask, Query

_VERBS: Final = {
    "create": "make a new",
    "delete": "remove the",
    "find": "look up the",
    "export": "save a copy of the",
    "share": "send somebody the",
    "rename": "give another name to the",
}
_NOUNS: Final = {
    "invoice": ("billing", "bill"),
    "playlist": ("music", "list of songs"),
    "recipe": ("kitchen", "dish"),
    "ticket": ("support", "complaint"),
    "flight": ("travel", "plane"),
    "photo": ("album", "picture"),
    "contract": ("legal", "agreement"),
    "sensor": ("factory", "gauge"),
}
_SEED: Final = 7
_REQUESTS: Final = 40
_DIALOGUES: Final = 6


def catalog() -> Catalog:
    """Return a tool for each verb and noun."""
    return Catalog(_tool(verb, noun) for noun in _NOUNS for verb in _VERBS)


def requests() -> tuple[Query, ...]:
    """Return requests in the words of the tools or in others, a third of them for two tools."""
    draw = random.Random(_SEED)  # noqa: S311 - repeated, not secret
    return tuple(_request(draw, number) for number in range(_REQUESTS))


def dialogues() -> tuple[Query, ...]:
    """Return dialogues of three turns, the second of which calls nothing."""
    draw = random.Random(_SEED + 1)  # noqa: S311 - repeated, not secret
    return tuple(_dialogue(draw, number) for number in range(_DIALOGUES))


def _tool(verb: str, noun: str) -> Tool:
    server = _NOUNS[noun][0]
    properties = {f"{noun}_id": {"type": "string", "description": f"Which {noun}."}}
    return Tool(
        name=f"{server}/{verb}_{noun}",
        title=f"{verb}_{noun}",
        description=f"{verb.capitalize()} one {noun} of the {server} service.",
        tags=frozenset({server}),
        group=server,
        input_schema={"type": "object", "properties": properties},
    )


def _request(draw: random.Random, number: int) -> Query:
    wanted = draw.sample(list(_pairs()), 2 if number % 3 == 0 else 1)
    text = ", then ".join(_said(draw, *pair) for pair in wanted)
    names = tuple(_name(*pair) for pair in wanted)
    ask = Ask(f"Please {text}.", tuple((name,) for name in names), names)
    return Query(f"tiny-{number}", (ask,), kind="multi" if len(names) > 1 else "single")


def _dialogue(draw: random.Random, number: int) -> Query:
    first, last = draw.sample(list(_pairs()), 2)
    asks = (
        _turn(f"I want to {_said(draw, *first)}.", first),
        Ask("Thank you.", (), reply="Anything else?"),
        _turn(f"Now {_said(draw, *last)} too.", last),
    )
    return Query(f"talk-{number}", asks, dialogue=True, kind="dialogue")


def _turn(text: str, pair: tuple[str, str]) -> Ask:
    name = _name(*pair)
    return Ask(text, ((name,),), (name,), reply=f"The {pair[1]} is done.")


def _said(draw: random.Random, verb: str, noun: str) -> str:
    return draw.choice((f"{verb} the {noun}", f"{verb} my {_NOUNS[noun][1]}", f"{_VERBS[verb]} {noun}"))


def _pairs() -> Iterator[tuple[str, str]]:
    return ((verb, noun) for noun in _NOUNS for verb in _VERBS)


def _name(verb: str, noun: str) -> str:
    return f"{_NOUNS[noun][0]}/{verb}_{noun}"
