from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from anyio.lowlevel import checkpoint

from scopedtools.retrieval.queries import EncoderThread
from tests.retrieval.rows import CountingEncoder

if TYPE_CHECKING:
    from scopedtools.types import Vectors

pytestmark = pytest.mark.anyio


class GatedEncoder(CountingEncoder):
    """Waits inside the first call until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.running = 0
        self.most_running = 0

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.entered.set()
        assert self.gate.wait(10)
        try:
            return super().encode_queries(texts)
        finally:
            self.running -= 1


async def entered(encoder: GatedEncoder) -> None:
    assert await asyncio.to_thread(encoder.entered.wait, 10)


async def test_equal_requests_share_one_run_and_later_ones_the_cache() -> None:
    encoder = GatedEncoder()
    thread = EncoderThread(encoder)
    waiting = [asyncio.ensure_future(thread.vectors(("find books",))) for _ in range(20)]
    await entered(encoder)
    encoder.gate.set()
    first, *others = await asyncio.gather(*waiting)
    later = await thread.vectors(("find books",))

    assert encoder.queries == [("find books",)]
    assert all(np.array_equal(first, other) for other in [*others, later])


async def test_calls_never_overlap() -> None:
    encoder = GatedEncoder()
    thread = EncoderThread(encoder)
    waiting = [asyncio.ensure_future(thread.vectors((f"request {i}",))) for i in range(10)]
    await entered(encoder)
    encoder.gate.set()
    await asyncio.gather(*waiting)

    assert encoder.most_running == 1
    assert len(encoder.queries) == 10


async def test_a_cancelled_waiter_harms_no_other() -> None:
    encoder = GatedEncoder()
    thread = EncoderThread(encoder)
    blocker = asyncio.ensure_future(thread.vectors(("first",)))
    await entered(encoder)
    # One run that has begun and one that is still queued, each with two waiters of which one goes.
    gone = [asyncio.ensure_future(thread.vectors((text,))) for text in ("first", "second")]
    stays = asyncio.ensure_future(thread.vectors(("second",)))
    await checkpoint()
    for task in gone:
        task.cancel()
    results = await asyncio.gather(*gone, return_exceptions=True)
    encoder.gate.set()

    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert (await blocker).shape == (await stays).shape == (1, 64)
    assert encoder.queries == [("first",), ("second",)]


async def test_a_failure_reaches_those_who_wait_and_is_not_kept() -> None:
    encoder = CountingEncoder(fails=True)
    thread = EncoderThread(encoder)
    failed = await asyncio.gather(*(thread.vectors(("a",)) for _ in range(3)), return_exceptions=True)
    encoder.fails = False

    assert all(isinstance(result, RuntimeError) for result in failed)
    assert (await thread.vectors(("a",))).shape == (1, 64)


async def test_vectors_that_are_not_numbers_are_refused() -> None:
    class Broken(CountingEncoder):
        def encode_queries(self, texts: Sequence[str]) -> Vectors:
            return np.full((len(texts), 64), np.nan, dtype=np.float32)

    with pytest.raises(ValueError, match="must return 1 finite vectors"):
        await EncoderThread(Broken()).vectors(("a",))


async def test_the_cache_is_bounded() -> None:
    encoder = CountingEncoder()
    thread = EncoderThread(encoder, cached=2)
    for text in ("a", "b", "c", "c", "a"):
        await thread.vectors((text,))

    assert encoder.queries == [("a",), ("b",), ("c",), ("a",)]


async def test_a_request_is_never_encoded_together_with_another() -> None:
    encoder = GatedEncoder()
    thread = EncoderThread(encoder)
    requests = [("one", "two"), ("three",), ("two",)]
    waiting = [asyncio.ensure_future(thread.vectors(request)) for request in requests]
    await entered(encoder)
    encoder.gate.set()
    await asyncio.gather(*waiting)

    assert encoder.queries == requests


async def test_cached_vectors_cannot_be_written_to() -> None:
    vectors = await EncoderThread(CountingEncoder()).vectors(("a",))

    with pytest.raises(ValueError, match="read-only"):
        vectors[0, 0] = 2.0
