"""A model that picks tools by rule is asked over real HTTP, with each of the lists."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from typer.testing import CliRunner

from benchmarks.selection import judge as judging
from benchmarks.selection.judge import Judge, Settings
from benchmarks.selection.judge_endpoint import Answer, Endpoint, EndpointError, NoAnswerError, RefusedError
from benchmarks.selection.judge_results import Outcome, ResultsError, ResultsFile, is_correct
from benchmarks.selection.names import FUNCTION, MCP, valid_names
from benchmarks.selection.sample import Request, Sample, SampleError, take_sample
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Tool
from scopedtools.retrieval import HashingEncoder
from tests.benchmarks.rule_endpoint import RuleEndpoint, running

ENCODER = HashingEncoder()


def tool(name: str, description: str) -> Tool:
    return Tool(name=name, description=description, input_schema={"type": "object", "properties": {}})


SHOP = Catalog(
    (
        tool("shop/find_books", "Find books by words of their title."),
        tool("shop/order_book", "Order one copy of a book."),
        tool("shop/cancel_order", "Cancel an order that was not sent."),
        tool("weather.forecast", "Tell the weather of the next days."),
        *(tool(f"room {number}/paint", f"Paint the walls of room {number}.") for number in range(30)),
    )
)
REQUESTS = (
    Request("find", "find books about the sea", (("shop/find_books",),)),
    Request("rain", "the weather forecast for Sunday", (("weather.forecast",),)),
    Request("none", "xyzzy", (("shop/cancel_order",),)),
)
SAMPLE = Sample("shop", SHOP, REQUESTS)


@pytest.fixture
def endpoint() -> Iterator[RuleEndpoint]:
    with running(RuleEndpoint()) as started:
        yield started


def judged(
    endpoint: RuleEndpoint, out: Path, *, sample: Sample = SAMPLE, key: str = "", **settings: Any
) -> list[Outcome]:
    async def run() -> list[Outcome]:
        judge = Judge(sample, Settings("rule", **settings), ENCODER)
        asked = Endpoint(endpoint.base_url, key=key, tries=4, wait_s=0.01)
        with ResultsFile(out) as results:
            async with asked:
                return await judge.run(await judge.lists(), asked, results)

    return asyncio.run(run())


def ask(endpoint: RuleEndpoint, *, url: str | None = None, tries: int = 4, timeout_s: float = 5) -> Answer:
    async def run() -> Answer:
        body = {"model": "rule", "messages": [{"content": "find"}], "tools": [{"function": {"name": "find"}}]}
        url_ = endpoint.base_url if url is None else url
        async with Endpoint(url_, tries=tries, timeout_s=timeout_s, wait_s=0.01) as asked:
            return await asked.ask(json.dumps(body).encode())

    return asyncio.run(run())


def outcome(outcomes: list[Outcome], kind: str, request: str) -> Outcome:
    return next(one for one in outcomes if one.list.startswith(kind) and one.id == request)


# Lists and what is picked from them


def test_a_model_is_asked_once_for_each_request_with_each_list(
    endpoint: RuleEndpoint, tmp_path: Path
) -> None:
    outcomes = judged(endpoint, tmp_path / "out", lists=("all", "rag", "keyword", "view"), k=5)
    assert {one.list: one.shown for one in outcomes if one.id == "find"} == {
        "all-34": 34,
        "rag-5": 5,
        "keyword-1": 1,
        "view": 16,
    }
    assert len(outcomes) == len(REQUESTS) * 4
    # Nothing shares a word with "xyzzy": there is no keyword match, and so nothing to ask.
    assert len(endpoint.asked) == len(outcomes) - 1


def test_the_first_call_decides_and_an_answer_without_a_call_is_wrong(
    endpoint: RuleEndpoint, tmp_path: Path
) -> None:
    outcomes = judged(endpoint, tmp_path / "out")
    found = outcome(outcomes, "all", "find")
    assert found.correct
    assert found.offered
    assert found.called == ("shop/find_books",)
    silent = outcome(outcomes, "all", "none")
    assert not silent.correct
    assert silent.called == ()
    assert silent.offered


def test_functions_are_sent_as_the_endpoint_wants_them(endpoint: RuleEndpoint, tmp_path: Path) -> None:
    judged(endpoint, tmp_path / "out", lists=("keyword",), tool_choice="required", more={"seed": 3})
    body = next(one for one in endpoint.asked if "weather" in one["messages"][-1]["content"])
    assert body["model"] == "rule"
    assert body["tool_choice"] == "required"
    assert body["seed"] == 3
    function = {"name": "weather_forecast", "description": "Tell the weather of the next days."}
    schema = {"type": "object", "properties": {}}
    assert body["tools"] == [{"type": "function", "function": function | {"parameters": schema}}]


def test_a_full_list_that_is_too_long_is_cut_and_says_so(endpoint: RuleEndpoint, tmp_path: Path) -> None:
    lists = asyncio.run(Judge(SAMPLE, Settings("rule", ("all",), most=2), ENCODER).lists())
    assert lists[0].about == "every one of 34 tools; CUT to the first 2, which --max-tools allows"
    outcomes = judged(endpoint, tmp_path / "out", lists=("all",), most=2)
    assert {one.list for one in outcomes} == {"all-2"}
    assert [one.offered for one in outcomes] == [True, False, False]


def test_a_name_that_was_not_shown_is_no_tool(endpoint: RuleEndpoint, tmp_path: Path) -> None:
    endpoint.picks = lambda _, __: ["shop/find_books"]  # the ID, but not the name of the function
    (one, *_) = judged(endpoint, tmp_path / "out", lists=("all",))
    assert one.called == ("?shop/find_books",)
    assert not one.correct


@pytest.mark.parametrize(
    ("called", "needed", "right"),
    [
        (("a",), (("a",),), True),
        (("b", "a"), (("a",),), False),
        (("b",), (("a", "b"),), True),
        (("b", "a"), (("a",), ("b",)), True),
        (("a",), (("a",), ("b",)), False),
        ((), (("a",),), False),
    ],
)
def test_one_need_is_met_by_the_first_call_and_several_by_all(
    *, called: tuple[str, ...], needed: tuple[tuple[str, ...], ...], right: bool
) -> None:
    assert is_correct(called, needed) is right


def test_tokens_are_those_of_the_endpoint_or_estimated(endpoint: RuleEndpoint, tmp_path: Path) -> None:
    said, *_ = judged(endpoint, tmp_path / "said", lists=("all",))
    assert (said.prompt_tokens, said.completion_tokens, said.estimated) == (134, 7, False)
    endpoint.counts = False
    guessed, *_ = judged(endpoint, tmp_path / "guessed", lists=("all",))
    assert guessed.estimated
    assert 500 < guessed.prompt_tokens < 3000
    assert guessed.seconds > 0


# When the endpoint does not answer as it should


def test_passing_faults_are_tried_again(endpoint: RuleEndpoint, tmp_path: Path) -> None:
    endpoint.faults = [
        Response(status_code=429, headers={"retry-after": "0"}),
        PlainTextResponse("not a completion"),
        JSONResponse({"choices": []}),
        Response(status_code=503, headers={"retry-after": formatdate(0, usegmt=True)}),
        Response(status_code=502, headers={"retry-after": "soon"}),
    ]
    outcomes = judged(endpoint, tmp_path / "out", lists=("all",), at_once=2)
    assert [one.correct for one in outcomes] == [True, True, False]
    assert len(endpoint.asked) == len(REQUESTS) + 5


def test_a_request_that_never_gets_an_answer_is_asked_anew_by_the_next_run(
    endpoint: RuleEndpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint.faults = [Response(status_code=500) for _ in range(4)]
    first = judged(endpoint, tmp_path / "out", lists=("all",), at_once=1)
    assert [one.id for one in first] == ["rain", "none"]
    assert "all-34 find: no answer in 4 tries; the last: HTTP 500" in capsys.readouterr().out
    before = len(endpoint.asked)
    second = judged(endpoint, tmp_path / "out", lists=("all",), at_once=1)
    assert [one.id for one in second] == ["find", "rain", "none"]
    assert len(endpoint.asked) == before + 1


def test_a_refused_list_is_an_outcome(endpoint: RuleEndpoint, tmp_path: Path) -> None:
    endpoint.most = 20
    outcomes = judged(endpoint, tmp_path / "out", lists=("all", "view"))
    refused = outcome(outcomes, "all", "find")
    assert "more than 20 tools" in refused.refused
    assert not refused.correct
    assert outcome(outcomes, "view", "find").correct


def test_a_wrong_key_stops_the_run_and_says_what_to_look_at(endpoint: RuleEndpoint, tmp_path: Path) -> None:
    endpoint.key = "right"
    with pytest.raises(EndpointError, match=r"HTTP 401 .*Incorrect API key.*; look at --base-url"):
        judged(endpoint, tmp_path / "out", key="wrong")
    assert judged(endpoint, tmp_path / "out", key="right", lists=("all",))


def test_retry_after_is_honoured(endpoint: RuleEndpoint) -> None:
    endpoint.faults = [Response(status_code=429, headers={"retry-after": "0.3"})]
    loop = asyncio.new_event_loop()
    start = loop.time()
    ask(endpoint)
    assert loop.time() - start >= 0.3
    loop.close()


def test_a_wait_that_is_too_long_stops_the_run(endpoint: RuleEndpoint) -> None:
    endpoint.faults = [Response(status_code=429, headers={"retry-after": "86400"})]
    with pytest.raises(EndpointError, match="asked to wait 86400 s, run the command again then"):
        ask(endpoint)


def test_the_last_try_is_not_waited_for(endpoint: RuleEndpoint) -> None:
    endpoint.faults = [Response(status_code=429, headers={"retry-after": "60"})]
    with pytest.raises(NoAnswerError, match="no answer in 1 tries; the last: HTTP 429"):
        ask(endpoint, tries=1)


def test_an_endpoint_that_is_not_there_stops_the_run(endpoint: RuleEndpoint) -> None:
    with pytest.raises(EndpointError, match=r"nobody answers at http://127.0.0.1:9/v1/chat/completions"):
        ask(endpoint, url="http://127.0.0.1:9/v1", tries=2)


def test_an_answer_that_is_late_is_no_answer(endpoint: RuleEndpoint) -> None:
    endpoint.delay_s = 1.0
    with pytest.raises(NoAnswerError, match="ReadTimeout"):
        ask(endpoint, tries=2, timeout_s=0.05)


@pytest.mark.parametrize("url", ["127.0.0.1/v1", "ftp://127.0.0.1/v1"])
def test_what_is_no_url_is_told(endpoint: RuleEndpoint, url: str) -> None:
    with pytest.raises(EndpointError, match="must be a URL such as http://host/v1"):
        ask(endpoint, url=url)


def test_a_refusal_is_not_tried_again(endpoint: RuleEndpoint) -> None:
    endpoint.most = 0
    with pytest.raises(RefusedError, match="HTTP 400"):
        ask(endpoint)
    assert len(endpoint.asked) == 1


# Results


def test_what_was_answered_is_not_asked_again(endpoint: RuleEndpoint, tmp_path: Path) -> None:
    out = tmp_path / "folder" / "out.jsonl"
    first = judged(endpoint, out)
    before = len(endpoint.asked)
    assert judged(endpoint, out) == first
    assert len(endpoint.asked) == before
    judged(endpoint, out, more={"temperature": 1})  # another question
    assert len(endpoint.asked) == 2 * before


def test_a_line_that_was_cut_off_is_asked_again(endpoint: RuleEndpoint, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    first = judged(endpoint, out, at_once=1)
    out.write_bytes(out.read_bytes()[:-20])
    before = len(endpoint.asked)
    assert [one.called for one in judged(endpoint, out)] == [one.called for one in first]
    assert len(endpoint.asked) == before + 1
    assert len(out.read_text().splitlines()) == len(first)


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("my notes\n")
    with pytest.raises(ResultsError, match=r"cannot be taken up .*; give another --out"):
        ResultsFile(other)
    assert other.read_text() == "my notes\n"


# Names


def test_names_are_valid_distinct_and_the_same_each_time() -> None:
    ids = ["a/b", "a.b", "a_b", "x" * 70, "x" * 71, "", "über"]
    names = valid_names(ids, foreign=FUNCTION, longest=64)
    assert list(names) == ids
    assert list(names.values()) == ["a_b", "a_b_2", "a_b_3", "x" * 64, "x" * 62 + "_2", "_", "_ber"]
    assert valid_names(["a.b", "taken"], foreign=MCP, longest=128, taken=["taken"]) == {
        "a.b": "a.b",
        "taken": "taken_2",
    }


# The command


def test_the_command_compares_and_quotes_what_was_published(
    endpoint: RuleEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "default_encoder", HashingEncoder)
    endpoint.key = "secret"
    monkeypatch.setenv("RULE_KEY", "secret")
    result = command(endpoint, tmp_path, "--key-variable", "RULE_KEY", "--max-tools", "30")
    assert result.exit_code == 0, result.output
    assert "CUT to the first 30" in result.output
    assert "tiny, rule" in result.output
    assert "43.13 % with retrieval" in result.output
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert len(lines) == 5 * 4


def test_the_command_says_what_is_wrong(
    endpoint: RuleEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "default_encoder", HashingEncoder)
    result = command(endpoint, tmp_path, "--lists", "all,best")
    assert "lists must be some of all, rag, keyword, view, got best" in str(result.exception)
    endpoint.faults = [Response(status_code=500)]
    result = command(endpoint, tmp_path, "--lists", "all", "--tries", "1")
    assert "1 requests got no answer; run the command again" in str(result.exception)


def command(endpoint: RuleEndpoint, folder: Path, *more: str) -> Any:
    from typer import Typer

    app = Typer()
    app.command()(judging.main)
    out = ["--out", str(folder / "out.jsonl")]
    asked = ["--set", "tiny", "--sample", "5", "--base-url", endpoint.base_url, "--model", "rule"]
    return CliRunner().invoke(app, [*asked, *out, *more])


def test_a_set_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SampleError, match=r"must be one of .*gtc.*, got 'nothing'"):
        take_sample("nothing", 1)
    monkeypatch.setenv("SCOPEDTOOLS_DATA", str(tmp_path))
    with pytest.raises(SampleError, match="gtc has no"):
        take_sample("gtc", 1)
