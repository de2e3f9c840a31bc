from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str) -> str:
    """Run an example as a reader would, from the root of the repository."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_bookshop_serves_two_units_of_work_differently() -> None:
    assert "all checks passed" in run("-m", "examples.bookshop.client")


def test_the_erp_fills_in_one_form_for_each_unit_of_work() -> None:
    assert "all checks passed" in run("-m", "examples.erp.client")


@pytest.mark.slow
def test_the_workbench_gives_each_unit_of_work_the_tools_that_a_person_would_pick() -> None:
    assert "all checks passed" in run("-m", "examples.workbench.client")
