"""What an index is to be built from: a ``recipe.toml``, written by hand."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from scopedtools.exceptions import CatalogError, DefinitionError, IndexMismatchError
from scopedtools.retrieval.encoders import SentenceTransformerEncoder, default_encoder
from scopedtools.retrieval.hashing import HashingEncoder
from scopedtools.retrieval.weights import DEFAULT_MODEL
from scopedtools.types import Encoder

_APP: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_VARIABLES: Final = {"SCOPEDTOOLS_DATA": "../shared/data"}
"""Variables that a catalog's path may use, with their defaults, relative to the current folder."""


class EncoderRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ``[encoder]`` table.

    Attributes:
        model: Name of a sentence-transformers model, or ``"hashing"`` for one without weights.
        revision: SHA-256 that its weights must have, or ``None`` for any.
    """

    model: str = DEFAULT_MODEL
    revision: str | None = None

    def make(self) -> Encoder:
        """Make the encoder, and load it where its revision is to be checked.

        Raises:
            IndexMismatchError: The encoder has another revision.
            MissingDependencyError: The revision is to be checked and the model is nowhere.
        """
        encoder = self._encoder()
        if self.revision not in (None, encoder.revision):
            raise IndexMismatchError(
                f"encoder {self.model} must have revision {self.revision}, got {encoder.revision}; "
                "correct the recipe or install the other weights"
            )
        return encoder

    def _encoder(self) -> Encoder:
        if self.model == "hashing":
            return HashingEncoder()
        return default_encoder() if self.model == DEFAULT_MODEL else SentenceTransformerEncoder(self.model)


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recipe.

    Attributes:
        catalog: Path of a ``tools.jsonl`` or ``tools.jsonl.gz``, or an app as ``"module:app"``.
        sha256: Hash that the catalog's file must have, or ``None`` for any.
        encoder: What makes the vectors.
        metric: How vectors are compared; ``"ip"``, the inner product, is all there is.
        factory: FAISS factory string; ``"Flat"`` is all there is.
    """

    catalog: str
    sha256: str | None = None
    encoder: EncoderRecipe = EncoderRecipe()
    metric: str = "ip"
    factory: str = "Flat"

    @classmethod
    def read(cls, path: Path, *, environ: Mapping[str, str] = os.environ) -> Recipe:
        """Read a recipe. A catalog's path is relative to the recipe, or begins with ``${SCOPEDTOOLS_DATA}``.

        Raises:
            FileNotFoundError: There is no such recipe.
            DefinitionError: The recipe is not TOML, or a value in it cannot be used.
        """
        try:
            recipe = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), cls)
            catalog = _resolved(recipe.catalog, path.parent, environ)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
            raise DefinitionError(f"{path} must be a recipe, got: {error}") from error
        _only(path, "metric", recipe.metric, "ip")
        _only(path, "factory", recipe.factory, "Flat")
        return msgspec.structs.replace(recipe, catalog=catalog)

    @property
    def app(self) -> str | None:
        """The app whose catalog it is, as ``"module:app"``, or ``None`` where it is a file."""
        return self.catalog if _APP.fullmatch(self.catalog) else None

    @property
    def catalog_path(self) -> Path | None:
        """The catalog's file, or ``None`` where it is an app."""
        return None if self.app else Path(self.catalog)

    def check_catalog(self) -> None:
        """Check the hash of the catalog's file, where the recipe gives one.

        Raises:
            CatalogError: The file cannot be read, or has another hash.
        """
        path = self.catalog_path
        if path is None or self.sha256 is None:
            return
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise CatalogError(f"catalog {path} cannot be read: {error}") from error
        if found != self.sha256:
            raise CatalogError(
                f"catalog {path} must have SHA-256 {self.sha256}, got {found}; correct the recipe"
            )


def _resolved(catalog: str, folder: Path, environ: Mapping[str, str]) -> str:
    if _APP.fullmatch(catalog):
        return catalog
    return str(folder / _VARIABLE.sub(lambda found: _value(found[1], environ), catalog))


def _value(variable: str, environ: Mapping[str, str]) -> str:
    if variable not in _VARIABLES:
        raise DefinitionError(f"a catalog's path may use {', '.join(_VARIABLES)}, got ${{{variable}}}")
    return str(Path(environ.get(variable, _VARIABLES[variable])).resolve())


def _only(path: Path, key: str, got: str, possible: str) -> None:
    if got != possible:
        raise DefinitionError(f'{key} in {path} must be "{possible}", got "{got}"; no other is built yet')
