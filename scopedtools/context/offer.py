"""What a server says of the extension, where it says what it can."""

from __future__ import annotations

from typing import Any, Final

from scopedtools.context.carriers import CarrierTable
from scopedtools.context.settings import ViewSettings

VERSION: Final = 1
"""Of the extension; a change that old clients cannot live with would need another identifier."""

_AFFECTS: Final = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")


def offer(carriers: CarrierTable, settings: ViewSettings) -> dict[str, Any]:
    """Return the settings that a server declares under the extension; EXTENSION.md says what each means."""
    return {
        "version": VERSION,
        "carriers": [str(carrier) for carrier in carriers.carriers],
        "affects": list(_AFFECTS),
        "cacheScopes": ["context"],
        "growth": settings.growth,
    }
