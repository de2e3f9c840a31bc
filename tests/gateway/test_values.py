"""Counting the values of messages."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from scopedtools.gateway.values import Values, has_more_values

MESSAGE: Final[dict[str, Any]] = {"a": [1, [2, 3], {"b": 'x,"[{\\'}], "c": "\\", "d": ',,,"[[['}
COUNT: Final = 9


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_marks_in_strings_are_not_counted_however_the_message_is_cut(size: int) -> None:
    message, values = json.dumps(MESSAGE).encode(), Values()
    for start in range(0, len(message), size):
        values.feed(message[start : start + size])
    assert values.count == COUNT


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 1000])
def test_each_event_is_counted_for_itself(end: bytes, size: int) -> None:
    event = b'data: {"a": [1,' + end + b"data: 2]}" + end + end
    stream, values = b': "' + end + b"id: 1" + end + event * 50, Values(events=True)
    for start in range(0, len(stream), size):
        values.feed(stream[start : start + size])
    assert values.most == 3


def test_a_blank_line_in_one_message_hides_nothing() -> None:
    assert has_more_values(b"[1,\n\n2,\n\n3]", 2)
    assert not has_more_values(b"[1,\n\n2,\n\n3]", 3)
    assert not has_more_values(json.dumps(["," * 100]).encode(), 3)
