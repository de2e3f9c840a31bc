"""The parts of the benchmark: sets, vectors, systems, the needle test."""

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.selection import sets, tiny
from benchmarks.selection.abstention import abstention
from benchmarks.selection.baselines import Convex, Dense, Reciprocal, Scored, Words, described, scaled, top
from benchmarks.selection.needle import points
from benchmarks.selection.sets import SPECS, Bench, MissingSetError
from benchmarks.selection.systems import SYSTEMS, System
from benchmarks.selection.tables import over_sets, percent
from benchmarks.selection.vectors import CachingEncoder
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Tool
from scopedtools.evaluation.measures import Mean
from scopedtools.retrieval import HashingEncoder
from scopedtools.types import Describable, Selector, Turn

LOCAL = [system for name, system in SYSTEMS.items() if name != "fastmcp"]
BENCH = Bench(SPECS["tiny"], tiny.catalog(), tiny.requests())


async def prepared(system: System) -> Selector:
    selector = system.make(BENCH, HashingEncoder())
    await selector.prepare(BENCH.catalog.rows)
    return selector


# Sets


def test_the_generated_set_is_always_the_same_and_asks_for_what_there_is() -> None:
    names = {row.name for row in tiny.catalog().rows}
    for queries in (tiny.requests(), tiny.dialogues()):
        assert all(slot[0] in names for query in queries for ask in query.asks for slot in ask.needed)
    assert tiny.requests() == tiny.requests()
    assert tiny.requests()[0].asks[0].text == "Please find my complaint, then save a copy of the playlist."
    assert {query.kind for query in tiny.requests()} == {"single", "multi"}


def written(folder: Path, tools: Sequence[str], queries: int, *, kind: str = "single") -> None:
    folder.mkdir(parents=True)
    lines = [{"id": name, "name": name, "description": f"does {name}"} for name in tools]
    (folder / "tools.jsonl").write_text("\n".join(map(json.dumps, lines)))
    asked = [{"id": f"q{n}", "query": "do it", "relevant": [tools[0]], "kind": kind} for n in range(queries)]
    talk = {"id": "d", "turns": [{"query": "hello", "relevant": []}], "kind": "dialogue"}
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, [*asked, talk])))


def test_a_sample_is_drawn_once_and_for_all_and_keeps_its_order(tmp_path: Path) -> None:
    written(tmp_path / "gtc", ["a", "b"], 50)

    drawn = [query.id for query in sets.load(SPECS["gtc"], tmp_path, 10).queries]

    assert len(drawn) == 10
    assert drawn == sorted(drawn, key=lambda name: int(name[1:]))
    assert drawn == [query.id for query in sets.load(SPECS["gtc"], tmp_path, 10).queries]
    assert len(sets.load(SPECS["gtc"], tmp_path, 0).queries) == 50


def test_requests_and_dialogues_of_one_file_are_two_sets(tmp_path: Path) -> None:
    written(tmp_path / "acebench", ["a", "b"], 3)

    assert [query.id for query in sets.load(SPECS["acebench"], tmp_path, 0).queries] == ["q0", "q1", "q2"]
    assert [query.id for query in sets.load(SPECS["acebench-dialogues"], tmp_path, 0).queries] == ["d"]


def test_the_baselines_cut_of_a_kind_is_taken_before_the_sample(tmp_path: Path) -> None:
    written(tmp_path / "metatool", ["a", "b"], 800)

    assert len(sets.load(SPECS["metatool"], tmp_path, 0).queries) == 750
    assert len(sets.load(sets.whole(SPECS["metatool"]), tmp_path, 0).queries) == 800


def test_an_enlarged_catalog_keeps_its_own_tools_where_names_meet(tmp_path: Path) -> None:
    written(tmp_path / "livemcpbench", ["a", "b"], 1)
    written(tmp_path / "toucan-mcp", ["b", "c"], 0)

    catalog = sets.load(SPECS["livemcpbench+toucan"], tmp_path, 0).catalog

    assert [row.name for row in catalog.rows] == ["a", "b", "c"]


