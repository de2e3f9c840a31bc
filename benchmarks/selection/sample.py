"""Requests of a set for the modes that ask somebody else: a model, or a server that is running."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.selection.sets import SPECS, MissingSetError, load
from scopedtools.catalog.catalog import Catalog
from scopedtools.evaluation.data import Slot
from scopedtools.exceptions import ScopedToolsError

_DATA_VARIABLE: Final = "SCOPEDTOOLS_DATA"
_DEFAULT_DATA: Final = "../shared/data"


def data_folder() -> Path:
    """Return the folder that holds the test sets, whether it is there or not."""
    return Path(os.environ.get(_DATA_VARIABLE, _DEFAULT_DATA))


class SampleError(ScopedToolsError):
    """A set is not there, or has nothing to ask."""


class Request(NamedTuple):
    """A single request and what meets it."""

    id: str
    text: str
    needed: tuple[Slot, ...]


class Sample(NamedTuple):
    """Requests to one catalog.

    Attributes:
        name: Of the set.
        catalog: Its tools.
        requests: In the order of the set.
    """

    name: str
    catalog: Catalog
    requests: tuple[Request, ...]


def take_sample(name: str, size: int) -> Sample:
    """Read a set and draw some of its single requests that need a tool, the same each time.

    Args:
        name: Of a set of single requests; all but ``tiny`` are read from ``$SCOPEDTOOLS_DATA``.
        size: Most requests; 0 for all.

    Raises:
        SampleError: There is no such set, or its files are not there.
        ScopedToolsError: A file cannot be read.
    """
    singles = [spec.name for spec in SPECS.values() if not spec.dialogue]
    if name not in singles:
        raise SampleError(f"the set must be one of {', '.join(singles)}, got {name!r}")
    try:
        bench = load(SPECS[name], data_folder(), size)
    except MissingSetError as error:
        raise SampleError(str(error)) from error
    asks = ((query.id, query.asks[0]) for query in bench.queries)
    requests = [Request(one, ask.text, ask.needed) for one, ask in asks if ask.needed]
    return Sample(name, bench.catalog, tuple(requests[: size or None]))
