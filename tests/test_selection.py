"""How a server's selector is prepared and taught, beside the requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from scopedtools.selection import _LESSONS, Selection
from scopedtools.types import Describable, Hit, Ranking, Rows, Turn

pytestmark = pytest.mark.anyio


class Deaf:
    """A selector that cannot learn."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.prepared = 0
        self._gate = gate

    async def prepare(self, rows: Sequence[Describable]) -> None:
        if self._gate is not None:
            await self._gate.wait()
        self.prepared += 1

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        return Ranking((), fits=False)

    async def select(
        self,
        intent: str,
        *,
        within: Rows,
        limit: int,
        costs: Sequence[int],
        budget_tokens: int,
        history: Sequence[Turn] = (),
    ) -> tuple[Hit, ...]:
        return ()


class Pupil(Deaf):
    """Remembers what it is taught; waits for a gate before, and fails on demand."""

    def __init__(
        self,
        *,
        learns: bool = True,
        gate: asyncio.Event | None = None,
        slow: asyncio.Event | None = None,
        fails: bool = False,
    ) -> None:
        super().__init__(gate)
        self.learns = learns
        self.learned: list[tuple[str, int]] = []
        self.callers: list[str] = []
        self._slow, self._fails = slow, fails

    async def learn(self, text: str, row: int, *, by: str = "") -> None:
        if self._slow is not None:
            await self._slow.wait()
        if self._fails:
            raise RuntimeError("cannot learn")
        self.learned.append((text, row))
        self.callers.append(by)


async def ready(selector: Deaf) -> Selection:
    selection = Selection(lambda: selector, ())
    await selection.ready()
    return selection


async def test_the_selector_is_made_and_prepared_once_for_all_that_wait() -> None:
    made: list[Deaf] = []

    def make() -> Deaf:
        made.append(Deaf())
        return made[-1]

    selection = Selection(make, ())
    assert made == []
    waiting = await asyncio.gather(selection.ready(), selection.ready())

    assert len(made) == 1
    assert waiting[0] is waiting[1]
    assert made[0].prepared == 1


async def test_who_gives_up_waiting_does_not_stop_the_preparation() -> None:
    gate = asyncio.Event()
    selector = Deaf(gate)
    selection = Selection(lambda: selector, ())
    waiting = asyncio.create_task(selection.ready())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    gate.set()

    await selection.ready()
    assert selector.prepared == 1


async def test_a_selector_is_taught_what_was_called_for_what() -> None:
    pupil = Pupil()
    selection = await ready(pupil)
    assert selection.learns
    selection.learn("a book", 3, by="ann")
    await selection.stop()

    assert pupil.learned == [("a book", 3)]


async def test_a_selector_gets_a_digest_of_the_caller_the_same_each_time() -> None:
    pupil = Pupil()
    selection = await ready(pupil)
    for caller in ("ann", "ann", "bob"):
        selection.learn("a book", 3, by=caller)
    await selection.stop()
    first, again, other = pupil.callers

    assert first == again != other
    assert "ann" not in first


@pytest.mark.parametrize("text", [None, ""])
async def test_a_call_that_nobody_said_anything_about_teaches_nothing(text: str | None) -> None:
    pupil = Pupil()
    selection = await ready(pupil)
    selection.learn(text, 3, by="ann")
    await selection.stop()

    assert pupil.learned == []


@pytest.mark.parametrize("make", [Deaf, lambda: Pupil(learns=False)], ids=["cannot", "does not"])
async def test_a_selector_that_does_not_learn_is_not_taught(make: Callable[[], Deaf]) -> None:
    selector = make()
    selection = await ready(selector)
    assert not selection.learns
    selection.learn("a book", 3, by="ann")
    await selection.stop()

    assert getattr(selector, "learned", []) == []


async def test_before_it_is_prepared_and_where_that_fails_a_selector_is_not_taught() -> None:
    gate = asyncio.Event()
    pupil = Pupil(gate=gate)
    selection = Selection(lambda: pupil, ())
    selection.learn("a book", 3, by="ann")
    selection.start()
    selection.learn("a book", 3, by="ann")
    assert not selection.learns
    gate.set()
    await selection.ready()
    assert selection.learns
    assert pupil.learned == []

    def broken() -> Pupil:
        raise RuntimeError("no selector")

    failed = Selection(broken, ())
    with pytest.raises(RuntimeError, match="no selector"):
        await failed.ready()
    assert not failed.learns
    failed.learn("a book", 3, by="ann")
    await failed.stop()


async def test_teaching_does_not_hold_up_a_call_and_what_waits_is_bounded() -> None:
    slow = asyncio.Event()
    pupil = Pupil(slow=slow)
    selection = await ready(pupil)
    for row in range(_LESSONS + 10):
        selection.learn("a book", row, by="ann")
    await asyncio.sleep(0)
    assert pupil.learned == []
    slow.set()
    await selection.stop()

    assert pupil.learned == [("a book", row) for row in range(_LESSONS)]


async def test_after_a_backlog_it_learns_again() -> None:
    pupil = Pupil()
    selection = await ready(pupil)
    for row in range(3 * _LESSONS):
        selection.learn("a book", row, by="ann")
        await asyncio.sleep(0)
    await selection.stop()

    assert len(pupil.learned) > 2 * _LESSONS


async def test_a_lesson_that_fails_is_logged_and_the_next_is_learned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failing = await ready(Pupil(fails=True))
    failing.learn("a book", 3, by="ann")
    await failing.stop()

    assert [record.message for record in caplog.records] == ["nothing learned from a call"]


async def test_stopping_while_preparing_gives_up() -> None:
    pupil = Pupil(gate=asyncio.Event())
    selection = Selection(lambda: pupil, ())
    selection.start()
    await asyncio.sleep(0)
    await asyncio.wait_for(selection.stop(), 5)

    assert pupil.prepared == 0
    assert not selection.learns
