"""An OpenAPI description: read from a file or a URL, its references looked up.

Nothing is fetched because a description says so: a reference reaches the description itself and files in
its folder, or in folders below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import httpx2
import msgspec
from referencing import Registry, Resource
from referencing.exceptions import NoSuchResource, Unresolvable

from scopedtools.exceptions import CatalogError
from scopedtools.openapi.yaml_reader import YamlError, read_yaml

MAX_DOCUMENT_BYTES: Final = 64 * 2**20

_TIMEOUT_S: Final = 30
_FOLLOWED: Final = 32
"""References to references, after which there must be a circle."""

Dialect = Literal["3.0", "3.1"]
"""How schemas are written: as OpenAPI 3.0 has it, or as JSON Schema 2020-12."""


class Links:
    """What the references in one file of a description lead to, each looked up once."""

    def __init__(self, resolver: Any) -> None:
        self._resolver = resolver
        self._found: dict[str, Node] = {}

    def lookup(self, ref: str) -> Node:
        """Return what a reference names.

        Raises:
            CatalogError: It names nothing that may be read.
        """
        known = self._found.get(ref)
        if known is None:
            try:
                found = self._resolver.lookup(ref)
            except (Unresolvable, ValueError, TypeError, AttributeError) as error:
                raise CatalogError(f"the reference {ref[:200]!r} cannot be followed") from error
            known = self._found[ref] = Node(found.contents, self if ref[:1] == "#" else Links(found.resolver))
        return known


@dataclass(frozen=True, slots=True)
class Node:
    """A value in a description, with what its references are relative to."""

    value: Any
    links: Links

    def child(self, key: str) -> Node:
        """Return what stands under a key, ``None`` where nothing does."""
        return Node(self.mapping.get(key), self.links)

    @property
    def mapping(self) -> Mapping[str, Any]:
        """The value where it is an object, else nothing."""
        return self.value if isinstance(self.value, dict) else {}

    def items(self) -> Iterator[tuple[str, Node]]:
        """Yield what stands under each key; keys of extensions (``x-``) are left out."""
        for key, value in self.mapping.items():
            if not str(key).startswith("x-"):
                yield str(key), Node(value, self.links)

    def elements(self) -> Iterator[Node]:
        """Yield the elements where the value is a list."""
        for value in self.value if isinstance(self.value, list) else ():
            yield Node(value, self.links)

    def text(self, key: str) -> str:
        """Return the text under a key, ``""`` where there is none."""
        value = self.mapping.get(key)
        return value if isinstance(value, str) else ""

    def lookup(self) -> Node:
        """Return what the value's reference names.

        Raises:
            CatalogError: It names nothing that may be read.
        """
        return self.links.lookup(self.mapping["$ref"])

    def followed(self) -> Node:
        """Return the value that is no reference any more.

        Raises:
            CatalogError: A reference names nothing that may be read, or itself.
        """
        node = self
        for _ in range(_FOLLOWED):
            if not isinstance(node.mapping.get("$ref"), str):
                return node
            node = node.lookup()
        raise CatalogError(f"the reference {self.mapping['$ref'][:200]!r} leads back to itself")


@dataclass(frozen=True, slots=True)
class Document:
    """A description.

    Attributes:
        root: All of it.
        dialect: How its schemas are written.
        title: What the API is called.
    """

    root: Node
    dialect: Dialect
    title: str

    @classmethod
    def load(cls, source: str | Path | Mapping[str, Any]) -> Document:
        """Read a description.

        Args:
            source: A file or an ``http(s)`` URL, JSON or YAML; or what such a file holds.

        Raises:
            CatalogError: It cannot be read, or is no OpenAPI 3.
        """
        if isinstance(source, Mapping):
            return _document(dict(source), "urn:openapi:description", None)
        text = str(source)
        if text.startswith(("http://", "https://")):
            return _document(_parsed(_fetched(text), text), text, None)
        path = Path(source).resolve()
        return _document(_parsed(_read(path), str(path)), path.as_uri(), path.parent)


def _document(contents: Any, uri: str, folder: Path | None) -> Document:
    dialect = _dialect(contents, uri)

    @cache  # a file is one value, however often it is referred to
    def retrieve(target: str) -> Resource[Any]:
        return Resource.opaque(_parsed(_read(_inside(target, folder)), target))

    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg] # attrs hides the alias
    registry = registry.with_resource(uri, Resource.opaque(contents))
    root = Node(contents, Links(registry.resolver(uri)))
    if not isinstance(contents.get("paths", {}), dict):
        raise CatalogError(f"{uri}: 'paths' must be an object, got {type(contents['paths']).__name__}")
    return Document(root, dialect, root.child("info").text("title") or "API")


def _dialect(contents: Any, where: str) -> Dialect:
    if not isinstance(contents, dict):
        raise CatalogError(f"{where} holds no OpenAPI description, but a {type(contents).__name__}")
    if "swagger" in contents:
        raise CatalogError(
            f"{where} is Swagger {contents['swagger']}; convert it to OpenAPI 3 first, "
            "for example with swagger2openapi"
        )
    version = str(contents.get("openapi", ""))
    match = re.match(r"3\.[012](\.|$)", version)
    if match is None:
        raise CatalogError(f"{where}: 'openapi' must be 3.0, 3.1 or 3.2, got {version[:40]!r}")
    return "3.0" if version.startswith("3.0") else "3.1"


def _inside(uri: str, folder: Path | None) -> Path:
    """Return the file at a URI, where the description may refer to it."""
    parts = urlsplit(uri)
    if folder is None or parts.scheme != "file" or parts.netloc:
        raise NoSuchResource(uri)
    path = Path(url2pathname(parts.path)).resolve()
    if not path.is_relative_to(folder):
        raise NoSuchResource(uri)
    return path


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise CatalogError(f"{path} must hold at most {MAX_DOCUMENT_BYTES} bytes; split it")
        return path.read_bytes()
    except OSError as error:
        raise CatalogError(f"cannot read {path}: {error.strerror}") from error


def _fetched(url: str) -> bytes:
    body = bytearray()
    try:
        with httpx2.stream("GET", url, timeout=_TIMEOUT_S, follow_redirects=True) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise CatalogError(f"{url} must hold at most {MAX_DOCUMENT_BYTES} bytes")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise CatalogError(f"cannot fetch {url}: {error}") from error
    return bytes(body)


def _parsed(raw: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if raw.lstrip()[:1] in (b"{", b"["):
            raise CatalogError(f"{unquote(where)} cannot be read: {error}") from error
    try:
        return read_yaml(raw, max_bytes=MAX_DOCUMENT_BYTES)
    except YamlError as error:
        raise CatalogError(f"{unquote(where)} cannot be read: {error}") from error
