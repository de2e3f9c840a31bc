"""The endpoint as OpenAPI 3.1, one operation for each method, made from the JSON Schema of a revision."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from tests.contract import tasks_schema
from tests.contract.judge import MODERN, Judge

_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
_NAMED_BY: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

_STREAM: Final = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "properties": {"event": {"const": "message"}, "data": {"type": "string"}},
            "required": ["event", "data"],
            "additionalProperties": False,
        }
    }
}
"""Each event."""

_PLAINER: Final[dict[str, dict[str, Any]]] = {
    "JSONValue": {},
    "JSONObject": {"type": "object"},
    "JSONArray": {"type": "array"},
    "ClientCapabilities": {"type": "object"},
}
"""Definitions that refer to themselves or have many parts, which costs whoever makes up values a lot."""


_HOSTILE: Final = (
    *(
        "MCP-Protocol-Version",
        "Mcp-Method",
        "Mcp-Name",
        "Mcp-Session-Id",
        "Mcp-Param-Region",
        "Last-Event-ID",
    ),
    *("Mcp-Client-Session-Id", "Mcp-Context-Intent", "Mcp-Context-Parent", "baggage", "traceparent"),
    *("Authorization", "Origin", "Accept", "Content-Encoding", "Expect", "X-Forwarded-For"),
)
"""Headers that anybody may send with whatever in them."""


def with_hostile_headers(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI document in which headers may hold anything, and bodies are as before.

    Args:
        document: From `describe`.
    """
    made: dict[str, Any] = copy.deepcopy(dict(document))
    for path in made["paths"].values():
        path["post"]["parameters"] = [
            {"name": name, "in": "header", "required": False, "schema": {"type": "string", "maxLength": 300}}
            for name in _HOSTILE
        ]
        path["post"]["responses"]["200"]["content"] = {"application/json": {}, "text/event-stream": {}}
    return made


def describe(revision: str, schema: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return an OpenAPI document.

    The methods stand at paths of their own, since OpenAPI has no other way to tell them apart; who sends
    the requests takes the last part off.

    Args:
        revision: That clients speak.
        schema: Its JSON Schema.
        names: What there is to ask for, by the method that asks for it.
    """
    judge = Judge(revision, schema)
    key = "$defs" if "$defs" in schema else "definitions"
    definitions = copy.deepcopy(dict(schema[key]))
    if revision == MODERN:
        definitions |= copy.deepcopy(tasks_schema.DEFINITIONS)
    definitions |= {name: schema for name, schema in _PLAINER.items() if name in definitions}
    requests = {
        definition["properties"]["method"]["const"]: name
        for name, definition in definitions.items()
        if name.endswith("Request") and "const" in definition.get("properties", {}).get("method", {})
    }
    paths = {
        f"/mcp/{method}": {
            "post": _operation(revision, method, definitions[requests[method]], judge, names.get(method))
        }
        for method in judge.results
        if method in requests
    }
    document: dict[str, Any] = _pointed(
        {
            "openapi": "3.1.0",
            "info": {"title": f"MCP {revision}", "version": "1"},
            "paths": paths,
            "components": {"schemas": definitions},
        },
        f"#/{key}/",
    )
    return document


def _operation(
    revision: str, method: str, request: dict[str, Any], judge: Judge, name: str | None
) -> dict[str, Any]:
    body = _body(revision, method, copy.deepcopy(request), name)
    results = [judge.results[method]]
    if revision == MODERN and method in _NAMED_BY:
        results.append("InputRequiredResult")
    answer = {
        "type": "object",
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": {"type": ["string", "integer"]},
            "result": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in results]},
        },
        "required": ["jsonrpc", "id", "result"],
        "additionalProperties": False,
    }
    refused = {"application/json": {"schema": _refused()}}
    # Before 2026-07-28 most errors came with 200.
    any_of = [answer, _of_no_revision() if revision == MODERN else _refused()]
    if revision == "2025-03-26":  # which has batches
        any_of.append({"type": "array", "items": {"anyOf": list(any_of)}, "minItems": 1})
    answers = {"anyOf": any_of}
    return {
        "operationId": method,
        "parameters": _headers(revision, method, name),
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {"description": "answer", "content": {"application/json": {"schema": answers}, **_STREAM}},
            "202": {"description": "taken"},
            "4XX": {"description": "refused", "content": refused},
        },
    }


def _of_no_revision() -> dict[str, Any]:
    """Return what a request gets that names no revision, and so is of one in which errors came with 200."""
    refused = _refused()
    refused["properties"]["error"]["properties"]["message"]["pattern"] = "at protocol revision 2025-03-26$"
    return refused


def _refused() -> dict[str, Any]:
    error = {
        "type": "object",
        "properties": {
            "code": {"type": "integer"},
            "message": {"type": "string", "minLength": 1},
            "data": {},
        },
        "required": ["code", "message"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"jsonrpc": {"const": "2.0"}, "id": {"type": ["string", "integer"]}, "error": error},
        "required": ["jsonrpc", "error"],
        "additionalProperties": False,
    }


def _body(revision: str, method: str, request: dict[str, Any], name: str | None) -> dict[str, Any]:
    properties = request["properties"]
    properties |= {"jsonrpc": {"const": "2.0"}, "id": {"type": ["string", "integer"]}}
    request["required"] = sorted({*request.get("required", ()), "jsonrpc", "id", "method"})
    narrowed: dict[str, Any] = {}
    if revision == MODERN:
        narrowed["_meta"] = {"properties": {_VERSION: {"const": MODERN}}}
    if name is not None:
        narrowed[_NAMED_BY[method]] = {"const": name}
    if narrowed and "params" in properties:
        properties["params"] = {"allOf": [properties["params"], {"properties": narrowed}]}
    return request


def _headers(revision: str, method: str, name: str | None) -> list[dict[str, Any]]:
    wanted: dict[str, dict[str, Any]] = {"MCP-Protocol-Version": {"const": revision}}
    if revision == MODERN:
        wanted["Mcp-Method"] = {"const": method}
        if name is not None:
            wanted["Mcp-Name"] = {"const": name}
    wanted["Accept"] = {"const": "application/json, text/event-stream"}
    return [
        {"name": header, "in": "header", "required": True, "schema": {"type": "string", **schema}}
        for header, schema in wanted.items()
    ]


def _pointed(value: Any, old: str) -> Any:
    """Have references point into the document, wherever the schema had its definitions."""
    if isinstance(value, list):
        return [_pointed(part, old) for part in value]
    if not isinstance(value, dict):
        return value
    made = {key: _pointed(part, old) for key, part in value.items()}
    reference = made.get("$ref")
    if isinstance(reference, str):
        for start in (old, "#/$defs/"):
            if reference.startswith(start):
                made["$ref"] = f"#/components/schemas/{reference.removeprefix(start)}"
    return made
