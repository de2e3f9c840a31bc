"""How the servers that do what they should not are started."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

FAULTY: Final = str(Path(__file__).with_name("faulty_server.py"))


def faulty(case: str, *arguments: str, **options: Any) -> dict[str, Any]:
    """Return the configuration of a server that misbehaves in one way."""
    return {"command": sys.executable, "args": [FAULTY, case, *arguments], "protocol": "legacy"} | options
