"""Lets a model pick the tool from what it is shown: RAG-MCP's comparison, with any model behind a URL.

Run: python -m benchmarks.selection.judge --set gtc --base-url http://127.0.0.1:8080/v1 --model NAME

The endpoint speaks OpenAI's chat completions. Each request is asked once with each list: all tools, retrieval
and keyword match as in arXiv 2505.03275, and the view of a scopedtools server. Where a list is empty nothing
is asked, and the request is lost.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import typer
from rich.console import Console

from benchmarks.selection.judge_endpoint import (
    Endpoint,
    NoAnswerError,
    RefusedError,
    request_body,
)
from benchmarks.selection.judge_lists import KINDS, Shown, make_lists
from benchmarks.selection.judge_results import (
    PUBLISHED,
    Key,
    Outcome,
    ResultsFile,
    comparison,
    is_correct,
    key_of,
)
from benchmarks.selection.names import FUNCTION, valid_names
from benchmarks.selection.sample import Request, Sample, take_sample
from scopedtools.catalog.primitives import Tool
from scopedtools.evaluation.measures import complete
from scopedtools.exceptions import ScopedToolsError
from scopedtools.retrieval import HybridSelector, default_encoder
from scopedtools.types import Encoder

_DESCRIPTION: Final = 1024
"""Characters of a function's description that OpenAI's endpoint takes."""


class Settings(NamedTuple):
    """What is asked, and how.

    Attributes:
        model: Name of the model.
        lists: Kinds of lists, see ``judge_lists.KINDS``.
        k: Tools in the list by meaning.
        most: Most tools in the full list.
        tool_choice: ``auto``, or ``required`` where the endpoint knows that.
        more: Further fields of each request.
        at_once: Requests under way at a time.
    """

    model: str
    lists: tuple[str, ...] = KINDS
    k: int = 10
    most: int = 128
    tool_choice: str = "auto"
    more: dict[str, Any] = {"temperature": 0}  # noqa: RUF012 - only read
    at_once: int = 4


class _Job(NamedTuple):
    """A request with one list, before it is asked. The body is made anew: all together fill the memory."""

    request: Request
    tools: tuple[Tool, ...]
    unasked: Outcome


class Judge:
    """Asks a model for each request with each list, and keeps what it picks.

    Args:
        sample: The requests.
        settings: What is asked, and how.
        encoder: For the list by meaning, and for the view.
    """

    def __init__(self, sample: Sample, settings: Settings, encoder: Encoder) -> None:
        self._sample = sample
        self._settings = settings
        self._encoder = encoder
        self._catalog = sample.catalog
        ids = [row.name for row in self._catalog.rows]
        self._names = valid_names(ids, foreign=FUNCTION, longest=64)

    async def lists(self) -> list[Shown]:
        """Make the lists ready, which encodes the catalog."""
        selector = HybridSelector(self._encoder)
        if "view" in self._settings.lists:
            await selector.prepare(self._catalog.rows)
        return make_lists(
            self._catalog,
            self._settings.lists,
            encoder=self._encoder,
            selector=selector,
            k=self._settings.k,
            most=self._settings.most,
        )

    async def run(self, lists: Sequence[Shown], endpoint: Endpoint, results: ResultsFile) -> list[Outcome]:
        """Ask what has not been asked, and return the outcomes of all that got one.

        Raises:
            EndpointError: Nothing more can be asked; what was answered is kept.
        """
        jobs = [await self._job(one, request) for one in lists for request in self._sample.requests]
        left = iter([job for job in jobs if _key(job) not in results.outcomes])
        askers = [self._ask_all(left, endpoint, results) for _ in range(self._settings.at_once)]
        try:
            async with asyncio.TaskGroup() as group:
                for asker in askers:
                    group.create_task(asker)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # one reason to stop is enough
        return [results.outcomes[_key(job)] for job in jobs if _key(job) in results.outcomes]

    async def _job(self, shown: Shown, request: Request) -> _Job:
        rows = [self._catalog.rows[row] for row in await shown.rows(request.text)]
        tools = tuple(row for row in rows if isinstance(row, Tool))
        unasked = Outcome(
            list=shown.name,
            id=request.id,
            asked=hashlib.blake2b(self._body(request, tools), digest_size=8).hexdigest(),
            set=self._sample.name,
            model=self._settings.model,
            shown=len(tools),
            offered=complete([tool.name for tool in tools], request.needed),
        )
        return _Job(request, tools, unasked)

    def _body(self, request: Request, tools: Sequence[Tool]) -> bytes:
        functions = [_function(self._names[tool.name], tool) for tool in tools]
        settings = self._settings
        return request_body(
            settings.model, request.text, functions, tool_choice=settings.tool_choice, more=settings.more
        )

    async def _ask_all(self, jobs: Iterator[_Job], endpoint: Endpoint, results: ResultsFile) -> None:
        for job in jobs:
            try:
                results.add(await self._ask(job, endpoint))
            except NoAnswerError as error:
                print(f"{job.unasked.list} {job.request.id}: {error}")

    async def _ask(self, job: _Job, endpoint: Endpoint) -> Outcome:
        if not job.tools:
            return job.unasked
        try:
            answer = await endpoint.ask(self._body(job.request, job.tools))
        except RefusedError as error:
            return msgspec.structs.replace(job.unasked, refused=str(error))
        ids = {self._names[tool.name]: tool.name for tool in job.tools}
        called = tuple(ids.get(name, f"?{name}") for name in answer.called)
        return msgspec.structs.replace(
            job.unasked,
            called=called,
            correct=is_correct(called, job.request.needed),
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            estimated=answer.estimated,
            seconds=answer.seconds,
        )


def _key(job: _Job) -> Key:
    return key_of(job.unasked)


def _function(name: str, tool: Tool) -> dict[str, Any]:
    return {"name": name, "description": tool.description[:_DESCRIPTION], "parameters": tool.input_schema}


def main(
    *,
    test_set: Annotated[str, typer.Option("--set", help="Test set; read from $SCOPEDTOOLS_DATA.")],
    base_url: Annotated[str, typer.Option(help="What /chat/completions is appended to.")],
    model: Annotated[str, typer.Option(help="Name that the endpoint knows the model by.")],
    out: Annotated[Path, typer.Option(help="Results, JSON lines; a run that is repeated goes on there.")],
    sample: Annotated[int, typer.Option(help="Requests to ask, 0 for all.", min=0)] = 50,
    lists: Annotated[str, typer.Option(help="Lists to compare.")] = ",".join(KINDS),
    k: Annotated[int, typer.Option(help="Tools in the list by meaning.", min=1)] = 10,
    max_tools: Annotated[int, typer.Option(help="Most tools that the endpoint takes.", min=1)] = 128,
    tool_choice: Annotated[str, typer.Option(help="auto or required.")] = "auto",
    more: Annotated[str, typer.Option(help="Further fields of each request, JSON.")] = '{"temperature": 0}',
    key_variable: Annotated[str, typer.Option(help="Environment variable of the key.")] = "OPENAI_API_KEY",
    at_once: Annotated[int, typer.Option(help="Requests under way at a time.", min=1)] = 4,
    timeout_s: Annotated[float, typer.Option(help="Seconds that one try may take.")] = 120,
    tries: Annotated[int, typer.Option(help="Tries a request, at most.", min=1)] = 6,
) -> None:
    """Compare what a model picks from all tools, from retrieved ones, and from our view."""
    settings = Settings(
        model=model,
        lists=tuple(lists.split(",")),
        k=k,
        most=max_tools,
        tool_choice=tool_choice,
        more=msgspec.json.decode(more, type=dict[str, Any]),
        at_once=at_once,
    )
    endpoint = Endpoint(base_url, key=os.environ.get(key_variable, ""), timeout_s=timeout_s, tries=tries)
    try:
        missing = asyncio.run(_report(take_sample(test_set, sample), settings, endpoint, out))
    except (ScopedToolsError, ValueError) as error:
        raise SystemExit(f"judge: {error}") from error
    if missing:
        raise SystemExit(f"judge: {missing} requests got no answer; run the command again to ask them")


async def _report(sample: Sample, settings: Settings, endpoint: Endpoint, out: Path) -> int:
    """Ask, print, and return how many got no answer."""
    judge = Judge(sample, settings, default_encoder())
    lists = await judge.lists()
    for one in lists:
        print(f"{one.name}: {one.about}")
    async with endpoint:
        with ResultsFile(out) as results:
            outcomes = await judge.run(lists, endpoint, results)
    Console(width=120).print(comparison(outcomes, f"{sample.name}, {settings.model}"))
    refusals = [one.refused for one in outcomes if one.refused]
    print(*(f"refused, such as: {said}" for said in refusals[:1]), PUBLISHED, sep="\n")
    return len(lists) * len(sample.requests) - len(outcomes)


if __name__ == "__main__":
    typer.run(main)
