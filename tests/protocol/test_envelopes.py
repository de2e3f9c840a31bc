from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from scopedtools.exceptions import InvalidParamsError, InvalidRequestError, ParseError, ProtocolError
from scopedtools.protocol.envelope import decode, failure, id_of

IDS = st.integers() | st.text(st.characters(exclude_categories=["Cs"]))


@given(IDS)
def test_an_id_comes_back_as_it_was_sent(message_id: int | str) -> None:
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": message_id, "method": "ping"})
    message = decode(body)
    assert message.id is not UNSET
    reply = failure(message.id, InvalidParamsError("no"))
    assert msgspec.json.decode(reply.body)["id"] == message_id
    assert id_of(body) == message_id


@given(st.binary(max_size=100))
def test_any_bytes_are_a_message_or_a_protocol_error(body: bytes) -> None:
    try:
        decode(body)
    except ProtocolError as error:
        assert error.code in {ParseError.code, InvalidRequestError.code}  # noqa: PT017 - either will do
    id_of(body)


@pytest.mark.parametrize("data", [None, {"uri": "a"}, [1], "text"])
def test_an_error_has_data_only_where_there_is_some(data: object) -> None:
    error = msgspec.json.decode(failure(UNSET, InvalidParamsError("no", data=data)).body)["error"]
    assert error == {"code": -32602, "message": "no"} | ({} if data is None else {"data": data})


def test_an_error_without_a_known_id_has_none() -> None:
    assert "id" not in msgspec.json.decode(failure(UNSET, ParseError("no")).body)


def test_parameters_stay_as_they_were_sent() -> None:
    message = decode(b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":1.0,  "b":[ ]}}')
    assert message.params is not UNSET
    assert bytes(message.params) == b'{"a":1.0,  "b":[ ]}'
