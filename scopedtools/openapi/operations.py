"""The operations of a description, read into values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from scopedtools.exceptions import CatalogError
from scopedtools.openapi.document import Document, Node
from scopedtools.openapi.urls import leads_elsewhere

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")

Place = Literal["path", "query", "header", "cookie"]

PLACES: Final[tuple[Place, ...]] = ("path", "query", "header", "cookie")

_STYLES: Final[Mapping[Place, tuple[str, ...]]] = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form", "cookie"),
}
"""The styles of each place, its default first."""

_SPOKEN_FOR: Final = frozenset({"accept", "content-type", "authorization"})
"""Headers that a description may not declare as parameters: other parts of it speak of them."""

_NEVER_SENT: Final = frozenset(
    {"connection", "content-length", "cookie", "expect", "host", "keep-alive", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "proxy-authorization", "proxy-connection"}
)
"""Headers that frame a message, route it or carry what belongs to the operator."""

_VARIABLE: Final = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation.

    Attributes:
        name: What the API calls it.
        place: Where it goes.
        required: Whether a request needs it.
        about: The parameter as described: ``description``, ``deprecated``.
        schema: Of its value.
        style: How a value becomes text; ``content`` for JSON.
        explode: Whether each element or member stands for itself.
        allow_reserved: Whether reserved characters go out as they are.
    """

    name: str
    place: Place
    required: bool
    about: Node
    schema: Node
    style: str
    explode: bool
    allow_reserved: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request, in each media type that the operation takes.

    Attributes:
        required: Whether a request needs it.
        description: What it is.
        content: The media type objects, by media type in lower case, parameters left out.
    """

    required: bool
    description: str
    content: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        method: In upper case.
        path: With ``{name}`` for parameters.
        about: The operation as described: ``operationId``, ``summary``, ``tags`` and so on.
        parameters: By place, in the order of the path, the query, headers and cookies.
        body: What is sent besides, or ``None``.
        responses: By status, such as ``200``, ``2XX`` or ``default``.
        security: Alternatives, each the scopes that are needed by name of a security scheme.
        server: URL of a server of its own, or ``None``.
    """

    method: str
    path: str
    about: Node
    parameters: tuple[Parameter, ...]
    body: Body | None
    responses: Mapping[str, Node]
    security: tuple[Mapping[str, tuple[str, ...]], ...]
    server: str | None

    @property
    def key(self) -> str:
        """Method and path, which no other operation has."""
        return f"{self.method} {self.path}"


def paths(document: Document) -> Iterator[tuple[str, str, Node]]:
    """Yield method, path and path item of each operation, in the order of the description."""
    for path, item in document.root.child("paths").items():
        try:
            entry = item.followed()
        except CatalogError:
            entry = item  # the reader of each method says what is wrong
        for method in METHODS:
            if isinstance(entry.mapping.get(method), dict):
                yield method, path, entry


def read_operation(document: Document, method: str, path: str, item: Node) -> Operation:
    """Read an operation.

    Raises:
        CatalogError: A reference cannot be followed, or a parameter cannot be sent.
    """
    about = item.child(method)
    base, _, _ = path.partition("#")
    _require_below(base)
    return Operation(
        method=method.upper(),
        path=base,
        about=about,
        parameters=tuple(_parameters(item, about, base)),
        body=_body(about),
        responses={status: one.followed() for status, one in about.child("responses").items()},
        security=_security(document.root, about),
        server=_server(about) or _server(item),
    )


def _require_below(path: str) -> None:
    """Refuse a path that, put after the base URL, would lead elsewhere."""
    if not path.startswith("/"):
        raise CatalogError(f"its path must begin with a slash, got {path[:80]!r}")
    if leads_elsewhere(path.partition("?")[0]):
        raise CatalogError(f"its path must not leave that of the base URL, got {path[:80]!r}")


