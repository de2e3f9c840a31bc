from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.index import data
from benchmarks.index.__main__ import main
from benchmarks.index.engines import ENGINES, EXACT, OURS
from benchmarks.index.results import Results


@pytest.mark.slow
def test_every_index_is_measured_and_reported(tmp_path: Path) -> None:
    arguments = ["--made-up", "--quick", "--sizes", "400,900", "--scratch", str(tmp_path / "scratch")]

    assert main([*arguments, "--out", str(tmp_path)]) == 0

    results = msgspec.json.decode((tmp_path / "index.json").read_bytes(), type=Results)
    report = (tmp_path / "index.md").read_text()
    assert {(one.engine, one.rows) for one in results.built} == {(n, s) for n in ENGINES for s in (400, 900)}
    assert all(one.bytes_per_row > 384 and one.build_s >= 0 for one in results.built)
    assert {one.permitted for one in results.searched} == {*data.SHARES}
    # Equal descriptions stand in for each other.
    assert all(one.recall_20 >= 0.99 for one in results.searched if one.engine in {EXACT, OURS})
    assert all(f"| {name} |" in report for name in ENGINES)
    # A second run measures nothing again.
    assert main([*arguments, "--out", str(tmp_path / "again")]) == 0
    again = msgspec.json.decode((tmp_path / "again" / "index.json").read_bytes(), type=Results)
    assert again.searched == results.searched


def test_copies_are_as_near_to_their_descriptions_as_said(tmp_path: Path) -> None:
    known = data.made_up()
    n = len(known.descriptions)

    made = data.make(known, 2 * n + 10, 20, tmp_path)

    for start in (n, 2 * n):
        copies = made.vectors[start : start + n]
        cosines = np.einsum("nd,nd->n", copies, known.descriptions[: len(copies)])
        assert np.allclose(cosines, data.LIKENESS, atol=1e-3)
        assert np.allclose(np.linalg.norm(copies, axis=1), 1, atol=1e-5)
    assert np.array_equal(made.vectors[:n], known.descriptions)


def test_what_is_nearest_is_known(tmp_path: Path) -> None:
    made = data.make(data.made_up(), 5_000, 20, tmp_path)

    for share in data.SHARES:
        rows = np.flatnonzero(made.permitted(share))
        scores = made.queries @ made.vectors[rows].T
        best = rows[np.argsort(-scores, axis=1, kind="stable")]
        assert [{*one[:20]} for one in made.truth[share]] == [{*one[:20]} for one in best]
        assert made.truth[share].shape[1] == min(data.DEPTH, len(rows))
