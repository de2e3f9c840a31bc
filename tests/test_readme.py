from __future__ import annotations

import re
from pathlib import Path

import pytest

from scopedtools import ScopedServer
from scopedtools.testing import Client

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.anyio
async def test_the_server_on_the_front_page_runs_and_fits_on_one_screen() -> None:
    source = blocks("python")[0]
    assert len([line for line in source.splitlines() if line.strip()]) <= 22
    namespace: dict[str, object] = {"__name__": "shop"}
    exec(compile(source, "README.md", "exec"), namespace)  # noqa: S102 - our own text
    app = namespace["app"]
    assert isinstance(app, ScopedServer)
    async with Client(app) as everybody, Client(app, context="window-shopping") as browser:
        assert [tool["name"] for tool in await everybody.list_tools()] == ["find_books", "order_book"]
        assert [tool["name"] for tool in await browser.list_tools()] == ["find_books"]
        found = await browser.call_tool("find_books", title="dune")
        assert found["structuredContent"] == {"result": ["Dune"]}


def test_every_python_block_on_the_front_page_compiles() -> None:
    for source in blocks("python"):
        wrapped = "async def block():\n" + "".join(f"    {line}\n" for line in source.splitlines())
        compile(wrapped, "README.md", "exec")
