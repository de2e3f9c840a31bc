from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.fleet import Fleet, running


@pytest.fixture(scope="package")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet
