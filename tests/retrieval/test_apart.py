"""An encoder whose calls may overlap: each text once, by itself or with texts that are alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scopedtools.retrieval.apart import Apart
from scopedtools.retrieval.queries import EncoderThread
from tests.retrieval.rows import CountingEncoder

if TYPE_CHECKING:
    from scopedtools.types import Vectors

pytestmark = pytest.mark.anyio


class Separate(CountingEncoder):
    """Texts of as many words are alike, but those of one word; the first calls wait for the test."""

    def __init__(self, threads: int = 1, *, open_: bool = False) -> None:
        super().__init__()
        self.threads = threads
        self.inside = threading.Semaphore(0)
        self.gate = threading.Event()
        if open_:
            self.gate.set()

    def alike(self, text: str) -> int | None:
        words = len(text.split())
        return words if words > 1 else None

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        self.inside.release()
        assert self.gate.wait(10)
        return super().encode_queries(texts)

    async def entered(self) -> None:
        assert await asyncio.to_thread(self.inside.acquire, timeout=10)


async def encoded(encoder: Separate, *requests: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the calls that requests lead to which arrive while the encoder is busy."""
    thread = EncoderThread(encoder)
    busy = asyncio.ensure_future(thread.vectors(("busy",)))
    await encoder.entered()
    waiting = [asyncio.ensure_future(thread.vectors(request)) for request in requests]
    await asyncio.sleep(0)
    encoder.gate.set()
    await asyncio.gather(busy, *waiting)
    return encoder.queries[1:]


async def test_texts_of_different_requests_that_are_alike_are_encoded_together() -> None:
    calls = await encoded(Separate(), ("find books", "buy one now"), ("sort prices",), ("rain",))

    assert calls == [("find books", "sort prices"), ("buy one now",), ("rain",)]


async def test_no_more_than_eight_texts_are_encoded_together() -> None:
    calls = await encoded(Separate(), *((f"find {number}",) for number in range(10)))

    assert [len(call) for call in calls] == [8, 2]


async def test_texts_that_are_like_no_other_are_encoded_alone() -> None:
    assert await encoded(Separate(), ("rain",), ("snow",)) == [("rain",), ("snow",)]


async def test_a_text_is_encoded_once_whichever_requests_it_is_part_of() -> None:
    encoder = Separate(open_=True)
    thread = EncoderThread(encoder)
    whole, part, again = await asyncio.gather(
        thread.vectors(("find books", "one")), thread.vectors(("one",)), thread.vectors(("one", "find books"))
    )
    later = await thread.vectors(("find books",))

    assert sorted(text for call in encoder.queries for text in call) == ["find books", "one"]
    assert np.array_equal(whole[1], part[0])
    assert np.array_equal(whole[::-1], again)
    assert np.array_equal(later[0], whole[0])


async def test_as_many_calls_overlap_as_the_encoder_has_threads() -> None:
    encoder = Separate(threads=2)
    thread = EncoderThread(encoder)
    waiting = [asyncio.ensure_future(thread.vectors((text,))) for text in ("rain", "snow", "hail")]
    await encoder.entered()
    await encoder.entered()

    assert not encoder.inside.acquire(blocking=False)
    encoder.gate.set()
    await asyncio.gather(*waiting)


async def test_vectors_are_those_that_each_text_has_by_itself() -> None:
    texts = ("find books", "rain", "sort prices")
    vectors = await EncoderThread(Separate(threads=3, open_=True)).vectors(texts)

    assert np.array_equal(vectors, CountingEncoder().encode_queries(texts))
    with pytest.raises(ValueError, match="read-only"):
        vectors[0, 0] = 2.0


async def test_a_failure_reaches_all_whose_text_it_was_and_is_not_kept() -> None:
    encoder = Separate(open_=True)
    encoder.fails = True
    thread = EncoderThread(encoder)
    failed = await asyncio.gather(
        thread.vectors(("find books", "rain")), thread.vectors(("sort prices",)), return_exceptions=True
    )
    encoder.fails = False

    assert all(isinstance(one, RuntimeError) for one in failed)
    assert (await thread.vectors(("find books", "sort prices"))).shape == (2, 64)


async def test_a_text_whose_likeness_cannot_be_told_is_encoded_alone() -> None:
    class Odd(Separate):
        def alike(self, text: str) -> int | None:
            raise RuntimeError(f"cannot tell of {text}")

    assert await encoded(Odd(), ("find books",), ("sort prices",)) == [("find books",), ("sort prices",)]


async def test_a_cancelled_waiter_harms_no_other_of_the_same_text() -> None:
    encoder = Separate()
    thread = EncoderThread(encoder)
    gone = asyncio.ensure_future(thread.vectors(("find books",)))
    stays = asyncio.ensure_future(thread.vectors(("find books", "rain")))
    await encoder.entered()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    encoder.gate.set()

    assert (await stays).shape == (2, 64)
    assert encoder.queries == [("find books",), ("rain",)]


async def test_no_more_texts_are_kept_than_was_asked_for() -> None:
    encoder = Separate(open_=True)
    thread = EncoderThread(encoder, cached=2)
    for text in ("a", "b", "c", "c", "a"):
        await thread.vectors((text,))

    assert encoder.queries == [("a",), ("b",), ("c",), ("a",)]


async def test_a_text_that_could_not_be_passed_on_is_tried_again() -> None:
    encoder = Separate(open_=True)
    with ThreadPoolExecutor() as pool:
        apart = Apart(encoder, pool, cached=2)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="after shutdown"):
            apart.vector("find books")
