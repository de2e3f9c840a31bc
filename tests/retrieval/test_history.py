"""What a selector makes of all that was said and done before, and of what rows have to do with each other."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Prompt, Tool
from scopedtools.retrieval import HashingEncoder, HybridSelector
from scopedtools.types import Hit, Ranking, Rows, Turn
from tests.retrieval.rows import CountingEncoder, Row

pytestmark = pytest.mark.anyio

TRIP = (
    Row("find_flight", "Find a flight between two cities.", group="travel"),
    Row("book_flight", "Book a flight.", inputs=(("passenger", ""),), group="travel"),
    Row("reserve_hotel", "Reserve a hotel room.", group="travel"),
    Row("charge_card", "Charge a credit card.", group="money"),
    Row("refund_card", "Refund what a credit card was charged.", group="money"),
    Row("send_email", "Send an email message.", group="mail"),
    Row("delete_email", "Delete an email message.", group="mail"),
    Row("play_music", "Play some music."),
    Row("stop_music", "Stop the music."),
)
ALL = (1 << len(TRIP)) - 1
FLIGHTS = {"find_flight", "book_flight"}
BOOKING = Turn("I want to book a flight")


def place(name: str) -> int:
    return [row.name for row in TRIP].index(name)


def names(hits: Sequence[Hit]) -> list[str]:
    return [TRIP[hit.row].name for hit in hits]


def scores(ranking: Ranking) -> dict[str, float]:
    return {TRIP[hit.row].name: hit.score for hit in ranking.hits}


class Broken(HashingEncoder):
    """Leaves words to answer."""

    def load(self) -> None:
        raise OSError("no weights")


@pytest.fixture(params=[HashingEncoder, Broken], ids=["vectors", "words"])
async def selector(request: pytest.FixtureRequest) -> HybridSelector:
    made = HybridSelector(request.param())
    await made.prepare(TRIP)
    return made


async def found(
    selector: HybridSelector, text: str, *history: Turn, limit: int = 9, within: Rows = ALL
) -> Ranking:
    return await selector.search(text, within=within, limit=limit, history=history)


# What was said


async def test_a_vague_answer_finds_what_was_talked_about(selector: HybridSelector) -> None:
    assert set(names((await found(selector, "yes, please", BOOKING)).hits[:2])) == FLIGHTS


async def test_without_a_past_a_vague_answer_finds_nothing_of_the_kind(selector: HybridSelector) -> None:
    assert set(names((await found(selector, "yes, please", limit=2)).hits)) != FLIGHTS


async def test_a_choice_hears_what_came_before_as_a_search_does(selector: HybridSelector) -> None:
    chosen = await selector.select(
        "yes, please", within=ALL, limit=2, costs=[10] * 9, budget_tokens=100, history=[BOOKING]
    )

    assert set(names(chosen)) == FLIGHTS


async def test_a_new_clear_command_comes_before_the_past(selector: HybridSelector) -> None:
    ranking = await found(selector, "stop the music", BOOKING, Turn("yes, please", "Which seat?"))

    assert names(ranking.hits)[0] == "stop_music"
    assert FLIGHTS & set(names(ranking.hits))


async def test_newer_turns_come_before_older_ones(selector: HybridSelector) -> None:
    flight, hotel = Turn("find a flight"), Turn("reserve a hotel")
    first = await found(selector, "yes, please", flight, hotel)
    second = await found(selector, "yes, please", hotel, flight)

    assert names(first.hits)[0] == "reserve_hotel"
    assert names(second.hits)[0] == "find_flight"


async def test_an_answer_of_the_assistant_counts_too(selector: HybridSelector) -> None:
    asked = Turn("what can I do?", "I can reserve a hotel room.")

    assert names((await found(selector, "yes, please", asked)).hits)[0] == "reserve_hotel"


async def test_what_is_long_past_is_forgotten(selector: HybridSelector) -> None:
    later = [Turn("send an email message")] * 6

    assert not FLIGHTS & set(names((await found(selector, "stop the music", BOOKING, *later)).hits[:3]))
    assert await found(selector, "stop the music", BOOKING, *later) == await found(
        selector, "stop the music", *later
    )


async def test_a_past_of_blanks_is_none(selector: HybridSelector) -> None:
    blank = [Turn("", " "), Turn("\n")]

    assert await found(selector, "stop the music", *blank) == await found(selector, "stop the music")
    assert await found(selector, " ", *blank) == ((), False)


async def test_the_past_does_not_hold_up_the_present_where_it_says_the_same(selector: HybridSelector) -> None:
    alone = await found(selector, "book a flight")
    again = await found(selector, "book a flight", Turn("book a flight"), Turn("book a flight"))

    assert names(again.hits) == names(alone.hits)
    assert again.hits[0].score == alone.hits[0].score == 1.0


async def test_what_was_said_is_encoded_once_however_long_it_is_remembered() -> None:
    encoder = CountingEncoder()
    selector = HybridSelector(encoder)
    await selector.prepare(TRIP)
    encoder.queries.clear()
    said = ("book a flight; reserve a hotel room there", "yes, please", "stop the music")
    for i, text in enumerate(said):
        await found(selector, text, *map(Turn, said[:i]))

    assert [texts[0] for texts in encoder.queries] == list(said)


async def test_a_vague_answer_fits_where_what_came_before_does(selector: HybridSelector) -> None:
    assert (await found(selector, "yes, please", BOOKING)).fits


async def test_where_nothing_is_said_now_nothing_is_found_whatever_came_before(
    selector: HybridSelector,
) -> None:
    assert await found(selector, " ", BOOKING) == ((), False)


# What was called


async def test_a_call_speaks_for_its_group(selector: HybridSelector) -> None:
    without = names((await found(selector, "send the money back by card")).hits)
    called = Turn("", called=(place("send_email"),))
    ranking = names((await found(selector, "send the money back by card", called)).hits)

    assert "delete_email" not in without[:4]
    assert "delete_email" in ranking[:4]


async def test_a_row_that_was_called_comes_behind_its_equals() -> None:
    selector = HybridSelector(HashingEncoder())
    await selector.prepare(TRIP)
    ranking = await found(selector, "undo that", Turn("", called=(place("charge_card"),)))

    assert names(ranking.hits)[:2] == ["refund_card", "charge_card"]


async def test_newer_calls_count_more_than_older_ones(selector: HybridSelector) -> None:
    mail, money = Turn("", called=(place("send_email"),)), Turn("", called=(place("charge_card"),))
    first = scores(await found(selector, "do the opposite", mail, money))
    second = scores(await found(selector, "do the opposite", money, mail))

    assert first["refund_card"] > second["refund_card"]
    assert first["delete_email"] < second["delete_email"]


async def test_a_call_of_a_row_without_a_group_does_not_speak_for_others_without_one() -> None:
    rows = [Row("alpha"), Row("beta"), Row("gamma", group="x")]
    selector = HybridSelector(Broken())
    await selector.prepare(rows)
    ranking = await selector.search("gamma", within=0b111, limit=3, history=[Turn("", called=(0,))])

    assert [hit.row for hit in ranking.hits] == [2]


@pytest.mark.parametrize("row", [len(TRIP), 99, -1])
async def test_a_call_of_a_row_that_there_is_not_speaks_for_none(selector: HybridSelector, row: int) -> None:
    ranking = await found(selector, "find a flight", Turn("", called=(row,)))

    assert ranking == await found(selector, "find a flight")


async def test_a_new_clear_command_comes_before_what_calls_speak_for(selector: HybridSelector) -> None:
    called = tuple(map(place, ("find_flight", "book_flight", "charge_card")))

    assert names((await found(selector, "stop the music", Turn("", called=called))).hits)[0] == "stop_music"


async def test_a_call_of_a_row_that_is_not_permitted_any_more_speaks_for_the_rest_of_its_group(
    selector: HybridSelector,
) -> None:
    gone = place("send_email")
    within = ALL & ~(1 << gone)
    called = Turn("", called=(gone,))
    without = scores(await found(selector, "send the money back by card", within=within))
    ranking = scores(await found(selector, "send the money back by card", called, within=within))

    assert "send_email" not in ranking
    assert ranking["delete_email"] > without.get("delete_email", 0.0)


# What rows have to do with each other

CINEMA = (
    Row("movie_credits", "Who played in it.", inputs=(("movie_id", ""),), group="films"),
    Row("search_movies", "By title.", group="films"),
    Row("rent", "Watch one tonight.", requires=("pay",), group="films"),
    Row("pay", "Take money.", requires=("unlock",), group="films"),
    Row("unlock", "With a code.", group="films"),
    Row("sing", "A song."),
)


@pytest.fixture
async def cinema() -> HybridSelector:
    made = HybridSelector(HashingEncoder())
    await made.prepare(CINEMA)
    return made


async def test_what_a_row_requires_is_found_and_chosen_with_it(cinema: HybridSelector) -> None:
    text = "watch one tonight"
    ranking = await cinema.search(text, within=0b111111, limit=3)
    chosen = await cinema.select(text, within=0b111111, limit=3, costs=[1] * 6, budget_tokens=3)

    assert [(hit.row, hit.needed_by) for hit in ranking.hits] == [(2, None), (3, 2), (4, 2)]
    assert chosen == ranking.hits


async def test_a_prompt_of_the_same_name_does_not_hide_a_required_tool() -> None:
    catalog = Catalog(
        [
            Prompt(name="open_vault", description="Ask."),
            Tool(name="open_vault", description="Turn the wheel."),
            Tool(name="transfer_gold", description="Transfer gold.", requires=("open_vault",)),
        ]
    )
    selector = HybridSelector(HashingEncoder())
    await selector.prepare(catalog.rows)
    ranking = await selector.search("transfer gold", within=catalog.of("tool").bits, limit=2)

    assert [hit.row for hit in ranking.hits] == [2, 1]


async def test_what_finds_the_id_that_a_row_takes_is_found_and_chosen_with_it(cinema: HybridSelector) -> None:
    text = "who played in it"
    ranking = await cinema.search(text, within=0b111111, limit=2)
    chosen = await cinema.select(text, within=0b111111, limit=2, costs=[1] * 6, budget_tokens=2)

    assert [(hit.row, hit.needed_by) for hit in ranking.hits] == [(0, None), (1, 0)]
    assert chosen == ranking.hits


# Whatever the rows, and whatever was said and done

WORDS = st.lists(
    st.sampled_from(["book", "flight", "hotel", "movie", "search", "find", "the", "of;", "yes", "please"]),
    max_size=7,
).map(" ".join)
NAMES = st.lists(
    st.sampled_from(["get", "find", "search", "list", "movie", "flight", "{movie_id}", "hotel"]),
    min_size=1,
    max_size=3,
).map("_".join)


@st.composite
def catalogs(draw: st.DrawFn) -> tuple[Row, ...]:
    taken = draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    several = st.lists(st.sampled_from([*taken, "unknown"]), max_size=3).map(tuple)
    ids = st.lists(st.sampled_from([("movie_id", ""), ("hotelIds", ""), ("what", "")]), max_size=2)
    return tuple(
        Row(
            name,
            draw(WORDS),
            inputs=tuple(draw(ids)),
            group=draw(st.sampled_from(["", "one", "two"])),
            requires=draw(several),
        )
        for name in taken
    )


@settings(deadline=None)
@given(catalogs(), st.data())
def test_whatever_is_found_or_chosen_is_permitted_bounded_in_order_and_the_same_again(
    rows: tuple[Row, ...], data: st.DataObject
) -> None:
    n = len(rows)
    turns = st.builds(Turn, WORDS, WORDS, st.lists(st.integers(0, n - 1), max_size=3).map(tuple))
    history = data.draw(st.lists(turns, max_size=8))
    text = data.draw(WORDS)
    within = data.draw(st.integers(0, (1 << n) - 1))
    limit, budget = data.draw(st.integers(0, n + 1)), data.draw(st.integers(0, 40))
    costs = data.draw(st.lists(st.integers(0, 10), min_size=n, max_size=n))
    encoder = data.draw(st.sampled_from([HashingEncoder, Broken]))

    async def answers() -> tuple[tuple[Hit, ...], tuple[Hit, ...]]:
        selector = HybridSelector(encoder(16))
        await selector.prepare(rows)
        ranking = await selector.search(text, within=within, limit=limit, history=history)
        chosen = await selector.select(
            text, within=within, limit=limit, costs=costs, budget_tokens=budget, history=history
        )
        return ranking.hits, chosen

    ranked, chosen = asyncio.run(answers())

    for hits in (ranked, chosen):
        assert all(within >> hit.row & 1 for hit in hits)
        assert len(hits) <= limit
        assert len({hit.row for hit in hits}) == len(hits)
        assert all(0.0 < hit.score <= 1.0 for hit in hits)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert all(hit.needed_by is None or 0 <= hit.needed_by < n for hit in hits)
    assert sum(costs[hit.row] for hit in chosen) <= budget
    assert asyncio.run(answers()) == (ranked, chosen)
