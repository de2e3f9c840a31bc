"""What is remembered, for how long, and by what."""

from __future__ import annotations

import weakref

from scopedtools.memo import Memo, MemoOf


class Thing:
    """Equal to every other."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing)

    def __hash__(self) -> int:
        return 1


def test_what_was_made_once_is_not_worth_remembering_and_what_was_made_twice_is() -> None:
    memo: Memo[str] = Memo(max_items=8)
    assert [memo.admits("a"), memo.admits("a")] == [False, True]


def test_keys_that_come_by_turns_beyond_the_room_are_mostly_not_admitted() -> None:
    memo: Memo[int] = Memo(max_items=8)
    admitted = [memo.admits(number) for _ in range(4) for number in range(800)]
    assert not any(admitted)


def test_the_first_remembered_goes_first() -> None:
    memo: Memo[int] = Memo(max_items=2)
    for number in range(3):
        memo.put(number, number)
    assert [memo.get(number) for number in range(3)] == [None, 1, 2]


def test_values_stay_within_their_bytes_and_one_that_is_larger_is_not_kept() -> None:
    memo: Memo[int] = Memo(max_items=9, max_bytes=10)
    memo.put("a", 1, size_bytes=6)
    memo.put("b", 2, size_bytes=5)
    assert memo.put("c", 3, size_bytes=11) == 3
    assert [memo.get(key) for key in "abc"] == [None, 2, None]
    memo.put("b", 4, size_bytes=10)
    assert memo.get("b") == 4


def test_an_equal_object_is_another_one() -> None:
    memo: MemoOf[str] = MemoOf(max_items=8)
    one, other = Thing(), Thing()
    memo.put("made of one", one)
    assert (memo.get(one), memo.get(other)) == ("made of one", None)


def test_what_a_value_was_made_of_lives_as_long_as_it_is_remembered() -> None:
    memo: MemoOf[str] = MemoOf(max_items=1)
    one = Thing()
    alive = weakref.ref(one)
    memo.put("made of one", one)
    del one
    assert alive() is not None
    memo.put("made of another", Thing())
    assert alive() is None
