import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools.exceptions import IndexMismatchError
from scopedtools.retrieval.hashing import HashingEncoder
from scopedtools.retrieval.uses import MAX_TERMS, Uses

ENCODER = ("hashing", "1-64")


def record(uses: Uses, name: str, *texts: str, by: str = "") -> Uses:
    for text in texts:
        uses.record(name, text, HashingEncoder(64).encode_queries([text])[0], by=by)
    return uses


def kept(uses: Uses) -> dict[str, list[str]]:
    return {
        name: [" ".join(terms) for terms in row.terms] for name, row in sorted(uses.rows().items()) if row.by
    }


def numbered(n: int) -> list[str]:
    return [f"word{i:03}" for i in range(n)]


def test_a_use_keeps_the_vector_and_the_terms_of_its_request_but_not_the_request() -> None:
    text = "Order the orders for Alice"
    row = record(Uses(ENCODER), "order_book", text).rows()["order_book"]

    assert np.abs(row.vectors[0] - HashingEncoder(64).encode_queries([text])[0]).max() < 1e-3
    assert row.terms == (("order", "alic"),)


def test_a_row_keeps_its_latest_uses() -> None:
    uses = record(Uses(ENCODER, per_row=3), "a", *numbered(5))

    assert kept(uses) == {"a": numbered(5)[2:]}
    assert len(uses) == 3


def test_one_caller_cannot_fill_a_row() -> None:
    uses = record(Uses(ENCODER, per_row=8, per_caller=2), "a", "mine one", "mine two", by="honest")
    record(uses, "a", *numbered(50), by="hostile")

    assert uses.rows()["a"].by == ("honest", "honest", "hostile", "hostile")
    assert kept(uses)["a"][-2:] == numbered(50)[-2:]


def test_calls_without_a_caller_are_bounded_by_the_row_alone() -> None:
    assert len(record(Uses(ENCODER, per_row=8, per_caller=2), "a", *numbered(9))) == 8


def test_the_row_that_was_not_used_for_longest_loses_its_oldest_first() -> None:
    uses = Uses(ENCODER, total=4)
    record(uses, "a", "alpha", "beta")
    record(uses, "b", "gamma", "delta")
    record(uses, "a", "epsilon")
    assert kept(uses) == {"a": ["alpha", "beta", "epsilon"], "b": ["delta"]}

    record(uses, "c", "zeta", "eta")
    assert kept(uses) == {"a": ["beta", "epsilon"], "c": ["zeta", "eta"]}
    assert len(uses) == 4


def test_a_long_request_leaves_a_bounded_number_of_terms() -> None:
    row = record(Uses(ENCODER), "a", " ".join(numbered(500))).rows()["a"]

    assert len(row.terms[0]) == MAX_TERMS


@pytest.mark.parametrize("bound", ["per_row", "per_caller", "total"])
def test_a_bound_below_one_is_refused(bound: str) -> None:
    with pytest.raises(ValueError, match="must be >= 1"):
        Uses(ENCODER, **{bound: 0})


@pytest.mark.parametrize("vector", [np.ones(3, np.float32), np.full(64, np.nan, np.float32)])
def test_a_vector_that_does_not_fit_is_refused_and_changes_nothing(vector: np.ndarray) -> None:
    uses = record(Uses(ENCODER), "a", "alpha")

    with pytest.raises(ValueError, match="64 finite numbers"):
        uses.record("b", "beta", vector)
    assert kept(uses) == {"a": ["alpha"]}
    assert uses.changes == 1


def test_what_is_forgotten_is_gone() -> None:
    def uses() -> Uses:
        made = record(record(Uses(ENCODER), "a", "alpha", by="x"), "a", "beta", by="y")
        return record(made, "b", "gamma", by="x")

    one_row, one_caller, both, everything = uses(), uses(), uses(), uses()
    one_row.forget("a")
    one_caller.forget(by="x")
    both.forget("a", by="x")
    everything.forget()

    assert kept(one_row) == {"b": ["gamma"]}
    assert kept(one_caller) == {"a": ["beta"]}
    assert kept(both) == {"a": ["beta"], "b": ["gamma"]}
    assert kept(everything) == {}
    assert [len(one_row), len(one_caller), len(both), len(everything)] == [1, 1, 2, 0]


def test_forgetting_a_row_that_was_never_used_does_nothing() -> None:
    uses = record(Uses(ENCODER), "a", "alpha")
    uses.forget("b")

    assert kept(uses) == {"a": ["alpha"]}


def test_every_change_is_counted() -> None:
    uses = record(Uses(ENCODER), "a", "alpha", "beta")
    before = uses.changes
    uses.forget("a")

    assert uses.changes == before + 1 == 3


def test_rows_are_a_snapshot() -> None:
    uses = record(Uses(ENCODER), "a", "alpha")
    before = uses.rows()
    record(uses, "a", "beta")

    assert len(before["a"].by) == 1
    assert len(uses.rows()["a"].by) == 2


