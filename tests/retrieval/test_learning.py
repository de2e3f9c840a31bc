"""What a selector makes of the calls that it is told of, from the outside."""

from __future__ import annotations

import asyncio
import logging
import stat
import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scopedtools.retrieval import HashingEncoder, HybridSelector, Index, Learning
from scopedtools.retrieval.learned import Learned
from scopedtools.retrieval.uses import Uses
from scopedtools.types import Encoder, Learner, Ranking
from tests.retrieval.rows import ALL, COSTS, SHOP, CountingEncoder

if TYPE_CHECKING:
    from scopedtools.types import Vectors

pytestmark = pytest.mark.anyio

UMBRELLA = ("umbrella or not", "shall I pack an umbrella", "do we need an umbrella")
PARCEL = ("where did my parcel go", "stop the parcel", "parcel not wanted any more")
PARAPHRASE = "umbrella today"


def place(name: str) -> int:
    return [row.name for row in SHOP].index(name)


async def ready(learning: Learning | None, encoder: Encoder | None = None) -> HybridSelector:
    selector = HybridSelector(encoder or HashingEncoder(64), learning=learning)
    await selector.prepare(SHOP)
    return selector


async def teach(selector: HybridSelector, name: str, texts: Sequence[str], *, by: str = "") -> None:
    for text in texts:
        await selector.learn(text, place(name), by=by)


async def taught(learning: Learning | None, encoder: Encoder | None = None) -> HybridSelector:
    return await taught_more(await ready(learning, encoder))


async def taught_more(selector: HybridSelector) -> HybridSelector:
    for _ in range(3):
        await teach(selector, "get_weather", UMBRELLA)
        await teach(selector, "cancel_order", PARCEL)
    return selector


async def found(selector: HybridSelector, text: str, *, within: int = ALL) -> Ranking:
    return await selector.search(text, within=within, limit=6)


async def first(selector: HybridSelector, text: str) -> str | None:
    hits = (await found(selector, text)).hits
    return SHOP[hits[0].row].name if hits else None


# What is learned


async def test_a_used_row_comes_first_for_what_it_was_called_for_in_other_words() -> None:
    untaught = await ready(Learning())
    selector = await taught(Learning())

    assert await first(untaught, PARAPHRASE) != "get_weather"
    assert await first(selector, PARAPHRASE) == "get_weather"
    assert await first(selector, "the parcel must be stopped") == "cancel_order"


async def test_a_choice_learns_as_a_search_does() -> None:
    selector = await taught(Learning())
    (chosen,) = await selector.select(PARAPHRASE, within=ALL, limit=1, costs=COSTS, budget_tokens=1000)

    assert chosen.row == place("get_weather")


async def test_a_request_in_the_words_of_a_row_that_was_never_used_still_finds_it() -> None:
    selector = await taught(Learning())

    for text, name in (
        ("find books by title", "find_books"),
        ("send an email message", "send_email"),
        ("convert an amount of money", "convert_currency"),
    ):
        assert await first(selector, text) == name


async def test_what_was_learned_shows_no_row_that_is_not_permitted() -> None:
    selector = await taught(Learning())
    hits = (await found(selector, PARAPHRASE, within=ALL & ~(1 << place("get_weather")))).hits

    assert place("get_weather") not in [hit.row for hit in hits]


async def test_of_a_request_with_several_clauses_a_row_learns_its_own() -> None:
    learning = Learning()
    selector = await ready(learning)
    both = "send an email message to my boss; pack an umbrella for the city weather"
    await teach(selector, "get_weather", [both])
    await teach(selector, "send_email", [both])
    rows = learning._uses.rows()

    assert rows["get_weather"].terms == (("pack", "umbrella", "citi", "weather"),)
    assert rows["send_email"].terms == (("send", "email", "messag", "boss"),)


async def test_without_learning_nothing_changes() -> None:
    selector = await ready(None)
    before = await found(selector, PARAPHRASE)
    await teach(selector, "get_weather", UMBRELLA * 8)

    assert not selector.learns
    assert await found(selector, PARAPHRASE) == before


