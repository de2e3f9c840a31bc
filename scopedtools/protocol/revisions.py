"""The protocol revisions that are served, and everything in which they differ.

Sources: the changelogs of the specification at 2025-06-18, 2025-11-25 and 2026-07-28.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Revision:
    """One dated revision of the protocol.

    Attributes:
        name: The date that names it on the wire.
        stateless: Every request says all there is to know (2026-07-28 and later). Earlier revisions
            open with ``initialize``.
        unknown_fields: Fields of tools, resources, templates and prompts that came later.
        structured: Tools have output schemas, and results structured content and links.
        batches: Several messages may come in one array.
        unknown_requests: Requests to the client that came later.
        elicitation_modes: A question to the user says in which mode it is asked.
    """

    name: str
    stateless: bool = False
    unknown_fields: frozenset[str] = frozenset()
    structured: bool = True
    batches: bool = False
    unknown_requests: frozenset[str] = frozenset()
    elicitation_modes: bool = True

    def primitive(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Leave out what a client of this revision has no name for."""
        return {name: value for name, value in fields.items() if name not in self.unknown_fields}


LATEST: Final = Revision("2026-07-28", stateless=True)
NOVEMBER_2025: Final = Revision("2025-11-25")
JUNE_2025: Final = Revision("2025-06-18", unknown_fields=frozenset({"icons"}), elicitation_modes=False)
MARCH_2025: Final = Revision(
    "2025-03-26",
    unknown_fields=frozenset({"icons", "title", "outputSchema", "_meta"}),
    structured=False,
    batches=True,
    unknown_requests=frozenset({"elicitation/create"}),
    elicitation_modes=False,
)

REVISIONS: Final[Mapping[str, Revision]] = MappingProxyType(
    {revision.name: revision for revision in (LATEST, NOVEMBER_2025, JUNE_2025, MARCH_2025)}
)

LATEST_LEGACY: Final = NOVEMBER_2025
"""Offered to a client that asks ``initialize`` for a revision not known here."""

UNNAMED: Final = MARCH_2025
"""Assumed over HTTP where no ``MCP-Protocol-Version`` is sent: that header came one revision later."""


def negotiate(requested: str) -> Revision:
    """Choose the revision that ``initialize`` answers with."""
    revision = REVISIONS.get(requested)
    return revision if revision is not None and not revision.stateless else LATEST_LEGACY
