"""Stores of every kind, behind engines that are started once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from typing import Any, Final

import pytest

from scopedtools.context.store import MemoryStore
from scopedtools.storage import ContextStore
from scopedtools.stores import GuardedStore
from tests.stores.running import postgres_server, redis_cluster, redis_server, valkey_server

ENGINES: Final[Mapping[str, Callable[[], AbstractAsyncContextManager[Any]]]] = {
    "redis": redis_server,
    "valkey": valkey_server,
    "cluster": redis_cluster,
    "postgresql": postgres_server,
}

TIMEOUT_S: Final = 10
"""Tests share a busy machine; only those about slow engines need a short time."""


class Kind:
    """A kind of store that tests make stores of.

    Attributes:
        name: ``memory``, one of `ENGINES`, or one of those with ``guarded``.
        engine: What runs, or ``None`` in memory.
    """

    def __init__(self, name: str, engine: Any = None) -> None:
        self.name = name
        self.engine = engine
        self._namespace = f"test{secrets.token_hex(4)}"

    @property
    def speaks_redis(self) -> bool:
        return self.name.split()[0] in {"redis", "valkey", "cluster"}

    def store(self, *, quota: int | None = None, **options: Any) -> Any:
        """Make a store; those of one test are as those of several processes.

        Args:
            quota: Most contexts of a principal whose keys go on with the same byte.
            options: Of the store.
        """
        if self.engine is None:
            return MemoryStore(**options)
        store = self._opened(quota, {"timeout_s": TIMEOUT_S, "namespace": self._namespace, **options})
        return GuardedStore(store, timeout_s=TIMEOUT_S) if "guarded" in self.name else store

    def _opened(self, quota: int | None, options: dict[str, Any]) -> ContextStore:
        if self.speaks_redis:
            from scopedtools.stores.redis import PORTIONS, RedisStore

            if quota is not None:
                options["max_contexts_per_principal"] = quota * PORTIONS
            return RedisStore(self.engine.url, **options)
        from scopedtools.stores.postgres import PostgresStore

        if quota is not None:
            options["max_contexts_per_principal"] = quota
        return PostgresStore(self.engine.url, **{"touch_s": 0, **options})


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[[str], Any]]:
    """Start engines, each when it is asked for first."""
    running: dict[str, Any] = {}
    with ExitStack() as stack:

        def start(name: str) -> Any:
            if name not in running:
                running[name] = stack.enter_context(_held(ENGINES[name]()))
            return running[name]

        yield start


@pytest.fixture(params=["memory", *ENGINES, "redis guarded", "postgresql guarded"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return each kind of store."""
    return _kind(request)


@pytest.fixture(params=[*ENGINES, "redis guarded"])
def shared(request: pytest.FixtureRequest) -> Kind:
    """Return each kind of store that several processes share."""
    return _kind(request)


@pytest.fixture(params=["redis", "valkey", "cluster"])
def scripted(request: pytest.FixtureRequest) -> Kind:
    """Return each kind of store that speaks Redis."""
    return _kind(request)


def _kind(request: pytest.FixtureRequest) -> Kind:
    name: str = request.param
    if name == "memory":
        return Kind(name)
    return Kind(name, request.getfixturevalue("started")(name.split(maxsplit=1)[0]))


@contextmanager
def _held(manager: AbstractAsyncContextManager[Any]) -> Iterator[Any]:
    with asyncio.Runner() as runner:
        entered = runner.run(manager.__aenter__())
        try:
            yield entered
        finally:
            runner.run(manager.__aexit__(None, None, None))
