"""``scopedtools serve --openapi``, as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scopedtools.cli.hosting import Hosted, worker
from scopedtools.cli.openapi import ApiOptions
from scopedtools.cli.origin import Origin
from tests.hosting import hosted
from tests.openapi.recorded import Recorder, described, operation

pytestmark = pytest.mark.anyio

SCHEME = {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}}
DESCRIPTION = described({"/x": {"get": operation("get_x", security=[{"key": []}])}}, components=SCHEME)


def serve(*options: str, said: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from scopedtools.cli import main; main()", "serve", *options],
        input=said,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **variables},
        check=False,
    )


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "api.json"
    file.write_text(json.dumps(DESCRIPTION))
    return str(file)


@pytest.mark.slow
async def test_an_api_is_served_over_stdio(path: str) -> None:
    import anyio.to_thread

    def message(number: int, method: str, **params: Any) -> str:
        return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})

    opened = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "0"},
    }
    said = "\n".join(
        [message(1, "initialize", **opened), message(2, "tools/call", name="get_x", arguments={}), ""]
    )
    recorder = Recorder()
    async with hosted(recorder) as (host, port):
        options = [
            "--openapi",
            path,
            "--base-url",
            f"http://{host}:{port}/v1",
            "--auth",
            "key=SHELF_KEY",
            "--stdio",
        ]
        done = await anyio.to_thread.run_sync(lambda: serve(*options, said=said, SHELF_KEY="s3cret"))
    answers = {one["id"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert answers[1]["result"]["serverInfo"]["name"] == "Shelves"
    assert answers[2]["result"]["structuredContent"] == {}
    assert (recorder.last.target, recorder.last.header("x-key")) == ("/v1/x", "s3cret")
    assert "s3cret" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say what to serve"),
        (["a:b", "--openapi", "{path}", "--base-url", "http://a"], "cannot import 'a'"),
        (["a:b", "--openapi", "{path}", "--base-url", "http://a", "--index-dir", "i"], "--index-dir is not"),
        (["--openapi", "{path}"], "--openapi needs --base-url"),
        (["--openapi", "{path}", "--base-url", "a"], "base_url must be an absolute"),
        (["--openapi", "{path}x", "--base-url", "http://a"], "cannot read"),
        (["--openapi", "{path}", "--base-url", "http://a", "--auth", "key"], "must be NAME=VALUE"),
        (["--openapi", "{path}", "--base-url", "http://a", "--auth", "key=NOT_SET"], "no variable 'NOT_SET'"),
        (
            ["--openapi", "{path}", "--base-url", "http://a", "--auth", "other=HOME"],
            "no security scheme 'other'",
        ),
    ],
)
def test_what_is_wrong_is_one_line(path: str, options: list[str], message: str) -> None:
    done = serve(*(option.format(path=path) for option in options))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert message in done.stderr


@pytest.mark.parametrize("missing", ["jsonschema_rs", "referencing", "yaml"])
def test_an_extra_that_is_not_installed_is_named(path: str, missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from scopedtools.cli import main; main()"
    options = ["serve", "--openapi", path, "--base-url", "http://a"]
    done = subprocess.run(
        [sys.executable, "-c", program, *options], capture_output=True, text=True, check=False
    )
    assert (done.returncode, 'pip install "scopedtools[openapi]"' in done.stderr) == (1, True), done.stderr


def test_worker_processes_make_the_same_server(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELF_KEY", "s3cret")
    origin = Origin(api=ApiOptions(path, "http://127.0.0.1:1", auth=("key=SHELF_KEY",)))
    hosted_by = Hosted(origin)
    monkeypatch.setenv("SCOPEDTOOLS_HOSTED", "")  # put back afterwards
    hosted_by.hand_over()
    assert "s3cret" not in os.environ["SCOPEDTOOLS_HOSTED"]
    assert worker().catalog.version == origin.load().catalog.version
