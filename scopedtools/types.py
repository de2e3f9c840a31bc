"""Names shared by every layer: aliases, small values, and the protocols that objects are met by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:  # numpy costs tens of milliseconds and only retrieval needs it at run time
    import numpy as np
    import numpy.typing as npt

    Vectors: TypeAlias = npt.NDArray[np.float32]
    """float32, shape ``(n, d)``, C-contiguous, each row of unit length."""

JSON: TypeAlias = Any
"""Any JSON value: ``dict``, ``list``, ``str``, ``int``, ``float``, ``bool`` or ``None``."""

Rows: TypeAlias = int
"""A set of catalog rows: bit *i* is row *i*. ``rows.to_bytes(n, "little")`` is what FAISS takes."""


class Principal(NamedTuple):
    """Who is asking, from authorization.

    Attributes:
        name: Stable name of the user or client; ``anonymous`` where there is no authorization.
        scopes: OAuth scopes, or whatever else the author's `TokenVerifier` grants.
    """

    name: str = "anonymous"
    scopes: frozenset[str] = frozenset()

    def has(self, scope: str) -> bool:
        """Tell whether a scope was granted."""
        return scope in self.scopes


ANONYMOUS = Principal()


class TokenVerifier(Protocol):
    """Tells who a bearer token belongs to."""

    async def verify(self, token: str) -> Principal | None:
        """Return the principal, or ``None`` for a token that is unknown or expired."""
        ...


class Parameter(NamedTuple):
    """An argument that a row takes.

    Attributes:
        name: Its name.
        description: What it is, or ``""``.
        required: Whether it must be given.
    """

    name: str
    description: str = ""
    required: bool = False


class Describable(Protocol):
    """What the retrieval side needs to know about a row. Tools, resources and prompts satisfy it."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str | None: ...
    @property
    def description(self) -> str: ...
    @property
    def examples(self) -> Sequence[str]:
        """Requests that this row serves, in users' words; each gets a vector of its own."""
        ...

    @property
    def group(self) -> str:
        """What it belongs to, such as the server or the toolset that it comes from, or ``""``."""
        ...

    @property
    def requires(self) -> Sequence[str]:
        """Names of the rows that must be called before it."""
        ...

    def parameters(self) -> Iterable[Parameter]:
        """Return its parameters, in order."""
        ...


class Turn(NamedTuple):
    """An earlier step of a unit of work, as far as a selector may know it.

    Attributes:
        text: What was asked: an intent or a search.
        reply: What the assistant answered, or ``""``.
        called: Ordinals of the rows that were called in answer, in order.
    """

    text: str
    reply: str = ""
    called: tuple[int, ...] = ()


class Hit(NamedTuple):
    """A row that a selector found, with the reason.

    Attributes:
        row: Ordinal of the row in the catalog.
        score: Fused score in 0..1, higher is better; what hits are ordered by.
        vector: Cosine similarity of the best vector of the row, or 0.0 without an encoder.
        lexical: BM25 score divided by the best of the query, in 0..1.
        clause: The part of the request that the row fits best.
        needed_by: Ordinal of a better row that needs this one first, where that is why it stands here.
    """

    row: int
    score: float
    vector: float
    lexical: float
    clause: str
    needed_by: int | None = None


class Ranking(NamedTuple):
    """Rows for a request, best first.

    Attributes:
        hits: At most as many as were asked for.
        fits: False where even the best hit is unlikely to serve the request.
    """

    hits: tuple[Hit, ...]
    fits: bool


class Encoder(Protocol):
    """Turns texts into unit vectors. Calls block; they are made from worker threads, one at a time.

    Attributes:
        name: Model name, written into index manifests.
        revision: What tells two sets of weights of one name apart, a hash or a commit.
        dimensions: Length of a vector.
    """

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def dimensions(self) -> int: ...

    def load(self) -> None:
        """Load the model. Later calls do nothing."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode requests; float32, shape ``(len(texts), dimensions)``, unit rows."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode descriptions; float32, shape ``(len(texts), dimensions)``, unit rows."""
        ...


class Selector(Protocol):
    """Ranks and chooses catalog rows for a text, always restricted to a set of permitted rows."""

    async def prepare(self, rows: Sequence[Describable]) -> None:
        """Make ready for these rows: load or build the index, load the encoder.

        Called once per catalog; a later call replaces the rows.
        """
        ...

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        """Rank rows for one request, best first; ``history`` is what came before it, oldest first."""
        ...

    async def select(
        self,
        intent: str,
        *,
        within: Rows,
        limit: int,
        costs: Sequence[int],
        budget_tokens: int,
        history: Sequence[Turn] = (),
    ) -> tuple[Hit, ...]:
        """Choose the rows that a whole unit of work needs.

        Args:
            intent: What the unit of work is about; may ask for several things.
            within: Rows that may be chosen.
            limit: Most rows to choose.
            costs: Tokens that each catalog row takes in a list, by ordinal.
            budget_tokens: Most tokens that the chosen rows may take together.
            history: What came before the intent in the same unit of work, oldest first.

        Returns:
            Chosen rows, best first; the same for the same arguments, in every process.
        """
        ...


@runtime_checkable
class Successor(Protocol):
    """What a `Selector` is besides, if it can make way for one of other rows while it goes on answering."""

    async def succeed(self, rows: Sequence[Describable]) -> Selector:
        """Return a prepared selector of other rows, which shares what it can with this one.

        This one answers as before, meanwhile and afterwards. Where it raises, nothing has changed.
        """
        ...


@runtime_checkable
class Learner(Protocol):
    """What a `Selector` is besides, if it can learn from the calls of its server."""

    @property
    def learns(self) -> bool:
        """Whether it does."""
        ...

    async def learn(self, text: str, row: int, *, by: str = "") -> None:
        """Remember that a row was called successfully for a request.

        Args:
            text: What the unit of work was about.
            row: Ordinal of the row.
            by: Opaque name of the caller.
        """
        ...


class Outcome(NamedTuple):
    """How a request ended.

    Attributes:
        status: ``ok``; ``tool_error``: a result that says ``isError``; ``input_required``: the client is
            asked something and calls again; ``task``: the call goes on as a task; ``error``: a JSON-RPC
            error; ``cancelled``: the client went away or said so.
        code: JSON-RPC code of an error, else ``None``.
        view: Revision of the list in the answer, where it is of one context; else ``None``.
        result: The result, a `scopedtools.protocol.results.Result`, or ``None`` where there is none.
    """

    status: Literal["ok", "tool_error", "input_required", "task", "error", "cancelled"]
    code: int | None = None
    view: str | None = None
    result: Any = None
