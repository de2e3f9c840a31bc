"""``scopedtools index``, as people run it."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scopedtools.cli.app import app
from scopedtools.retrieval import HashingEncoder, HybridSelector
from tests.retrieval.rows import SHOP


def test_info_names_each_file_and_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    asyncio.run(HybridSelector(HashingEncoder(), index_dir=tmp_path).prepare(SHOP))
    words = next(tmp_path.glob("words-*"))
    plain = next(tmp_path.glob("plain-*"))
    size = f"{words.stat().st_size:,}"
    plain.unlink()

    told = CliRunner().invoke(app, ["index", "info", str(tmp_path)]).output

    assert f"{words.name} ({size} bytes)" in told
    assert f"{plain.name} (missing)" in told
    assert "SavedFile" not in told
