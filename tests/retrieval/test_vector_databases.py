"""Servers whose vectors are in PostgreSQL: what is listed, who encodes, and what happens without it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from scopedtools import Catalog, Context, ScopedServer, View, ViewSettings
from scopedtools.catalog.primitives import Tool
from scopedtools.exceptions import DefinitionError
from scopedtools.retrieval import HashingEncoder, HybridSelector
from scopedtools.retrieval.databases import open_vectors
from scopedtools.retrieval.databases.pgvectors import PgVectors
from scopedtools.testing import Client
from tests.retrieval.rows import SHOP, CountingEncoder, Row

pytestmark = pytest.mark.anyio

VERBS = ("find", "create", "cancel", "send", "update", "archive", "price", "share", "export", "print")
NOUNS = ("invoice", "hotel", "flight", "parcel", "contract", "meeting", "photo", "ticket", "garden", "song")
PLACES = ("in Oslo", "for a customer", "of last year")
INTENTS = (
    "create an invoice for a customer and send it",
    "cancel the hotel in Oslo, then find a flight",
    "print photos of last year",
    "what is the price of a ticket",
    "share my songs",
    "quantum chromodynamics",
)
OTHERS = tuple(Row(f"{verb}_{noun}", f"{verb} one {noun}.") for verb in VERBS for noun in NOUNS)
ROWS = (*SHOP, *OTHERS, *(Row(f"{one.name}_again", f"Again, {one.description}") for one in OTHERS))
"""More than a search looks at in any case."""

CANCEL = "cancel order: Cancel an order that has not been sent."
NEW = Row("paint_wall", "Paint a wall in any colour.")


def goods() -> Catalog:
    """Three hundred tools, some with requests that they serve."""
    return Catalog(
        Tool(
            name=f"{verb}_{noun}_{place}",
            description=f"{verb} one {noun} {PLACES[place]}.",
            input_schema={"type": "object", "properties": {"name": {"type": "string"}}},
            tags=frozenset({verb}),
            examples=(f"please {verb} my {noun}", f"{noun} {PLACES[place]}") if place else (),
        )
        for place in range(3)
        for verb in VERBS
        for noun in NOUNS
    )


class Market(ScopedServer):
    """Shows each context what it may use."""

    def __init__(self, selector: HybridSelector, *, only: str = "") -> None:
        super().__init__(selector=selector, catalog=goods(), views=ViewSettings(whole_rows=5))
        self._only = only

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows.tagged(self._only) if self._only else rows


@contextmanager
def kept_in(url: str, **options: Any) -> Iterator[PgVectors]:
    vectors = PgVectors(url, **options)
    try:
        yield vectors
    finally:
        vectors.close()


async def until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - of a thread that has no event to wait for
            await asyncio.sleep(0.02)


def searches_vectors(selector: HybridSelector) -> bool:
    return selector.index is not None and selector.index.vectors is not None


async def best(selector: HybridSelector, text: str) -> tuple[int, bool]:
    """Return the best row, and whether vectors found it too."""
    hit = (await selector.search(text, within=(1 << 300) - 1, limit=1)).hits[0]
    return hit.row, hit.vector > 0


def children_of(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


async def answers(selector: HybridSelector, only: str) -> list[bytes]:
    """Return what contexts are shown, and what searches find, as it is on the wire."""
    found = []
    server = Market(selector, only=only)
    async with server:
        for place, intent in enumerate(INTENTS):
            async with Client(server, context=f"context-{place}", intent=intent) as client:
                found.append(msgspec.json.encode(await client.list_tools()))
                searched = await client.call_tool("search_tools", query=INTENTS[place - 1], limit=8)
                found.append(msgspec.json.encode(searched))
    return found


@pytest.mark.parametrize("only", ["", "cancel"])
async def test_lists_and_searches_are_those_of_vectors_in_the_process(
    new_database: Callable[[], str], only: str
) -> None:
    with kept_in(new_database()) as vectors:
        selector = HybridSelector(HashingEncoder(), vectors=vectors)
        assert await answers(selector, only) == await answers(HybridSelector(HashingEncoder()), only)
        assert selector.index is not None
        assert selector.index.local is None
        assert searches_vectors(selector)


ELSEWHERE = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from scopedtools.retrieval import HybridSelector
from scopedtools.retrieval.databases import open_vectors
from tests.retrieval.rows import ALL, SHOP, CountingEncoder

async def main():
    encoder = CountingEncoder()
    selector = HybridSelector(encoder, vectors=open_vectors(sys.argv[1]))
    sys.stdin.readline()
    await selector.prepare(SHOP * 200)
    hit = (await selector.search(SHOP[4].description, within=ALL, limit=1)).hits[0]
    print(len(encoder.documents), hit.row, round(hit.vector, 3))

asyncio.run(main())
"""


def test_of_processes_that_start_together_one_encodes(new_database: Callable[[], str]) -> None:
    command = [sys.executable, "-c", ELSEWHERE, new_database(), str(Path(__file__).parents[2])]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate("go\n", timeout=60)[0].split() for process in started]

    texts = sum(1 + len(row.examples) for row in SHOP)
    assert sorted(int(one[0]) for one in said) == [0, texts]
    assert {one[1] for one in said} == {"4"}
    assert all(float(one[2]) > 0.5 for one in said)


