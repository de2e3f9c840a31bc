"""The example of the front page runs as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scopedtools.testing import Client
from tests.openapi.recorded import described, operation

pytestmark = pytest.mark.anyio

README = (Path(__file__).parents[2] / "README.md").read_text()


async def test_an_api_stands_beside_tools_of_the_author(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = re.findall(r"```python\n(# forge\.py.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    description = described({"/zen": {"get": operation("meta_get-zen")}})
    (tmp_path / "api.github.com.json").write_text(json.dumps(description))
    defined: dict[str, object] = {"__name__": "forge"}
    exec(compile(source, "README.md", "exec", dont_inherit=True), defined)  # noqa: S102 - our own text
    async with Client(defined["app"]) as client:  # type: ignore[arg-type] # what the page makes
        names = [tool["name"] for tool in await client.list_tools()]
        assert {"house_rules", "github__meta_get-zen"} <= set(names)
        assert "approval" in str(await client.call_tool("house_rules"))
