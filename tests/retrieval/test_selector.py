from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scopedtools.exceptions import MissingDependencyError
from scopedtools.retrieval import HashingEncoder, HybridSelector, verify
from scopedtools.types import Selector
from tests.retrieval.rows import ALL, COSTS, SHOP, CountingEncoder, Row

if TYPE_CHECKING:
    from scopedtools.types import Vectors

pytestmark = pytest.mark.anyio

JOURNEY = "Find a book about Norway. Then tell me the weather in Oslo; also send an email to Ann"


async def ready(encoder: HashingEncoder | None = None, rows: Sequence[Row] = SHOP) -> HybridSelector:
    selector = HybridSelector(encoder or HashingEncoder())
    await selector.prepare(rows)
    return selector


def names(hits: Sequence[object]) -> list[str]:
    return [SHOP[hit.row].name for hit in hits]  # type: ignore[attr-defined]


async def test_the_row_that_serves_a_request_comes_first() -> None:
    selector: Selector = await ready()
    ranking = await selector.search("find books by title", within=ALL, limit=3)

    assert names(ranking.hits)[0] == "find_books"
    assert [hit.score for hit in ranking.hits] == sorted((hit.score for hit in ranking.hits), reverse=True)


async def test_an_example_leads_to_its_row() -> None:
    (hit, *_) = (await (await ready()).search("buy me the new Le Guin", within=ALL, limit=1)).hits

    assert SHOP[hit.row].name == "order_book"
    assert 0.0 < hit.vector <= 1.0
    assert hit.lexical == 1.0
    assert hit.clause == "buy me the new Le Guin"


@pytest.mark.parametrize("within", [0b000001, 0b101010, 0b111110, 0])
async def test_only_permitted_rows_are_found_or_chosen(within: int) -> None:
    selector = await ready()
    found = (await selector.search(JOURNEY, within=within, limit=6)).hits
    chosen = await selector.select(JOURNEY, within=within, limit=6, costs=COSTS, budget_tokens=10_000)

    assert all(within >> hit.row & 1 for hit in (*found, *chosen))


async def test_forbidden_rows_do_not_change_the_order_of_the_others() -> None:
    selector = await ready()
    everything = names((await selector.search(JOURNEY, within=ALL, limit=6)).hits)
    without = names((await selector.search(JOURNEY, within=ALL & ~0b1000, limit=6)).hits)

    assert without == [name for name in everything if name != "send_email"]


async def test_a_choice_covers_every_clause() -> None:
    chosen = await (await ready()).select(JOURNEY, within=ALL, limit=3, costs=COSTS, budget_tokens=10_000)

    assert set(names(chosen)) == {"find_books", "get_weather", "send_email"}
    assert len({hit.clause for hit in chosen}) == 3


async def test_a_chosen_row_names_its_clause_and_not_the_whole() -> None:
    text = "find books by title; send an email message"
    chosen = await (await ready()).select(text, within=ALL, limit=2, costs=COSTS, budget_tokens=10_000)

    assert {hit.clause for hit in chosen} == {"find books by title", "send an email message"}


async def test_a_choice_keeps_to_the_budget() -> None:
    costs = (100, 100, 100, 500, 100, 100)
    chosen = await (await ready()).select(JOURNEY, within=ALL, limit=6, costs=costs, budget_tokens=300)

    assert len(chosen) == 3
    assert "send_email" not in names(chosen)


@pytest.mark.parametrize("text", ["", "  \n "])
async def test_a_blank_text_finds_nothing(text: str) -> None:
    selector = await ready()

    assert await selector.search(text, within=ALL, limit=5) == ((), False)
    assert await selector.select(text, within=ALL, limit=5, costs=COSTS, budget_tokens=1000) == ()


async def test_a_request_that_nothing_serves_does_not_fit() -> None:
    selector = await ready()

    assert (await selector.search("send an email message to Ann", within=ALL, limit=3)).fits
    assert not (await selector.search("quantum chromodynamics xylophone", within=ALL, limit=3)).fits


async def test_searching_before_preparing_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"await prepare\(rows\) first"):
        await HybridSelector(HashingEncoder()).search("a book", within=1, limit=1)


async def test_parallel_requests_get_what_they_get_alone() -> None:
    texts = [
        f"{verb} {thing}"
        for verb in ("find", "order", "send", "cancel")
        for thing in ("a book", "the weather", "an email")
    ]
    alone = [await (await ready()).search(text, within=ALL, limit=4) for text in texts]
    selector = await ready()
    parallel = await asyncio.gather(*(selector.search(text, within=ALL, limit=4) for text in reversed(texts)))

    assert list(reversed(parallel)) == alone