async def test_before_anything_is_learned_answers_are_those_without_learning() -> None:
    with_learning, without = await ready(Learning()), await ready(None)

    assert await found(with_learning, PARAPHRASE) == await found(without, PARAPHRASE)


async def test_a_selector_that_learns_is_a_learner() -> None:
    selector: Learner = await ready(Learning())

    assert isinstance(selector, Learner)
    assert selector.learns


@pytest.mark.parametrize("text", ["", " \n"])
async def test_a_blank_request_teaches_nothing(text: str) -> None:
    learning = Learning()
    await (await ready(learning)).learn(text, place("get_weather"))

    assert len(learning._uses) == 0


async def test_a_call_before_the_selector_is_prepared_teaches_nothing() -> None:
    learning = Learning()
    await HybridSelector(HashingEncoder(), learning=learning).learn(UMBRELLA[0], place("get_weather"))

    assert len(learning._uses) == 0


# Bounds


async def test_of_one_row_the_latest_requests_are_kept() -> None:
    learning = Learning(per_row=2)
    await teach(await ready(learning), "get_weather", UMBRELLA)

    assert learning._uses.rows()["get_weather"].terms == (("shall", "pack", "umbrella"), ("need", "umbrella"))


async def test_all_that_is_kept_is_bounded() -> None:
    learning = Learning(total=4)
    await taught(learning)

    assert len(learning._uses) == 4


@pytest.mark.parametrize("bound", ["per_row", "per_caller", "total"])
def test_a_bound_below_one_is_refused(bound: str) -> None:
    with pytest.raises(ValueError, match="must be >= 1"):
        Learning(**{bound: 0})  # type: ignore[arg-type]


async def test_one_caller_cannot_turn_a_row_away_from_what_others_call_it_for() -> None:
    async def attacked(learning: Learning) -> str | None:
        selector = await ready(learning)
        for number, text in enumerate(UMBRELLA * 2):
            await teach(selector, "get_weather", [text], by=f"honest {number}")
            await teach(selector, "convert_currency", ["how many kroner"], by=f"honest {number}")
        await teach(selector, "get_weather", PARCEL * 10, by="hostile")
        return await first(selector, PARAPHRASE)

    capped, uncapped = Learning(per_row=8, per_caller=2), Learning(per_row=8, per_caller=8)

    assert await attacked(capped) == "get_weather"
    assert capped._uses.rows()["get_weather"].by.count("hostile") == 2
    assert await attacked(uncapped) != "get_weather"
    assert set(uncapped._uses.rows()["get_weather"].by) == {"hostile"}


# Forgetting


async def test_what_a_caller_taught_can_be_forgotten() -> None:
    learning = Learning()
    selector = await ready(learning)
    await teach(selector, "get_weather", UMBRELLA, by="x")
    await teach(selector, "cancel_order", PARCEL, by="y")
    learning.forget(by="x")

    assert list(learning._uses.rows()) == ["cancel_order"]


# Files


async def test_what_was_learned_outlives_the_selector(tmp_path: Path) -> None:
    path = tmp_path / "new" / "uses"
    before = await taught(Learning(path))
    after = await ready(Learning(str(path)))

    assert await found(after, PARAPHRASE) == await found(before, PARAPHRASE)
    assert await first(after, PARAPHRASE) == "get_weather"


async def test_what_was_learned_outlives_a_change_of_the_catalog(tmp_path: Path) -> None:
    await taught(Learning(tmp_path / "uses"))
    rows = [SHOP[place(name)] for name in ("send_email", "get_weather", "cancel_order")]
    selector = HybridSelector(HashingEncoder(64), learning=Learning(tmp_path / "uses"))
    await selector.prepare(rows)
    ranking = await selector.search(PARAPHRASE, within=0b111, limit=1)

    assert [rows[hit.row].name for hit in ranking.hits] == ["get_weather"]


async def test_a_file_holds_no_request_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    learning = Learning(tmp_path / "uses")
    await teach(await ready(learning), "get_weather", ["Tell Ann about the umbrella tomorrow"])
    data = (tmp_path / "uses").read_bytes()

    assert b"umbrella" in data  # a term
    assert b"Tell Ann" not in data
    assert b"about" not in data
    assert stat.S_IMODE((tmp_path / "uses").stat().st_mode) == 0o600


