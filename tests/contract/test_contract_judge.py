"""The judge lets pass what is right; each wrong message differs from a right one in one way."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.contract.extract import literal, schemas_in
from tests.contract.judge import MODERN, Broken, Judges, strict

TOOL = {"name": "find", "inputSchema": {"type": "object"}}
STAMP = {
    "resultType": "complete",
    "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "a", "version": "1"}},
}
LISTED = {
    "jsonrpc": "2.0",
    "id": 1,
    "result": {"tools": [TOOL], "ttlMs": 0, "cacheScope": "private", **STAMP},
}
TASK = {
    "taskId": "t",
    "status": "completed",
    "createdAt": "2026-01-01T00:00:00.000Z",
    "lastUpdatedAt": "2026-01-01T00:00:00Z",
    "ttlMs": 1,
    "result": {"content": [], "resultType": "complete"},
    **STAMP,
}
GOT = {"jsonrpc": "2.0", "id": 1, "result": TASK}
ASKED = {
    "jsonrpc": "2.0",
    "id": "q",
    "method": "elicitation/create",
    "params": {"message": "?", "requestedSchema": {"type": "object", "properties": {}}},
}
REFUSED = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "No"}}
EARLIER = {"jsonrpc": "2.0", "id": 1, "result": {"tools": [TOOL]}}
TOLD = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {}}


@pytest.mark.parametrize(
    ("revision", "message", "method", "name"),
    [
        (MODERN, LISTED, "tools/list", "ListToolsResult"),
        (MODERN, GOT, "tasks/get", "GetTaskResult"),
        (MODERN, REFUSED, "tools/list", "error -32602"),
        (MODERN, TOLD, None, "ToolListChangedNotification"),
        ("2025-11-25", EARLIER, "tools/list", "ListToolsResult"),
        ("2025-06-18", ASKED, None, "ElicitRequest"),
        ("2025-03-26", REFUSED, "tools/list", "error -32602"),
    ],
)
def test_what_is_right_passes(
    judges: Judges, revision: str, message: dict[str, Any], method: str | None, name: str
) -> None:
    assert judges.by_revision[revision].message(message, method) == name


@pytest.mark.parametrize(
    ("revision", "message", "method", "change"),
    [
        (MODERN, LISTED, "tools/list", ("jsonrpc", "1.0")),
        (MODERN, LISTED, "tools/list", ("id", None)),
        (MODERN, LISTED, "tools/list", ("id", 1.5)),
        (MODERN, LISTED, "tools/list", ("error", {"code": 1, "message": "both"})),
        (MODERN, LISTED, "tools/list", ("extra", 1)),
        (MODERN, LISTED, "tools/list", ("result.resultType", ...)),
        (MODERN, LISTED, "tools/list", ("result.resultType", "input_required")),
        (MODERN, LISTED, "tools/list", ("result.cacheScope", "context")),
        (MODERN, LISTED, "tools/list", ("result.ttlMs", -1)),
        (MODERN, LISTED, "tools/list", ("result.tools", {})),
        (MODERN, LISTED, "prompts/list", ("id", 1)),
        (MODERN, LISTED, None, ("id", 1)),
        (MODERN, GOT, "tasks/get", ("result.result", ...)),
        (MODERN, GOT, "tasks/get", ("result.status", "failed")),
        (MODERN, GOT, "tasks/get", ("result.createdAt", "yesterday")),
        (MODERN, GOT, "tasks/get", ("result.progress", 1)),
        (MODERN, ASKED, None, ("id", "q")),
        (MODERN, REFUSED, "tools/list", ("error.code", -32002)),
        (MODERN, REFUSED, "tools/list", ("error.code", -32022)),
        (MODERN, REFUSED, "tools/list", ("error.message", "")),
        (MODERN, REFUSED, "tools/list", ("error.stack", "Traceback")),
        (MODERN, TOLD, None, ("method", "notifications/tasks/status")),
        (MODERN, TOLD, None, ("id", 1)),
        ("2025-11-25", EARLIER, "tools/list", ("result.ttlMs", 0)),
        ("2025-11-25", EARLIER, "tools/list", ("result.resultType", "complete")),
        ("2025-06-18", {**EARLIER, "result": {"tools": [{**TOOL, "icons": []}]}}, "tools/list", ("id", 1)),
        ("2025-03-26", {**EARLIER, "result": {"tools": [{**TOOL, "title": "T"}]}}, "tools/list", ("id", 1)),
        ("2025-03-26", {**EARLIER, "result": {"extra": 1}}, "ping", ("id", 1)),
        ("2025-03-26", ASKED, None, ("id", "q")),
        ("2025-06-18", ASKED, None, ("params.mode", "form")),
    ],
)
def test_what_is_wrong_does_not(
    judges: Judges, revision: str, message: dict[str, Any], method: str | None, change: tuple[str, Any]
) -> None:
    path, value = change
    wrong = copy.deepcopy(message)
    *parents, last = path.split(".")
    place = wrong
    for parent in parents:
        place = place[parent]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(Broken):
        judges.by_revision[revision].message(wrong, method)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"NaN", b'{"a":Infinity}', b'{"a":1,"a":1}', b'"\xff"', b'"\\ud800"', b"[" * 100_000]
)
def test_what_is_no_strict_json_is_none(body: bytes) -> None:
    with pytest.raises(Broken):
        strict(body)


def test_javascript_is_read() -> None:
    source = "x={$schema:`a\\`b\\n`,'q-r':[!0,!1,-1.5e3,{}],\"s\":null,t:[[],{u:1}]},y=1"
    assert literal(source, 2) == {
        "$schema": "a`b\n",
        "q-r": [True, False, -1500.0, {}],
        "s": None,
        "t": [[], {"u": 1}],
    }


@pytest.mark.parametrize("source", ["f()", "{a:b()}", "{a 1}", "`${x}`", "", "{", "[1,"])
def test_other_javascript_is_not(source: str) -> None:
    with pytest.raises(ValueError, match=r"literal|value"):
        literal(source)


def test_schemas_of_other_packages_are_left_alone() -> None:
    assert schemas_in("a={$schema:`https://json-schema.org/draft/2020-12/schema`,$defs:{A:{}}}") == {}