def test_hay_that_is_missing_is_told_by_its_own_name(tmp_path: Path) -> None:
    written(tmp_path / "livemcpbench", ["a", "b"], 1)

    with pytest.raises(MissingSetError, match=r"TheAgentArk/Toucan@a1976de.*put it as tools.jsonl in"):
        sets.load(SPECS["livemcpbench+toucan"], tmp_path, 0)


# Vectors


class Counting(HashingEncoder):
    """Counts the texts that it encodes."""

    def __init__(self, dimensions: int = 32) -> None:
        super().__init__(dimensions)
        self.texts: list[str] = []

    def _encode(self, texts: Sequence[str]) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
        self.texts += texts
        return super()._encode(texts)


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def cached(tmp_path: Path, counting: Counting) -> Iterator[CachingEncoder]:
    encoder = CachingEncoder(counting, tmp_path / "deep" / "vectors.sqlite")
    yield encoder
    encoder.close()


def test_a_text_is_embedded_once(cached: CachingEncoder, counting: Counting) -> None:
    cached.warm(["one", "two", "one"])
    first = cached.encode_queries(["two", "three", "two"])
    cached.encode_documents(["three", "one"])

    assert sorted(counting.texts) == ["one", "three", "two"]
    assert cached.encoded == 3
    assert first.shape == (3, 32)
    assert (first[0] == first[2]).all()
    assert cached.encode_queries([]).shape == (0, 32)


def test_vectors_are_those_of_the_encoder(cached: CachingEncoder) -> None:
    texts = ["book a flight", "pay the bill"]

    np.testing.assert_allclose(
        cached.encode_queries(texts), HashingEncoder(32).encode_queries(texts), atol=1e-3
    )
    np.testing.assert_allclose(np.linalg.norm(cached.encode_queries(texts), axis=1), 1.0, atol=1e-6)


def test_vectors_outlive_the_process_but_not_the_model(
    tmp_path: Path, cached: CachingEncoder, counting: Counting
) -> None:
    path = tmp_path / "deep" / "vectors.sqlite"
    cached.encode_queries(["one"])

    again, other = Counting(), Counting(16)
    for encoder in (again, other):
        reopened = CachingEncoder(encoder, path)
        reopened.encode_queries(["one"])
        reopened.close()

    assert counting.texts == ["one"]
    assert again.texts == []
    assert other.texts == ["one"]


def test_progress_is_told(cached: CachingEncoder) -> None:
    told: list[tuple[int, int]] = []

    cached.warm((f"text {n}" for n in range(300)), lambda done, total: told.append((done, total)))

    assert told == [(256, 300), (300, 300)]


# Systems


@pytest.mark.parametrize("system", LOCAL, ids=lambda system: system.name)
def test_a_system_ranks_each_permitted_row_once_at_most(system: System) -> None:
    within = BENCH.catalog.tagged("billing", "music")
    history = (Turn("create the invoice", "It is done.", (0,)),)

    async def ranked() -> None:
        selector = await prepared(system)
        for limit in (3, 48):
            for past in ((), history):
                ranking = await selector.search(
                    "delete the playlist", within=within.bits, limit=limit, history=past
                )
                rows = [hit.row for hit in ranking.hits]
                assert rows
                assert len(rows) <= limit
                assert len(set(rows)) == len(rows)
                assert set(rows) <= set(within.order)

    asyncio.run(ranked())


@pytest.mark.parametrize("system", LOCAL, ids=lambda system: system.name)
def test_a_system_chooses_within_its_budget(system: System) -> None:
    costs = BENCH.catalog.costs
    budget = 3 * max(costs)

    async def chosen() -> list[int]:
        selector = await prepared(system)
        hits = await selector.select(
            "rename my picture", within=BENCH.catalog.all.bits, limit=16, costs=costs, budget_tokens=budget
        )
        return [hit.row for hit in hits]

    rows = asyncio.run(chosen())
    assert rows
    assert sum(costs[row] for row in rows) <= budget


def rows_of(*names: str) -> tuple[Describable, ...]:
    return tuple(Tool(name=name, description=name) for name in names)


def test_bm25_finds_nothing_where_no_word_is_shared() -> None:
    words = Words(lambda row: row.description)
    words.prepare(rows_of("red apple", "green pear"))

    assert words.scores([("blue", 1.0)]).tolist() == [0.0, 0.0]
    assert words.scores([("pear", 1.0), ("apple", 0.5)]).argmax() == 1
    assert words.scores([("pear", 0.5), ("apple", 1.0)]).argmax() == 0


