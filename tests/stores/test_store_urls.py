"""Stores by URL: what a URL sets, and what is said where it is wrong."""

from __future__ import annotations

import sys
import traceback

import pytest

from scopedtools.context.store import MemoryStore
from scopedtools.exceptions import DefinitionError, MissingDependencyError
from scopedtools.storage import ContextRecord
from scopedtools.stores import GuardedStore, open_store
from scopedtools.stores.urls import shown

pytestmark = pytest.mark.anyio


async def test_a_store_in_memory_takes_settings_from_its_url() -> None:
    store = open_store("memory://?max_contexts_per_principal=1&ttl_s=1e3&max_values=1&max_contexts=5")
    assert isinstance(store, MemoryStore)
    for key in (b"a" * 16 + b"1", b"a" * 16 + b"2"):
        await store.add(key, ContextRecord("v", ()))
    assert len(store) == 1
    assert await store.put_value(b"a", "x", b"")
    assert not await store.put_value(b"a", "y", b"")


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:1/0?ttl_s=5&max_contexts_per_principal=100&max_values=3&max_connections=2",
        "redis://user:p%40ss@localhost:1/0?timeout_s=0.5&failures=2&open_s=3&when_unavailable=refuse",
        "rediss://localhost:1?ssl_cert_reqs=none&max_copies=10&max_copies_bytes=1000",
        "unix:///run/redis.sock?db=1",
        "redis+cluster://one:1,two:2",
        "postgresql://user:secret@localhost:1/contexts?sslmode=require&ttl_s=5",
        "postgres://one:1,two:2/contexts?target_session_attrs=read-write",
    ],
)
async def test_an_engine_is_guarded_and_not_connected_to_before_it_is_needed(url: str) -> None:
    assert isinstance(open_store(url), GuardedStore)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "must begin with one of memory, redis"),
        ("redis", "must begin with one of memory, redis"),
        ("mysql://root:hunter2@db/x", r"got 'mysql://\*\*\*@db/x'"),
        ("redis://:hunter2@cache?tls=yes", r"no setting 'tls'; there are .*ttl_s"),
        ("redis://:hunter2@cache?ttl_s=soon", "ttl_s of a store must be a number, got 'soon'"),
        ("redis://:hunter2@cache?failures=1.5", "failures of a store must be a whole number, got '1.5'"),
        ("redis://:hunter2@cache?failures=0", "failures must be >= 1, got 0"),
        ("redis://:hunter2@cache?ttl_s=-1", "ttl_s must be"),
        ("redis://:hunter2@cache?when_unavailable=panic", "must be degrade or refuse, got 'panic'"),
        ("redis://:hunter2@cache:port", "scheme://user:password@host:port/path"),
        ("redis://:hunter2/x@cache", "%2F"),
        ("redis://:hunter2?x@cache", "%3F"),
        ("redis://:hunter2#x@cache", "%23"),
        ("postgresql://user:x@hunter2@db", "%40"),
        ("redis://[hunter2@cache", "scheme://user:password@host:port/path"),
        ("memory://somewhere", "memory:// has no address"),
        ("memory://?ttl_s=0", "ttl_s must be > 0, got 0.0"),
    ],
)
def test_a_url_that_is_wrong_says_what_and_never_the_password(url: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=said) as refusal:
        open_store(url)
    assert "hunter2" not in "".join(traceback.format_exception(refusal.value))


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("redis://cache", "redis", "redis"), ("postgresql://db", "psycopg", "postgres")],
)
def test_an_extra_that_is_missing_is_named(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.startswith((f"{module}.", "scopedtools.stores.redis", "scopedtools.stores.postgres")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf'pip install "scopedtools\[{extra}\]"'):
        open_store(url)


def test_what_is_shown_of_a_url_names_the_engine_and_nobody() -> None:
    assert shown("redis://user:secret@cache:6379/0?ttl_s=5") == "redis://***@cache:6379/0"
    assert shown("redis://cache") == "redis://cache"
