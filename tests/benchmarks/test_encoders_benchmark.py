"""The benchmark of the encoders runs, and its figures are of the encoder that it names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.index import encoders


@pytest.mark.slow
def test_a_round_gives_figures_for_each_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    out = tmp_path / "figures.json"
    monkeypatch.setattr(
        "sys.argv",
        ["encoders", "onnx", "onnx-int8", "--rounds=1", "--requests=4", "--documents=4", f"--json={out}"],
    )

    encoders.main()

    exact, rounded = json.loads(out.read_bytes())["lines"]
    assert [exact["encoder"], rounded["encoder"]] == ["onnx", "onnx-int8"]
    assert exact["cosine_min"] > 0.99999 > rounded["cosine_mean"] > 0.97
    assert min(exact["load_s"], exact["wall_p50_ms"], exact["texts_per_s"], *exact["rss_mb"]) > 0
    assert "onnx-int8" in capsys.readouterr().out
