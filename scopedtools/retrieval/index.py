"""The index of a catalog: its rows' texts, their terms and their vectors; built, saved and loaded."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, overload

import msgspec
import numpy as np
from msgspec.structs import replace

from scopedtools.exceptions import IndexMismatchError
from scopedtools.retrieval import manifest as manifests
from scopedtools.retrieval import saved as store
from scopedtools.retrieval.lexical import LexicalIndex
from scopedtools.retrieval.manifest import Manifest
from scopedtools.retrieval.relations import Relations
from scopedtools.retrieval.saved import Known, Plain
from scopedtools.retrieval.text import texts
from scopedtools.retrieval.vector_store import RowVectors, Texts, VectorStore
from scopedtools.retrieval.vectors import VectorIndex
from scopedtools.retrieval.words import Words, source
from scopedtools.types import Describable, Encoder

if TYPE_CHECKING:
    from scopedtools.types import Vectors

Progress = Callable[[int, int], None]
"""Called with the number of texts encoded so far, and of all that will be."""

_PORTION: Final = 64
"""Texts encoded in one call, so that requests can go in between."""


class RowTexts(NamedTuple):
    """A row as the index sees it.

    Attributes:
        name: Name of the row.
        texts: Its texts, the main one first.
        hashes: A hash of each text.
    """

    name: str
    texts: tuple[str, ...]
    hashes: tuple[str, ...]


class Index:
    """The texts of rows with their terms and, where there is an encoder, their vectors. Immutable.

    All of it is saved, and what is saved is used for the same rows alone. What is not saved is made when it
    is first needed: texts from the rows each time, since they would be another copy of the catalog.

    Args:
        rows: Row *i* of the catalog is row *i* here.
        words: Made of the rows, if they are there already.
        vectors: A vector for each text, or ``None``.
        encoder: Name and revision of what made the vectors, or two empty strings.
        catalog: What `catalog` is, if that is known.
        plain: What plain requests get, if that is known.

    Attributes:
        rows: The rows as the index sees them.
        vectors: A vector for each text, or ``None``.
        encoder: Name and revision of what made the vectors, or two empty strings.
        plain: What plain requests get, or ``None`` where that was not saved.
    """

    def __init__(
        self,
        rows: Sequence[Describable],
        *,
        words: Words | None = None,
        vectors: RowVectors | None = None,
        encoder: tuple[str, str] = ("", ""),
        catalog: str = "",
        plain: Plain | None = None,
    ) -> None:
        self.rows: Sequence[RowTexts] = _Described(rows)
        self.vectors = vectors
        self.encoder = encoder
        self.plain = plain
        self._described = rows
        self._given, self._catalog = words, catalog

    @classmethod
    def build(
        cls, rows: Sequence[Describable], encoder: Encoder | None, *, progress: Progress | None = None
    ) -> Index:
        """Index the rows of a catalog, in catalog order; without an encoder, their words alone."""
        index = cls(rows)
        return index if encoder is None else index.with_vectors(encoder, progress=progress)

    @classmethod
    def load(cls, folder: Path, *, rows: Sequence[Describable], encoder: Encoder) -> Index:
        """Load a saved index for these rows and this encoder; see ``with_saved``."""
        return cls.build(rows, None).with_saved(folder, encoder)

    @cached_property
    def words(self) -> Words:
        """Terms and relations, made in about 60 microseconds a row where they were not saved."""
        return self._given if self._given is not None else Words.of(self._described)

    @property
    def lexical(self) -> LexicalIndex:
        """BM25 over the terms."""
        return self.words.lexical

    @property
    def relations(self) -> Relations:
        """Groups of rows, and which rows others need."""
        return self.words.relations

    @cached_property
    def catalog(self) -> str:
        """Hash over all names and texts of all rows in order."""
        return self._catalog or _catalog_hash(self.rows)

    @cached_property
    def source(self) -> str:
        """Hash over all that the rows' texts, terms and relations are made of."""
        return source(self._described)

    def with_vectors(
        self,
        encoder: Encoder,
        *,
        known: Known | None = None,
        after: VectorIndex | None = None,
        progress: Progress | None = None,
    ) -> Index:
        """Return an index of the same rows with vectors.

        Args:
            encoder: Encodes each distinct text once.
            known: Vectors of the same encoder that need not be made again, see ``known_vectors``.
            after: An earlier index of the same encoder, which this one goes on from.
            progress: Told about the texts that are encoded.
        """
        rows = tuple(self.rows)
        if not rows:
            return self
        text_of = {key: text for row in rows for key, text in zip(row.hashes, row.texts, strict=True)}
        vectors = dict(known or {})
        missing = [key for key in text_of if key not in vectors]
        for start in range(0, len(missing), _PORTION):
            portion = missing[start : start + _PORTION]
            encoded = encoder.encode_documents([text_of[key] for key in portion])
            vectors.update(zip(portion, encoded, strict=True))
            if progress is not None:
                progress(start + len(portion), len(missing))
        matrix = np.stack([vectors[key] for row in rows for key in row.hashes])
        index = VectorIndex.build if after is None else after.succeed
        vectors_of = index(matrix, self.words.row_of)
        made_by = encoder.name, encoder.revision
        return Index(
            self._described, words=self.words, vectors=vectors_of, encoder=made_by, catalog=self._catalog
        )

    def with_vectors_in(self, store: VectorStore, encoder: Encoder, given_up: threading.Event) -> Index:
        """Return an index of the same rows whose vectors are in a store that processes share.

        Args:
            store: Where they are kept; only what it lacks is encoded.
            encoder: Makes the vectors.
            given_up: Set where nobody waits for the index any more.

        Raises:
            VectorsUnavailableError: The store does not answer.
        """
        rows = tuple(self.rows)
        if not rows:
            return self
        text_of = {key: text for row in rows for key, text in zip(row.hashes, row.texts, strict=True)}

        def encode(keys: Sequence[str]) -> Vectors:
            portions = [keys[start : start + _PORTION] for start in range(0, len(keys), _PORTION)]
            encoded = [encoder.encode_documents([text_of[key] for key in some]) for some in portions]
            return np.concatenate(encoded)

        keys = [key for row in rows for key in row.hashes]
        made_by = encoder.name, encoder.revision
        texts = Texts(made_by, encoder.dimensions, keys, self.words.row_of, encode)
        vectors = store.keep(texts, given_up)
        return Index(
            self._described, words=self.words, vectors=vectors, encoder=made_by, catalog=self._catalog
        )

    @property
    def local(self) -> VectorIndex | None:
        """The vectors, where they are in this process."""
        return self.vectors if isinstance(self.vectors, VectorIndex) else None

    def is_of(self, rows: Sequence[Describable]) -> bool:
        """Tell whether it was made of these very objects."""
        return self._described is rows

    def with_saved(self, folder: Path, encoder: Encoder | None) -> Index:
        """Return an index of the same rows with what was saved, which is mapped into memory, not read.

        Saved words are used where their file is sound and they are of these rows in every detail and of this
        code, and are made anew otherwise: vectors are of less than that, and fit longer.

        Args:
            folder: Of the index.
            encoder: What the vectors must be by, or ``None`` for whatever the folder has.

        Raises:
            FileNotFoundError: The folder holds no index.
            IndexMismatchError: The vectors are of other rows or of another encoder, the format is another
                one, or a file of rows or vectors is missing, changed or cannot be read.
        """
        manifest = manifests.read(folder)
        saved = store.sound(folder, store.fitting_words(manifest, self.source))
        self._check(folder, manifest, encoder, catalog=self.catalog if saved is None else manifest.catalog)
        if found := manifests.problems(folder, manifest.needed):
            raise IndexMismatchError(f"{found[0]}; rebuild the index")
        with store.readable(folder):
            words = self.words if saved is None else Words.load(folder / saved.file.name)
            return Index(
                self._described,
                words=words,
                vectors=VectorIndex.load(folder / manifest.vectors_file.name, words.row_of),
                encoder=(manifest.encoder, manifest.revision),
                catalog=manifest.catalog,
                plain=store.load_plain(folder, store.sound(folder, manifest.plain)),
            )

    def known(self, encoder: Encoder) -> Known:
        """Return the vectors by the hashes of their texts, none but those of this encoder.

        They are a view of the index: keep it for as long as they are used.
        """
        if self.local is None or self.encoder != (encoder.name, encoder.revision):
            return {}
        hashes = [key for row in self.rows for key in row.hashes]
        return dict(zip(hashes, self.local.vectors, strict=True))

    def save(self, folder: Path, *, command: str = "") -> Manifest:
        """Save vectors, their rows' hashes and words into a folder, and leave its other files alone.

        Files are written under new names, and replacing the manifest makes them the index: whenever the
        process dies, the folder holds the old index or the new one.

        Args:
            folder: Made where it is missing.
            command: Command line to name in the manifest.

        Raises:
            ValueError: The index has no vectors in this process.
            OSError: A file cannot be written; the old index is still there.
        """
        if self.local is None:
            raise ValueError(
                "an index must have vectors to be saved, got words alone; build it with an encoder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        with manifests.alone(folder):
            return self._save(folder, command)

    def renew(self, folder: Path, plain: Plain | None = None) -> None:
        """Save what the folder lacks or has damaged: words, codes of many vectors, and what is new.

        Args:
            folder: Holds this index otherwise; where it holds another by now, nothing is saved.
            plain: What plain requests get, where that has been found out.

        Raises:
            OSError: A file cannot be written; the old index is still there.
        """
        with manifests.alone(folder):
            manifest = manifests.read(folder)
            if (manifest.catalog, manifest.encoder, manifest.revision) != (self.catalog, *self.encoder):
                return
            words = store.sound(folder, store.fitting_words(manifest, self.source))
            if words is None:
                words = store.save_words(folder, self.words, self.source)
            found = store.sound(folder, manifest.plain)
            if plain is not None and plain.made_of and (found is None or found.made_of != plain.made_of):
                found = store.save_plain(folder, plain)
            vectors = manifest.vectors_file
            if self.local is not None and not self.local.codes_saved(folder / vectors.name):
                vectors = manifests.place(folder, "index", ".faiss", self.local.save)
            usual = replace(manifest, format=manifests.FORMAT)
            renewed = replace(usual, vectors_file=vectors, words=words, plain=found)
            if renewed != usual:
                manifests.write(folder, renewed)
                manifests.tidy(folder, renewed)

    def _save(self, folder: Path, command: str) -> Manifest:
        assert self.local is not None  # noqa: S101 - see `save`
        lines = (msgspec.json.encode({"name": row.name, "texts": row.hashes}) + b"\n" for row in self.rows)
        manifest = Manifest(
            format=manifests.FORMAT,
            rows=len(self.rows),
            vectors=len(self.local),
            dimensions=self.local.dimensions,
            dtype="float32",
            metric="ip",
            factory="Flat",
            encoder=self.encoder[0],
            revision=self.encoder[1],
            catalog=self.catalog,
            rows_file=manifests.place(folder, "rows", ".jsonl", lambda path: _write(path, lines)),
            vectors_file=manifests.place(folder, "index", ".faiss", self.local.save),
            words=store.save_words(folder, self.words, self.source),
            versions=manifests.versions(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command,
        )
        manifests.write(folder, manifest)
        manifests.tidy(folder, manifest)
        return manifest

    def _check(self, folder: Path, manifest: Manifest, encoder: Encoder | None, *, catalog: str) -> None:
        wanted = None if encoder is None else (encoder.name, encoder.revision)
        if wanted is not None and (manifest.encoder, manifest.revision) != wanted:
            raise IndexMismatchError(
                f"index {folder} must be built with {wanted[0]} {wanted[1]}, "
                f"got {manifest.encoder} {manifest.revision}; rebuild it"
            )
        if manifest.catalog != catalog:
            raise IndexMismatchError(
                f"index {folder} must be built from catalog {catalog} ({len(self.rows)} rows), "
                f"got {manifest.catalog} ({manifest.rows} rows); rebuild it"
            )


class _Described(Sequence[RowTexts]):
    """Rows as the index sees them, made as they are asked for."""

    def __init__(self, rows: Sequence[Describable]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[RowTexts]:
        return map(_described, self._rows)

    @overload
    def __getitem__(self, place: int) -> RowTexts: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[RowTexts, ...]: ...
    def __getitem__(self, place: int | slice) -> RowTexts | tuple[RowTexts, ...]:
        if isinstance(place, slice):
            return tuple(map(_described, self._rows[place]))
        return _described(self._rows[place])


def _described(row: Describable) -> RowTexts:
    found = texts(row)
    return RowTexts(row.name, found, tuple(map(_hash, found)))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _catalog_hash(rows: Sequence[RowTexts]) -> str:
    digest = hashlib.sha256()
    for place, row in enumerate(rows):
        digest.update(b"\n" if place else b"")
        digest.update(msgspec.json.encode((row.name, row.hashes)))
    return digest.hexdigest()


def _write(path: Path, lines: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(lines)