async def test_what_another_encoder_learned_is_refused_and_learning_begins_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await taught(Learning(tmp_path / "uses"))
    learning = Learning(tmp_path / "uses")
    selector = await ready(learning, HashingEncoder(32))

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "must be of encoder" in caplog.text
    assert "learning begins anew" in caplog.text
    assert len(learning._uses) == 0
    await taught_more(selector)
    assert await first(selector, PARAPHRASE) == "get_weather"


@pytest.mark.parametrize("data", [b"", b"not uses", None], ids=["empty", "other", "cut"])
async def test_a_broken_file_is_told_and_learning_begins_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, data: bytes | None
) -> None:
    path = tmp_path / "uses"
    await taught(Learning(path))
    path.write_bytes(path.read_bytes()[:-9] if data is None else data)
    selector = await ready(Learning(path))

    assert "damaged or other file" in caplog.text
    await taught_more(selector)
    assert await first(await ready(Learning(path)), PARAPHRASE) == "get_weather"


async def test_a_file_that_cannot_be_written_is_told_and_it_learns_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    selector = await taught(Learning(tmp_path / "file" / "uses"))

    assert "what was learned is not saved" in caplog.text
    assert await first(selector, PARAPHRASE) == "get_weather"


# Encoders that fail


async def test_a_call_whose_request_cannot_be_encoded_teaches_nothing() -> None:
    learning, encoder = Learning(), CountingEncoder()
    selector = await ready(learning, encoder)
    encoder.fails = True
    await teach(selector, "get_weather", UMBRELLA)
    assert len(learning._uses) == 0

    encoder.fails = False
    await taught_more(selector)
    assert await first(selector, PARAPHRASE) == "get_weather"


async def test_words_of_what_was_learned_still_count_while_the_encoder_fails() -> None:
    encoder = CountingEncoder()
    selector = await taught(Learning(), encoder)
    encoder.fails = True

    assert await first(selector, PARAPHRASE) == "get_weather"


async def test_where_there_are_no_vectors_nothing_is_learned(caplog: pytest.LogCaptureFixture) -> None:
    class Missing(HashingEncoder):
        def load(self) -> None:
            raise OSError("no weights")

    learning = Learning()
    with caplog.at_level(logging.CRITICAL):
        selector = await taught(learning, Missing())

    assert len(learning._uses) == 0
    assert await found(selector, "umbrella") == ((), False)


# At the same time


async def test_learning_and_searching_in_parallel_disturb_neither(tmp_path: Path) -> None:
    learning = Learning(tmp_path / "uses", per_row=1000)
    selector = await ready(learning)
    texts = [f"umbrella number{number}" for number in range(120)]
    searches = [found(selector, text) for text in ("send an email message", "find books by title") * 30]
    lessons = [
        selector.learn(text, (place("get_weather"), place("cancel_order"))[number % 2])
        for number, text in enumerate(texts)
    ]
    rankings, _ = await asyncio.gather(asyncio.gather(*searches), asyncio.gather(*lessons))

    assert {ranking.hits[0].row for ranking in rankings} == {place("send_email"), place("find_books")}
    assert len(learning._uses) == 120


async def test_the_same_calls_in_the_same_order_teach_the_same() -> None:
    one, other = await taught(Learning()), await taught(Learning())

    assert await found(one, PARAPHRASE) == await found(other, PARAPHRASE)


async def test_many_calls_are_learned_without_deriving_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    derived = 0
    derive = Learning._derive

    def counting(self: Learning, index: Index) -> None:
        nonlocal derived
        derived += 1
        derive(self, index)

    monkeypatch.setattr(Learning, "_derive", counting)
    selector = await ready(Learning(per_row=1000))
    await teach(selector, "get_weather", [f"umbrella{number}" for number in range(300)])

    assert derived < 100


class Gated(HashingEncoder):
    """Waits, once it is told to, before it encodes descriptions."""

    def __init__(self) -> None:
        super().__init__(64)
        self.entered, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        self.entered.set()
        assert self.gate.wait(10)
        return super().encode_documents(texts)


