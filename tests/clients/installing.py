"""Puts clients into folders of their own, once, where later runs find them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import pytest

CACHE: Final = Path(sys.prefix) / "clients"
INSTALL_S: Final = 300


def environment(name: str, *requirements: str) -> Path:
    """Return the Python of an environment that holds a client."""
    folder = CACHE / name
    python = folder / "bin" / "python"
    # With the pip that is here, and compiling only what is used: both take longer than the rest.
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
    install = [*pip, "install", "--no-compile", "--retries", "0", *requirements]
    _install(folder, [sys.executable, "-m", "venv", "--clear", "--without-pip", folder], install)
    return python


def node_modules(name: str, *packages: str) -> Path:
    """Return a folder into which npm has installed a client."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            _unavailable(f"{program} is not on PATH, the npm client needs it")
    folder = CACHE / name
    quiet = ["--no-save", "--no-audit", "--no-fund", "--fetch-retries=0"]
    _install(folder, ["npm", "install", *quiet, "--prefix", folder, *packages])
    return folder


def _install(folder: Path, *commands: Sequence[str | Path]) -> None:
    """Fill a folder once; a mark tells later runs that it is whole."""
    mark = folder / "installed"
    if mark.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for command in commands:
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
        except subprocess.CalledProcessError as error:
            _unavailable(f"{folder.name} cannot be installed:\n{error.stderr}")
        except subprocess.TimeoutExpired:
            _unavailable(f"{folder.name} was not installed within {INSTALL_S} s")
    mark.touch()


def _unavailable(reason: str) -> NoReturn:
    """Skip on a developer's machine; in CI a client that is not tried is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
