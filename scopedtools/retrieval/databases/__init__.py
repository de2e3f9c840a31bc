"""Databases that keep vectors, each behind `scopedtools.retrieval.vector_store.VectorStore`."""

from __future__ import annotations

from urllib.parse import urlsplit

from scopedtools.exceptions import DefinitionError, MissingDependencyError
from scopedtools.retrieval.vector_store import VectorStore

__all__ = ["open_vectors"]


def open_vectors(url: str) -> VectorStore:
    """Return the database of vectors that a URL names. Nothing is connected yet.

    ::

        HybridSelector(vectors=open_vectors("postgresql://user:password@host/database"))

    Args:
        url: ``postgresql://`` for PostgreSQL with pgvector, of the extra ``pgvector``.

    Raises:
        DefinitionError: There is no database for such a URL.
        MissingDependencyError: Its client is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme not in ("postgresql", "postgres"):
        raise DefinitionError(f"a URL of vectors must begin with postgresql://, got {scheme or 'none'}://")
    try:
        from scopedtools.retrieval.databases.pgvectors import PgVectors  # noqa: PLC0415 - of the extra
    except ImportError as error:
        raise MissingDependencyError(
            "vectors in PostgreSQL need psycopg; pip install 'scopedtools[pgvector]'"
        ) from error
    return PgVectors(url)
