"""URI templates, matched backwards: from a URI to its variables."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from scopedtools.exceptions import DefinitionError

_EXPRESSION: Final = re.compile(r"\{(?P<reserved>\+?)(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
_MOST_VARIABLES: Final = 32
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class UriTemplate:
    """A template such as ``shelf://{room}/{+path}``.

    ``{name}`` stands for one segment, ``{+name}`` for any rest including slashes (RFC 6570, levels 1
    and 2). Values are percent-decoded.

    Raises:
        DefinitionError: It is not a URI, or has an expression that is not understood.
    """

    def __init__(self, template: str) -> None:
        require_uri(template)
        expressions = list(_EXPRESSION.finditer(template))
        self.names = tuple(expression["name"] for expression in expressions)
        if len(set(self.names)) != len(self.names):
            raise DefinitionError(f"URI template {template!r} names a variable twice; use each name once")
        literals = _EXPRESSION.split(template)[:: _EXPRESSION.groups + 1]
        if any("{" in literal or "}" in literal for literal in literals):
            raise DefinitionError(
                f"URI template {template!r} has an expression that is not {{name}} or {{+name}}"
            )
        if len(expressions) > _MOST_VARIABLES:
            raise DefinitionError(
                f"URI template {template[:200]!r} has {len(expressions)} variables, "
                f"{_MOST_VARIABLES} may be; match the rest with {{+name}}"
            )
        self._head, *self._literals = literals
        self._takes_slashes = [expression["reserved"] != "" for expression in expressions]

    def match(self, uri: str) -> dict[str, str] | None:
        """Return the variables of a URI that follows the template, or ``None``; the first are the longest.

        Not by a regular expression, which with some variables looks for hours at a URI that almost follows:
        templates may be somebody else's.
        """
        if not uri.startswith(self._head) or not uri.endswith((self._literals or [self._head])[-1]):
            return None
        ends = self._ends(uri)
        values, at = [], len(self._head)
        for takes_slashes, possible, literal in zip(self._takes_slashes, ends, self._literals, strict=True):
            slash = -1 if takes_slashes else uri.find("/", at)
            reach = slash if slash >= 0 else len(uri)
            end = (possible & ((2 << reach) - 1)).bit_length() - 1
            if end <= at:
                return None
            values.append(unquote(uri[at:end]))
            at = end + len(literal)
        return dict(zip(self.names, values, strict=True)) if at == len(uri) else None

    def _ends(self, uri: str) -> list[int]:
        """Return where each variable may end so that the rest follows the template; a bit is a place."""
        possible = 1 << len(uri)
        ends: list[int] = []
        for takes_slashes, literal in zip(self._takes_slashes[::-1], self._literals[::-1], strict=True):
            ends.append(_places(uri, literal) & (possible >> len(literal)))
            possible = _before(uri, ends[-1], takes_slashes=takes_slashes)
        return ends[::-1]


def _places(uri: str, literal: str) -> int:
    """Return where a text stands, or every place for none."""
    if not literal:
        return (2 << len(uri)) - 1
    places, at = 0, uri.find(literal)
    while at >= 0:
        places |= 1 << at
        at = uri.find(literal, at + 1)
    return places


def _before(uri: str, ends: int, *, takes_slashes: bool) -> int:
    """Return where a variable may begin that ends at one of some places."""
    if takes_slashes:
        return (1 << max(ends.bit_length() - 1, 0)) - 1
    begins, at = 0, 0
    for segment in uri.split("/"):
        inside = (ends >> (at + 1)) & ((1 << len(segment)) - 1)
        begins |= ((1 << inside.bit_length()) - 1) << at
        at += len(segment) + 1
    return begins


def is_template(uri: str) -> bool:
    """Tell whether a URI has variables."""
    return "{" in uri or "}" in uri


def require_uri(uri: str) -> None:
    """Refuse what is not an absolute URI.

    Raises:
        DefinitionError: It has no scheme.
    """
    if not _SCHEME.match(uri):
        raise DefinitionError(f"{uri!r} is not an absolute URI; begin it with a scheme, such as 'shelf://'")
