"""What fuzzing found once stays right, and each target takes its seeds and some changes of them.

``make fuzz`` looks further, led by coverage.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator

import pytest

from tests.fuzz.changes import changed
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

SLOW = {"stdio": 20, "request": 100, "upstream": 60}
CHANGES = 300

pytestmark = pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    """Hostile input is logged; thousands of such lines would hide everything else."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_what_was_found_once_is_right_now(target: Target) -> None:
    for path in target.found:
        target.run(path.read_bytes())


def test_seeds_and_changes_of_them_break_nothing(target: Target) -> None:
    rng = random.Random(target.name)
    count = SLOW.get(target.name, CHANGES)
    for seed in rng.sample(target.seeds, min(count, len(target.seeds))):
        target.run(seed)
    for _ in range(count):
        target.run(changed(rng.choice(target.seeds), target.words, target.max_bytes, rng))
