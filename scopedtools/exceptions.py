"""The errors that scopedtools raises; the command line and the test client add one each of their own.

::

    ScopedToolsError
    ├── DefinitionError        a class, a tool or a setting is declared wrongly; before the first request
    ├── CatalogError           a catalog file cannot be read
    ├── IndexMismatchError     a saved index does not fit this catalog, encoder or library
    ├── VectorsUnavailableError a database of vectors does not answer; words alone answer meanwhile
    ├── MissingDependencyError an optional package is not installed; names the extra that brings it
    ├── ToolError              the model reads it: a result with ``isError: true``
    ├── AuthorizationError     HTTP says it; these are in `scopedtools.auth`
    │   ├── Unauthorized       401, no token or a bad one
    │   ├── InsufficientScope  403, a good token that grants too little
    │   └── Unavailable        503, tokens cannot be checked now
    └── ProtocolError          the client reads it: a JSON-RPC error
        ├── one subclass for each code that the server sends
        └── LimitError         the client is to come back later, HTTP says when
            ├── OverShareError 429, this caller takes more than its share
            ├── OverloadError  503, this process is full
            └── StoreUnavailableError  503, what is kept of a context cannot be reached

Messages say what is wrong, what was got, and what to do: ``k must be >= 1, got 0``.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ScopedToolsError(Exception):
    """Base of every error raised on purpose by this package."""


class DefinitionError(ScopedToolsError, TypeError):
    """A declaration is wrong. Raised when the class is defined or the server is built."""


class CatalogError(ScopedToolsError, ValueError):
    """A catalog file or row cannot be read."""


class IndexMismatchError(ScopedToolsError):
    """A saved index was built from another catalog, with another encoder or library."""


class VectorsUnavailableError(ScopedToolsError):
    """A database of vectors does not answer, or has lost some. Requests are answered without it."""


class MissingDependencyError(ScopedToolsError, ImportError):
    """An optional package is missing. The message names the extra that installs it."""


class ToolError(ScopedToolsError):
    """A tool could not do what was asked; the model reads the message and may try again.

    Raise it from a tool. The client gets a result with ``isError: true``, not a protocol error.
    """


class ProtocolError(ScopedToolsError):
    """A JSON-RPC error.

    Attributes:
        code: JSON-RPC error code of the class.
        message: One sentence for the client.
        data: Details for the client, any JSON value, or ``None``.
    """

    code: ClassVar[int] = -32603

    def __init__(self, message: str, *, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class ParseError(ProtocolError):
    """The body is not JSON."""

    code = -32700


class InvalidRequestError(ProtocolError):
    """The JSON is not a JSON-RPC message of this revision."""

    code = -32600


class MethodNotFoundError(ProtocolError):
    """The method does not exist at this revision."""

    code = -32601


class InvalidParamsError(ProtocolError):
    """The parameters are wrong, or name something that does not exist."""

    code = -32602


class InternalError(ProtocolError):
    """The server failed; details are in its log, under the reference in the message."""

    code = -32603


class HeaderMismatchError(ProtocolError):
    """A header that must mirror the body is missing, malformed or says something else."""

    code = -32020


class MissingCapabilityError(ProtocolError):
    """The request needs a capability that the client did not declare."""

    code = -32021


class UnsupportedVersionError(ProtocolError):
    """The protocol revision is not served here; ``data`` lists those that are."""

    code = -32022


class CallTimeoutError(ProtocolError):
    """A request took longer than it may, and was cancelled."""

    # As HTTP says it; the codes below -32000 are not for us to give a meaning.
    code = 504


class LimitError(ProtocolError):
    """There is no room for the request now.

    Attributes:
        retry_after_s: Whole seconds after which the client may try again.
    """

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message, data={"retryAfter": retry_after_s})
        self.retry_after_s = retry_after_s


class OverShareError(LimitError):
    """This caller takes more than its share."""

    code = 429


class OverloadError(LimitError):
    """This process is full, whoever asks."""

    code = 503


class StoreUnavailableError(LimitError):
    """What is kept of a context cannot be reached now, and nothing else may answer."""

    code = 503

    def __init__(self, *, retry_after_s: int = 1) -> None:
        super().__init__(
            "What is kept of this context cannot be reached now; try again later", retry_after_s=retry_after_s
        )
