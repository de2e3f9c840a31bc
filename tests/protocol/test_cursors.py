from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedtools.exceptions import InvalidParamsError
from scopedtools.protocol.cursor import decode_cursor, encode_cursor


@given(st.binary(min_size=1, max_size=32), st.integers(min_value=0, max_value=10**12 - 1))
def test_a_cursor_leads_back_to_its_offset(digest: bytes, offset: int) -> None:
    assert decode_cursor(encode_cursor(digest.hex(), offset), digest.hex()) == offset


@given(st.text())
def test_a_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidParamsError):
        decode_cursor(text, "00")


def test_a_cursor_of_another_revision_is_refused() -> None:
    with pytest.raises(InvalidParamsError, match="has changed"):
        decode_cursor(encode_cursor("ab", 1), "cd")
