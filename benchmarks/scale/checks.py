"""What is asked of replicas, directly and through proxies, and what it shows."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final, NamedTuple

from benchmarks.scale.asking import Answer, Connection, LostError, call, request
from benchmarks.serving.warm_list import NOUNS, VERBS

AT_ONCE: Final = 16
"""First calls of a context that arrive side by side."""

_LIMIT_S: Final = 10


class Listed(NamedTuple):
    """A context, and the request for its list: the same bytes for whoever is asked.

    Attributes:
        context: Its ID.
        sent: The request.
    """

    context: str
    sent: bytes


def contexts(prefix: str, count: int) -> list[Listed]:
    """Make contexts, with intents that differ; every second follows growth."""
    return [
        Listed(
            f"{prefix}-{number}",
            request(
                "tools/list",
                context=f"{prefix}-{number}",
                intent=_words(number),
                growth=number % 2 == 0,
            ),
        )
        for number in range(count)
    ]


def _words(number: int) -> str:
    verb, noun = VERBS[number % len(VERBS)], NOUNS[number // len(VERBS) % len(NOUNS)]
    return f"{verb} the {noun}, then {VERBS[(number + 3) % len(VERBS)]} what is left of batch {number}"


def search(context: str, number: int) -> bytes:
    """Write a search whose hits join the view of a context."""
    noun = NOUNS[(number + 5) % len(NOUNS)]
    query = {"query": f"{VERBS[(number + 7) % len(VERBS)]} the {noun} of batch {number + 500}"}
    return call("search_tools", query, context=context, growth=True)


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Connection]]:
    """Make connections, and close them at the end."""
    made = [Connection(port) for _ in range(count)]
    try:
        yield made
    finally:
        for one in made:
            one.close()


async def all_of(port: int, requests: Sequence[bytes], side_by_side: int = AT_ONCE) -> list[Answer | None]:
    """Return the answers to some requests, in their order; ``None`` where a connection was lost."""
    answers: list[Answer | None] = [None] * len(requests)
    left = iter(enumerate(requests))

    async def work(connection: Connection) -> None:
        for place, sent in left:
            with suppress(LostError):
                answers[place] = await connection.ask(sent)

    async with connections(port, side_by_side) as made:
        await asyncio.gather(*map(work, made))
    return answers


async def split(port: int, prefix: str, count: int) -> int:
    """Return how many of so many contexts had more than one object after parallel first calls."""
    found = 0
    async with connections(port, AT_ONCE) as made:
        for number in range(count):
            sent = call("form", context=f"{prefix}-{number}")
            answers = await asyncio.gather(*[one.ask(sent) for one in made])
            found += len({answer.value for answer in answers}) > 1
    return found


async def different(ports: Sequence[int], asked: Sequence[Listed]) -> int:
    """Return of how many contexts the lists differ, in any byte, when replicas are asked side by side."""
    lists = await asyncio.gather(*[all_of(port, [one.sent for one in asked]) for port in ports])
    bodies = [[b"" if one is None else one.body for one in answers] for answers in lists]
    return sum(len({*of_one}) > 1 or b"" in of_one for of_one in zip(*bodies, strict=True))


async def grow(ports: Sequence[int], asked: Sequence[Listed]) -> None:
    """Search in all contexts, in turn at one replica and the other."""
    sent = [search(one.context, number) for number, one in enumerate(asked)]
    await asyncio.gather(*[all_of(port, sent[place :: len(ports)]) for place, port in enumerate(ports)])


async def lists(port: int, asked: Sequence[Listed]) -> list[bytes]:
    """Return the lists of contexts; what is lost is empty."""
    return [b"" if one is None else one.body for one in await all_of(port, [one.sent for one in asked])]


async def told_ms(growing: int, listening: int, asked: Sequence[Listed]) -> list[float]:
    """Return how long it took from a search at one replica until a listener at another heard of it.

    From the moment at which the search is sent, so what the search itself takes is in it. A context whose
    listener hears nothing counts as the longest wait.
    """
    took: list[float] = []
    async with AsyncExitStack() as held:
        (asking,) = await held.enter_async_context(connections(growing, 1))
        for number, one in enumerate(asked):
            await asking.ask(one.sent)
            took.append(await _told_ms(asking, listening, one.context, number))
    return took


async def _told_ms(asking: Connection, listening: int, context: str, number: int) -> float:
    wanted = {"notifications": {"toolsListChanged": True}}
    sent = request("subscriptions/listen", wanted, context=context, growth=True)
    async with Connection(listening).streamed(sent) as messages:
        await anext(messages)
        start = time.perf_counter()
        answering = asyncio.create_task(asking.ask(search(context, number)))
        try:
            async with asyncio.timeout(_LIMIT_S):
                await anext(messages)
        except TimeoutError:
            return _LIMIT_S * 1000
        finally:
            await answering
        return (time.perf_counter() - start) * 1000


async def placed(port: int, names: Sequence[str]) -> dict[str, int]:
    """Return the process that answers for each context; 0 where none does."""
    answers = await all_of(port, [call("where", context=name) for name in names])
    return {
        name: 0 if one is None or one.status != 200 else one.value
        for name, one in zip(names, answers, strict=True)
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of all values do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


async def lost_after(port: int, detected_s: float) -> tuple[int, int]:
    """Call for a while after a replica has gone.

    Args:
        port: Of a proxy.
        detected_s: Seconds in which the proxy may still find out.

    Returns:
        Calls that failed in that time, and in as long a time after it.
    """
    lost = [0, 0]
    start = time.monotonic()
    async with connections(port, 1) as (connection,):
        number = 0
        while (passed_s := time.monotonic() - start) < 2 * detected_s:
            number += 1
            try:
                answer = await connection.ask(call("where", context=f"after-{number}"))
                failed = answer.status != 200
            except LostError:
                failed = True
            lost[passed_s > detected_s] += failed
    return lost[0], lost[1]
