"""The sets: catalogs with requests or dialogues whose needed tools are known."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from benchmarks.selection import tiny
from benchmarks.selection.provenance import ORIGINS
from scopedtools.catalog.catalog import Catalog
from scopedtools.evaluation.data import Query, read_queries

HAY: Final = "toucan-mcp"
"""Real MCP tools without requests, which other catalogs are enlarged by."""

_SEED: Final = 1


class MissingSetError(Exception):
    """A set is not there; the message says where it comes from."""


class Spec(NamedTuple):
    """What a set is made of.

    Attributes:
        name: Names it on the command line and in results.
        folder: Where its files are, below the data folder.
        dialogue: Whether its dialogues are meant, or its single requests.
        stem: Name of the catalog's file without its ending.
        added: Folder of another catalog that its own is enlarged by, or ``""``.
        servers: Whether ``server`` names the server of a tool, and not a field of knowledge or the set.
        most: Most requests of a kind that are drawn from, as in the measured baseline; none for all.
    """

    name: str
    folder: str
    dialogue: bool = False
    stem: str = "tools"
    added: str = ""
    servers: bool = True
    most: Mapping[str, int] = MappingProxyType({})


class Bench(NamedTuple):
    """A set in memory.

    Attributes:
        spec: What it is made of.
        catalog: Its tools.
        queries: Its requests or dialogues, those of the sample.
    """

    spec: Spec
    catalog: Catalog
    queries: tuple[Query, ...]


_SINGLE: Final = (
    Spec("metatool", "metatool", most=MappingProxyType({"single": 750})),
    Spec("bfcl", "bfcl"),
    Spec("seal-tools", "seal-tools", servers=False),
    Spec("restbench-tmdb", "restbench-tmdb", servers=False),
    Spec("toolbench", "toolbench", stem="tools-10k"),
    Spec("livemcpbench", "livemcpbench"),
    Spec("nestful", "nestful", servers=False),
    Spec("acebench", "acebench"),
    Spec("gtc", "gtc"),
    Spec("toollinkos", "toollinkos"),
)
_DIALOGUES: Final = (
    Spec("bfcl-multiturn", "bfcl-multiturn", dialogue=True),
    Spec("sgd-dev", "sgd-dev", dialogue=True),
    Spec("tooltalk", "tooltalk", dialogue=True),
    Spec("acebench-dialogues", "acebench", dialogue=True),
)
_ENLARGED: Final = tuple(
    spec._replace(name=f"{spec.name}+toucan", added=HAY)
    for spec in (*_SINGLE, *_DIALOGUES)
    if spec.dialogue or spec.name == "livemcpbench"
)
_TINY: Final = (Spec("tiny", "tiny"), Spec("tiny-dialogues", "tiny", dialogue=True))

MEANS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "single": tuple(spec.name for spec in _SINGLE),
        "livemcpbench+toucan": ("livemcpbench+toucan",),
        "dialogues": tuple(spec.name for spec in _DIALOGUES),
        "dialogues+toucan": tuple(spec.name for spec in _ENLARGED if spec.dialogue),
        "generated": tuple(spec.name for spec in _TINY),
    }
)
"""Groups of sets that means are taken over."""

GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {**MEANS, "enlarged": tuple(spec.name for spec in _ENLARGED)}
)
"""Names for several sets at once."""

SPECS: Final[Mapping[str, Spec]] = MappingProxyType(
    {spec.name: spec for spec in (*_SINGLE, *_DIALOGUES, *_ENLARGED, *_TINY)}
)


def whole(spec: Spec) -> Spec:
    """Return a set without the cuts that keep it quick: every tool, every request."""
    return spec._replace(stem="tools", most=MappingProxyType({}))


def load(spec: Spec, data: Path, sample: int) -> Bench:
    """Read a set and draw a sample, the same each time.

    Args:
        spec: What to read.
        data: Folder of all sets.
        sample: Most requests; a third as many dialogues, which have several turns each; 0 for all.

    Raises:
        MissingSetError: A file of it is not there.
    """
    if spec.folder == "tiny":
        return Bench(spec, tiny.catalog(), tiny.dialogues() if spec.dialogue else tiny.requests())
    catalog = read_catalog(data, spec.folder, spec.stem)
    if spec.added:
        catalog = enlarged(catalog, read_catalog(data, spec.added))
    queries = read_queries(found(data, spec.folder, "queries"))
    fitting = [query for query in queries if query.dialogue == spec.dialogue]
    return Bench(spec, catalog, _drawn(_capped(fitting, spec.most), _share(spec, sample)))


def read_catalog(data: Path, folder: str, stem: str = "tools") -> Catalog:
    """Read the tools of a set.

    Raises:
        MissingSetError: The file is not there.
    """
    return Catalog.from_jsonl(found(data, folder, stem))


def enlarged(catalog: Catalog, more: Catalog) -> Catalog:
    """Add the tools of another catalog, but those whose names are taken."""
    own = {row.name for row in catalog.rows}
    return Catalog((*catalog.rows, *(row for row in more.rows if row.name not in own)))


def found(data: Path, folder: str, stem: str) -> Path:
    """Return a file of a set, plain or gzipped.

    Raises:
        MissingSetError: There is neither.
    """
    for ending in (".jsonl", ".jsonl.gz"):
        path = data / folder / f"{stem}{ending}"
        if path.is_file():
            return path
    files = f"{stem}.jsonl" if folder == HAY else f"{stem}.jsonl and queries.jsonl (or .jsonl.gz)"
    origin = ORIGINS[folder].how_to_get(str(data / folder), files)
    raise MissingSetError(f"{data / folder} has no {stem}.jsonl or {stem}.jsonl.gz; {origin}")


def _share(spec: Spec, sample: int) -> int:
    return -(-sample // 3) if spec.dialogue else sample


def _capped(queries: Sequence[Query], most: Mapping[str, int]) -> list[Query]:
    kept = {query.id for kind, n in most.items() for query in _drawn(_of_kind(queries, kind), n)}
    return [query for query in queries if query.kind not in most or query.id in kept]


def _of_kind(queries: Sequence[Query], kind: str) -> list[Query]:
    return [query for query in queries if query.kind == kind]


def _drawn(queries: Sequence[Query], n: int) -> tuple[Query, ...]:
    """Draw queries and leave them in their order."""
    if not n or len(queries) <= n:
        return tuple(queries)
    places = random.Random(_SEED).sample(range(len(queries)), n)  # noqa: S311 - a sample is no secret
    return tuple(queries[place] for place in sorted(places))
