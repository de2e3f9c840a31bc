"""All primitives of a server, in registration order, as ready bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, reduce
from operator import and_, or_
from pathlib import Path
from typing import Final, Literal

import msgspec

from scopedtools.catalog.jsonl import read_tools
from scopedtools.catalog.primitives import KINDS, Kind, Primitive, ResourceTemplate
from scopedtools.catalog.templates import UriTemplate
from scopedtools.catalog.view import ORDERED, View, bits_of
from scopedtools.exceptions import DefinitionError
from scopedtools.memo import Memo, MemoOf
from scopedtools.protocol.revisions import LATEST, Revision
from scopedtools.types import Rows

MAX_URI_CHARACTERS: Final = 2048
"""Longer URIs name nothing: matching templates backtracks, and must not do so over megabytes."""

_SETS: Final = 256
_SETS_BYTES: Final = 64 * 2**20
"""Sets of rows that are remembered, and their size: permission makes the same few again and again."""

_OPERATIONS: Final[Mapping[str, Callable[[Rows, Rows], Rows]]] = {
    "|": or_,
    "&": and_,
    "-": lambda left, right: left & ~right,
}

_BYTES_PER_TOKEN: Final = 4
"""English text and JSON both come to about four bytes a token; close enough for a budget."""


class CatalogRows(tuple[Primitive, ...]):  # noqa: SLOT001 - tuples cannot have slots that hold anything
    """The rows of a catalog, which know its version: so whoever ranks them need not look at each.

    Attributes:
        catalog: Whose they are.
    """

    catalog: Catalog

    @property
    def version(self) -> str:
        """Digest of all that there is to know of them."""
        return self.catalog.version


class Catalog:
    """An immutable sequence of rows. Anything derived from them is made once, when first needed.

    Attributes:
        rows: Tools, resources, templates and prompts, in registration order.
        kinds: Kind of each row.
        version: Digest of everything that clients and selection see; equal in every process.
    """

    def __init__(self, rows: Iterable[Primitive] = ()) -> None:
        self.rows = CatalogRows(rows)
        self.rows.catalog = self
        self.kinds: tuple[Kind, ...] = tuple(row.kind for row in self.rows)
        self._places = _places(self.rows)
        self._encoded: dict[str, tuple[bytes, ...]] = {}
        self._sets: Memo[View] = Memo(max_items=_SETS, max_bytes=_SETS_BYTES)
        self._combined: MemoOf[View] = MemoOf(max_items=_SETS, max_bytes=_SETS_BYTES)
        self._templates = tuple(
            (ordinal, UriTemplate(row.uri_template))
            for ordinal, row in enumerate(self.rows)
            if isinstance(row, ResourceTemplate)
        )

    @classmethod
    def from_jsonl(cls, path: str | Path) -> Catalog:
        """Read tools from a JSON-lines file, plain or gzipped.

        Each line is ``{"name", "description", "id"?, "server"?, "input_schema"?, "depends_on"?}``. A row is
        named by its ``id`` where it has one; its ``server`` is its group and a tag, and ``depends_on`` names
        the rows that it requires. Such rows describe tools and cannot be called.

        Raises:
            CatalogError: The file or a line of it cannot be read; the message names the line.
        """
        return cls(read_tools(Path(path)))

    @cached_property
    def version(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for row, encoded in zip(self.rows, self.encoded(LATEST), strict=True):
            hidden = (row.kind, sorted(row.tags), row.examples, row.pinned, row.group, row.requires)
            digest.update(b"%d\n%s\n%s\n" % (len(encoded), encoded, repr(hidden).encode()))
        return digest.hexdigest()

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        """Digest of each row as clients see it; what revisions of lists are made of."""
        return tuple([hashlib.blake2b(row, digest_size=8).digest() for row in self.encoded(LATEST)])

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """What names each row in every catalog that has it: a digest of its kind and identity, 63 bits."""
        return tuple([_id(row) for row in self.rows])

    @cached_property
    def by_id(self) -> Mapping[int, int]:
        """Ordinals of the rows by their `ids`."""
        return {row_id: ordinal for ordinal, row_id in enumerate(self.ids)}

    @cached_property
    def all(self) -> View:
        """Every row."""
        return self._lasting((1 << len(self.rows)) - 1)

    @cached_property
    def pinned(self) -> View:
        """The rows that every view shows."""
        return self._lasting(bits_of(ordinal for ordinal, row in enumerate(self.rows) if row.pinned))

    @cached_property
    def costs(self) -> tuple[int, ...]:
        """Estimated tokens that each row takes in a list."""
        return tuple(-(-len(encoded) // _BYTES_PER_TOKEN) for encoded in self.encoded(LATEST))

    @cached_property
    def _by_kind(self) -> Mapping[Kind, View]:
        rows: dict[Kind, list[int]] = {kind: [] for kind in KINDS}
        for ordinal, kind in enumerate(self.kinds):
            rows[kind].append(ordinal)
        return {kind: self._lasting(bits_of(of_kind)) for kind, of_kind in rows.items()}

    @cached_property
    def _by_tag(self) -> Mapping[str, Sequence[int]]:
        rows: dict[str, list[int]] = {}
        for ordinal, row in enumerate(self.rows):
            for tag in row.tags:
                rows.setdefault(tag, []).append(ordinal)
        return rows

    @cached_property
    def _by_scopes(self) -> Mapping[frozenset[str], Rows]:
        rows: dict[frozenset[str], list[int]] = {}
        for ordinal, row in enumerate(self.rows):
            if row.scopes:
                rows.setdefault(row.scopes, []).append(ordinal)
        return {scopes: bits_of(needing) for scopes, needing in rows.items()}

    @cached_property
    def _by_other_name(self) -> Mapping[str, list[int]]:
        """Rows that clients ask for by something else than their names: all resources."""
        rows: dict[str, list[int]] = {}
        for ordinal, row in enumerate(self.rows):
            if row.name != row.identity:
                rows.setdefault(row.name, []).append(ordinal)
        return rows

    @cached_property
    def tags(self) -> Mapping[str, int]:
        """How many rows carry each tag, most used first."""
        sizes = ((tag, len(rows)) for tag, rows in self._by_tag.items())
        return dict(sorted(sizes, key=lambda item: (-item[1], item[0])))

    def of(self, kind: Kind) -> View:
        """Return the rows of one kind."""
        return self._by_kind[kind]

    def tagged(self, *tags: str) -> View:
        """Return the rows that carry any of the tags."""
        return self._set(
            ("tagged", *tags), lambda: bits_of(row for tag in tags for row in self._by_tag.get(tag, ()))
        )

    def combined(self, sign: Literal["|", "&", "-"], left: View, right: View) -> View:
        """Return the union, intersection or difference of sets; of lasting ones the same view each time."""
        operation = _OPERATIONS[sign]
        if not (left.lasting and right.lasting):
            return View(self, operation(left.bits, right.bits))
        found = self._combined.get(sign, left, right)
        if found is None:
            bits = operation(left.bits, right.bits)
            found = self._combined.put(self._lasting(bits), sign, left, right, size_bytes=self._set_bytes)
        return found

    def _lasting(self, bits: Rows) -> View:
        return View(self, bits, lasting=True)

    def _set(self, key: Hashable, rows: Callable[[], Rows]) -> View:
        """Return a set that is asked for by a key, made when it is not remembered."""
        found = self._sets.get(key)
        if found is None:
            found = self._sets.put(key, self._lasting(rows()), size_bytes=self._set_bytes)
        return found

    @property
    def _set_bytes(self) -> int:
        """What a set takes, about: a bit for each row, as an integer and as bytes; orders of short sets."""
        return len(self.rows) // 4 + 40 * min(len(self.rows), ORDERED)

    @property
    def has_scopes(self) -> bool:
        """Whether any row needs OAuth scopes."""
        return bool(self._by_scopes)

    def locked(self, opens: Callable[[frozenset[str]], bool]) -> View:
        """Return the rows that need OAuth scopes which a caller lacks.

        Args:
            opens: Tells whether the caller has all of some scopes.
        """
        closed = frozenset(scopes for scopes in self._by_scopes if not opens(scopes))
        return self._set(
            ("locked", closed), lambda: reduce(or_, (self._by_scopes[scopes] for scopes in closed), 0)
        )

    def named(self, *names: str) -> View:
        """Return the rows, of any kind, that have any of the names."""
        wanted = frozenset(names)

        def rows() -> Iterator[int]:
            for name in wanted:
                yield from self._by_other_name.get(name, ())
                for of in self._places.values():
                    if name in of and self.rows[of[name]].name == name:
                        yield of[name]

        return self._set(("named", wanted), lambda: bits_of(rows()))

    def find(self, kind: Kind, identity: str) -> int | None:
        """Return the ordinal of the row that a client asks for by this name or URI."""
        return self._places[kind].get(identity)

    def resources_at(self, uri: str) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield the resource at a URI, then the templates that it follows, each with its variables."""
        if len(uri) > MAX_URI_CHARACTERS:
            return
        exact = self.find("resource", uri)
        if exact is not None:
            yield exact, {}
        for ordinal, template in self._templates:
            variables = template.match(uri)
            if variables is not None:
                yield ordinal, variables

    def encoded(self, revision: Revision) -> tuple[bytes, ...]:
        """Return each row as JSON, as a client of a revision knows it."""
        key = ",".join(sorted(revision.unknown_fields))
        if key not in self._encoded:
            encode = msgspec.json.Encoder().encode
            self._encoded[key] = tuple(encode(revision.primitive(row.wire())) for row in self.rows)
        return self._encoded[key]

    def preload(self) -> None:
        """Make now what requests would have to wait for otherwise."""
        _ = self.version, self.all.revision, self.costs, self.by_id, self.tags
        _ = self._by_kind, self._by_other_name, self._by_scopes

    def __add__(self, other: Catalog) -> Catalog:
        return Catalog(self.rows + other.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Catalog of {len(self)} rows>"


def _id(row: Primitive) -> int:
    digest = hashlib.blake2b(f"{row.kind} {row.identity}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1  # stores may have no larger integers


def _places(rows: tuple[Primitive, ...]) -> Mapping[Kind, Mapping[str, int]]:
    places: dict[Kind, dict[str, int]] = {kind: {} for kind in KINDS}
    for ordinal, row in enumerate(rows):
        first = places[row.kind].setdefault(row.identity, ordinal)
        if first != ordinal:
            raise DefinitionError(f"two rows are the {row.kind} {row.identity!r}; give one another name")
    return places
