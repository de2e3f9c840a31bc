from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.extract import schemas_in
from tests.contract.fetch import bundle
from tests.contract.judge import REVISIONS, Judges
from tests.contract.recorder import Recorder


@pytest.fixture(scope="session")
def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each revision."""
    found = schemas_in(bundle())
    assert sorted(found) == sorted(REVISIONS)
    return found


@pytest.fixture(scope="session")
def judges(schemas: dict[str, dict[str, Any]]) -> Judges:
    return Judges(schemas)


@pytest.fixture
def recorder(judges: Judges) -> Iterator[Recorder]:
    """Judges what passes; whatever was wrong fails the test at its end."""
    recorder = Recorder(judges)
    yield recorder
    assert not recorder.problems, "\n\n".join(dict.fromkeys(recorder.problems))
