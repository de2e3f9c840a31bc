"""Stores by URL, so that changing where contexts are kept changes a setting, and no code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from scopedtools.context.store import MemoryStore
from scopedtools.exceptions import DefinitionError, MissingDependencyError
from scopedtools.storage import ContextStore
from scopedtools.stores.guarded import GuardedStore

_Read = Callable[[str], Any]


def _unavailable(said: str) -> str:
    if said not in ("degrade", "refuse"):
        raise ValueError("degrade or refuse")
    return said


_GUARD: Final[Mapping[str, _Read]] = MappingProxyType(
    {
        "timeout_s": float,
        "failures": int,
        "open_s": float,
        "max_copies": int,
        "max_copies_bytes": int,
        "when_unavailable": _unavailable,
    }
)
_KEPT: Final[Mapping[str, _Read]] = MappingProxyType(
    {"ttl_s": float, "max_contexts_per_principal": int, "max_values": int}
)
_MEMORY: Final[Mapping[str, _Read]] = MappingProxyType(
    {**_KEPT, "max_contexts": int, "max_records_bytes": int, "max_values_bytes": int}
)
_ENGINE: Final[Mapping[str, _Read]] = MappingProxyType(
    {**_KEPT, "max_values_bytes": int, "max_connections": int, "namespace": str}
)
_PATIENCE: Final = 2.0
"""A driver gives up after the guard has; when nobody waits, it may take its time."""

_WANTED: Final[Mapping[_Read, str]] = MappingProxyType({float: "a number", int: "a whole number"})


class _Engine(NamedTuple):
    """Stores of one kind.

    Attributes:
        make: Takes a URL and settings, returns a store.
        settings: Names of the settings, each with what reads it.
        passed: What else the query may name, for the engine's own driver.
        is_guarded: Whether the engine may fail.
    """

    make: Callable[..., ContextStore]
    settings: Mapping[str, _Read]
    passed: frozenset[str] = frozenset()
    is_guarded: bool = True


def open_store(url: str) -> ContextStore:
    """Make the store of contexts that a URL names; it connects when the server starts.

    ::

        open_store("redis://:secret@cache:6379/0?ttl_s=3600&max_contexts_per_principal=1000")

    The query holds settings: ``ttl_s``, ``max_contexts_per_principal``, ``max_values``, ``max_values_bytes``,
    ``max_connections``, ``namespace``, and those of `GuardedStore`, which is around every engine:
    ``timeout_s``, ``failures``, ``open_s``, ``max_copies``, ``max_copies_bytes``, ``when_unavailable``.

    Args:
        url: ``memory://``, ``redis://``, ``rediss://`` (TLS), ``redis+cluster://``, ``rediss+cluster://``,
            ``unix://`` (a socket of Redis), or ``postgresql://``. Valkey speaks as Redis does.

    Raises:
        DefinitionError: It names no store, or a setting is wrong. Says nothing of the password.
        MissingDependencyError: The extra of the engine is not installed.
    """
    parts = _split(url)
    engine = _ENGINES.get(parts.scheme)
    if engine is None:
        raise DefinitionError(
            f"a store must begin with one of {', '.join(_ENGINES)}, got {shown(url)!r}; "
            "such as redis://localhost:6379/0"
        )
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    guard = _GUARD if engine.is_guarded else {}
    _require_known(given, {*engine.settings, *guard, *engine.passed}, url)
    settings = _read(given, engine.settings)
    guarding = _read(given, guard)
    if "timeout_s" in guarding:
        settings["timeout_s"] = _PATIENCE * guarding["timeout_s"]
    left = {name: said for name, said in given.items() if name in engine.passed}
    try:
        store = engine.make(parts._replace(query=urlencode(left)).geturl(), **settings)
        return GuardedStore(store, **guarding) if engine.is_guarded else store
    except ValueError as error:
        raise DefinitionError(f"the store {shown(url)!r} cannot be used: {_safe(error, parts)}") from None


def shown(url: str) -> str:
    """Return a URL without what it tells of a user, and without its query, for those who read messages."""
    scheme = url.partition(":")[0]
    try:
        parts = urlsplit(url)
    except ValueError:
        return scheme
    if not parts.netloc and not parts.path:
        return scheme
    user, at, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{'***' if user else ''}{at}{host}{parts.path}"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_read = "," in parts.netloc or parts.port is None or parts.port
    except ValueError:
        port_is_read = False
    # A password with such signs ends early, and what is left of it would be shown as a path or a setting.
    if not port_is_read or "@" in f"{parts.path}{parts.query}{parts.fragment}" or parts.netloc.count("@") > 1:
        raise DefinitionError(
            f"the URL of a store must be scheme://user:password@host:port/path, got "
            f"{url.partition(':')[0]!r} and something else; write signs such as / ? # @ in a password as "
            "%2F %3F %23 %40"
        )
    return parts


def _require_known(given: Mapping[str, str], known: set[str], url: str) -> None:
    unknown = sorted(given.keys() - known)
    if unknown:
        raise DefinitionError(
            f"the store {shown(url)!r} has no setting {', '.join(map(repr, unknown))}; "
            f"there are {', '.join(sorted(known))}"
        )


def _read(given: Mapping[str, str], settings: Mapping[str, _Read]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, read in settings.items():
        if name in given:
            try:
                found[name] = read(given[name])
            except ValueError as error:
                wanted = _WANTED.get(read, str(error))
                raise DefinitionError(
                    f"the setting {name} of a store must be {wanted}, got {given[name]!r}"
                ) from None
    return found


def _safe(error: ValueError, parts: SplitResult) -> str:
    """Return what an error says, unless it says the password."""
    said = str(error)
    return "see its documentation" if parts.password and parts.password in said else said


def _memory(url: str, **settings: Any) -> ContextStore:
    if url.removeprefix("memory:").strip("/"):
        raise ValueError("memory:// has no address: each process has its own")
    return MemoryStore(**settings)


def _redis(url: str, **settings: Any) -> ContextStore:
    try:
        from scopedtools.stores.redis import RedisStore  # noqa: PLC0415 - needs an extra
    except ImportError as error:
        raise MissingDependencyError(
            'contexts on Redis or Valkey need the extra: pip install "scopedtools[redis]"'
        ) from error
    return RedisStore(url, **settings)


def _postgres(url: str, **settings: Any) -> ContextStore:
    try:
        from scopedtools.stores.postgres import PostgresStore  # noqa: PLC0415 - needs an extra
    except ImportError as error:
        raise MissingDependencyError(
            'contexts on PostgreSQL need the extra: pip install "scopedtools[postgres]"'
        ) from error
    return PostgresStore(url, **settings)


_REDIS: Final = _Engine(
    _redis,
    _ENGINE,
    frozenset(
        {
            "db",
            "protocol",
            "ssl_ca_certs",
            "ssl_certfile",
            "ssl_keyfile",
            "ssl_cert_reqs",
            "ssl_check_hostname",
        }
    ),
)
_POSTGRES: Final = _Engine(
    _postgres,
    _ENGINE,
    frozenset(
        {
            "application_name",
            "host",
            "options",
            "sslcert",
            "sslkey",
            "sslmode",
            "sslrootcert",
            "target_session_attrs",
        }
    ),
)
_ENGINES: Final[Mapping[str, _Engine]] = MappingProxyType(
    {
        "memory": _Engine(_memory, _MEMORY, is_guarded=False),
        "redis": _REDIS,
        "rediss": _REDIS,
        "redis+cluster": _REDIS,
        "rediss+cluster": _REDIS,
        "unix": _REDIS,
        "postgresql": _POSTGRES,
        "postgres": _POSTGRES,
    }
)
