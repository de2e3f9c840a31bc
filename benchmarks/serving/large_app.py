"""The server of a large catalog, for ``scopedtools serve benchmarks.serving.large_app:app``."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.serving.large import APART, FOLDER, server

# An open file is something that processes cannot be forked with.
_held = Path(os.devnull).open("rb") if os.environ.get(APART) else None  # noqa: SIM115 - for good

app = server(Path(os.environ[FOLDER]))