async def test_a_changed_catalog_encodes_what_is_new_and_the_earlier_one_goes_on_answering(
    new_database: Callable[[], str],
) -> None:
    url, encoder = new_database(), CountingEncoder()
    with kept_in(url) as vectors:
        selector = HybridSelector(encoder, vectors=vectors)
        await selector.prepare(ROWS)
        encoder.documents.clear()
        later = await selector.succeed([NEW, replace(SHOP[0], description="Else."), *ROWS[1:]])
        assert encoder.documents == [
            "paint wall: Paint a wall in any colour.",
            "find books: Else.",
        ]
        for row, one in enumerate(SHOP):
            assert (await best(selector, one.description))[0] == row
        assert await best(later, SHOP[5].description) == (6, True)
        with kept_in(url) as others:
            replica = CountingEncoder()
            await HybridSelector(replica, vectors=others).prepare([*SHOP[3:], NEW])
            assert replica.documents == []


async def test_vectors_that_nobody_uses_are_removed_and_come_back_when_somebody_does(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    with kept_in(url) as vectors, kept_in(url) as others, psycopg.connect(url, autocommit=True) as database:
        encoder = CountingEncoder()
        selector = HybridSelector(encoder, vectors=vectors)
        await selector.prepare(ROWS)
        (tables,) = database.execute(
            "SELECT array_agg(relname::text ORDER BY relname) FROM pg_class "
            "WHERE relname ~ '^scopedtools_(catalogs|vectors)_[0-9a-f]+$'"
        ).fetchall()[0]
        database.execute(f"UPDATE {tables[0]} SET used_at = now() - interval '2 days'".encode())  # noqa: S608
        await HybridSelector(HashingEncoder(64), vectors=others).prepare([NEW, SHOP[2]])
        count = f"SELECT count(*) FROM {tables[1]}".encode()  # noqa: S608
        assert database.execute(count).fetchall() == [(2,)]

        assert (await best(selector, SHOP[1].description))[0] == 1
        for place in range(3):
            await best(selector, f"{SHOP[0].description} {place}")
        await until(lambda: searches_vectors(selector))
        assert await best(selector, SHOP[1].description) == (1, True)
        assert encoder.documents.count(CANCEL) == 1  # which the other catalog has too
    assert encoder.documents.count("send email: Send an email message to a person.") == 2


async def test_without_the_database_words_answer_and_vectors_come_back_by_themselves(
    postgres: Any, new_database: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    url = new_database()
    with kept_in(url, timeout_s=1) as vectors:
        selector = HybridSelector(HashingEncoder(64), vectors=vectors)
        server = Market(selector)
        async with server, Client(server, context="one", intent=INTENTS[0]) as client:
            listed = await client.list_tools()
            found = await client.call_tool("search_tools", query=INTENTS[1])
            postgres.stop()
            try:
                for place in range(6):
                    other = Client(server, context=f"two-{place}", intent=INTENTS[2])
                    async with other:
                        assert len(await other.list_tools()) > 3
                assert not searches_vectors(selector)
                assert await client.list_tools() == listed
                assert (await client.call_tool("search_tools", query=INTENTS[1]))["structuredContent"]
            finally:
                postgres.start()
            await until(lambda: searches_vectors(selector))
            assert await client.call_tool("search_tools", query=INTENTS[1]) == found
    ours = [record for record in caplog.records if record.name.startswith("scopedtools.retrieval.selector")]
    assert [record.levelno for record in ours if record.levelno >= logging.WARNING] == [
        logging.ERROR,
        logging.WARNING,
    ]


async def test_a_server_starts_without_the_database_and_finds_it_later(
    postgres: Any, new_database: Callable[[], str]
) -> None:
    url = new_database()
    postgres.stop()
    try:
        with kept_in(url) as vectors:
            selector = HybridSelector(HashingEncoder(64), vectors=vectors)
            await selector.prepare(ROWS)
            assert await best(selector, SHOP[3].description) == (3, False)
            postgres.start()
            await until(lambda: searches_vectors(selector))
            assert await best(selector, SHOP[3].description) == (3, True)
    finally:
        postgres.start()


async def test_a_frozen_database_holds_requests_up_for_no_longer_than_its_timeout(
    postgres: Any, new_database: Callable[[], str]
) -> None:
    with kept_in(new_database(), timeout_s=0.3) as vectors:
        selector = HybridSelector(HashingEncoder(64), vectors=vectors)
        await selector.prepare(ROWS)
        await best(selector, SHOP[0].description)
        main = postgres.get_pid()
        frozen = [main, *children_of(main)]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(10):
                rows = [(await best(selector, one.description))[0] for one in SHOP]
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        assert rows == list(range(len(SHOP)))
        assert not searches_vectors(selector)
        await until(lambda: searches_vectors(selector))
        assert await best(selector, SHOP[3].description) == (3, True)


async def test_who_gives_up_waiting_leaves_the_others_alone(new_database: Callable[[], str]) -> None:
    url, entered, gate = new_database(), threading.Event(), threading.Event()

    class Waiting(CountingEncoder):
        def encode_documents(self, texts: Any) -> Any:
            entered.set()
            assert gate.wait(20)
            return super().encode_documents(texts)

    with kept_in(url) as vectors, kept_in(url) as others:
        first = HybridSelector(Waiting(), vectors=vectors)
        preparing = asyncio.create_task(first.prepare(ROWS))
        await until(entered.is_set)
        second = HybridSelector(CountingEncoder(), vectors=others)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await second.prepare(ROWS)
        gate.set()
        await preparing
        assert await best(first, SHOP[2].description) == (2, True)


def test_one_place_is_named_for_vectors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="either index_dir or vectors"):
        HybridSelector(HashingEncoder(), index_dir=tmp_path, vectors=open_vectors("postgresql://h/d"))
    with pytest.raises(DefinitionError, match="must begin with postgresql://"):
        open_vectors("mysql://h/d")
    with pytest.raises(ValueError, match="connections must be >= 1, got 0"):
        PgVectors("postgresql://h/d", connections=0)