def _parameters(item: Node, about: Node, path: str) -> Iterator[Parameter]:
    declared: dict[tuple[str, str], Parameter] = {}
    for owner in (item, about):
        for element in owner.child("parameters").elements():
            parameter = _parameter(element.followed())
            if parameter is not None:
                declared[parameter.place, parameter.name] = parameter
    variables = dict.fromkeys(_VARIABLE.findall(path))
    for name in variables:
        # Sloppy descriptions name them in the path alone; without a value there is no path.
        declared.setdefault(("path", name), _undeclared(name, about))
    for place in PLACES:
        yield from (
            one
            for (where, name), one in declared.items()
            if where == place and (place != "path" or name in variables)
        )


def _undeclared(name: str, about: Node) -> Parameter:
    schema = Node({"type": "string"}, about.links)
    return Parameter(name, "path", True, Node({}, about.links), schema, "simple", False)


def _parameter(node: Node) -> Parameter | None:
    name, place = node.text("name"), node.text("in")
    if place not in PLACES:
        raise CatalogError(f"the parameter {name[:80]!r} is in {place[:40]!r}, which cannot be sent")
    where: Place = place
    header = name.lower()
    if where == "header" and (header in _SPOKEN_FOR or header in _NEVER_SENT or header.startswith("mcp-")):
        return None
    if where in ("header", "cookie") and not is_token(name):
        raise CatalogError(f"the {where} {name[:80]!r} has a name that HTTP does not know")
    style, schema = _style(node, where)
    return Parameter(
        name=name,
        place=where,
        required=where == "path" or node.mapping.get("required") is True,
        about=node,
        schema=schema,
        style=style,
        explode=_explode(node, style),
        allow_reserved=node.mapping.get("allowReserved") is True,
    )


def _style(node: Node, place: Place) -> tuple[str, Node]:
    content = node.child("content")
    for _, one in content.items():  # noqa: PERF102 - of a node, which is no dict
        return "content", one.followed().child("schema")
    style = node.text("style") or _STYLES[place][0]
    # One that does not go with its place is taken for the place's default, as tools around OpenAPI do.
    return style if style in _STYLES[place] else _STYLES[place][0], node.child("schema")


def _explode(node: Node, style: str) -> bool:
    said = node.mapping.get("explode")
    return said if isinstance(said, bool) else style in ("form", "cookie", "deepObject")


def _body(about: Node) -> Body | None:
    if about.mapping.get("requestBody") is None:
        return None
    node = about.child("requestBody").followed()
    content = {media_type(name): one.followed() for name, one in node.child("content").items() if "/" in name}
    if not content:
        return None
    return Body(node.mapping.get("required") is True, node.text("description"), content)


def is_token(text: str) -> bool:
    """Tell whether a text can be the name of a header or a cookie (RFC 9110, 5.6.2)."""
    return re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", text) is not None


def media_type(text: str) -> str:
    """Return a media type in lower case, without its parameters."""
    return text.partition(";")[0].strip().lower()


def _security(root: Node, about: Node) -> tuple[Mapping[str, tuple[str, ...]], ...]:
    owner = about if isinstance(about.mapping.get("security"), list) else root
    return tuple(
        {
            name: tuple(one.value for one in scopes.elements() if isinstance(one.value, str))
            for name, scopes in one.items()
        }
        for one in owner.child("security").elements()
    )


def _server(owner: Node) -> str | None:
    for server in owner.child("servers").elements():
        return server_url(server)
    return None


def server_url(server: Node) -> str:
    """Return the URL of a server, with the defaults of its variables."""
    variables = server.child("variables")
    return _VARIABLE.sub(
        lambda found: str(variables.child(found[1]).mapping.get("default", "")), server.text("url")
    )


def same_server(url: str) -> str:
    """Return what two URLs of one server have in common; whether it is http or https the base URL says."""
    return url.partition("://")[2].rstrip("/") if "://" in url else url.removeprefix("//").rstrip("/")


def own_servers(document: Document, found: Iterable[tuple[str, str, Node]]) -> frozenset[str]:
    """Return the API's own servers, by `same_server`, which the base URL stands for.

    Besides those of the description it is one that all operations name.
    """
    named = {server_url(one) for one in document.root.child("servers").elements()}
    each = {_server(item.child(method)) or _server(item) for method, _, item in found}
    if len(each) == 1:
        named |= {one for one in each if one is not None}
    return frozenset(map(same_server, named))
