"""What servers get wrong about their lists never shows one unit what is another's, and never for ever."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scopedtools.client import ContextCache, UnitOfWork, connect
from scopedtools.protocol import meta
from tests.client.naive import naive, tools
from tests.client.workplace import UNIT, Clock, conditions, hosted, listed

pytestmark = pytest.mark.anyio

DAY_S = 24 * 3600


def saying(ttl: Any, **view: Any) -> dict[str, Any]:
    """Return a list that says something of how long it may be kept."""
    return tools("a", ttlMs=ttl, _meta={meta.VIEW: view}) if view else tools("a", ttlMs=ttl)


@pytest.mark.parametrize(
    ("said", "kept_s"),
    [
        ("NaN", 0),
        ("-1", 0),
        ("-Infinity", 0),
        ("true", 0),
        ('"60000"', 0),
        ("null", 0),
        ("[60000]", 0),
        ("0.5", 0.0005),
        ("1e308", DAY_S),
        ("Infinity", DAY_S),
        ("1" + "0" * 400, DAY_S),
    ],
)
@pytest.mark.parametrize("in_view", [True, False])
async def test_no_time_that_a_server_promises_is_longer_than_a_day(
    said: str, kept_s: float, *, in_view: bool
) -> None:
    clock = Clock()
    ttl = msgspec.Raw(said.encode())
    answer = saying(60_000, revision="r", ttlMs=ttl) if in_view else saying(ttl)
    app = naive(tools_list=lambda *_: answer)
    async with hosted(app) as wire, connect(wire.url, UNIT, cache=ContextCache(clock=clock)) as client:
        assert await listed(client) == ["a"]
        if kept_s:
            clock.now_s += kept_s * 0.999
            assert await listed(client) == ["a"]
            assert wire.lists() == 1
            clock.now_s += kept_s * 0.001
        assert await listed(client) == ["a"]
        assert wire.lists() == 2


@pytest.mark.parametrize("scope", ["context", "public", "private", "galaxy", "", None, 1, {"of": []}])
async def test_whatever_scope_a_server_names_each_unit_gets_the_list_that_it_was_sent(scope: Any) -> None:
    app = naive(tools_list=lambda context, _: tools(f"for-{context}", cacheScope=scope))
    async with hosted(app) as wire, connect(wire.url) as client:
        for _ in range(2):
            for name in ("a", "b"):
                with UnitOfWork(id=name).active():
                    assert await listed(client) == [f"for-{name}"]
        assert wire.lists() == 2


async def test_a_list_that_is_said_to_be_the_same_though_nobody_asked_is_not_kept() -> None:
    view = {"revision": "r", "ttlMs": 60_000, "notModified": True}
    answers = iter([tools(_meta={meta.VIEW: view}), tools("a")])
    app = naive(tools_list=lambda *_: next(answers))
    async with hosted(app) as wire, connect(wire.url, UNIT) as client:
        assert [await listed(client), await listed(client)] == [[], ["a"]]
        assert conditions(wire) == [None, None]


async def test_a_list_that_is_the_same_as_one_which_was_not_asked_about_is_asked_for_again() -> None:
    def answer(_: str | None, params: dict[str, Any]) -> dict[str, Any]:
        if meta.IF_REVISION in params["_meta"]:
            said = {"revision": "another", "ttlMs": 60_000, "notModified": True}
            return tools(_meta={meta.VIEW: said})
        return tools("a", ttl_ms=0, _meta={meta.VIEW: {"revision": "r"}})

    async with hosted(naive(tools_list=answer)) as wire, connect(wire.url, UNIT) as client:
        assert [await listed(client) for _ in range(3)] == [["a"]] * 3
        assert conditions(wire) == [None, "r", "r"]


@pytest.mark.parametrize("view", [None, 7, [], "r", {"revision": 7, "ttlMs": 60_000}, {"notModified": 1}])
async def test_a_view_of_another_form_is_not_taken_for_one(view: Any) -> None:
    app = naive(tools_list=lambda *_: tools("a", ttl_ms=0, _meta={meta.VIEW: view}))
    async with hosted(app) as wire, connect(wire.url, UNIT) as client:
        assert [await listed(client) for _ in range(2)] == [["a"]] * 2
    assert conditions(wire)[:1] == [None]
