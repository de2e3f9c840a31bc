"""The tasks extension as a JSON Schema: the schemas of the revisions do not know it.

Source: specification/2026-07-28/tasks.md of the extension's repository, ``modelcontextprotocol/ext-tasks``.
"""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
_COUNT: Final = {"type": "integer", "minimum": 0}

_STATE: Final[dict[str, Any]] = {
    "taskId": _TEXT,
    "statusMessage": _TEXT,
    "createdAt": _TIME,
    "lastUpdatedAt": _TIME,
    "ttlMs": {"anyOf": [_COUNT, {"type": "null"}]},
    "pollIntervalMs": _COUNT,
}
_REQUIRED: Final = ["taskId", "status", "createdAt", "lastUpdatedAt", "ttlMs"]

_OUTCOMES: Final[dict[str, dict[str, Any]]] = {
    "working": {},
    "input_required": {"inputRequests": {"$ref": "#/$defs/InputRequests"}},
    "completed": {"result": {"$ref": "#/$defs/CallToolResult"}},
    "failed": {"error": {"$ref": "#/$defs/Error"}},
    "cancelled": {},
}
"""What each status brings along, always."""


def _task(status: str, around: dict[str, Any], required: list[str]) -> dict[str, Any]:
    brought = _OUTCOMES[status]
    return {
        "type": "object",
        "properties": {**around, **_STATE, "status": {"const": status}, **brought},
        "required": [*_REQUIRED, *brought, *required],
    }


def _any_task(around: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """Describe a task in any status, the one that it says."""
    statuses = [_task(status, around, required) for status in _OUTCOMES]
    is_of = [{"properties": {"status": {"const": status}}, "required": ["status"]} for status in _OUTCOMES]
    return {
        "required": ["status"],
        "properties": {"status": {"enum": list(_OUTCOMES)}},
        "allOf": [{"if": which, "then": task} for which, task in zip(is_of, statuses, strict=True)],
    }


def _result(kind: str) -> dict[str, Any]:
    return {"_meta": {"$ref": "#/$defs/ResultMetaObject"}, "resultType": {"const": kind}}


_ACKNOWLEDGED: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"_meta": {"type": "object"}, **_result("complete")},
    "required": ["resultType"],
}

DEFINITIONS: Final[dict[str, Any]] = {
    "CreateTaskResult": {
        "type": "object",
        "properties": {**_result("task"), **_STATE, "status": {"enum": list(_OUTCOMES)}},
        "required": [*_REQUIRED, "resultType"],
    },
    "GetTaskResult": _any_task(_result("complete"), ["resultType"]),
    "UpdateTaskResult": _ACKNOWLEDGED,
    "CancelTaskResult": _ACKNOWLEDGED,
    "TaskNotification": {
        "type": "object",
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "method": {"const": "notifications/tasks"},
            "params": _any_task({"_meta": {"$ref": "#/$defs/NotificationMetaObject"}}, []),
        },
        "required": ["jsonrpc", "method", "params"],
    },
}
"""Definitions that join those of 2026-07-28."""

RESULTS: Final = {
    "tasks/get": "GetTaskResult",
    "tasks/update": "UpdateTaskResult",
    "tasks/cancel": "CancelTaskResult",
}

FILTER: Final = {"taskIds": {"type": "array", "items": _TEXT}}
"""What the extension adds to the filter of ``subscriptions/listen``."""
