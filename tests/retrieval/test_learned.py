import numpy as np

from scopedtools.retrieval.hashing import HashingEncoder
from scopedtools.retrieval.index import Index
from scopedtools.retrieval.learned import Learned
from scopedtools.retrieval.uses import Uses
from tests.retrieval.rows import SHOP

ENCODER = HashingEncoder(64)
INDEX = Index.build(SHOP, ENCODER)
NAMES = [row.name for row in SHOP]
ROWS = np.arange(len(SHOP))


def used(**texts: list[str]) -> Uses:
    uses = Uses(INDEX.encoder)
    for name, said in texts.items():
        for text in said:
            uses.record(name, text, ENCODER.encode_queries([text])[0])
    return uses


def cosines(learned: Learned | None, text: str) -> list[float]:
    assert INDEX.vectors is not None
    vectors = ENCODER.encode_queries([text])
    plain = INDEX.vectors.scores(vectors, ROWS)
    found: list[float] = (plain if learned is None else learned.cosine(vectors, ROWS, plain))[0].tolist()
    return found


DRIZZLE = ["umbrella or not", "need an umbrella", "shall I pack an umbrella"]
PARCEL = ["where is my parcel", "stop the parcel", "parcel not wanted any more"]


def test_no_uses_teach_nothing() -> None:
    assert Learned.build(Uses(INDEX.encoder), INDEX) is None


def test_uses_of_rows_that_are_not_in_the_catalog_teach_nothing() -> None:
    assert Learned.build(used(gone=DRIZZLE), INDEX) is None


def test_a_row_comes_nearer_to_what_it_was_used_for_and_others_stay() -> None:
    learned = Learned.build(used(get_weather=DRIZZLE, cancel_order=PARCEL), INDEX)
    before, after = cosines(None, DRIZZLE[0]), cosines(learned, DRIZZLE[0])

    assert after[NAMES.index("get_weather")] > before[NAMES.index("get_weather")] + 0.05
    for name in ("find_books", "order_book", "send_email", "convert_currency"):
        assert after[NAMES.index(name)] == before[NAMES.index(name)]


def test_a_used_row_is_found_by_what_it_was_used_for_within_what_is_permitted() -> None:
    learned = Learned.build(used(get_weather=DRIZZLE, cancel_order=PARCEL), INDEX)
    assert learned is not None
    queries = ENCODER.encode_queries(DRIZZLE[:1])
    weather, cancel = NAMES.index("get_weather"), NAMES.index("cancel_order")
    permitted = np.ones(len(SHOP), dtype=np.bool_)

    assert learned.nearest(queries, permitted, 1)[0].tolist() == [weather]
    permitted[weather] = False
    assert learned.nearest(queries, permitted, 2)[0].tolist() == [cancel]
    permitted[:] = False
    assert learned.nearest(queries, permitted, 2)[0].tolist() == []


def test_words_of_uses_count_for_their_rows() -> None:
    learned = Learned.build(used(get_weather=DRIZZLE, cancel_order=PARCEL), INDEX)
    assert learned is not None
    bm25 = np.zeros((2, len(SHOP)), dtype=np.float32)
    learned.add_words(("an umbrella", "a hat"), bm25)

    assert np.flatnonzero(bm25[0]).tolist() == [NAMES.index("get_weather")]
    assert not bm25[1].any()


def test_votes_go_to_the_rows_of_the_nearest_uses() -> None:
    learned = Learned.build(used(get_weather=DRIZZLE * 4, cancel_order=PARCEL * 4), INDEX)
    assert learned is not None
    vectors = ENCODER.encode_queries([DRIZZLE[0], DRIZZLE[0]])
    fused = np.full((2, len(SHOP)), 0.5)
    voted = learned.votes(vectors, ROWS, fused, 1)

    assert voted[0].argmax() == NAMES.index("get_weather")
    assert (voted[1] == 0.5).all()
    assert (fused == 0.5).all()


def test_the_same_uses_teach_the_same() -> None:
    first, second = (Learned.build(used(get_weather=DRIZZLE, cancel_order=PARCEL), INDEX) for _ in range(2))

    assert cosines(first, "an umbrella today") == cosines(second, "an umbrella today")


def test_vectors_of_another_encoder_leave_the_words() -> None:
    uses = Uses(("other", "1"))
    uses.record("get_weather", "umbrella", np.eye(3, dtype=np.float32)[0])
    learned = Learned.build(uses, INDEX)
    assert learned is not None
    bm25 = np.zeros((1, len(SHOP)), dtype=np.float32)
    learned.add_words(("umbrella",), bm25)

    assert bm25[0].argmax() == NAMES.index("get_weather")
    assert cosines(learned, "umbrella") == cosines(None, "umbrella")
    assert learned.nearest(ENCODER.encode_queries(["umbrella"]), np.ones(len(SHOP), np.bool_), 3) == []


def test_an_index_of_words_alone_learns_words() -> None:
    learned = Learned.build(used(get_weather=DRIZZLE), Index.build(SHOP, None))

    assert learned is not None
