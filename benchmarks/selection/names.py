"""Names that other systems accept for tools, and the way back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

FUNCTION: Final = re.compile(r"[^a-zA-Z0-9_-]")
"""What may not be in the name of a function of a chat completion; such a name has at most 64 characters."""

MCP: Final = re.compile(r"[^a-zA-Z0-9_.-]")
"""What may not be in the name of an MCP tool; such a name has at most 128 characters."""


def valid_names(
    ids: Iterable[str], *, foreign: re.Pattern[str], longest: int, taken: Iterable[str] = ()
) -> dict[str, str]:
    """Give every ID a valid name of its own, as like it as may be; the same in every process.

    Args:
        ids: Distinct IDs.
        foreign: Matches each character that a name may not have; it becomes ``_``.
        longest: Most characters of a name.
        taken: Names that no ID gets.

    Returns:
        Names by ID, in the order of the IDs.
    """
    used = set(taken)
    names: dict[str, str] = {}
    for one in ids:
        names[one] = _free(foreign.sub("_", one)[:longest] or "_", used, longest)
        used.add(names[one])
    return names


def _free(name: str, used: set[str], longest: int) -> str:
    found, number = name, 1
    while found in used:
        number += 1
        end = f"_{number}"
        found = name[: longest - len(end)] + end
    return found
