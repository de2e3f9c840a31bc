"""The configuration of a gateway: ``mcpServers``, as hosts write it, and a few options of ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec

from scopedtools.gateway.errors import ConfigError
from scopedtools.gateway.expand import expand
from scopedtools.gateway.written import decoded, listed, meant, misplaced, shape
from scopedtools.protocol.meta import ID_HEADER

NameContext: TypeAlias = Literal["auto", "id", "digest", "never"]
Reaction: TypeAlias = Literal["allow", "flag", "hold"]

T = TypeVar("T")

_SERVER_NAME_CHARACTERS: Final = 128
_EXPANDED: Final = ("command", "args", "env", "cwd", "url", "headers", "oauth")
"""Where variables are filled in, as hosts do."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_TRANSPORTS: Final[Mapping[str, str]] = {
    "stdio": "stdio",
    **dict.fromkeys(("http", "streamable-http", "streamableHttp", "streamable_http"), "http"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """What of a client's request goes on to an upstream.

    Attributes:
        context: Which name the context has upstream: the client's ``id``; a ``digest`` of it and of the
            principal; ``never`` any; ``auto`` for the ID where nobody is authenticated and the digest where
            principals share the gateway's credential, so that one cannot reach the other's context by name.
        context_header: HTTP header that carries it, or ``None``.
        context_meta: Key of ``_meta`` that carries it, or ``None``.
        extension: Name it in the settings of our extension too, with intent and parent, to an upstream that
            offers the extension.
        trace: Pass on ``traceparent``, ``tracestate`` and ``baggage``.
        headers: Names of HTTP headers that are passed on as the client sent them. Credentials are among
            them only if they are named here.
    """

    context: NameContext = "auto"
    context_header: str | None = ID_HEADER
    context_meta: str | None = "clientSessionId"
    extension: bool = True
    trace: bool = True
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one upstream may make us hold.

    Attributes:
        max_rows: Most rows of each kind; what comes after them is left out.
        max_pages: Most pages of one list.
        max_name_chars: Rows with longer names are left out.
        max_description_chars: Longer descriptions are cut.
        max_definition_bytes: Rows whose definition is larger, as JSON, are left out.
        max_message_bytes: Larger messages are not read.
        max_values: Messages with more values, such as numbers and objects, are not read.
        max_subscriptions: Most resources whose changes clients hear of at a time.
    """

    max_rows: int = 10_000
    max_pages: int = 1000
    max_name_chars: int = 256
    max_description_chars: int = 16_384
    max_definition_bytes: int = 512 * 1024
    max_message_bytes: int = 16 * 2**20
    max_values: int = 500_000
    max_subscriptions: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth:
    """Who the gateway is to an authorization server: the client credentials grant, with nobody asked.

    Keys may also be written as in ``clientId``. The secret goes to the token endpoint that is named here, or
    that the issuer named here names, and nowhere else.

    Attributes:
        client_id: Of the gateway.
        client_secret: What proves it.
        token_url: The token endpoint; ``https``, unless it is on this machine.
        issuer: Instead, the authorization server, whose metadata tell the endpoint.
        scope: Scopes to ask for, with spaces between them.
        resource: What the token is for (RFC 8707); the server's URL by default, ``""`` not to say it.
        auth_method: How the secret is sent.
    """

    client_id: str
    client_secret: str = field(repr=False)
    token_url: str | None = None
    issuer: str | None = None
    scope: str | None = None
    resource: str | None = None
    auth_method: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"

    def __post_init__(self) -> None:
        if (self.token_url is None) == (self.issuer is None):
            raise ConfigError("oauth needs either 'token_url' or 'issuer'")
        self.require_private(self.token_url or str(self.issuer))

    @staticmethod
    def require_private(url: str) -> None:
        """Refuse an endpoint to which a secret would travel for all to read.

        Raises:
            ConfigError: It is not ``https``, and not on this machine.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" and (parts.scheme, parts.hostname in _LOOPBACK) != ("http", True):
            raise ConfigError("the URL of an authorization server must begin with https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """One upstream server.

    Attributes:
        name: Its key under ``mcpServers``.
        command: Program to start, or ``None``.
        args: Its arguments.
        env: Its environment, besides the few variables that every program gets.
        cwd: Where it runs.
        url: Endpoint of Streamable HTTP, or ``None``.
        headers: Sent with every HTTP request, such as a credential of the gateway.
        oauth: How the gateway gets tokens for it.
        disabled: Leave it out.
        allow: Names or globs of the rows to serve; all if empty.
        deny: Names or globs of the rows to leave out, also of those allowed.
        tags: For all of its rows, besides its name.
        pins: Names or globs of the tools that every view shows.
        prefix: What its names begin with; ``""`` for nothing, the server's name by default.
        timeout_ms: For an answer; time in which a person is asked does not count, and progress starts it
            anew.
        connect_timeout_ms: To start, shake hands and be listed.
        protocol: ``legacy`` for a server that cannot bear to be asked for the newest revision first.
        per_context: A connection, and over stdio a process, for each context. By default where an earlier
            revision keeps a session over HTTP.
        max_contexts: Most connections of contexts at once.
        context_idle_s: Seconds after which the connection of a context that is not used is closed.
        forward: What goes on to it.
        limits: What it may make us hold.
    """

    name: str
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    oauth: OAuth | None = None
    disabled: bool = False
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    prefix: str | None = None
    timeout_ms: int = 60_000
    connect_timeout_ms: int = 30_000
    protocol: Literal["auto", "legacy"] = "auto"
    per_context: bool | None = None
    max_contexts: int = 100
    context_idle_s: float = 1800
    forward: Forward = Forward()
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        where = f"mcpServers.{self.name}"
        if not self.name or len(self.name) > _SERVER_NAME_CHARACTERS or not self.name.isprintable():
            raise ConfigError(
                f"the name of a server is 1 to 128 printable characters, got {self.name[:40]!r}"
            )
        if (self.command is None) == (self.url is None):
            raise ConfigError(f"{where} needs either 'command' or 'url'")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"{where}.url must begin with http:// or https://")
        if self.oauth is not None and (self.url is None or "authorization" in map(str.lower, self.headers)):
            raise ConfigError(f"{where}.oauth needs a 'url', and no Authorization in 'headers'")
        for name in ("timeout_ms", "connect_timeout_ms", "max_contexts", "context_idle_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{where}.{name} must be > 0, got {getattr(self, name)}")

    @property
    def effective_prefix(self) -> str:
        """What its names begin with."""
        return self.name if self.prefix is None else self.prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What happens to definitions that nobody has approved.

    Attributes:
        file: Where the digests of approved definitions are kept; ``None`` approves everything.
        new: For rows that are not in the file. ``allow`` serves and approves them, so that their first
            definition counts; ``flag`` serves them with the tag ``unapproved``; ``hold`` leaves them out.
        changed: For rows whose definition is another than the approved one: ``flag`` serves them with the
            tag ``changed``, ``hold`` leaves them out, ``allow`` takes the new one for approved.
    """

    file: Path | None = None
    new: Reaction = "allow"
    changed: Reaction = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """All upstreams, in order.

    Attributes:
        servers: Those that are not disabled.
        state_dir: Where the last known rows of each server are kept, so that a server that is down at the
            start has its rows all the same; ``None`` to forget them.
        approval: What happens to definitions that changed.
        startup_timeout_ms: How long the start waits for upstreams; those that take longer come later.
        warnings: What was not understood and is not in use.
    """

    servers: tuple[ServerConfig, ...] = ()
    state_dir: Path | None = None
    approval: Approval = Approval()
    startup_timeout_ms: int = 15_000
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [server.name for server in self.servers]
        if len(set(names)) != len(names):
            raise ConfigError("two servers have one name; rename one of them")
        if self.startup_timeout_ms <= 0:
            raise ConfigError(f"gateway.startup_timeout_ms must be > 0, got {self.startup_timeout_ms}")

    @classmethod
    def read(cls, path: str | Path, *, variables: Mapping[str, str] | None = None) -> Self:
        """Read a configuration file.

        Args:
            path: JSON, with ``mcpServers``, and under ``gateway`` the other attributes of this class; paths
                among them are from the folder of the file.
            variables: What ``${NAME}`` stands for; the environment by default.

        Raises:
            ConfigError: It cannot be read, or something in it is wrong. Messages name the file and have no
                values of ``env`` and ``headers``.
        """
        path = Path(path)
        try:
            return cls.of(decoded(path.read_bytes()), variables=variables, folder=path.parent)
        except OSError as error:
            raise ConfigError(f"cannot read {str(path)!r}: {error.strerror}") from error
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    @classmethod
    def of(
        cls, value: Any, *, variables: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> Self:
        """Read a configuration that is JSON already; see `read`."""
        described = value.get("mcpServers") if isinstance(value, dict) else None
        if not isinstance(described, dict):
            raise ConfigError(f'it needs "mcpServers": {{name: {{...}}, ...}}, got {shape(value)}')
        filled_in = os.environ if variables is None else variables
        warnings = misplaced(value, {one.name for one in fields(cls)} - {"servers", "warnings"})
        servers = [_server(name, one, filled_in, warnings) for name, one in described.items()]
        if all(server.disabled for server in servers):
            warnings.append("mcpServers has no server, or none that is not disabled")
        own = value.get("gateway", {})
        config = _convert(cls, own, "gateway", warnings, closed=("servers", "warnings"))
        return replace(
            config,
            servers=tuple(server for server in servers if not server.disabled),
            state_dir=_within(folder, config.state_dir),
            approval=replace(config.approval, file=_within(folder, config.approval.file)),
            warnings=tuple(warnings),
        )


_INNER: Final[Mapping[str, type]] = {
    "forward": Forward,
    "limits": Limits,
    "oauth": OAuth,
    "approval": Approval,
}


def _server(name: str, value: Any, variables: Mapping[str, str], warnings: list[str]) -> ServerConfig:
    where = f"mcpServers.{name}"
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must be an object, got {type(value).__name__}")
    given = dict(value)
    transport = given.pop("type", given.pop("transport", None))
    if transport is not None and transport not in _TRANSPORTS:
        raise ConfigError(
            f"{where}.type must be 'stdio' or 'http', got {str(transport)[:40]!r}; "
            "servers that only speak HTTP with SSE cannot be fronted"
        )
    if not given.keys() & {"command", "url"}:
        raise ConfigError(f"{where} needs either 'command' or 'url', got {listed(given)}")
    for key in ("env", "headers"):
        for variable, one in given[key].items() if isinstance(given.get(key), dict) else ():
            if not isinstance(one, str):
                raise ConfigError(f"{where}.{key}.{variable} must be in quotes, got {type(one).__name__}")
    if given.get("disabled") is not True:  # what is not started needs no variables
        given |= {
            key: expand(given[key], variables, where=f"{where}.{key}") for key in _EXPANDED if key in given
        }
    if isinstance(given.get("oauth"), dict):
        given["oauth"] = {_snake(key): one for key, one in given["oauth"].items()}
    server = _convert(ServerConfig, given | {"name": name}, where, warnings, named=name)
    if transport is not None and _TRANSPORTS[transport] != ("stdio" if server.command else "http"):
        raise ConfigError(
            f"{where}.type is {transport!r}, and it has {'a command' if server.command else 'a url'}"
        )
    return server


def _convert(
    kind: type[T],
    value: Any,
    where: str,
    warnings: list[str],
    *,
    closed: Iterable[str] = (),
    named: str | None = None,
) -> T:
    """Read one object of the configuration; what is not known is left out, and told."""
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must be an object, got {type(value).__name__}")
    known = {one.name for one in fields(kind)} - set(closed)  # type: ignore[arg-type] # all are dataclasses
    unknown = [key for key in value if key not in known]
    warnings.extend(f"{where}.{key} is not known and has no effect{meant(key, known)}" for key in unknown)
    given = {key: one for key, one in value.items() if key in known}
    for key, inner in _INNER.items():
        if given.get(key) is not None:
            given[key] = msgspec.to_builtins(
                _convert(inner, given[key], f"{where}.{key}", warnings), enc_hook=str
            )
    try:
        return msgspec.convert(given, kind, dec_hook=lambda wanted, one: wanted(one))
    except msgspec.ValidationError as error:
        # It says which types were expected and got, and no values.
        said = str(error).replace(" - at `$.", f" - at `{where}.").replace(" - at `$`", "")
        raise ConfigError(said if named is None or where in said else f"{where}: {said}") from error


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()


def _within(folder: Path | None, path: Path | None) -> Path | None:
    return path if path is None or folder is None else folder / path.expanduser()
