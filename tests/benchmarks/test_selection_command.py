"""The benchmark's command, from end to end, on the set that is made in code."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.selection import plots, report
from benchmarks.selection.command import main
from benchmarks.selection.published import PUBLISHED
from benchmarks.selection.sets import GROUPS, SPECS
from benchmarks.selection.systems import SYSTEMS

SYSTEMS_HERE = ",".join(name for name in SYSTEMS if name != "fastmcp")  # which has an environment of its own


def run(tmp_path: Path, *arguments: str) -> int:
    fixed = (
        "--encoder",
        "hashing",
        "--cache",
        str(tmp_path / "cache.sqlite"),
        "--out",
        str(tmp_path / "out"),
    )
    return main([*fixed, "--data", str(tmp_path / "data"), *arguments])


def results(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "out" / "results.json").read_bytes())
    return found


def test_every_system_is_measured_on_the_generated_sets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--sets", "generated", "--systems", SYSTEMS_HERE) == 0

    found = results(tmp_path)
    cells = {(cell["set"], cell["system"]): cell for cell in found["cells"]}
    assert {system for name, system in cells if name == "tiny-dialogues"} == set(SYSTEMS_HERE.split(","))
    assert ("tiny", "convex-ema") not in cells  # without earlier turns it is another name for convex
    value, low, high, n = cells["tiny", "ours"]["means"]["recall@5"]
    assert n == 40
    assert 0.6 < low < value < high <= 1.0
    assert cells["tiny", "ragmcp-1"]["means"]["recall@10"][0] < value
    assert len((tmp_path / "out" / "lines" / "tiny" / "ours.jsonl").read_bytes().splitlines()) == 40
    assert found["machine"]["libraries"]["numpy"]
    assert found["machine"]["encode_ms"] is not None

    text = (tmp_path / "out" / "report.md").read_text()
    assert "| tiny | 48 |" in text
    assert "Needle in a haystack" in text
    assert "Published figures beside ours" in text
    assert "recall@5" in capsys.readouterr().out


def test_the_same_command_finds_the_same(tmp_path: Path) -> None:
    found = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        assert run(folder, "--sets", "tiny", "--systems", "ours,convex") == 0
        once = results(folder)
        found.append(
            ([cell["means"] for cell in once["cells"]], once["needles"], once["abstentions"], once["sets"])
        )
    assert found[0] == found[1]


def test_a_missing_set_is_told_with_its_origin_and_the_rest_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--sets", "gtc,tiny", "--systems", "bm25", "--parts", "ranking") == 0

    said = capsys.readouterr().out
    assert "gtc is left out" in said
    assert "github.com/SonAIengine/graph-tool-call@f8bec761d83993d77bd9c65940e7a0fbbd467cee (MIT)" in said
    assert f"put it as tools.jsonl and queries.jsonl (or .jsonl.gz) in {tmp_path / 'data' / 'gtc'}" in said
    assert [one["name"] for one in results(tmp_path)["sets"]] == ["tiny"]
    assert "gtc is left out" in (tmp_path / "out" / "report.md").read_text()


def test_where_no_set_is_there_the_command_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--sets", "single,enlarged") == 1

    captured = capsys.readouterr()
    assert captured.err == "error: none of the sets is there\n"
    assert captured.out.count("is left out") == len(GROUPS["single"]) + len(GROUPS["enlarged"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sets", "gtx"), "--sets must name some of metatool,"),
        (("--systems", "bm26"), "--systems must name some of ours,"),
        (("--parts", "judge"), "--parts must name some of ranking, needle, abstention, learning, got judge"),
        (("--sample", "-1"), "--sample must be >= 0, got -1"),
    ],
)
def test_what_cannot_be_run_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, str], message: str
) -> None:
    assert run(tmp_path, *arguments) == 2
    assert message in capsys.readouterr().err


def test_plots_are_drawn_where_matplotlib_is_there(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert run(tmp_path, "--sets", "tiny", "--systems", "ours,bm25", "--parts", "ranking,needle") == 0

    drawn = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert drawn == {
        "recall-generated.png",
        "tokens-generated.png",
        "latency-generated.png",
        "size-tiny-hit1.png",
        "size-tiny-recall5.png",
    }


def test_without_matplotlib_there_is_a_report_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plots, "draw", lambda *_: [])

    assert run(tmp_path, "--sets", "tiny", "--systems", "bm25", "--parts", "ranking") == 0
    assert "pip install 'scopedtools[bench]'" in capsys.readouterr().out
    assert "## Plots" not in (tmp_path / "out" / "report.md").read_text()


def test_published_figures_stand_beside_sets_and_measures_that_there_are(tmp_path: Path) -> None:
    assert run(tmp_path, "--sets", "tiny", "--systems", "bm25", "--parts", "ranking") == 0

    measures = set(results(tmp_path)["cells"][0]["means"])
    for one in PUBLISHED:
        assert one.set in SPECS or one.set in GROUPS
        assert one.measure == "needle" or one.measure.startswith("part:") or one.measure in measures
        assert one.source
        assert one.difference
    assert set(report._BESIDE) <= set(SYSTEMS)
