"""Importing the package is cheap: what is heavy is imported when it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "faiss",
    "onnxruntime",
    "sentence_transformers",
    "numpy",
    "bm25s",
    "httpx2",
    "uvicorn",
    "typer",
    "mcp",
}

SMALL_SERVER = """
import asyncio
from scopedtools import ScopedServer, tool

class Shop(ScopedServer):
    @tool
    async def count(self) -> int:
        "Count."
        return 7

async def run() -> None:
    async with Shop():
        pass

asyncio.run(run())
"""


@pytest.mark.parametrize("program", ["import scopedtools", SMALL_SERVER], ids=["import", "small server"])
def test_nothing_heavy_is_imported(program: str) -> None:
    report = f"{program}\nimport sys\nprint(*(name for name in {sorted(HEAVY)} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_command_line_starts_without_the_model() -> None:
    report = (
        "import sys, scopedtools.cli; print(*(n for n in ('torch', 'faiss', 'bm25s') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
