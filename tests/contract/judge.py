"""Says of one message whether a server may send it at a revision, by the revision's JSON Schema."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7, DRAFT202012

from tests.contract import tasks_schema

MODERN: Final = "2026-07-28"
REVISIONS: Final = ("2025-03-26", "2025-06-18", "2025-11-25", MODERN)

_URI: Final = "urn:mcp"

_OPEN_FIELDS: Final = frozenset({"_meta", "inputSchema", "outputSchema", "structuredContent", "capabilities"})
_OPEN_DEFINITIONS: Final = ("MetaObject", "ResultMeta", "Error", "ClientCapabilities")
"""Endings of the names of definitions that anybody may extend, or that others are made of."""

_FORM_FIELDS: Final = ("StringSchema", "NumberSchema", "BooleanSchema", "EnumSchema")
"""Authors write them. The first revision that had forms said of no field what it defaults to; who cannot
use that ignores it."""

_EMPTY: Final = ("EmptyResult", "UpdateTaskResult", "CancelTaskResult", "SubscriptionsListenResult")

_ERROR_ENVELOPES: Final = ("JSONRPCErrorResponse", "JSONRPCError")
_RESULT_ENVELOPES: Final = ("JSONRPCResultResponse", "JSONRPCResponse")

_CODES: Final = frozenset({-32700, -32600, -32601, -32602, -32603})
_MODERN_CODES: Final = frozenset({-32020, -32021, -32022})


class Broken(AssertionError):  # noqa: N818 - reads as what it says
    """A message that breaks the contract."""


class Judge:
    """Knows the schema of one revision.

    Fields that a revision does not know are a breach as well, although its schema lets them pass: they
    show that something of another revision leaks.

    Args:
        revision: By name.
        schema: Its JSON Schema.
    """

    def __init__(self, revision: str, schema: Mapping[str, Any]) -> None:
        self.revision = revision
        self._key = "$defs" if "$defs" in schema else "definitions"
        self._definitions: dict[str, Any] = copy.deepcopy(schema[self._key])
        _correct(self._definitions)
        self.results = {
            method: self._result_of(name) for method, name in self._methods("ClientRequest").items()
        }
        if revision == MODERN:
            self._definitions |= copy.deepcopy(tasks_schema.DEFINITIONS)
            self._definitions["SubscriptionFilter"]["properties"] |= tasks_schema.FILTER
            self.results |= tasks_schema.RESULTS
        self.notifications = self._methods("ServerNotification")
        if revision == MODERN:
            self.notifications |= {"notifications/tasks": "TaskNotification"}
        self.requests = self._methods("ServerRequest") if "ServerRequest" in self._definitions else {}
        self._validators: dict[str, Validator] = {}
        self._registry = Registry().with_resource(
            _URI, (DRAFT202012 if self._key == "$defs" else DRAFT7).create_resource(self._closed())
        )

    def message(self, message: Any, method: str | None) -> str:
        """Check one message of the server's.

        Args:
            message: As it was sent.
            method: Of the request that it answers, where it answers one.

        Returns:
            The name of the definition that it fits.

        Raises:
            Broken: It fits none.
        """
        if not isinstance(message, dict):
            raise Broken(f"not an object: {message!r:.300}")
        self._envelope(message)
        if "error" in message:
            return self._error(message)
        if "result" in message:
            return self._result(message, method)
        return self._call(message)

    def fits(self, name: str, value: Any) -> None:
        """Check a value against a definition.

        Raises:
            Broken: It does not fit.
        """
        validator = self._validators.get(name)
        if validator is None:
            kind = Draft202012Validator if self._key == "$defs" else Draft7Validator
            reference = {"$ref": f"{_URI}#/{self._key}/{name}"}
            validator = self._validators[name] = kind(reference, registry=self._registry)
        error = best_match(validator.iter_errors(value))
        if error is not None:
            shown = json.dumps(value)[:1500]
            raise Broken(f"no {name} of {self.revision}: {error.json_path}: {error.message}\nin {shown}")

    def _envelope(self, message: Mapping[str, Any]) -> None:
        kinds = [kind for kind in ("method", "result", "error") if kind in message]
        if len(kinds) != 1:
            raise Broken(f"has {kinds or 'neither method, result nor error'}: {message!r:.300}")
        known = {"jsonrpc", "id", *(("method", "params") if "method" in message else kinds)}
        if surplus := set(message) - known:
            raise Broken(f"fields that JSON-RPC does not know: {sorted(surplus)}")
        if message.get("jsonrpc") != "2.0":
            raise Broken(f"no JSON-RPC 2.0: {message!r:.300}")

    def _error(self, message: dict[str, Any]) -> str:
        envelope = self._first(_ERROR_ENVELOPES)
        # The transport pages of the early revisions let an error have no ID where none could be read; their
        # schemas forgot that, the later ones have it.
        judged = message if "id" in message or self.revision > "2025-06-18" else {**message, "id": 0}
        self.fits(envelope, judged)
        error = message["error"]
        if surplus := set(error) - {"code", "message", "data"}:
            raise Broken(f"fields that an error does not have: {sorted(surplus)}")
        if not error["message"].strip():
            raise Broken("an error without words")
        if error["code"] not in _CODES | _MODERN_CODES:
            raise Broken(f"an error code that no revision has: {error['code']}")
        for name, schema in self._definitions.items():
            if _code(schema) == error["code"]:
                self.fits(name, message if "error" in schema["properties"] else error)
        return f"error {error['code']}"

    def _result(self, message: dict[str, Any], method: str | None) -> str:
        if method is None:
            raise Broken(f"a result that nobody asked for: {message!r:.300}")
        if method not in self.results:
            raise Broken(f"{method} has no result at {self.revision}: {message!r:.300}")
        self.fits(self._first(_RESULT_ENVELOPES), message)
        result = message["result"]
        name = self.results[method]
        if self.revision == MODERN:
            name = self._kind(method, name, result["resultType"])
        self.fits(name, result)
        if name in _EMPTY and (surplus := set(result) - {"_meta", "resultType"}):
            raise Broken(f"an empty result with {sorted(surplus)}")
        return name

    def _kind(self, method: str, name: str, kind: str) -> str:
        if kind == "input_required" and method in ("tools/call", "prompts/get", "resources/read"):
            return "InputRequiredResult"
        if kind == "task" and method == "tools/call":
            return "CreateTaskResult"
        if kind != "complete":
            raise Broken(f"{method} cannot have the resultType {kind!r}")
        return name

    def _call(self, message: dict[str, Any]) -> str:
        known = self.requests if "id" in message else self.notifications
        name = known.get(message["method"])
        if name is None:
            what = "request" if "id" in message else "notification"
            raise Broken(f"{self.revision} has no {what} {message['method']!r} of the server's")
        self.fits("JSONRPCRequest" if "id" in message else "JSONRPCNotification", message)
        properties = self._definitions[name]["properties"]
        self.fits(name, {field: value for field, value in message.items() if field in properties})
        return name

    def _first(self, names: Iterable[str]) -> str:
        return next(name for name in names if name in self._definitions)

    def _methods(self, union: str) -> dict[str, str]:
        references = [part["$ref"].rpartition("/")[2] for part in self._definitions[union]["anyOf"]]
        return {self._definitions[name]["properties"]["method"]["const"]: name for name in references}

    def _result_of(self, request: str) -> str:
        name = request.removesuffix("Request") + "Result"
        return name if name in self._definitions else "EmptyResult"

    def _closed(self) -> dict[str, Any]:
        endings = _OPEN_DEFINITIONS + (_FORM_FIELDS if self.revision == "2025-06-18" else ())
        definitions = {
            name: schema if name.endswith(endings) else _closed(schema)
            for name, schema in self._definitions.items()
        }
        return {self._key: definitions}


class Judges:
    """One judge for each revision.

    Args:
        schemas: By revision.
    """

    def __init__(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        self.by_revision = {revision: Judge(revision, schemas[revision]) for revision in REVISIONS}

    def message(self, revisions: Collection[str], message: Any, method: str | None) -> tuple[str, str]:
        """Check a message that may be of any of several revisions, where its client named none.

        Returns:
            The revision and the definition that it fits.

        Raises:
            Broken: It fits none; says why of the last.
        """
        broken = Broken("of no revision at all")
        for revision in revisions:
            try:
                return revision, self.by_revision[revision].message(message, method)
            except Broken as error:
                broken = error
        raise broken


def strict(body: bytes) -> Any:
    """Read JSON as strictly as any client may: UTF-8, no field twice, no NaN, no half of a character.

    Raises:
        Broken: It is not that.
    """
    try:
        value = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Broken(f"no JSON: {error}: {body[:300]!r}") from error
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Broken(f"half of a character: {body[:300]!r}") from error
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Broken(f"a field comes twice: {[name for name, _ in pairs]}")
    return made


def _refuse(constant: str) -> Any:
    raise Broken(f"{constant} is no JSON")


def _correct(definitions: dict[str, Any]) -> None:
    """Put right where a schema says less than the specification's text.

    Numbers in forms: the generator of the schemas made integers of the bounds and of the default, although
    the text and the official suite have ``95.5``.
    """
    number = definitions.get("NumberSchema", {}).get("properties", {})
    for name in {"default", "minimum", "maximum"} & set(number):
        number[name] = number[name] | {"type": "number"}


def _code(schema: Mapping[str, Any]) -> int | None:
    """Return the error code that a definition is about, or ``None``."""
    properties = schema.get("properties", {})
    if "code" in properties:
        code = properties["code"].get("const")
        return code if isinstance(code, int) else None
    for part in properties.get("error", {}).get("allOf", ()):
        code = part.get("properties", {}).get("code", {}).get("const")
        if isinstance(code, int):
            return code
    return None


def _is_concrete(schema: Mapping[str, Any]) -> bool:
    """Tell a definition that names its method, or what it holds, from one that others extend."""
    properties = schema.get("properties", {})
    return "const" in properties.get("method", {}) or bool(
        set(properties) - {"_meta", "resultType", "params"}
    )


def _closed(schema: Any, field: str | None = None) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict) or field in _OPEN_FIELDS:
        return schema
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: _closed(part, name) for name, part in value.items()}
        elif key in ("allOf", "if", "then"):
            made[key] = value if key == "if" else _closed_parts(value)
        else:
            made[key] = _closed(value)
    if "properties" in made and "additionalProperties" not in made and "allOf" not in made:
        made["additionalProperties"] = False
    return made


def _closed_parts(value: Any) -> Any:
    """Close what stands under ``if`` alone: parts of an ``allOf`` know only some of the fields each."""
    if isinstance(value, list):
        return [
            {**part, "then": _closed(part["then"])} if isinstance(part, dict) and "then" in part else part
            for part in value
        ]
    return _closed(value)
