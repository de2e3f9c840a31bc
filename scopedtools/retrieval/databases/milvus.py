"""Vectors in Milvus: for tens of millions of them, on several machines."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import numpy as np
from pymilvus import DataType, MilvusClient

from scopedtools.exceptions import VectorsUnavailableError
from scopedtools.retrieval.databases.remote import Allowed, RemoteVectors, lost
from scopedtools.retrieval.layout import Ordinals
from scopedtools.retrieval.vector_store import Texts

if TYPE_CHECKING:
    from scopedtools.types import Vectors

_PORTION: Final = 1024
"""Vectors added, or asked for, at once."""

_NAMED: Final = 10_000
"""Up to so many allowed vectors are named in the question; Milvus reads more than that slowly."""

_MOST: Final = 16_384
"""Most that Milvus finds at once."""

_MORE: Final = 1.3
"""What is fetched for each vector that chance would have among the allowed."""

_SEARCHED: Final = 200
"""Vectors that a walk through the graph keeps in view, at least (``ef``)."""

_GRAPH: Final = {"M": 16, "efConstruction": 128}


class MilvusVectors:
    """Keeps vectors in Milvus 2.3 or later; a ``VectorStore``.

    Each encoder has a collection, in which a vector's number comes from the hash of its text. So replicas and
    catalogs share vectors, and adding one twice changes nothing: of replicas that start together on a new
    catalog each encodes it, since there is nothing to wait at. Vectors of earlier catalogs stay; to be rid of
    them, drop the collection while no replica runs.

    Args:
        url: ``milvus://[user:password@]host:19530[/database]``, or ``milvus+tls://``.
        timeout_s: Seconds that a search may take, longer than which words alone answer.
        remembered: Most vectors that a process remembers of those it fetched.

    Raises:
        ValueError: A number is too small.
    """

    def __init__(self, url: str, *, timeout_s: float = 2.0, remembered: int = 16_384) -> None:
        if timeout_s <= 0 or remembered < 1:
            raise ValueError(f"timeout_s and remembered must be > 0, got {timeout_s} and {remembered}")
        parts = urlsplit(url)
        scheme = "https" if parts.scheme == "milvus+tls" else "http"
        self._given = {
            "uri": f"{scheme}://{parts.hostname}:{parts.port or 19530}",
            "token": unquote(f"{parts.username}:{parts.password or ''}") if parts.username else "",
            "db_name": parts.path.strip("/"),
        }
        self._timeout_s = timeout_s
        self._remembered = remembered
        self._client: Any = None

    def keep(self, texts: Texts, given_up: threading.Event) -> RemoteVectors:
        """Have the vectors of all these texts, and return them to be searched; see ``VectorStore``."""
        name = "\0".join((*texts.encoder, str(texts.dimensions))).encode()
        collection = f"scopedtools_{blake2b(name, digest_size=8).hexdigest()}"
        number_of = {key: _number(key) for key in texts.keys}
        self.close()
        with _unavailable():
            client = self._client = MilvusClient(**self._given, timeout=self._timeout_s)
            _create(client, collection, texts.dimensions)
            known = _known(client, collection, [*number_of.values()])
        missing = [key for key, number in number_of.items() if number not in known]
        for start in range(0, len(missing), _PORTION):
            if given_up.is_set():
                raise VectorsUnavailableError("nobody waits for the vectors any more")
            portion = missing[start : start + _PORTION]
            rows = zip(portion, texts.encode(portion), strict=True)
            with _unavailable():
                client.upsert(collection, [{"id": number_of[key], "embedding": one} for key, one in rows])
        with _unavailable():
            if missing:
                client.flush(collection)
            size = int(client.get_collection_stats(collection)["row_count"])
        return RemoteVectors(
            _Collection(client, collection, size=max(size, len(number_of)), timeout_s=self._timeout_s),
            np.array([number_of[key] for key in texts.keys], dtype=np.int64),
            texts.row_of,
            dimensions=texts.dimensions,
            remembered=self._remembered,
        )

    def close(self) -> None:
        """Let go of connections. A later ``keep`` opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


class _Collection:
    """A ``remote.Table``.

    Few allowed vectors are named in the question. Of more, so many are found among all that enough of the
    allowed will be there, and more where they are not.
    """

    def __init__(self, client: Any, name: str, *, size: int, timeout_s: float) -> None:
        self._client = client
        self._name = name
        self._size = size
        self._timeout_s = timeout_s

    def search(self, queries: Vectors, allowed: Allowed, n: int) -> tuple[list[Ordinals], bool]:
        """Find the ``n`` allowed vectors nearest to each query; see ``remote.Table``."""
        fetch = math.ceil(_MORE * n * self._size / len(allowed)) + n
        if len(allowed) > _NAMED:
            while fetch <= _MOST:
                found = [_among(one, allowed)[:n] for one in self._nearest(queries, fetch, "")]
                if all(len(one) == n for one in found):
                    return found, False
                fetch *= 2
        found = self._nearest(queries, min(n, _MOST), f"id in {allowed.numbers.tolist()}")
        for one in found:
            if len(one) < min(n, _MOST):
                raise lost("Milvus", expected=n, got=len(one))
        return found, False

    def fetch(self, numbers: Sequence[int]) -> Vectors:
        """Return vectors in this order; see ``remote.Table``."""
        with _unavailable():
            rows = self._client.get(
                self._name, ids=list(numbers), output_fields=["id", "embedding"], timeout=self._timeout_s
            )
        found = {row["id"]: row["embedding"] for row in rows}
        if len(found) != len(numbers):
            raise lost("Milvus", expected=len(numbers), got=len(found))
        return np.array([found[number] for number in numbers], dtype=np.float32)

    def _nearest(self, queries: Vectors, n: int, condition: str) -> list[Ordinals]:
        with _unavailable():
            found = self._client.search(
                self._name,
                data=list(queries),
                limit=n,
                filter=condition,
                search_params={"metric_type": "IP", "params": {"ef": max(_SEARCHED, 2 * n)}},
                timeout=self._timeout_s,
            )
        return [np.array([hit["id"] for hit in hits], dtype=np.int64) for hits in found]


@contextmanager
def _unavailable() -> Iterator[None]:
    """Say in our words that Milvus failed; what its client raises is of several libraries."""
    try:
        yield
    except Exception as error:
        raise VectorsUnavailableError(f"Milvus does not answer: {error}") from error


def _number(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") >> 1


def _create(client: Any, name: str, dimensions: int) -> None:
    """Create a collection unless it is there, and have it ready for searches."""
    if not client.has_collection(name):
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=dimensions)
        graph = client.prepare_index_params()
        graph.add_index("embedding", index_type="HNSW", metric_type="IP", params=_GRAPH)
        client.create_collection(name, schema=schema, index_params=graph, consistency_level="Bounded")
    client.load_collection(name)


def _known(client: Any, name: str, numbers: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for start in range(0, len(numbers), _PORTION):
        rows = client.get(name, ids=list(numbers[start : start + _PORTION]), output_fields=["id"])
        found.update(row["id"] for row in rows)
    return found


def _among(numbers: Ordinals, allowed: Allowed) -> Ordinals:
    places = np.minimum(np.searchsorted(allowed.numbers, numbers), len(allowed) - 1)
    found: Ordinals = numbers[allowed.numbers[places] == numbers]
    return found
