"""URI templates, matched backwards: from a URI to its variables."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from scopedtools.exceptions import DefinitionError

_EXPRESSION: Final = re.compile(r"\{(?P<reserved>\+?)(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
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
        pattern = re.escape(literals[0])
        for expression, literal in zip(expressions, literals[1:], strict=True):
            one = ".+" if expression["reserved"] else "[^/]+"
            pattern += f"(?P<{expression['name']}>{one}){re.escape(literal)}"
        self._pattern = re.compile(pattern)

    def match(self, uri: str) -> dict[str, str] | None:
        """Return the variables of a URI that follows the template, or ``None``."""
        found = self._pattern.fullmatch(uri)
        return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}


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