async def test_while_a_catalog_is_replaced_what_was_learned_of_the_old_one_counts_for_no_row() -> None:
    encoder = Gated()
    selector = await taught(Learning(), encoder)
    encoder.entered.clear()
    encoder.gate.clear()
    preparing = asyncio.ensure_future(selector.prepare([SHOP[0], SHOP[place("get_weather")]]))
    assert await asyncio.to_thread(encoder.entered.wait, 10)
    between = await selector.search(f"{PARAPHRASE} in a city", within=0b11, limit=1)
    encoder.gate.set()
    await preparing
    after = await selector.search(f"{PARAPHRASE} in a city", within=0b11, limit=1)

    assert [hit.row for hit in (*between.hits, *after.hits)] == [1, 1]


async def test_where_a_new_catalog_gets_no_vectors_what_was_learned_of_the_old_one_counts_for_no_row() -> (
    None
):
    class Ailing(HashingEncoder):
        ill = False

        def encode_documents(self, texts: Sequence[str]) -> Vectors:
            if self.ill:
                raise RuntimeError("the model is broken")
            return super().encode_documents(texts)

    encoder = Ailing(64)
    selector = await taught(Learning(), encoder)
    encoder.ill = True
    await selector.prepare(SHOP[:1])

    assert await selector.search(PARAPHRASE, within=1, limit=1) == ((), False)


@pytest.mark.parametrize("row", [len(SHOP), 99, -1])
async def test_a_row_that_there_is_not_learns_nothing(row: int) -> None:
    learning = Learning()
    await (await ready(learning)).learn(UMBRELLA[0], row)

    assert len(learning._uses) == 0


async def test_a_search_does_not_wait_for_what_is_being_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, gate, derived = threading.Event(), threading.Event(), 0

    def derive(uses: Uses, index: Index) -> None:
        nonlocal derived
        derived += 1
        entered.set()
        assert gate.wait(20)

    gate.set()
    selector = await ready(Learning())
    gate.clear()
    monkeypatch.setattr(Learned, "build", derive)
    lessons = [asyncio.ensure_future(selector.learn(f"umbrella{number}", 4)) for number in range(60)]
    assert await asyncio.to_thread(entered.wait, 10)
    ranking = await asyncio.wait_for(found(selector, "send an email message"), 10)
    gate.set()
    await asyncio.gather(*lessons)

    assert ranking.hits[0].row == place("send_email")
    assert derived < 20


async def test_what_was_learned_last_is_soon_known_after_a_start_and_where_the_bounds_are_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"umbrella{number}" for number in range(200)]
    await teach(await ready(Learning(tmp_path / "uses", per_row=200)), "get_weather", texts)
    derived: list[int] = []
    build = Learned.build

    def counting(uses: Uses, index: Index) -> Learned | None:
        derived.append(uses.changes)
        return build(uses, index)

    monkeypatch.setattr(Learned, "build", counting)
    selector = await ready(Learning(tmp_path / "uses", per_row=200))
    await teach(selector, "get_weather", texts * 4)

    assert all(5 <= later - earlier <= 11 for earlier, later in pairwise(derived))


@pytest.mark.parametrize("by", [None, "x"])
async def test_what_is_forgotten_is_gone_at_once_from_answers_and_from_the_file(
    tmp_path: Path, by: str | None
) -> None:
    learning = Learning(tmp_path / "uses")
    selector = await ready(learning)
    await teach(selector, "get_weather", UMBRELLA * 2, by="x")
    await teach(selector, "cancel_order", PARCEL * 2, by="y")
    assert await first(selector, PARAPHRASE) == "get_weather"
    learning.forget(None if by else "get_weather", by=by)

    assert await first(selector, PARAPHRASE) != "get_weather"
    assert await first(await ready(Learning(tmp_path / "uses")), PARAPHRASE) != "get_weather"
    assert b"umbrella" not in (tmp_path / "uses").read_bytes()
    assert b"parcel" in (tmp_path / "uses").read_bytes()


def test_forgetting_before_there_is_a_selector_does_nothing() -> None:
    Learning().forget()
