import json
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scopedtools import Catalog
from scopedtools.catalog.primitives import StoredTool, Tool
from scopedtools.protocol.revisions import LATEST, MARCH_2025

SCHEMA: dict[str, Any] = {
    "properties": {"city": {"type": "string", "description": "Größe, 大きさ"}, "days": {"default": 1.0}},
    "required": ["city"],
    "x-kept": [1, None, {"a": "b"}],
}
FIELDS: dict[str, Any] = {"name": "forecast", "description": "Weather.", "input_schema": SCHEMA}


def test_a_stored_tool_says_what_any_other_says() -> None:
    stored, plain = StoredTool(**FIELDS), Tool(**FIELDS)

    assert stored.input_schema == plain.input_schema == SCHEMA
    assert stored.wire() == plain.wire()
    assert list(stored.parameters()) == list(plain.parameters())
    for revision in (LATEST, MARCH_2025):
        assert Catalog([stored]).encoded(revision) == Catalog([plain]).encoded(revision)
    assert Catalog([stored]).version == Catalog([plain]).version
    assert StoredTool(name="bare").input_schema == Tool(name="bare").input_schema


def test_what_is_done_to_its_schema_does_not_change_the_tool() -> None:
    stored = StoredTool(**FIELDS)
    stored.input_schema["properties"].clear()

    assert stored.input_schema == SCHEMA
    with pytest.raises(AttributeError):
        stored.input_schema = {}


def test_a_stored_tool_can_be_copied_with_a_change() -> None:
    stored = StoredTool(**FIELDS)

    assert replace(stored, name="other").input_schema == SCHEMA
    assert replace(stored, input_schema={"type": "object"}).input_schema == {"type": "object"}
    assert copy(stored) == stored


def test_a_stored_tool_knows_which_keywords_it_has_not() -> None:
    assert StoredTool(**FIELDS).mentions("x-kept")
    assert not StoredTool(**FIELDS).mentions("x-mcp-header")


def test_tools_of_a_server_share_its_name(tmp_path: Path) -> None:
    lines = [{"name": f"tool_{number}", "server": "maps"} for number in range(2)]
    (tmp_path / "tools.jsonl").write_text("\n".join(map(json.dumps, lines)))
    one, other = Catalog.from_jsonl(tmp_path / "tools.jsonl").rows

    assert one.group is other.group
    assert one.tags is other.tags


def test_rows_are_found_by_more_tags_than_are_kept_as_sets() -> None:
    catalog = Catalog(Tool(name=f"tool_{n}", tags=frozenset({f"tag_{n % 600}"})) for n in range(1200))

    for _ in range(2):
        found = [catalog.tagged(f"tag_{n}").order for n in range(600)]
        assert found == [(n, n + 600) for n in range(600)]
    assert catalog.tags["tag_5"] == 2
