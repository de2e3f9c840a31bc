"""The official conformance suite as npm has it, fetched once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final, NoReturn

import pytest

SUITE: Final = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
CACHE: Final = Path(sys.prefix) / "contract"
DOWNLOAD_S: Final = 120


def bundle() -> str:
    """Return the code of the suite, from npm or from an earlier run; skips where there is neither."""
    archive = CACHE / "modelcontextprotocol-conformance-0.2.0-alpha.12.tgz"
    if not archive.exists():
        _download(archive)
    with tarfile.open(archive) as held:
        bundle = held.extractfile("package/dist/index.js")
        assert bundle is not None
        return bundle.read().decode()


def _download(archive: Path) -> None:
    """Fetch the one file of the suite from npm, which checks it; nothing of it is installed or run."""
    if shutil.which("npm") is None:
        unavailable("npm is not on PATH; the JSON Schemas of the protocol come from npm")
    CACHE.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", SUITE, "--fetch-retries=0", "--pack-destination", str(CACHE)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=DOWNLOAD_S)
    except subprocess.CalledProcessError as error:
        unavailable(f"{SUITE} cannot be fetched:\n{error.stderr}")
    except subprocess.TimeoutExpired:
        unavailable(f"{SUITE} was not fetched within {DOWNLOAD_S} s")
    assert archive.exists(), f"npm made no {archive}"


def unavailable(reason: str) -> NoReturn:
    """Skip on a developer's machine; in CI a contract that is not checked is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
