import os
import subprocess
import sys

import numpy as np
import pytest

from scopedtools.retrieval.hashing import HashingEncoder


def test_vectors_have_unit_length_even_without_words() -> None:
    vectors = HashingEncoder(32).encode_documents(["find books", "", "?!", "a"])

    assert vectors.shape == (4, 32)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0)


def test_related_words_are_nearer_than_others() -> None:
    query, near, far = HashingEncoder().encode_queries(["find a book", "finding books", "weather forecast"])

    assert query @ near > query @ far


def test_vectors_are_equal_under_any_hash_seed() -> None:
    code = (
        "from scopedtools.retrieval.hashing import HashingEncoder as E;"
        "print(E().encode_queries(['find books']).tobytes().hex())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(seen) == 1


def test_a_length_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="dimensions must be >= 1, got 0"):
        HashingEncoder(0)
