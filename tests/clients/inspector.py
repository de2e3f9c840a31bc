"""Drives the command line of the Inspector, which connects anew for each request."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

REQUEST_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspector:
    """The Inspector in one of its modes, and the way by which it reaches the server.

    Attributes:
        folder: Where npm installed it.
        era: ``legacy`` opens with ``initialize``, ``modern`` speaks 2026-07-28.
        url: Of the server; ``None`` where it starts one and speaks over stdio.
        command: Starts a server.
        cwd: Where.
    """

    folder: Path
    era: Literal["legacy", "modern"]
    url: str | None
    command: Sequence[str]
    cwd: Path

    def ask(self, method: str, *options: str) -> Any:
        """Return the result of a request; one that the Inspector finds faulty too."""
        programs = self.folder / "node_modules" / ".bin"
        # It keeps files at home.
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(
                [
                    programs / "node",
                    programs / "mcp-inspector",
                    *("--cli", "--protocol-era", self.era, "--method", method, "--format", "json", *options),
                    *self._target(),
                ],
                env=os.environ | {"HOME": home},
                capture_output=True,
                text=True,
                timeout=REQUEST_S,
                check=False,
            )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.stdout, done.stderr
        return json.loads(done.stdout)["result"]

    def _target(self) -> Sequence[str]:
        if self.url is not None:
            return ["--transport", "http", "--server-url", self.url]
        return ["--transport", "stdio", "--cwd", str(self.cwd), "--", *self.command]
