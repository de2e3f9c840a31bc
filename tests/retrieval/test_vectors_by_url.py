"""Where vectors are kept, told by the environment: another stage of growth needs no other code."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from scopedtools import Catalog, ScopedServer
from scopedtools.catalog.primitives import Tool
from scopedtools.exceptions import DefinitionError
from scopedtools.ranking import VECTORS_VARIABLE
from scopedtools.retrieval.databases import open_vectors

pytestmark = pytest.mark.anyio


def tools(count: int) -> Catalog:
    return Catalog(
        Tool(name=f"tool_{i}", description=f"Do number {i}.", input_schema={}) for i in range(count)
    )


async def test_the_environment_names_the_database_of_a_server_that_is_as_before(
    new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    monkeypatch.setenv(VECTORS_VARIABLE, url)
    server = ScopedServer(catalog=tools(30))
    async with server:
        assert (await server.rank("number 7")).hits[0].row == server.catalog.find("tool", "tool_7")
    with psycopg.connect(url) as database:
        kept = database.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'scopedtools_vectors_%'")
        assert kept.fetchone() != (0,)


async def test_a_database_that_there_is_not_is_refused_when_the_server_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VECTORS_VARIABLE, "mysql://host/db")
    with pytest.raises(DefinitionError, match="must begin with postgresql:// or milvus://, got mysql"):
        ScopedServer(catalog=tools(30))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunt/er2@host/db",
        "postgresql://user:hunt%zzer2@host/db",
        "postgresql://user:hunt@er2@host/db",
        "milvus://user:hunt/er2@host/db",
        "milvus://user:hunt#er2@host",
    ],
)
def test_a_password_that_breaks_the_url_is_not_told(url: str) -> None:
    with pytest.raises(DefinitionError, match=r"must be .*://user:password@host:port/database") as refusal:
        open_vectors(url)
    assert "er2" not in str(refusal.value)
    assert refusal.value.__cause__ is None
