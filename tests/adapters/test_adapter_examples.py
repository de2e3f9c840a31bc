from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parent.parent.parent


def run(*arguments: str, environment: Mapping[str, str]) -> str:
    """Run the example's client as a reader would, from the root of the repository."""
    command = [sys.executable, "-m", "examples.adapters.client", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_server_of_the_official_sdk_serves_two_units_of_work_differently() -> None:
    assert "all checks passed" in run(environment=os.environ)


def test_a_fastmcp_server_serves_two_units_of_work_differently(
    fastmcp_python: Path, fastmcp_environment: Mapping[str, str]
) -> None:
    program = (str(fastmcp_python), "examples.adapters.fastmcp_server")
    assert "all checks passed" in run(*program, environment=fastmcp_environment)
