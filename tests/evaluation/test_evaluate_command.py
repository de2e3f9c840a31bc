"""``scopedtools evaluate``, as people run it."""

from __future__ import annotations

import copy
import math
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from scopedtools.evaluation.run import Outcome
from tests.evaluation.conftest import QUERIES, TOOLS, Evaluate, write

IDS = [tool["id"] for tool in TOOLS]
FIRST_WORDS = [{"id": "hotel", "query": "cancel the hotel", "relevant": ["hotel/cancel"]}]


def needs(line: dict[str, Any]) -> list[list[str]]:
    (query,) = [query for query in QUERIES if query["id"] == line["id"]]
    asked = query["turns"][line["turn"]] if "turns" in query else query
    called = [[name] for name in dict.fromkeys(asked["relevant"])]
    return asked.get("any_of", called)  # type: ignore[no-any-return]


def test_every_request_and_turn_gets_a_line_in_order(evaluate: Evaluate) -> None:
    done = evaluate()
    assert done.status == 0
    assert [(line["id"], line["turn"]) for line in done.lines] == [
        *(("one", 0), ("two", 0), ("nothing", 0), ("missing", 0)),
        *(("talk", 0), ("talk", 1), ("talk", 2)),
    ]
    for line in done.lines:
        assert list(line) == ["id", "turn", "ranked", "view", "abstained", "ms"]
        assert len(line["ranked"]) == len(set(line["ranked"])) <= 20
        assert len(line["view"]) == len(set(line["view"])) <= 16
        assert {*line["ranked"], *line["view"]} <= set(IDS)
        assert isinstance(line["abstained"], bool)
        assert line["ms"] > 0
    assert done.lines[0]["ranked"][0] == "hotel/cancel"


def test_the_printed_means_are_those_of_the_written_lines(evaluate: Evaluate) -> None:
    done = evaluate()
    needing = [line for line in done.lines if needs(line)]

    def mean(value: Any) -> float:
        return math.fsum(map(value, needing)) / len(needing)

    def met(line: dict[str, Any], shown: list[str]) -> float:
        return sum(any(name in shown for name in slot) for slot in needs(line)) / len(needs(line))

    means = done.means()
    assert len(needing) == 5
    assert means["recall@5"] == pytest.approx(mean(lambda line: met(line, line["ranked"][:5])))
    assert means["complete@20"] == pytest.approx(mean(lambda line: met(line, line["ranked"]) == 1))
    assert means["view_complete"] == pytest.approx(mean(lambda line: met(line, line["view"]) == 1))
    assert f"{means['recall@5']:.3f} [" in done.out
    assert [group["name"] for group in done.summary["groups"]] == ["all", "single", "multi", "dialogue"]


def test_depths_and_views_are_as_asked_for(evaluate: Evaluate) -> None:
    done = evaluate("--k", "3", "--view", "2", "--limit", "2")
    assert [line["id"] for line in done.lines] == ["one", "two"]
    assert max(len(line["ranked"]) for line in done.lines) == 3
    assert max(len(line["view"]) for line in done.lines) == 2
    assert {"recall@1", "recall@3", "nDCG@3", "MRR@3"} <= done.means().keys()
    assert "recall@5" not in done.means()


def test_archives_are_read_like_plain_files(evaluate: Evaluate, tmp_path: Path) -> None:
    packed = evaluate(
        tools=write(tmp_path / "tools.jsonl.gz", TOOLS), queries=write(tmp_path / "q.jsonl.gz", QUERIES)
    )
    assert packed.found() == evaluate().found()


def test_catalogs_are_joined_and_the_first_of_an_id_counts(evaluate: Evaluate, tmp_path: Path) -> None:
    taken = {"id": "hotel/cancel", "name": "cancel", "description": "Feed the parrot."}
    more = write(tmp_path / "more.jsonl.gz", [taken, {"name": "feed_parrot", "description": "Feed it."}])
    other = write(tmp_path / "other.jsonl", [taken])
    parrot = {"id": "parrot", "query": "feed the parrot", "relevant": ["feed_parrot"]}
    done = evaluate("--add-catalog", str(more), "--add-catalog", str(other), queries=[*FIRST_WORDS, parrot])
    assert "2 tools have the ID of an earlier one" in done.err
    assert done.summary["catalog"]["rows"] == len(TOOLS) + 1
    assert [line["ranked"][0] for line in done.lines] == ["hotel/cancel", "feed_parrot"]


