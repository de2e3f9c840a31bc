from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.adapters.served import served
from tests.test_readme import blocks, paste
from tests.test_readme import run as defined

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parent.parent.parent


def run(*arguments: str, environment: Mapping[str, str]) -> str:
    """Run the example's client as a reader would, from the root of the repository."""
    command = [sys.executable, "-m", "examples.adapters.client", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_server_of_the_official_sdk_serves_two_units_of_work_differently() -> None:
    assert "all checks passed" in run(environment=os.environ)


def test_a_fastmcp_server_serves_two_units_of_work_differently(
    fastmcp_python: Path, fastmcp_environment: Mapping[str, str]
) -> None:
    program = (str(fastmcp_python), "examples.adapters.fastmcp_server")
    assert "all checks passed" in run(*program, environment=fastmcp_environment)


@pytest.mark.anyio
async def test_what_the_front_page_says_of_servers_that_people_have_works_as_pasted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    [source] = blocks("python", holding="# depot.py")
    [client] = [one for one in blocks("python", holding=":8001") if one != source]
    quick = "from scopedtools.retrieval.hashing import HashingEncoder\n"
    server: Any = defined(
        quick + source.replace("ScopedViews()", "ScopedViews(encoder=HashingEncoder())"), "depot"
    )
    async with served(server["server"]) as endpoint:
        await paste(client.replace("http://127.0.0.1:8001/mcp", endpoint.url), {})
    number, names = capsys.readouterr().out.split(maxsplit=1)
    assert number == "24"
    assert {"search_tools", "call_tool", "order_flight", "order_hotel"} <= set(eval(names))  # noqa: S307 - our own
