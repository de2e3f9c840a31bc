"""A connection that fails at the moment at which it is to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from scopedtools.gateway import Gateway
from tests.gateway.fronted import configured, stdio

pytestmark = pytest.mark.anyio


async def test_a_failure_that_hides_the_end_does_not_hold_up_the_gateway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connecting = asyncio.Event()

    @asynccontextmanager
    async def failing(*_: Any, **__: Any) -> AsyncIterator[None]:
        connecting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            raise ConnectionError("it broke just then") from error
        yield

    monkeypatch.setattr("scopedtools.gateway.upstream.connect", failing)
    running = Gateway(configured({"up": stdio()})).running()

    async def start() -> None:
        async with running:
            raise AssertionError

    starting = asyncio.create_task(start())
    async with asyncio.timeout(10):
        await connecting.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
