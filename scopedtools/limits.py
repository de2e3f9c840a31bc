"""How much of a server its callers may take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from scopedtools.exceptions import DefinitionError

_LEAST: Final = {
    "max_body_bytes": 1,
    "max_json_depth": 1,
    "body_timeout_s": 0.001,
    "concurrent_calls": 1,
    "concurrent_calls_per_principal": 1,
    "call_timeout_s": 0.001,
    "listeners": 0,
    "listeners_per_principal": 0,
}

_RATE: Final = re.compile(
    r"\s*[1-9][0-9]*\s*(/|per)\s*([1-9][0-9]*)?\s*(second|minute|hour|day)s?\s*", re.IGNORECASE
)

_STORES: Final = ("redis://", "rediss://", "redis+cluster://")

_OF_ENGINE: Final = ("db", "ssl_")
"""What the query of a store's URL says of the engine itself; the rest says how contexts are kept there."""

_PREFIX: Final = "SCOPEDTOOLS_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a server its callers may take; beyond it they are refused at once, nobody waits in a queue.

    Who takes more than a share gets 429, who comes when the process is full 503, both with ``Retry-After``;
    the JSON-RPC error in the body has the same number as its code, and is all that there is over stdio.

    Limits of a principal apply where there is authorization. Without, all callers are one principal, of which
    only rates are counted apart: by the address that the ASGI server names. Behind a proxy that is the
    client's only where the ASGI server trusts the proxy's ``X-Forwarded-For``.

    Whoever runs the server may say otherwise than its author, in variables of the environment such as
    ``SCOPEDTOOLS_CONCURRENT_CALLS``.

    How many rows a view has is in `ViewSettings`, how many contexts a principal has is with the store.

    Attributes:
        max_body_bytes: Larger bodies, and longer lines over stdio, are refused.
        max_json_depth: Most objects and lists inside each other in a message.
        body_timeout_s: Seconds within which a body must have come, from its headers on.
        concurrent_calls: Most requests that run at the same time in this process, but those that listen.
        concurrent_calls_per_principal: The same for one principal.
        call_timeout_s: Seconds after which a call, read, prompt or completion is cancelled, or ``None``. One
            that has become a task is not; what runs in a thread ends first.
        listeners: Most streams of notifications in this process.
        listeners_per_principal: The same for one principal.
        rate_per_principal: Most requests of one principal in a window, such as ``600/minute`` or
            ``20/second; 600/minute``. The extra ``limits`` installs what counts them.
        rate_per_context: The same for one context.
        rate_store: URL of a Redis or Valkey where several processes count together, such as
            ``redis://localhost:6379``; give them the same secret. While it does not answer, and by default,
            each process counts for itself. A ``SCOPEDTOOLS_STORE`` on Redis is taken where none is given.
    """

    max_body_bytes: int = 4 * 2**20
    max_json_depth: int = 64
    body_timeout_s: float = 30.0
    concurrent_calls: int = 4096
    concurrent_calls_per_principal: int = 1024
    call_timeout_s: float | None = 3600.0
    listeners: int = 10_000
    listeners_per_principal: int = 1000
    rate_per_principal: str | None = None
    rate_per_context: str | None = None
    rate_store: str | None = None

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:  # nor what is no number
                raise DefinitionError(f"{name} must be >= {least}, got {value}")
        for name in ("rate_per_principal", "rate_per_context"):
            rate = getattr(self, name)
            if rate is not None and not all(map(_RATE.fullmatch, rate.split(";"))):
                raise DefinitionError(f"{name} must be like '600/minute', got {rate!r}")
        if self.rate_store is not None and not self.rate_store.startswith(_STORES):
            # Not the whole of it: there may be a password in it.
            got = self.rate_store.partition("://")[0]
            raise DefinitionError(f"rate_store must begin with one of {', '.join(_STORES)}, got {got!r}")


def operated(limits: Limits | None, environment: Mapping[str, str]) -> Limits:
    """Return limits as whoever runs the server wants them.

    Args:
        limits: As the author gave them, or ``None``.
        environment: Variables, each named as a limit in capitals after ``SCOPEDTOOLS_``.

    Raises:
        DefinitionError: One is no number, or makes no sense.
    """
    limits = limits or Limits()
    said = {
        field.name: _read(variable, environment[variable], field.default)
        for field in fields(Limits)
        if environment.get(variable := variable_of(field.name))
    }
    store = environment.get(variable_of("store"), "")
    if limits.rate_store is None and store.startswith(_STORES):
        said.setdefault("rate_store", _engine_of(store))
    return replace(limits, **said) if said else limits


def _engine_of(store: str) -> str:
    parts = urlsplit(store)
    options = [(name, value) for name, value in parse_qsl(parts.query) if name.startswith(_OF_ENGINE)]
    return parts._replace(query=urlencode(options)).geturl()


def variable_of(name: str) -> str:
    """Return the variable of the environment for a limit."""
    return _PREFIX + name.upper()


def _read(variable: str, text: str, default: Any) -> Any:
    if default is None:
        return text
    try:
        return type(default)(text)
    except ValueError as error:
        raise DefinitionError(f"{variable} must be a number, got {text!r}") from error
