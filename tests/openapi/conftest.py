from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.openapi.recorded import STAGE


@pytest.fixture(scope="package", autouse=True)
async def stage(anyio_backend: str) -> AsyncIterator[None]:
    async with STAGE.opened():
        yield
