"""Files of requests: what is read, and what is said about those that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from scopedtools.evaluation.data import Ask, Query, QueryFileError, read_queries


def read(tmp_path: Path, *lines: str) -> list[Query]:
    path = tmp_path / "queries.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return list(read_queries(path))


def test_needs_are_the_called_rows_once_each_in_order(tmp_path: Path) -> None:
    (query,) = read(tmp_path, '{"id": "1", "query": "q", "relevant": ["b", "a", "b"], "kind": "multi"}')
    assert query == Query("1", (Ask("q", (("b",), ("a",)), ("b", "a", "b")),), kind="multi")


def test_alternatives_replace_the_needs_but_not_the_calls(tmp_path: Path) -> None:
    line = '{"id": "1", "query": "q", "relevant": ["a"], "any_of": [["a", "b"], []]}'
    assert read(tmp_path, line)[0].asks[0] == Ask("q", (("a", "b"),), ("a",))


def test_turns_may_have_alternatives_replies_and_no_calls(tmp_path: Path) -> None:
    turns = '[{"query": "x", "any_of": [["a", "b"]], "relevant": ["a"], "reply": "r"}, {"query": "y"}]'
    (query,) = read(tmp_path, "", f'{{"id": "1", "turns": {turns}, "part": "p", "other": [1]}}', "")
    assert query == Query("1", (Ask("x", (("a", "b"),), ("a",), "r"), Ask("y", ())), dialogue=True, part="p")


def test_a_null_is_a_field_that_is_not_given(tmp_path: Path) -> None:
    line = '{"id": "1", "turns": [{"query": "x", "reply": null, "relevant": null}], "kind": null}'
    assert read(tmp_path, line) == [Query("1", (Ask("x", ()),), dialogue=True)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: Input data was truncated"),
        ('{"id": 1, "query": "q"}', "line 2: Expected `str`, got `int`"),
        ('{"query": "q"}', "line 2: Object missing required field `id`"),
        ('{"id": "2"}', "line 2: neither query nor turns"),
        ('{"id": "2", "turns": [{}]}', "line 2: Object missing required field `query`"),
        ('{"id": "1", "query": "q"}', "line 2: '1' is also in line 1"),
        ('{"id": "2", "query": "\\ud800"}', "line 2: "),
        ("[" * 100_000, "line 2: "),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(QueryFileError) as error:
        read(tmp_path, '{"id": "1", "query": "q"}', line)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [b"not gzip", b"\x1f\x8b\x08\x00", b""])
def test_a_broken_archive_is_an_error_of_the_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "queries.jsonl.gz"
    path.write_bytes(data)
    if not data:
        assert list(read_queries(path)) == []
        return
    with pytest.raises(QueryFileError, match="cannot read"):
        list(read_queries(path))


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_bytes(b'{"id": "\xff", "query": "q"}')
    with pytest.raises(QueryFileError, match="line 1"):
        list(read_queries(path))