def test_small_catalogs_are_listed_whole(evaluate: Evaluate) -> None:
    done = evaluate(tools=TOOLS[:20], queries=[QUERIES[4]])
    assert [line["view"] for line in done.lines] == [IDS[:20]] * 3
    assert done.means()["view_tokens"] == 1.0


@pytest.mark.parametrize("change", ["query", "reply", "relevant"])
def test_what_a_turn_brings_changes_no_line_before_it(evaluate: Evaluate, change: str) -> None:
    other = copy.deepcopy(QUERIES[4:])
    value: Any = ["visa/export", "archive/find"] if change == "relevant" else "export the visa archive"
    turns = other[0]["turns"]
    # Of the second turn itself only its words may be seen.
    changed = 2 if change == "query" else 1
    for turn in turns[changed:]:
        turn[change] = value
    before, after = evaluate(queries=QUERIES[4:]).found(), evaluate(queries=other).found()
    assert before[:2] == after[:2]


def test_queries_do_not_see_each_other(evaluate: Evaluate) -> None:
    assert evaluate(queries=QUERIES[::-1]).found()[:3] == evaluate().found()[-3:]


def test_views_of_a_dialogue_only_grow_at_the_end(evaluate: Evaluate) -> None:
    done = evaluate("--view", "12", queries=[QUERIES[4]])
    views = [line["view"] for line in done.lines]
    for before, after in pairwise(views):
        assert after[: len(before)] == before
    assert done.means()["prefix_kept"] == 1.0


def test_needs_that_the_catalog_lacks_are_misses_and_said(evaluate: Evaluate) -> None:
    done = evaluate(queries=[QUERIES[3], *FIRST_WORDS])
    assert "1 lines need tools that the catalog lacks, 1 of them nothing else" in done.err
    assert done.means()["hit@1"] == 0.5
    assert done.summary["groups"][0]["means"]["refused"]["n"] == 1


def test_blank_requests_find_nothing(evaluate: Evaluate) -> None:
    texts = {"empty": "", "blank": " \n\t", "signs": "?!", "one": "x", "long": "word " * 5000}
    done = evaluate(queries=[{"id": name, "query": text} for name, text in texts.items()])
    assert done.status == 0
    assert [line["ranked"] for line in done.lines[:2]] == [[], []]
    assert done.lines[0]["abstained"]
    assert "nan" not in done.out


def test_odd_ids_come_back_as_they_are(evaluate: Evaluate) -> None:
    ids = ["[red]", "ü 中\n", "", "0"]
    done = evaluate(queries=[{"id": name, "query": "hotel", "part": name} for name in ids])
    assert [line["id"] for line in done.lines] == ids
    assert "part [red]" in done.out


def test_the_index_is_kept_where_asked(evaluate: Evaluate, tmp_path: Path) -> None:
    first = evaluate("--index-dir", str(tmp_path / "index"))
    kept = (tmp_path / "index" / "manifest.json").read_bytes()
    assert evaluate("--index-dir", str(tmp_path / "index")).found() == first.found()
    assert (tmp_path / "index" / "manifest.json").read_bytes() == kept


def test_an_index_of_other_tools_is_named(evaluate: Evaluate, tmp_path: Path) -> None:
    evaluate("--index-dir", str(tmp_path / "index"), tools=TOOLS[:30])
    assert "warning: index " in evaluate("--index-dir", str(tmp_path / "index")).err


