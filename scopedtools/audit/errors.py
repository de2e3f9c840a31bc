from __future__ import annotations

from scopedtools.exceptions import ScopedToolsError


class AuditError(ScopedToolsError):
    """The trail cannot be read, or does not hold what is asked for."""
