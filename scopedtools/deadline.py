"""A time within which something has to be done, at no cost to what is done at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from types import coroutine
from typing import Any, TypeVar, cast

T = TypeVar("T")


class DeadlineError(Exception):
    """Something took longer than it may."""


async def within(seconds: float, running: Awaitable[T]) -> T:
    """Wait for something, for some time.

    As `asyncio.timeout`, but no timer begins before there is something to wait for: nearly all requests are
    done in one step, and a timer for each would be a fifth of what a list costs.

    Args:
        seconds: After its first step.
        running: Not begun yet. It is cancelled when the time is over.

    Raises:
        DeadlineError: The time is over.
    """
    steps = running.__await__()
    try:
        waits_for = next(steps)
    except StopIteration as done:
        return cast("T", done.value)
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            return await _rest(steps, waits_for)
    except TimeoutError as error:
        if timer.expired():
            raise DeadlineError from error
        raise


@coroutine
def _rest(steps: Generator[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Go on with what was begun by hand, as ``await`` does."""
    while True:
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001 - such as a cancellation; it is raised where it waits
            try:
                waits_for = steps.throw(error)
            except StopIteration as done:
                return cast("T", done.value)
        else:
            return (yield from steps)