def test_an_encoder_that_cannot_load_is_said_aloud(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ImportError("no encoder here")

    for module, check in (("encoders", "_need_library"), ("onnx_encoder", "_need_libraries")):
        monkeypatch.setattr(f"scopedtools.retrieval.{module}.{check}", missing)
    done = evaluate(encoder="all-MiniLM-L6-v2")
    assert done.status == 0
    assert "every line is answered by words alone" in done.err
    assert "no encoder here" in done.err
    assert done.summary["words_alone"]
    assert len(done.summary["warnings"]) == 3
    assert len(done.lines) == 7


def test_an_encoder_that_fails_on_the_way_is_said_aloud(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("scopedtools.retrieval.hashing.HashingEncoder.encode_queries", broken)
    done = evaluate()
    assert "out of memory" in done.err
    assert len(done.lines) == 7


def test_an_encoder_that_works_is_named_without_a_warning(evaluate: Evaluate) -> None:
    done = evaluate(queries=FIRST_WORDS)
    assert (done.err, done.summary["warnings"]) == ("", [])
    assert done.summary["encoder"]["name"] == "hashing"
    assert not done.summary["words_alone"]


def test_an_interrupted_run_leaves_the_lines_so_far(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scopedtools.cli import evaluate as command

    def interrupted(outcome: Outcome, line: Any = command._line) -> bytes:
        if outcome.id == "nothing":
            raise KeyboardInterrupt
        return line(outcome)  # type: ignore[no-any-return]

    monkeypatch.setattr(command, "_line", interrupted)
    done = evaluate()
    assert done.status == 130
    assert [line["id"] for line in done.lines] == ["one", "two"]
    assert "holds 2 of 7 lines" in done.err


@pytest.mark.slow
def test_ctrl_c_ends_a_run_with_whole_lines(tmp_path: Path) -> None:
    many = [{"id": str(number), "query": f"cancel hotel {number}"} for number in range(20_000)]
    out = tmp_path / "out.jsonl"
    command: list[str | Path] = [Path(sys.executable).with_name("scopedtools"), "evaluate"]
    command += ["--catalog", write(tmp_path / "tools.jsonl", TOOLS), "--encoder", "hashing", "--out", out]
    command += ["--queries", write(tmp_path / "queries.jsonl", many)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (out.exists() and out.stat().st_size):
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert f"holds {len(out.read_bytes().splitlines())} of 20000 lines" in err
    assert out.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize(
    ("queries", "said"),
    [
        ([{"id": "1"}], "line 1: neither query nor turns"),
        ([FIRST_WORDS[0], FIRST_WORDS[0]], "line 2: 'hotel' is also in line 1"),
        ([{"id": "[/red]", "query": "q"}] * 2, "'[/red]' is also"),
        ([], "holds no queries"),
    ],
)
def test_bad_queries_are_one_line(evaluate: Evaluate, queries: list[dict[str, Any]], said: str) -> None:
    done = evaluate(queries=queries)
    assert done.status == 1
    assert said in done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert done.out == ""


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([{"id": "x"}], "line 1: Object missing required field `name`"),
        ([TOOLS[0], TOOLS[0]], "line 2: 'invoice/create' is also in line 1"),
        ([], "holds no tools"),
    ],
)
def test_bad_tools_are_one_line(evaluate: Evaluate, tools: list[dict[str, Any]], said: str) -> None:
    done = evaluate(tools=tools)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert said in done.err


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nowhere/out.jsonl", "make it first"),
        ("", "got a folder"),
        ("queries.jsonl", "is read, and would be replaced"),
    ],
)
@pytest.mark.parametrize("option", ["--out", "--summary"])
def test_places_are_checked_before_the_work(
    evaluate: Evaluate, tmp_path: Path, option: str, place: str, said: str
) -> None:
    done = evaluate(option, str(tmp_path / place))
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert said in done.err
    assert done.lines == []


def test_files_that_are_not_there_are_named(evaluate: Evaluate, tmp_path: Path) -> None:
    assert "cannot read" in evaluate(tools=tmp_path / "gone.jsonl").err
    assert "cannot read" in evaluate(queries=tmp_path / "gone.jsonl.gz").err