def test_restored_uses_are_those_that_were_saved_in_the_same_order(tmp_path: Path) -> None:
    uses = record(record(Uses(ENCODER, total=3), "b", "alpha", by="x"), "a", "beta", "gamma")
    uses.save(tmp_path / "new" / "uses.bin")
    restored = Uses(ENCODER, total=3)
    restored.restore(tmp_path / "new" / "uses.bin")

    assert list(restored.rows()) == list(uses.rows()) == ["b", "a"]
    for name, row in uses.rows().items():
        assert restored.rows()[name].vectors.tobytes() == row.vectors.tobytes()
        assert restored.rows()[name][1:] == row[1:]
    # The same row is the next to lose a use.
    assert kept(record(restored, "c", "delta")) == kept(record(uses, "c", "delta"))


def test_restoring_keeps_to_the_bounds(tmp_path: Path) -> None:
    record(record(Uses(ENCODER), "a", *numbered(9), by="x"), "b", *numbered(9)).save(tmp_path / "uses")
    small = Uses(ENCODER, per_row=4, per_caller=2, total=5)
    small.restore(tmp_path / "uses")

    assert kept(small) == {"a": numbered(9)[-1:], "b": numbered(9)[-4:]}


def test_a_restored_row_takes_further_uses(tmp_path: Path) -> None:
    record(Uses(ENCODER), "a", "alpha").save(tmp_path / "uses")
    uses = Uses(ENCODER)
    uses.restore(tmp_path / "uses")

    assert kept(record(uses, "a", "beta")) == {"a": ["alpha", "beta"]}


def test_vectors_of_another_encoder_are_refused_and_what_is_there_stays(tmp_path: Path) -> None:
    record(Uses(ENCODER), "a", "alpha").save(tmp_path / "uses")
    other = record(Uses(("other", "2")), "b", "beta")

    with pytest.raises(IndexMismatchError, match="must be of encoder"):
        other.restore(tmp_path / "uses")
    assert kept(other) == {"b": ["beta"]}


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "uses"
    record(Uses(ENCODER), "a", "alpha").save(path)
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-5] ^= 1
    damaged = {"flip": bytes(data), "cut": bytes(data[:-5]), "empty": b"", "other": b'{"uses": []}'}
    path.write_bytes(damaged[damage])

    with pytest.raises(IndexMismatchError, match="damaged or other file"):
        Uses(ENCODER).restore(path)


def test_a_missing_file_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Uses(ENCODER).restore(tmp_path / "uses")


def test_only_the_owner_can_read_a_saved_file_and_nothing_else_is_left(tmp_path: Path) -> None:
    uses = record(Uses(ENCODER), "a", "alpha")
    uses.save(tmp_path / "uses")
    record(uses, "a", "beta").save(tmp_path / "uses")

    assert [path.name for path in tmp_path.iterdir()] == ["uses"]
    assert stat.S_IMODE((tmp_path / "uses").stat().st_mode) == 0o600


@pytest.mark.slow
def test_a_process_that_is_killed_while_saving_leaves_a_file_that_can_be_restored(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, numpy as np\n"
        "from scopedtools.retrieval.uses import Uses\n"
        f"uses = Uses({ENCODER!r})\n"
        "for i in range(2000):\n"
        "    uses.record(f'row {i}', f'word{i}', np.eye(64, dtype=np.float32)[i % 64])\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "uses.save(path)\n"
        "print('saved', flush=True)\n"
        "while True:\n"
        "    uses.save(path)\n"
    )
    path = tmp_path / "uses"
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"saved\n"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        uses = Uses(ENCODER)
        uses.restore(path)
        assert len(uses) == 2000


def test_parallel_calls_lose_nothing_and_keep_to_the_bounds() -> None:
    uses = Uses(ENCODER, per_row=1000, total=10_000)
    vector = np.eye(64, dtype=np.float32)[0]

    def work(who: int) -> None:
        for i in range(200):
            uses.record(f"row {i % 7}", f"word{who} word{i}", vector)
            assert all(len(row.by) == len(row.terms) == len(row.vectors) for row in uses.rows().values())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))

    assert len(uses) == sum(len(row.by) for row in uses.rows().values()) == 1600
    assert uses.changes == 1600


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(("", "x", "y")), st.booleans()), max_size=60),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 12),
)
def test_bounds_hold_whatever_happens(
    steps: list[tuple[str, str, bool]], per_row: int, per_caller: int, total: int
) -> None:
    uses = Uses(ENCODER, per_row=per_row, per_caller=per_caller, total=total)
    vector = np.eye(64, dtype=np.float32)[0]
    for name, by, forgets in steps:
        if forgets:
            uses.forget(name, by=by)
        else:
            uses.record(name, "word", vector, by=by)
        rows = uses.rows()
        assert len(uses) == sum(len(row.by) for row in rows.values()) <= total
        for row in rows.values():
            assert 1 <= len(row.by) <= per_row
            assert all(row.by.count(who) <= per_caller for who in row.by if who)
        if not forgets:
            assert rows[name].by[-1] == by
