"""What people write into a configuration file, and what to tell them of it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Iterable, Mapping
from typing import Any, Final

import msgspec

from scopedtools.gateway.errors import ConfigError

_BOM: Final = b"\xef\xbb\xbf"
_AT_BYTE: Final = re.compile(r" \(byte (\d+)\)$")

_SIMILAR: Final = 0.7
"""How alike a key has to be to one that is known, from 0 to 1, to be taken for a slip of the pen."""


def decoded(text: bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        ConfigError: It is not JSON. The message has the place, and nothing of the text.
    """
    text = text.removeprefix(_BOM)  # some editors write one
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = str(error).removeprefix("JSON is malformed: ")
        if (found := _AT_BYTE.search(said)) is not None:
            before = text[: int(found[1])]
            line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
            said = f"{said[: found.start()]}, line {line}, column {column}"
        raise ConfigError(f"it is not JSON: {said}") from error


def shape(value: Any) -> str:
    """Say what a configuration is that has no ``mcpServers`` as they should be."""
    if not isinstance(value, dict):
        return type(value).__name__
    if "mcpServers" in value:
        return f"'mcpServers' that are {type(value['mcpServers']).__name__}"
    return f"the keys {listed(value)}" + ("; rename 'servers' to 'mcpServers'" if "servers" in value else "")


def listed(keys: Iterable[str]) -> str:
    """Return some keys, for a message."""
    return ", ".join(repr(key[:40]) for key in list(keys)[:10]) or "none"


def meant(key: str, known: Iterable[str]) -> str:
    """Ask for the key that may be meant by one that is not known, if any."""
    close = difflib.get_close_matches(key, known, n=1, cutoff=_SIMILAR)
    return f", did you mean {close[0]!r}?" if close else ""


def misplaced(value: Mapping[str, Any], ours: Container[str]) -> list[str]:
    """Tell of keys beside ``mcpServers`` that are meant for us; hosts have others of their own there."""
    told = []
    for key in value.keys() - {"mcpServers", "gateway"}:
        if key in ours:
            told.append(f"{key} has no effect here, it belongs under 'gateway'")
        elif question := meant(key, ["gateway"]):
            told.append(f"{key} is not known and has no effect{question}")
    return sorted(told)
