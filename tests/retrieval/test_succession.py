"""A selector that makes way for one of other rows: what is shared, and what is not made again."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scopedtools.retrieval import HashingEncoder, HybridSelector, Learning, verify
from scopedtools.types import Successor
from tests.retrieval.rows import ALL, SHOP, CountingEncoder, Row

if TYPE_CHECKING:
    from scopedtools.types import Vectors

pytestmark = pytest.mark.anyio

NEW = Row("paint_wall", "Paint a wall in any colour.")
FIRST = replace(SHOP[0], description="Something else altogether.")


async def prepared(encoder: HashingEncoder, rows: Sequence[Row] = SHOP, **options: object) -> HybridSelector:
    selector = HybridSelector(encoder, **options)  # type: ignore[arg-type]
    await selector.prepare(rows)
    return selector


async def best(selector: HybridSelector, text: str, within: int = (1 << 30) - 1) -> int:
    return (await selector.search(text, within=within, limit=1)).hits[0].row


async def test_only_texts_that_are_new_are_encoded() -> None:
    encoder = CountingEncoder()
    selector = await prepared(encoder)
    queries = len(encoder.queries)
    encoder.documents.clear()
    later = await selector.succeed([NEW, FIRST, *SHOP[1:]])
    assert encoder.documents == ["paint wall: Paint a wall in any colour.", _main(FIRST)]
    encoder.documents.clear()
    await later.succeed([*SHOP[3:], NEW])
    await later.succeed([])
    assert encoder.documents == []
    assert len(encoder.queries) == queries  # those that tell what any request gets are the same


def _main(row: Row) -> str:
    return f"{' '.join(row.name.split('_'))}: {row.description}"


async def test_both_answer_each_for_its_own_rows() -> None:
    selector = await prepared(HashingEncoder(64))
    assert isinstance(selector, Successor)
    later = await selector.succeed([NEW, *reversed(SHOP)])
    for row, one in enumerate(SHOP):
        assert await best(selector, one.description) == row
        assert await best(later, one.description) == len(SHOP) - row
    assert await best(later, NEW.description) == 0


async def test_a_successor_answers_as_one_that_was_made_anew() -> None:
    rows = [NEW, *reversed(SHOP), FIRST]
    anew = await prepared(HashingEncoder(64), rows)
    later = await (await prepared(HashingEncoder(64))).succeed(rows)
    for one in rows:
        asked = one.description
        assert await later.search(asked, within=ALL, limit=5) == await anew.search(asked, within=ALL, limit=5)


async def test_the_earlier_one_answers_while_the_later_is_made() -> None:
    class Waiting(HashingEncoder):
        def __init__(self) -> None:
            super().__init__(64)
            self.entered, self.gate = threading.Event(), threading.Event()

        def encode_documents(self, texts: Sequence[str]) -> Vectors:
            if any("paint" in text for text in texts):
                self.entered.set()
                assert self.gate.wait(10)
            return super().encode_documents(texts)

        encode_queries = HashingEncoder.encode_documents

    encoder = Waiting()
    selector = await prepared(encoder)
    await best(selector, SHOP[1].description)
    making = asyncio.create_task(selector.succeed([NEW, *SHOP]))
    assert await asyncio.to_thread(encoder.entered.wait, 10)
    assert await best(selector, SHOP[1].description) == 1  # its vectors are known
    encoder.gate.set()
    assert await best(await making, SHOP[1].description) == 2


async def test_a_saved_index_is_replaced_and_another_start_encodes_nothing(tmp_path: Path) -> None:
    selector = await prepared(HashingEncoder(64), index_dir=tmp_path)
    rows = [NEW, *SHOP[2:]]
    later = await selector.succeed(rows)
    assert verify(tmp_path) == []
    assert await best(selector, SHOP[0].description) == 0  # whose file is gone
    encoder = CountingEncoder()
    again = await prepared(encoder, rows, index_dir=tmp_path)
    assert encoder.documents == []
    assert await best(again, NEW.description) == await best(later, NEW.description) == 0


async def test_what_was_learned_goes_along_by_the_names_of_rows() -> None:
    selector = await prepared(HashingEncoder(64), learning=Learning())
    for _ in range(8):
        await selector.learn("umbrella today", 3)
    learned = await selector.search("umbrella today", within=ALL, limit=1)
    assert learned.hits[0].row == 3
    later = await selector.succeed([NEW, *SHOP])
    within = (1 << len(SHOP) + 1) - 1
    assert (await later.search("umbrella today", within=within, limit=1)).hits[0].row == 4
    assert (await selector.search("umbrella today", within=ALL, limit=1)).hits == learned.hits
    for _ in range(24):
        await later.learn("bicycle tomorrow", 1)
    assert (await later.search("bicycle tomorrow", within=within, limit=1)).hits[0].row == 1


async def test_where_the_encoder_fails_words_answer_for_the_new_rows_and_no_vector_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Ailing(CountingEncoder):
        ill = False

        def encode_documents(self, texts: Sequence[str]) -> Vectors:
            if self.ill:
                raise RuntimeError("the model is broken")
            return super().encode_documents(texts)

    encoder = Ailing()
    selector = await prepared(encoder)
    encoder.ill = True
    with caplog.at_level(logging.ERROR):
        words = await selector.succeed([NEW, *SHOP])
    assert "words alone answer" in caplog.text
    assert words.index is not None
    assert words.index.vectors is None
    assert await best(words, NEW.description) == 0
    encoder.ill = False
    encoder.documents.clear()
    well = await words.succeed([NEW, *SHOP])
    assert encoder.documents == [_main(NEW)]
    assert well.index is not None
    assert well.index.vectors is not None
