from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools.retrieval import HashingEncoder, HybridSelector, Index, evidence
from scopedtools.retrieval.evidence import Judge, plain_requests
from scopedtools.retrieval.heard import hear
from scopedtools.retrieval.lexical import LexicalIndex
from scopedtools.retrieval.scoring import score
from scopedtools.retrieval.vectors import VectorIndex
from scopedtools.types import Rows, Turn
from tests.retrieval.rows import ALL, SHOP, CountingEncoder, Row

if TYPE_CHECKING:
    from scopedtools.types import Vectors

pytestmark = pytest.mark.anyio

SERVED = ("send an email message to Ann", "will it rain in Oslo tomorrow", "find books by Le Guin")
FOREIGN = ("quantum chromodynamics xylophone", "prove the Riemann hypothesis", "mow the lawn in the garden")
VAGUE = "yes, please"
WITHOUT_EMAIL = ALL & ~0b1000


class Broken(HashingEncoder):
    def load(self) -> None:
        raise OSError("no weights")


class Halting(CountingEncoder):
    """Fails where it is asked to encode many requests at once."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        if len(texts) > 10:
            raise RuntimeError("out of memory")
        return super().encode_queries(texts)


async def ready(encoder: HashingEncoder | None = None, *, abstain: bool = True) -> HybridSelector:
    selector = HybridSelector(encoder or HashingEncoder(), abstain=abstain)
    await selector.prepare(SHOP)
    return selector


async def fits(selector: HybridSelector, text: str, *said: str, within: Rows = ALL) -> bool:
    return (await selector.search(text, within=within, limit=3, history=[Turn(one) for one in said])).fits


@pytest.mark.parametrize(
    "encoder", [HashingEncoder(), Broken(), Halting()], ids=["vectors", "words", "halts"]
)
async def test_what_is_on_the_subject_fits_and_what_is_not_does_not(encoder: HashingEncoder) -> None:
    selector = await ready(encoder)

    assert [await fits(selector, text) for text in SERVED] == [True] * 3
    assert [await fits(selector, text) for text in FOREIGN] == [False] * 3


@pytest.mark.parametrize("encoder", [HashingEncoder(), Broken()], ids=["vectors", "words"])
async def test_a_vague_turn_fits_where_what_was_said_before_does(encoder: HashingEncoder) -> None:
    selector = await ready(encoder)

    assert not await fits(selector, VAGUE)
    assert await fits(selector, VAGUE, SERVED[0])
    assert await fits(selector, VAGUE, SERVED[1], FOREIGN[0], FOREIGN[1])
    assert not await fits(selector, VAGUE, *FOREIGN)


async def test_each_utterance_is_judged_by_its_whole_whatever_clauses_the_others_have() -> None:
    selector = await ready()
    several = "prove the Riemann hypothesis; then mow the lawn. After that, paint the fence"

    assert not await fits(selector, several, VAGUE)
    assert await fits(selector, several, SERVED[2])


@pytest.mark.parametrize("encoder", [HashingEncoder(), Broken()], ids=["vectors", "words"])
async def test_a_row_that_is_not_permitted_does_not_make_a_request_fit(encoder: HashingEncoder) -> None:
    selector = await ready(encoder)

    assert await fits(selector, SERVED[0])
    assert not await fits(selector, SERVED[0], within=WITHOUT_EMAIL)
    assert not await fits(selector, VAGUE, SERVED[0], within=WITHOUT_EMAIL)
    assert await fits(selector, SERVED[1], within=0b10000)
    assert not await fits(selector, SERVED[1], within=0)


async def test_an_encoder_that_fails_on_a_request_leaves_words_to_decide() -> None:
    encoder = CountingEncoder(256)
    selector = await ready(encoder)
    encoder.fails = True

    assert [await fits(selector, text) for text in (*SERVED, *FOREIGN)] == [True] * 3 + [False] * 3


async def test_a_selector_may_be_told_not_to_abstain() -> None:
    encoder = CountingEncoder()
    selector = await ready(encoder, abstain=False)

    assert encoder.queries == []
    assert await fits(selector, "mow the lawn in the garden")
    assert not await fits(selector, " ")
    assert not await fits(await ready(Broken(), abstain=False), FOREIGN[0])


async def test_plain_requests_are_encoded_and_compared_before_the_first_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[Rows] = []
    best = VectorIndex.best

    def counting(self: VectorIndex, queries: Vectors, within: Rows) -> np.ndarray:
        compared.append(within)
        return best(self, queries, within)

    monkeypatch.setattr(VectorIndex, "best", counting)
    encoder = CountingEncoder()
    selector = await ready(encoder)
    assert (encoder.queries, compared) == ([plain_requests()], [ALL])
    for text in SERVED:
        for within in (ALL, 1 << 90 | ALL, 0b11, WITHOUT_EMAIL, 0b11):
            await fits(selector, text, within=within)

    assert encoder.queries[1:] == [(text,) for text in SERVED]
    assert compared == [ALL, 0b11, WITHOUT_EMAIL]


def test_a_plain_request_is_on_its_own_line() -> None:
    found = plain_requests()

    assert 100 < len(found) == len(set(found))
    assert all(request == request.strip() and request[-1] in ".?" for request in found)


# The rule


def judged(rows: Sequence[Row] = SHOP) -> tuple[Judge, Vectors]:
    encoder = HashingEncoder()
    plain = encoder.encode_queries(plain_requests())
    return Judge(Index.build(rows, encoder), plain), plain


def brute(judge: Judge, plain: Vectors, within: Rows) -> float:
    vectors = judge.index.vectors
    assert vectors is not None
    rows = np.array([row for row in range(len(judge.index.rows)) if within >> row & 1], dtype=np.int64)
    return float(np.median(vectors.scores(plain, rows).max(axis=1)))


@pytest.mark.parametrize("text", [*SERVED, *FOREIGN, "cancel my order of books; what about Oslo?"])
@pytest.mark.parametrize("within", [ALL, WITHOUT_EMAIL, 0b11001])
def test_evidence_is_what_the_measured_rule_says(
    text: str, within: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, plain = judged()
    heard = hear(text)
    assert heard is not None
    vectors = HashingEncoder().encode_queries(heard.texts)
    scored = score(judge.index, heard, vectors, within, k=100, dense_weight=0.7)
    cosine, words = scored.vector[0], scored.lexical[0]
    nearest = sorted(range(len(cosine)), key=lambda i: (-cosine[i], i))[:5]
    covered = max(judge.index.lexical.coverage(heard.texts[0])[scored.rows][nearest])
    deep = sum(cosine > cosine[words.argmax()])
    apart = math.log1p(deep) / math.log1p(100) if words.any() else 1.0
    expected = cosine.max() - 0.57 * brute(judge, plain, within) + 0.11 * covered - 0.08 * apart

    monkeypatch.setattr(evidence, "MIN_EVIDENCE", expected - 1e-6)
    assert judge.serves(heard, scored, within)
    monkeypatch.setattr(evidence, "MIN_EVIDENCE", expected + 1e-6)
    assert not judge.serves(heard, scored, within)


def test_what_is_usual_is_that_of_the_permitted_rows() -> None:
    judge, plain = judged()

    for within in (ALL, 0b111110, 0b11, 0b10000):
        assert judge.usual(within) == pytest.approx(brute(judge, plain, within), abs=1e-5)
    assert judge.usual(0b11) < judge.usual(ALL)


def test_nearly_all_of_a_large_catalog_is_taken_for_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_LARGE", 20)
    judge, plain = judged([Row(f"row {i}", text) for i, text in enumerate(plain_requests()[:20])])
    everything = (1 << 20) - 1

    assert judge.usual(everything >> 2) == judge.usual(everything) == pytest.approx(1, abs=0.9)
    assert judge.usual(everything >> 3) == pytest.approx(brute(judge, plain, everything >> 3), abs=1e-5)
    assert judge.usual(everything >> 3) != judge.usual(everything)


async def test_answers_are_equal_in_any_order() -> None:
    asked = [(text, within) for text in (*SERVED, *FOREIGN, VAGUE) for within in (ALL, 0b11, WITHOUT_EMAIL)]
    one, other = await ready(), await ready()
    forth = [await one.search(text, within=within, limit=3) for text, within in asked]
    back = [await other.search(text, within=within, limit=3) for text, within in reversed(asked)]

    assert forth == back[::-1] == [await one.search(text, within=within, limit=3) for text, within in asked]


async def test_a_catalog_without_rows_serves_nothing() -> None:
    selector = HybridSelector(HashingEncoder())
    await selector.prepare(())

    assert not await fits(selector, SERVED[0])


# What it is made of


@settings(deadline=None)
@given(st.data())
def test_the_nearest_row_of_many_queries_is_that_of_each(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    row_of = np.repeat(np.arange(9), random.integers(1, 4, size=9))
    drawn = random.normal(size=(len(row_of) + 5, 8)).astype(np.float32)
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    index, queries = VectorIndex.build(unit[5:], row_of), unit[:5]
    within = data.draw(st.integers(0, (1 << 9) - 1))
    rows = np.array([row for row in range(9) if within >> row & 1], dtype=np.int64)

    assert index.best(queries, within) == pytest.approx(
        index.scores(queries, rows).max(axis=1, initial=0.0), abs=2e-6
    )


WORDS = ("book", "order", "email", "city", "money", "zebra")


@given(
    st.lists(st.lists(st.sampled_from(WORDS[:5]), max_size=4), min_size=1, max_size=8),
    st.lists(st.sampled_from(WORDS), max_size=4),
    st.data(),
)
def test_coverage_of_some_rows_is_that_among_all(
    rows: list[list[str]], query: list[str], data: st.DataObject
) -> None:
    index = LexicalIndex.build([" ".join(row) for row in rows])
    some = data.draw(st.lists(st.integers(0, len(rows) - 1), unique=True))
    text = " ".join(query)

    assert (
        index.coverage(text, np.array(some, dtype=np.int64)).tolist() == index.coverage(text)[some].tolist()
    )


def test_words_that_no_row_has_are_rare_too() -> None:
    index = LexicalIndex.build(["find a book", "order a book", "cancel an order"])

    assert index.rarity("book zebra zebra") == pytest.approx(
        math.log1p(1.5 / 2.5) + math.log1p(3.5 / 0.5), abs=1e-9
    )
    assert index.rarity("") == 0.0
