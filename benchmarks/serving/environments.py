"""Environments of the peers, each of its own: what one needs must not change what another gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.selection.fastmcp_system import VERSION as FASTMCP
from benchmarks.selection.fastmcp_system import FastMCPUnavailableError, make_environment

FOLDER: Final = Path(__file__).parent / ".cache"
SDK: Final = "2.3.0"
_UVICORN: Final = "uvicorn[standard]"
"""With uvloop and httptools, as everybody here is served."""

_INSTALL_S: Final = 600


class PeerUnavailableError(Exception):
    """The environment of a peer cannot be made."""


def python_of(package: str, folder: Path = FOLDER) -> Path:
    """Return the Python of the environment of a peer, making it where it is missing.

    Args:
        package: ``mcp`` or ``fastmcp``.
        folder: Where environments are kept.

    Raises:
        PeerUnavailableError: It cannot be made, for example without a package registry.
    """
    try:
        if package == "fastmcp":
            return make_environment(folder / package, _UVICORN)
        return _sdk(folder / package)
    except FastMCPUnavailableError as error:
        raise PeerUnavailableError(str(error)) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise PeerUnavailableError(f"cannot make the environment of {package}: {error}") from error


def versions() -> dict[str, str]:
    """Return the versions of the peers."""
    return {"mcp of the peer": SDK, "fastmcp of the peer": FASTMCP}


def _sdk(folder: Path) -> Path:
    python, made = folder / "bin" / "python", folder / "mcp.version"
    if made.is_file() and made.read_text() == SDK:
        return python
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    make: list[str | Path] = [sys.executable, "-m", "venv", "--clear", folder]
    for command in (make, [*pip, f"mcp=={SDK}", _UVICORN]):
        subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_S)  # noqa: S603 - ours
    made.write_text(SDK)
    return python
