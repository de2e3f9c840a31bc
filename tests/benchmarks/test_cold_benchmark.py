"""The benchmark of new contexts runs, and asks for what it says."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from benchmarks.serving import cold
from scopedtools.protocol import meta


def test_each_first_request_is_of_its_own_context_and_intent() -> None:
    head, body = cold.first(7, "find 12345678 books").split(b"\r\n\r\n")
    params = msgspec.json.decode(body)["params"]
    settings = params["_meta"][meta.CLIENT_CAPABILITIES]["extensions"][meta.EXTENSION]

    assert settings["contextId"] == "cold-7"
    assert settings["intent"].endswith("books")
    assert f"content-length: {len(body)}\r\n".encode() in head + b"\r\n"


def test_intents_are_distinct_and_so_are_the_names_of_tools() -> None:
    said, tools = cold.intents(), cold.tools(30)

    assert len(set(said)) == len(said) > 100
    assert len({tool["name"] for tool in tools}) == 30


@pytest.mark.slow
def test_it_gives_figures_of_a_server_and_of_the_bare_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    out = tmp_path / "figures.json"
    options = ["ours", "--rows=40", "--requests=4", "--rounds=1", "--concurrency", "1", "2", f"--json={out}"]
    monkeypatch.setattr("sys.argv", ["cold", *options])

    cold.main()

    lines = json.loads(out.read_bytes())["lines"]
    assert [(line["system"], line["concurrency"]) for line in lines] == [
        ("bare encoder, intent", 1),
        ("bare encoder, intent and clauses", 1),
        ("ours", 1),
        ("ours", 2),
        ("ours, warm lists alone", 7),
        ("ours, warm lists beside cold ones", 7),
    ]
    assert all(min(line["requests_s"], line["cpu_ms"], line["p50_ms"]) > 0 for line in lines)
    assert "warm lists beside cold ones" in capsys.readouterr().out