def test_reciprocal_rank_fusion_adds_one_over_sixty_and_the_rank() -> None:
    words = Words(lambda row: row.description)
    fused = Reciprocal(words, words)
    fused.prepare(rows_of("apple", "apple pie", "pear"))

    assert fused.scores([("apple", 1.0)]).tolist() == pytest.approx([2 / 61, 2 / 62, 0.0])


def test_the_convex_mix_scales_each_side_over_the_catalog() -> None:
    dense, words = Dense(HashingEncoder(), lambda row: row.name), Words(lambda row: row.name)
    mix = Convex(dense, words, 0.7)
    mix.prepare(rows_of("apple", "pear", "plum"))
    said = [("apple", 1.0)]

    expected = 0.7 * scaled(dense.scores(said)) + 0.3 * scaled(words.scores(said))
    assert mix.scores(said).tolist() == pytest.approx(expected.tolist())
    assert mix.scores(said).max() == pytest.approx(1.0)
    assert scaled(np.array([2.0, 2.0])).tolist() == [0.0, 0.0]


def test_decay_lets_an_earlier_turn_speak() -> None:
    history = (Turn("pear", "plum"),)

    async def found(selector: Selector) -> list[int]:
        await selector.prepare(rows_of("apple", "pear", "plum"))
        return [hit.row for hit in (await selector.search("apple", within=7, limit=3, history=history)).hits]

    words = Words(lambda row: row.name)
    assert asyncio.run(found(Scored(words))) == [0]
    assert asyncio.run(found(Scored(words, decay=0.5))) == [0, 1]
    assert asyncio.run(found(Scored(words, decay=0.5, replies=True))) == [0, 1, 2]


def test_equal_scores_stay_in_catalog_order() -> None:
    assert top(np.array([0.5, 0.0, 0.9, 0.5, 0.5]), 3).tolist() == [2, 0, 3]


def test_a_row_is_described_with_its_server_where_that_is_one() -> None:
    schema = {"type": "object", "properties": {"fileName": {}}}
    row = Tool(
        name="fs-v1/readFile",
        title="readFile",
        description="Reads\na file.",
        group="fs-v1",
        input_schema=schema,
    )

    assert described(row, servers=True) == "fs v1 read File: Reads a file. Parameters: file Name"
    assert described(row, servers=False) == "read File: Reads a file. Parameters: file Name"


# Needle, abstention, tables


def test_a_needle_is_always_found_alone_and_harder_among_others() -> None:
    found = asyncio.run(
        points(BENCH, BENCH.catalog, SYSTEMS["convex"], HashingEncoder(), sizes=(1, 5, 40, 999))
    )

    assert [point.tools for point in found] == [1, 5, 40]
    assert found[0].hit.value == 1.0
    assert found[0].hit.value >= found[1].hit.value > found[2].hit.value
    assert all(point.hit.value <= point.recall.value for point in found)


def test_abstention_takes_away_what_a_request_needs() -> None:
    only = Bench(SPECS["tiny"], Catalog(tiny.catalog().rows[:1]), ())
    request = next(query for query in tiny.requests() if query.kind == "single")
    name = only.catalog.rows[0].name
    asked = request._replace(asks=(request.asks[0]._replace(text="create the invoice", needed=((name,),)),))

    found = asyncio.run(abstention(only._replace(queries=(asked,)), SYSTEMS["ours-words"], HashingEncoder()))

    assert (found.refused.value, found.lost.value) == (1.0, 0.0)


def test_a_mean_over_sets_counts_each_set_alike() -> None:
    mean = over_sets(
        [Mean(0.2, 0.1, 0.3, 10), Mean(0.6, 0.5, 0.7, 1000), Mean(math.nan, math.nan, math.nan, 0)]
    )

    assert mean is not None
    assert mean.value == pytest.approx(0.4)
    assert mean.high - mean.value == pytest.approx(math.sqrt(0.02) / 2)
    assert percent(mean) == "40.0 ±7.1"
    assert percent(None) == "-"
    assert over_sets([]) is None
