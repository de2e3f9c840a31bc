"""What the default redaction masks, and what it leaves."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedtools.audit import mask_secrets
from scopedtools.audit.redaction import MASK

SECRETS = [
    "password",
    "Password",
    "user_password",
    "passphrase",
    "token",
    "accessToken",
    "X-Auth-Token",
    "client_secret",
    "apiKey",
    "API_KEY",
    "x-api-key",
    "Authorization",
    "proxy-authorization",
    "Cookie",
    "set-cookie",
    "private_key",
    "credentials",
    "pin",
]

PLAIN = ["title", "parcel", "name", "keyboard", "monkey", "author", "spinning", "query", "address"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("key", SECRETS)
@pytest.mark.parametrize("value", ["hunter2", 1234, ["hunter2"], {"is": "hunter2"}])
def test_a_value_under_the_key_of_a_secret_is_masked(key: str, value: Any) -> None:
    assert mask_secrets("", {"deep": [{"down": {key: value}}]}) == {"deep": [{"down": {key: MASK}}]}


@pytest.mark.parametrize("key", PLAIN)
def test_a_value_under_another_key_is_left(key: str) -> None:
    assert mask_secrets("", {key: "said"}) == {key: "said"}


@pytest.mark.parametrize("named", ["name", "key"])
def test_a_value_beside_the_name_of_a_secret_is_masked(named: str) -> None:
    headers = [{named: "Authorization", "value": "Bearer hunter2"}, {named: "Accept", "value": "text/html"}]
    values = [one["value"] for one in mask_secrets("", {"headers": headers})["headers"]]
    assert values == [MASK, "text/html"]


@given(JSON)
def test_a_secret_in_text_that_is_json_is_masked(other: Any) -> None:
    text = msgspec.json.encode({"token": "hunter2", "other": other}).decode()
    masked = mask_secrets("", {"content": [{"type": "text", "text": text}]})
    assert "hunter2" not in str(masked)


def test_what_is_large_is_cut() -> None:
    masked = mask_secrets(
        "", {"text": "x" * 5000, "rows": list(range(500)), **{f"k{n}": n for n in range(200)}}
    )
    assert masked["text"] == "x" * 1000 + "… (5000 characters)"
    assert masked["rows"] == [*range(100), "… (500 items)"]
    assert masked["…"] == "(202 members)"
    assert len(masked) == 101


def test_what_is_deep_is_left_out() -> None:
    value: Any = {"password": "hunter2"}
    for _ in range(3000):
        value = [value]
    assert "hunter2" not in str(mask_secrets("", value))


@given(JSON)
def test_what_is_given_is_not_changed(value: Any) -> None:
    before = msgspec.json.encode(value)
    mask_secrets("", value)
    assert msgspec.json.encode(value) == before
