"""An environment that has the whole of FastMCP, which this project's does not."""

from __future__ import annotations

import os
import sysconfig
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from benchmarks.selection.fastmcp_system import VERSION, FastMCPUnavailableError, make_environment
from tests.clients.installing import CACHE

ROOT: Final = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def fastmcp_python() -> Path:
    """Return a Python that has FastMCP and, behind what that brings, what this project needs."""
    sdk = version("mcp")  # the same that the other tests use
    folder = CACHE / f"fastmcp-server-{VERSION}-mcp-{sdk}"
    try:
        python = make_environment(folder, f"mcp=={sdk}")
    except FastMCPUnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    (packages,) = (folder / "lib").glob("python*/site-packages")
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture(scope="session")
def fastmcp_environment() -> dict[str, str]:
    """Return the variables with which FastMCP's programs are started."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "FASTMCP_CHECK_FOR_UPDATES": "off"}
