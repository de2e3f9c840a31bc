"""Learning curves: how use is split and dealt out, and what is made of it."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.selection import learning, tiny
from benchmarks.selection.command import USUAL_PARTS, main
from benchmarks.selection.learning import LEVELS, TRAFFIC, UNUSED, lessons
from benchmarks.selection.results import Lesson
from benchmarks.selection.sets import SPECS, Bench
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Tool
from scopedtools.evaluation.data import Ask, Query
from scopedtools.retrieval import HashingEncoder

TINY = Bench(SPECS["tiny"], tiny.catalog(), tiny.requests())
SLANG = {"brolly": "forecast", "dosh": "transfer", "grub": "order_meal", "motor": "hire_car"}
WAYS = ("where is my {}", "sort out the {}", "any {} today", "{} for two", "need {} now", "more {} please")


def slang() -> Bench:
    """Return a set whose requests share no word with the tools, so that only use tells what they mean."""
    catalog = Catalog(Tool(name=name, description=f"Does the {name}.") for name in (*SLANG.values(), "idle"))
    queries = [
        Query(f"{word}-{number}", (Ask(way.format(word), ((name,),), (name,)),))
        for word, name in SLANG.items()
        for number, way in enumerate(WAYS * 8)
    ]
    return Bench(SPECS["tiny"], catalog, tuple(queries))


def measured(bench: Bench, *, sample: int = 40, splits: int = 2) -> list[Lesson]:
    return asyncio.run(lessons(bench, HashingEncoder(32), sample=sample, splits=splits))


def drawn(traffic: str, bench: Bench, seed: int = 0) -> list[list[learning._Use]]:
    return TRAFFIC[traffic](learning._course(bench, seed, 0), random.Random(seed))  # noqa: S311 - repeated


def tools_of(portions: Sequence[Sequence[learning._Use]]) -> Counter[str]:
    return Counter(use.tool for portion in portions for use in portion)


def test_what_is_learned_is_never_searched_for() -> None:
    course = learning._course(slang(), 1, 0)
    asked = Counter(query.asks[0].text for query in course.asked)
    learned = Counter(use.text for use in course.uses)

    assert asked.total() == learned.total() == 96
    assert asked + learned == Counter(query.asks[0].text for query in slang().queries)


def test_splits_differ_and_each_is_the_same_again() -> None:
    assert learning._course(slang(), 1, 10) == learning._course(slang(), 1, 10)
    assert learning._course(slang(), 1, 10) != learning._course(slang(), 2, 10)
    assert len(learning._course(slang(), 1, 10).asked) == 10


def test_a_request_is_learned_for_each_tool_that_it_calls() -> None:
    course = learning._course(TINY, 0, 0)
    called = {query.asks[0].text: set(query.asks[0].called) for query in TINY.queries}

    assert {(use.text, use.tool) for use in course.uses} == {
        (text, tool) for text in {use.text for use in course.uses} for tool in called[text]
    }


def test_even_traffic_has_as_many_calls_of_each_tool_up_to_each_level() -> None:
    portions = drawn("even", slang())

    for level, upto in zip(LEVELS[1:], range(1, len(LEVELS)), strict=True):
        assert set(tools_of(portions[:upto]).values()) == {level} or level == 20
    assert all(15 <= n <= 20 for n in tools_of(portions).values())


def test_natural_traffic_has_as_many_calls_on_average() -> None:
    portions = drawn("natural", slang())

    assert [len(portion) for portion in portions] == [4, 4, 12, 20, 40]


def test_a_fifth_of_wrong_traffic_or_less_is_of_another_tool() -> None:
    bench = slang()
    right = {query.asks[0].text: query.asks[0].called[0] for query in bench.queries}
    uses = [use for seed in range(20) for portion in drawn("wrong", bench, seed) for use in portion]
    wrong = sum(right[use.text] != use.tool for use in uses) / len(uses)

    assert 0.11 < wrong < 0.19  # a tool drawn by chance is the right one of four now and then


def test_partial_traffic_never_calls_some_tools() -> None:
    course = learning._course(slang(), 0, 0)

    assert len(course.unused) == 1
    assert not course.unused & set(tools_of(drawn("partial", slang())))


def test_use_teaches_what_no_word_tells() -> None:
    found = {(one.traffic, one.level): one for one in measured(slang())}

    assert [level for traffic, level in found if traffic == "even"] == list(LEVELS)
    assert list(dict.fromkeys(traffic for traffic, _ in found)) == [*TRAFFIC, UNUSED]
    for traffic in ("even", "natural"):
        assert found[traffic, 0].hit.value < 0.6
        assert found[traffic, 20].hit.value > 0.9
        assert found[traffic, 20].uses > found[traffic, 5].uses > 4.5
    assert found["even", 0].hit == found["natural", 0].hit == found["partial", 0].hit
    assert found["even", 20].hit.n == 80
    assert found[UNUSED, 0].hit.n == found[UNUSED, 20].hit.n < 40


def test_the_same_run_finds_the_same() -> None:
    assert measured(TINY, splits=1) == measured(TINY, splits=1)


def test_where_there_are_no_more_calls_nothing_changes_any_more() -> None:
    natural = [one for one in measured(TINY, splits=1) if one.traffic == "natural"]

    assert natural[1].uses == natural[-1].uses < 1.0
    assert natural[1].hit == natural[-1].hit


def run(tmp_path: Path, *arguments: str) -> int:
    fixed = ("--encoder", "hashing", "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"))
    return main([*fixed, "--data", str(tmp_path / "data"), *arguments])


def test_the_command_writes_the_curves_as_values_table_and_plots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    assert run(tmp_path, "--sets", "generated", "--parts", "learning") == 0

    found = json.loads((tmp_path / "out" / "results.json").read_bytes())["lessons"]
    assert {one["set"] for one in found} == {"tiny"}  # dialogues have no curves
    assert len(found) == len(LEVELS) * (len(TRAFFIC) + 1)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| calls of each tool | 0 | 1 | 2 | 5 | 10 | 20 |" in text
    assert "| partial: never called |" in text
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        "learning-tiny-hit1.png",
        "learning-tiny-recall5.png",
    }
    assert "hit@1 after 0, 1, 2, 5, 10, 20 calls of each tool" in capsys.readouterr().out


def test_the_curves_are_drawn_only_where_they_are_asked_for(tmp_path: Path) -> None:
    assert "learning" not in USUAL_PARTS
    assert run(tmp_path, "--sets", "tiny", "--systems", "bm25", "--parts", "ranking") == 0

    assert json.loads((tmp_path / "out" / "results.json").read_bytes())["lessons"] == []
    assert "Learning from use" not in (tmp_path / "out" / "report.md").read_text()
