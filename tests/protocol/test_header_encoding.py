"""Header values: any text survives, and the official client and this server mean the same by it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mcp.shared.inbound import decode_header_value, encode_header_value

from scopedtools.exceptions import HeaderMismatchError
from scopedtools.protocol.mirrors import decode_value, encode_value

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
@example("")
@example(" padded ")
@example("line1\nline2")
@example("=?base64?literal?=")
@example("=?base64?")
@example("\x7f")
@example("tab\tinside")
def test_any_text_survives_encoding(text: str) -> None:
    encoded = encode_value(text)
    assert encoded.isascii()
    assert encoded.isprintable()
    assert decode_value(encoded) == text
    assert decode_header_value(encoded) == text


@given(TEXTS)
def test_what_the_official_client_encodes_is_decoded(text: str) -> None:
    assert decode_value(encode_header_value(text)) == text


@given(st.text(st.sampled_from("=?base64ZmluZA+/ ")) | TEXTS)
@example("=?base64?ZmluZB==?=")
@example("=?base64?ZmluZA?=")
def test_a_value_is_never_read_otherwise_than_the_official_server_reads_it(value: str) -> None:
    try:
        decoded = decode_value(value)
    except HeaderMismatchError:
        return
    assert decoded == decode_header_value(value)


@pytest.mark.parametrize(
    ("plain", "encoded"),
    [
        ("us-west1", "us-west1"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    ],
)
def test_the_examples_of_the_specification_hold(plain: str, encoded: str) -> None:
    assert encode_value(plain) == encoded
    assert decode_value(encoded) == plain
