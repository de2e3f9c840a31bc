"""Databases that keep vectors, each behind `scopedtools.retrieval.vector_store.VectorStore`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from scopedtools.exceptions import DefinitionError, MissingDependencyError
from scopedtools.retrieval.vector_store import VectorStore

__all__ = ["open_vectors"]


def open_vectors(url: str) -> VectorStore:
    """Return the database of vectors that a URL names. Nothing is connected yet.

    ::

        HybridSelector(vectors=open_vectors("postgresql://user:password@host/database"))

    Args:
        url: ``postgresql://`` for PostgreSQL with pgvector, of the extra ``pgvector``; ``milvus://`` or
            ``milvus+tls://`` for Milvus, of the extra ``milvus``.

    Raises:
        DefinitionError: There is no database for such a URL, or it cannot be read; its password is not told.
        MissingDependencyError: Its client is not installed.
    """
    scheme = _scheme_of(url)
    if scheme in ("postgresql", "postgres"):
        with _of_extra("pgvector"):
            from scopedtools.retrieval.databases.pgvectors import PgVectors  # noqa: PLC0415

        try:
            return PgVectors(url)
        except ValueError as error:
            raise DefinitionError(str(error)) from None
    if scheme in ("milvus", "milvus+tls"):
        with _of_extra("milvus"):
            from scopedtools.retrieval.databases.milvus import MilvusVectors  # noqa: PLC0415

        return MilvusVectors(url)
    raise DefinitionError(
        f"a URL of vectors must begin with postgresql:// or milvus://, got {scheme or 'nothing'}"
    )


def _scheme_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = "," in parts.netloc or parts.port
    except ValueError:
        parts = None
    # A password with such signs ends early, and what is left of it would be shown in errors of the client.
    if parts is None or parts.netloc.count("@") > 1 or "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise DefinitionError(
            "a URL of vectors must be scheme://user:password@host:port/database; write signs such as / ? # @ "
            "in a password as %2F %3F %23 %40"
        )
    return parts.scheme


@contextmanager
def _of_extra(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingDependencyError(
            f"vectors there need a client that is not installed ({error}); pip install 'scopedtools[{name}]'"
        ) from error
