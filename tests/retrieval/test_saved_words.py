import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import faiss
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Tool
from scopedtools.exceptions import IndexMismatchError
from scopedtools.retrieval import HashingEncoder, HybridSelector, Index, codes, known_vectors, verify, words
from scopedtools.retrieval.manifest import digest
from scopedtools.retrieval.vectors import EXACT
from scopedtools.retrieval.words import Words, source
from scopedtools.types import Describable
from tests.retrieval.rows import ALL, SHOP, CountingEncoder, Row

pytestmark = pytest.mark.anyio

FILMS = (
    Row("search_movies", inputs=(("query", ""),), group="films"),
    Row("get_credits", inputs=(("movie_id", "of the film"), ("person_id", "")), group="films"),
    Row("find_person", group="films", requires=("search_movies", "log_in")),
    Row("log_in", "Log in.", group="films"),
    Row("log_in", "Log in elsewhere."),
)


def saved(folder: Path, rows: Sequence[Describable] = SHOP) -> Path:
    Index.build(rows, HashingEncoder()).save(folder)
    return folder


def load(folder: Path, rows: Sequence[Describable] = SHOP) -> Index:
    return Index.load(folder, rows=rows, encoder=HashingEncoder())


def change(folder: Path, **fields: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def told(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return manifest


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how often words are made."""
    times: list[int] = []
    real = Words.of

    def noting(rows: Sequence[Describable]) -> Words:
        times.append(len(rows))
        return real(rows)

    monkeypatch.setattr(Words, "of", noting)
    return times


@pytest.mark.parametrize("rows", [SHOP, FILMS], ids=["shop", "films"])
def test_saved_words_are_used_and_are_those_that_were_made(
    tmp_path: Path, made: list[int], rows: Sequence[Row]
) -> None:
    built = Index.build(rows, HashingEncoder())
    built.save(tmp_path)
    made.clear()
    loaded = load(tmp_path, rows)

    query = "find the order of a movie by its person"
    assert loaded.lexical.scores(query).tobytes() == built.lexical.scores(query).tobytes()
    assert loaded.lexical.coverage(query).tolist() == built.lexical.coverage(query).tolist()
    assert loaded.relations.groups.tolist() == built.relations.groups.tolist()
    assert tuple(loaded.relations.required) == tuple(built.relations.required)
    assert tuple(loaded.relations.finders) == tuple(built.relations.finders)
    assert [list(loaded.relations.closure(row)) for row in range(len(rows))] == [
        list(built.relations.closure(row)) for row in range(len(rows))
    ]
    assert not made


ROWS = st.lists(
    st.builds(
        Row,
        name=st.sampled_from(["find_movie", "get movie id", "搜索 电影", "", "log_in"]),
        description=st.text(max_size=20),
        inputs=st.lists(st.tuples(st.sampled_from(["movie_id", "a"]), st.text(max_size=5)), max_size=2).map(
            tuple
        ),
        group=st.sampled_from(["", "films"]),
        requires=st.lists(st.sampled_from(["log_in", "gone"]), max_size=2).map(tuple),
    ),
    max_size=6,
)


@given(rows=ROWS)
def test_words_of_any_rows_can_be_saved(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    words = Words.of(rows)
    path = tmp_path_factory.mktemp("words") / "words.safetensors"
    words.save(path)
    loaded = Words.load(path)

    assert loaded.lexical.terms == words.lexical.terms
    assert (
        loaded.lexical.matrix(["find movie id", "电影"]).tobytes()
        == words.lexical.matrix(["find movie id", "电影"]).tobytes()
    )
    assert tuple(loaded.relations.finders) == tuple(words.relations.finders)
    assert tuple(loaded.relations.required) == tuple(words.relations.required)
    assert loaded.row_of.tolist() == words.row_of.tolist()


def test_words_of_other_rows_are_made_anew_while_their_vectors_still_fit(
    tmp_path: Path, made: list[int]
) -> None:
    saved(tmp_path)
    made.clear()
    # What parameters say is among the words, and not in the texts that have vectors.
    loaded = load(tmp_path, (replace(SHOP[0], inputs=(("isbn", "thirteen digits"),)), *SHOP[1:]))

    assert made == [len(SHOP)]
    assert loaded.vectors is not None
    assert loaded.lexical.scores("isbn digits").argmax() == 0


def test_words_that_other_code_made_are_made_anew(tmp_path: Path, made: list[int]) -> None:
    change(saved(tmp_path), words=told(tmp_path)["words"] | {"code": "of last year"})
    made.clear()

    assert load(tmp_path).vectors is not None
    assert made == [len(SHOP)]


async def test_an_index_from_before_words_were_saved_still_starts_and_gets_them(
    tmp_path: Path, made: list[int]
) -> None:
    manifest = told(saved(tmp_path))
    (tmp_path / manifest["words"]["file"]["name"]).unlink()
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({k: v for k, v in told(tmp_path).items() if k not in ("words", "plain")}))
    encoder = CountingEncoder(256)

    await HybridSelector(encoder, index_dir=tmp_path).prepare(SHOP)
    assert encoder.documents == []
    assert set(told(tmp_path)) > {"words", "plain"}
    assert told(tmp_path)["format"] == 1  # the code before reads it still
    made.clear()
    again = HybridSelector(HashingEncoder(), index_dir=tmp_path)
    await again.prepare(SHOP)
    assert not made
    ranking = await again.search("weather in a city", within=ALL, limit=1)
    assert [hit.row for hit in ranking.hits] == [4]


def test_an_index_of_the_format_that_was_called_2_is_read(tmp_path: Path) -> None:
    change(saved(tmp_path), format=2)

    assert load(tmp_path).vectors is not None


@pytest.mark.parametrize("kind", ["words", "plain"])
@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: path.write_bytes(b"?")], ids=["lost", "changed"]
)
async def test_what_was_derived_and_is_damaged_is_made_anew_from_vectors_that_are_kept(
    tmp_path: Path, kind: str, damage: Callable[[Path], object]
) -> None:
    await HybridSelector(HashingEncoder(64), index_dir=tmp_path).prepare(SHOP)
    damage(tmp_path / told(tmp_path)[kind]["file"]["name"])
    assert len(verify(tmp_path)) == 1
    assert len(known_vectors(tmp_path, HashingEncoder(64))) == 9

    encoder = CountingEncoder(64)
    await HybridSelector(encoder, index_dir=tmp_path).prepare(SHOP)
    assert encoder.documents == []
    assert verify(tmp_path) == []


@pytest.mark.parametrize(("pattern", "field"), [("words-*", "words"), ("index-*", "vectors_file")])
def test_a_file_that_is_of_another_kind_than_the_manifest_says_is_a_mismatch(
    tmp_path: Path, pattern: str, field: str
) -> None:
    path = next(saved(tmp_path).glob(pattern))
    path.write_bytes(b"something else" * 100)
    entry = {"name": path.name, "sha256": digest(path)}
    change(tmp_path, **{field: told(tmp_path)["words"] | {"file": entry} if field == "words" else entry})

    with pytest.raises(IndexMismatchError, match=r"one that cannot be read .*; rebuild the index"):
        load(tmp_path)


def test_codes_of_many_vectors_that_a_folder_lacks_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codes, "ONE_LIST", EXACT)  # as if these were many
    rows = [Row(f"tool_{number}", f"Does number {number}.") for number in range(EXACT + 100)]
    built = Index.build(rows, HashingEncoder(16))
    assert built.local is not None
    built.save(tmp_path)
    flat = faiss.IndexFlatIP(16)
    flat.add(built.local.vectors)
    path = tmp_path / told(tmp_path)["vectors_file"]["name"]
    faiss.write_index(flat, str(path))
    change(tmp_path, vectors_file={"name": path.name, "sha256": digest(path)})
    assert not codes.follow(path)

    Index.load(tmp_path, rows=rows, encoder=HashingEncoder(16)).renew(tmp_path)

    (path,) = tmp_path.glob("index-*")
    written = path.stat().st_mtime_ns
    assert codes.follow(path)
    assert verify(tmp_path) == []
    Index.load(tmp_path, rows=rows, encoder=HashingEncoder(16)).renew(tmp_path)
    assert path.stat().st_mtime_ns == written


def test_words_are_not_saved_where_nobody_could_tell_later_whether_they_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[int]
) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(words, "installed", absent)
    words.code.cache_clear()
    try:
        assert told(saved(tmp_path))["words"] is None
        made.clear()
        assert load(tmp_path).vectors is not None
        assert made == [len(SHOP)]
    finally:
        words.code.cache_clear()


async def test_a_second_start_encodes_nothing(tmp_path: Path) -> None:
    first, second = CountingEncoder(), CountingEncoder()
    selectors = [HybridSelector(encoder, index_dir=tmp_path) for encoder in (first, second)]
    for selector in selectors:
        await selector.prepare(SHOP)

    assert first.documents
    assert first.queries
    assert (second.documents, second.queries) == ([], [])
    one, other = [await one.search("rain in Oslo", within=ALL, limit=3) for one in selectors]
    assert one == other


async def test_what_plain_requests_get_is_found_out_anew_where_it_was_found_out_otherwise(
    tmp_path: Path,
) -> None:
    await HybridSelector(CountingEncoder(), index_dir=tmp_path).prepare(SHOP)
    change(tmp_path, plain=told(tmp_path)["plain"] | {"made_of": "other requests", "usual": 0.99})
    encoder = CountingEncoder()
    await HybridSelector(encoder, index_dir=tmp_path).prepare(SHOP)

    assert encoder.queries
    assert told(tmp_path)["plain"]["usual"] < 0.99


async def test_a_selector_that_was_preloaded_answers_as_any_other(tmp_path: Path, made: list[int]) -> None:
    plain, preloaded = (HybridSelector(HashingEncoder(), index_dir=tmp_path) for _ in range(2))
    await plain.prepare(SHOP)
    preloaded.preload(SHOP)
    made.clear()
    await preloaded.prepare(SHOP)

    assert not made
    for text in ("rain in Oslo", "cancel my order and send an email"):
        assert await preloaded.search(text, within=ALL, limit=4) == await plain.search(
            text, within=ALL, limit=4
        )


async def test_what_was_preloaded_of_another_encoder_is_not_used(tmp_path: Path) -> None:
    await HybridSelector(HashingEncoder(128), index_dir=tmp_path).prepare(SHOP)
    selector = HybridSelector(HashingEncoder(64), index_dir=tmp_path)
    selector.preload(SHOP)
    await selector.prepare(SHOP)

    assert selector.index is not None
    assert selector.index.vectors is not None
    assert selector.index.vectors.dimensions == 64


def schema(description: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"city": {"type": "string", "description": description}}}


@pytest.mark.parametrize(
    "other",
    [
        Tool(name="a", description="A.", input_schema=schema("Town.")),
        Tool(name="a", description="A.", input_schema=schema("City."), requires=("b",)),
        Tool(name="a", description="A.", input_schema=schema("City."), group="g"),
        Tool(name="a", description="A.", input_schema=schema("City."), examples=("b",)),
        Tool(name="a", description="A.", input_schema=schema("City."), title="B"),
        Tool(name="a", description="B.", input_schema=schema("City.")),
    ],
    ids=["parameter", "requires", "group", "examples", "title", "description"],
)
def test_rows_of_catalogs_that_differ_in_anything_that_is_indexed_have_different_sources(other: Tool) -> None:
    one = Tool(name="a", description="A.", input_schema=schema("City."))
    for rows in (Catalog([one]).rows, Catalog([replace(one)]).rows):
        assert source(rows) == source(Catalog([one]).rows) != source(Catalog([other]).rows)
    assert source((one,)) == source((replace(one),)) != source((other,))