def test_answers_are_equal_under_any_hash_seed() -> None:
    code = (
        "import asyncio\n"
        "from tests.retrieval.rows import SHOP, ALL, COSTS\n"
        "from scopedtools.retrieval import HashingEncoder, HybridSelector\n"
        "async def main():\n"
        "    selector = HybridSelector(HashingEncoder())\n"
        "    await selector.prepare(SHOP)\n"
        f"    text = {JOURNEY!r}\n"
        "    print(await selector.search(text, within=ALL, limit=6))\n"
        "    print(await selector.select(text, within=ALL, limit=4, costs=COSTS, budget_tokens=300))\n"
        "asyncio.run(main())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(seen) == 1


async def test_a_later_catalog_replaces_the_rows() -> None:
    selector = await ready()
    await selector.prepare([Row("play_music", "Play a song.")])
    (hit,) = (await selector.search("play a song", within=1, limit=5)).hits

    assert hit.row == 0


async def test_rows_may_be_none() -> None:
    assert (await (await ready(rows=())).search("a book", within=0, limit=5)).hits == ()


async def test_an_encoder_that_fails_on_a_request_leaves_words_to_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    encoder = CountingEncoder()
    selector = await ready(encoder)
    encoder.fails = True
    with caplog.at_level(logging.WARNING):
        rankings = [await selector.search(text, within=ALL, limit=2) for text in ("an email", "the weather")]
    encoder.fails = False
    healed = await selector.search("an email", within=ALL, limit=2)

    assert [names(ranking.hits)[0] for ranking in rankings] == ["send_email", "get_weather"]
    assert all(hit.vector == 0.0 for ranking in rankings for hit in ranking.hits)
    assert [record.message for record in caplog.records] == ["encoder failed; words alone answer"]
    assert healed.hits[0].vector > 0


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MissingDependencyError("run pip install"), ": run pip install"),
        (OSError("disk"), ""),
        (RuntimeError("bug"), ""),
    ],
)
async def test_an_encoder_that_does_not_load_leaves_words_to_answer(
    error: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Missing(HashingEncoder):
        def load(self) -> None:
            raise error

    selector = await ready(Missing())

    assert names((await selector.search("send an email", within=ALL, limit=1)).hits) == ["send_email"]
    assert [record.message for record in caplog.records] == [f"no vectors; words alone answer{told}"]
    # What is merely not installed is no fault to be traced.
    assert [record.exc_info is None for record in caplog.records] == [bool(told)]


async def test_a_description_whose_vector_is_not_finite_leaves_words_to_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Odd(HashingEncoder):
        def encode_documents(self, texts: Sequence[str]) -> Vectors:
            vectors = super().encode_documents(texts)
            vectors[["Cancel" in text for text in texts]] = np.nan
            return vectors

    selector = await ready(Odd())

    assert names((await selector.search("cancel an order", within=ALL, limit=1)).hits) == ["cancel_order"]
    assert "an encoder must return" in caplog.text


async def test_words_answer_while_vectors_are_being_made() -> None:
    class Slow(HashingEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.entered, self.gate = threading.Event(), threading.Event()

        def encode_documents(self, texts: Sequence[str]) -> Vectors:
            self.entered.set()
            assert self.gate.wait(10)
            return super().encode_documents(texts)

    encoder = Slow()
    selector = HybridSelector(encoder)
    preparing = asyncio.ensure_future(selector.prepare(SHOP))
    assert await asyncio.to_thread(encoder.entered.wait, 10)
    early = await selector.search("send an email", within=ALL, limit=1)
    encoder.gate.set()
    await preparing
    late = await selector.search("send an email", within=ALL, limit=1)

    assert (early.hits[0].row, early.hits[0].vector) == (3, 0.0)
    assert (late.hits[0].row, late.hits[0].vector > 0) == (3, True)


async def test_a_saved_index_is_used_again(tmp_path: Path) -> None:
    for expected in (9, 0):
        encoder = CountingEncoder()
        selector = HybridSelector(encoder, index_dir=tmp_path)
        await selector.prepare(SHOP)
        assert len(encoder.documents) == expected
        assert names((await selector.search("send an email", within=ALL, limit=1)).hits) == ["send_email"]


async def test_a_saved_index_of_other_rows_is_replaced_and_said_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await HybridSelector(CountingEncoder(), index_dir=tmp_path).prepare(SHOP[:-1])
    encoder = CountingEncoder()
    await HybridSelector(encoder, index_dir=tmp_path).prepare(SHOP)

    assert encoder.documents == ["convert currency: Convert an amount of money into another currency."]
    assert "must be built from catalog" in caplog.text
    assert verify(tmp_path) == []


async def test_a_folder_that_cannot_be_written_does_not_stop_the_selector(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    selector = HybridSelector(HashingEncoder(), index_dir=tmp_path / "file" / "index")
    await selector.prepare(SHOP)

    assert (await selector.search("send an email", within=ALL, limit=1)).hits[0].vector > 0
    assert "index not saved" in caplog.text


def test_a_weight_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dense_weight must be in 0..1, got 1.5"):
        HybridSelector(HashingEncoder(), dense_weight=1.5)
