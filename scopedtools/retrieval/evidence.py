"""Decides whether the permitted rows are likely to serve a request at all."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cachetools
import numpy as np

from scopedtools.retrieval import vectors as vector_code
from scopedtools.retrieval.heard import Heard
from scopedtools.retrieval.index import Index
from scopedtools.retrieval.saved import Plain
from scopedtools.retrieval.scoring import Scored
from scopedtools.retrieval.vector_store import RowVectors
from scopedtools.types import Rows

if TYPE_CHECKING:
    from scopedtools.types import Vectors

MIN_EVIDENCE: Final = 0.11
"""Evidence from which a request counts as served.

Chosen so that at most 5 % of the requests whose tools are there fall below, mean of 13 sets: 4.8 % where
each set is judged with weights and threshold from the others, 4.5 % (0.7 to 12.7 % a set) with these; 8 %
where 5,194 tools of other kinds are added. Of other sets' requests 53 % are refused; some of them the catalog
does serve; of requests whose very tools were taken out 13 %, since those beside them stay. So it catches what
is off the subject, not that the one right tool is missing. It and the weights were measured with
all-MiniLM-L6-v2 and hold for that encoder only.
"""

MIN_WORDS: Final = 0.042
"""The same for words alone: the best BM25 over the rarity of all words of the request.

4.7 % fall below (0 to 19 % a set); of other sets' requests 23 % are refused.
"""

_USUAL_WEIGHT: Final = 0.57
_COVERAGE_WEIGHT: Final = 0.11
_DISAGREEMENT_WEIGHT: Final = 0.08

_NEAREST: Final = 5
"""Nearest rows, one of which should have the rare words of the request."""

_DEEPEST: Final = 100
"""Where the best row by words is not among so many by meaning, it does not matter how far down it is."""

_LARGE: Final = 5000
"""Rows from which nine tenths of them are taken for all; among fewer, their own takes some 20 ms."""

_SETS: Final = 256
"""Permitted sets whose usual cosine is kept, the least recently used go first."""


def plain_requests() -> tuple[str, ...]:
    """Return requests on everything and nothing in particular: what any catalog is asked for in vain."""
    text = resources.files("scopedtools.retrieval").joinpath("plain_requests.txt").read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def made_of(requests: Sequence[str]) -> str:
    """Return a hash over plain requests and the code that tells what is usual: both make what is saved.

    ``""`` where the code cannot be read.
    """
    try:
        code = [Path(file).read_bytes() for file in (__file__, vector_code.__file__)]
    except OSError:
        return ""
    return hashlib.sha256(b"\n".join([*code, "\n".join(requests).encode()])).hexdigest()


class Judge:
    """Tells whether anything in an index serves what was heard.

    A high cosine alone tells little: among many rows, or rows of many kinds, something is near to any
    request. So the best cosine is held against what requests on everything get from the same rows.

    Args:
        index: The rows.
        plain: Vectors of ``plain_requests`` by the encoder of the index, float32, shape ``(g, d)``, unit
            rows; ``None`` to go by words alone.
    """

    def __init__(self, index: Index, plain: Vectors | None = None) -> None:
        self.index = index
        self._everything = (1 << len(index.rows)) - 1
        self._plain = plain
        self._whole: float | None = None
        self._of_sets: cachetools.LRUCache[Rows, float] = cachetools.LRUCache(_SETS)
        self._lock = threading.Lock()
        if plain is not None and index.vectors is not None:
            # Now, so that no request waits for it: 0.2 s at 45,000 rows.
            known = index.plain
            if known is not None and known.vectors is plain:
                self._whole = known.usual
            else:
                self._whole = _usual(index.vectors, plain, self._everything)

    def serves(self, heard: Heard, scored: Scored, within: Rows) -> bool:
        """Tell whether any permitted row is likely to serve what was said.

        Each utterance is judged by itself, and one that is served is enough: what "yes, please" asks for was
        said before.

        Args:
            heard: What was said.
            scored: Its candidates among the permitted rows.
            within: Rows that may be found.
        """
        if not scored.rows.size:
            return False
        # What is said now comes first and mostly decides; only where it is not served is the rest looked at.
        return any(self._served(scored, whole, within) for whole, _ in heard.spans)

    @property
    def plain(self) -> Plain | None:
        """What plain requests get, to be saved with the index; ``None`` without vectors."""
        if self._whole is None or self._plain is None:
            return None
        return Plain(made_of(plain_requests()), self._plain, self._whole)

    def _served(self, scored: Scored, part: int, within: Rows) -> bool:
        # An encoder that failed on this request leaves no cosines.
        if self._whole is None or not scored.vector.any():
            return self._by_words(scored, part) >= MIN_WORDS
        return self._by_meaning(scored, part, within) >= MIN_EVIDENCE

    def _by_meaning(self, scored: Scored, part: int, within: Rows) -> float:
        cosines = scored.vector[part]
        nearest = scored.rows[(-cosines).argsort(kind="stable")[:_NEAREST]]
        covered = float(self.index.lexical.coverage(scored.parts[part], nearest).max())
        return (
            float(cosines.max())
            - _USUAL_WEIGHT * self.usual(within)
            + _COVERAGE_WEIGHT * covered
            - _DISAGREEMENT_WEIGHT * _disagreement(scored, part)
        )

    def _by_words(self, scored: Scored, part: int) -> float:
        text = scored.parts[part]
        rarity = self.index.lexical.rarity(text)
        return float(self.index.lexical.scores(text)[scored.rows].max()) / rarity if rarity else 0.0

    def usual(self, within: Rows) -> float:
        """Return the best cosine that a request on anything gets: the median over the plain requests.

        A narrow set needs its own: with the whole catalog's, sets of 25 rows lose 9 % of what they serve
        instead of 4 %. Without a tenth of a large catalog it is the same within 0.02, so those who may use
        nearly everything do not wait for theirs, a quarter of a second at 45,000 rows.
        """
        known = self._known(within)
        if known is None:
            # Without the lock: it takes a while, and threads that find it out side by side find the same.
            assert self._plain is not None and self.index.vectors is not None  # noqa: S101, PT018 - or known
            known = _usual(self.index.vectors, self._plain, within & self._everything)
            with self._lock:
                self._of_sets[within & self._everything] = known
        return known

    def knows(self, within: Rows) -> bool:
        """Tell whether it can judge by a set of rows at once, without comparing all of them first."""
        return self._whole is None or self._known(within) is not None

    def _known(self, within: Rows) -> float | None:
        within &= self._everything
        rows = len(self.index.rows)
        if within == self._everything or (rows >= _LARGE and 10 * within.bit_count() >= 9 * rows):
            return self._whole
        with self._lock:
            found: float | None = self._of_sets.get(within)
        return found


def _usual(vectors: RowVectors, plain: Vectors, within: Rows) -> float:
    return float(np.median(vectors.best(plain, within)))


def _disagreement(scored: Scored, part: int) -> float:
    """Return how far down by meaning the best row by words is: 0 for the nearest, 1 for the 100th or none."""
    cosines, words = scored.vector[part], scored.lexical[part]
    best = int(words.argmax())
    if not words[best] > 0:
        return 1.0
    nearer = int(np.count_nonzero(cosines > cosines[best]))
    return math.log1p(min(nearer, _DEEPEST)) / math.log1p(_DEEPEST)
