"""An API that answers by its description, and says of each request whether it fits: a program of its own.

What it knows of OpenAPI it has from openapi-core, which the package under test does not use.

    python judge.py DESCRIPTION

prints its port. ``GET /__verdict__`` tells about the last request of the same context.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml
from openapi_core import Config, OpenAPI
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

_JSON = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "text/json",
    "application/*+json",
)

_CONFIG = Config(
    spec_validator_cls=None,
    extra_media_type_deserializers=dict.fromkeys(_JSON, json.loads),
    extra_format_unmarshallers={"unix-time": int, "uri": str},
)
"""openapi-core gives up on media types and formats that it does not know."""


class Judge:
    def __init__(self, description: dict[str, Any]) -> None:
        self._description = description
        description.pop("security", None)
        description["servers"] = [{"url": "/"}]
        _forget_discriminators(description)
        for path in description["paths"].values():
            path.pop("servers", None)
            for owner in (path, *(one for one in path.values() if isinstance(one, dict))):
                self._prepare(owner)
        self._api = OpenAPI.from_dict(description, config=_CONFIG)
        self._verdicts: dict[str | None, dict[str, Any]] = {}

    def _prepare(self, owner: dict[str, Any]) -> None:
        """Leave to openapi-core what it can read; members in brackets are read here, see `nested`."""
        owner.pop("servers", None)
        owner.pop("security", None)
        parameters = [self._followed(one) for one in owner.get("parameters", ())]
        if parameters:
            for one in parameters:  # to openapi-core a member that is read-only cannot be in a path either
                schema = self._followed(one.get("schema", {}))
                one["schema"] = {key: value for key, value in schema.items() if key != "readOnly"}
            owner["parameters"] = [one for one in parameters if one.get("style") != "deepObject"]
        content = self._followed(owner.get("requestBody", {})).get("content", {})
        if "*/*" in content:
            content["application/json"] = content.pop("*/*")
        new = self._description["openapi"] >= "3.1"
        if "application/x-www-form-urlencoded" in content or (new and "multipart/form-data" in content):
            del owner["requestBody"]  # of 3.1 it does not know that files are bytes

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        request = Request(environ)
        context = request.headers.get("Mcp-Client-Session-Id")
        if request.path == "/__verdict__":
            said = json.dumps(self._verdicts[context])
            return Response(said, content_type="application/json")(environ, start)
        verdict = self._verdicts[context] = self._judged(request)
        return self._answer(verdict)(environ, start)

    def _judged(self, request: Request) -> dict[str, Any]:
        seen: dict[str, Any] = {"method": request.method, "path": request.path, "errors": [], "given": []}
        try:
            found = self._api.unmarshal_request(WerkzeugOpenAPIRequest(request))
        except Exception as error:  # noqa: BLE001 - the judge itself may give up
            return seen | {"errors": [f"judge: {type(error).__name__}: {error}"[:300]]}
        seen["errors"] = [
            f"{type(error).__name__}: ({error.__cause__}) {error}"[-400:] for error in found.errors
        ]
        for place in ("path", "query", "header", "cookie"):
            values = getattr(found.parameters, place, None) or {}
            seen["given"] += [_plain(value) for value in values.values()]
        seen["given"] += list(request.args.values())
        seen["body"] = request.get_json(silent=True, force=True) or _plain(found.body)
        seen["nested"] = [nested(request.args), nested(request.form)]
        seen["given"] += [file.read().decode() for file in request.files.values()]
        seen["given"] += [json.loads(text) for text in request.form.values() if text[:1] in ("{", "[")]
        seen["type"] = request.content_type
        return seen

    def _answer(self, verdict: dict[str, Any]) -> Response:
        operation = self._operation(verdict)
        for status, response in sorted((operation or {}).get("responses", {}).items()):
            if not status.startswith("2"):
                continue
            content_by_type = self._followed(response).get("content", {})
            for kind, content in content_by_type.items():
                if "json" in kind:
                    value = self._sample(content.get("schema", {}), 0)
                    verdict["answer"] = value
                    body = json.dumps(value, indent=1, default=str)
                    return Response(body, status=_status(status), content_type=kind)
            for kind in content_by_type:
                body = "" if "*" in kind else "plain"
                return Response(body, status=_status(status), content_type=kind)
            return Response(status=_status(status))
        return Response(status=200)

    def _operation(self, verdict: dict[str, Any]) -> dict[str, Any] | None:
        """Find what was asked for, by path templates, the one with most fixed text first."""
        method, path = verdict["method"].lower(), verdict["path"]
        best: tuple[int, dict[str, Any]] | None = None
        for template, item in self._description["paths"].items():
            pieces, given = template.split("?")[0].split("/"), path.split("/")
            fits = len(pieces) == len(given) and all(
                piece == one or "{" in piece for piece, one in zip(pieces, given, strict=True)
            )
            fixed = sum("{" not in piece for piece in pieces)
            if fits and method in item and (best is None or fixed > best[0]):
                best = fixed, item[method]
        return best[1] if best is not None else None

    def _followed(self, node: Any) -> Any:
        while isinstance(node, dict) and "$ref" in node:
            target: Any = self._description
            for piece in unquote(node["$ref"].removeprefix("#/")).split("/"):
                key = piece.replace("~1", "/").replace("~0", "~")
                target = target[int(key)] if isinstance(target, list) else target[key]
            node = target
        return node

    def _sample(self, schema: Any, depth: int) -> Any:
        schema = self._followed(schema)
        if not isinstance(schema, dict):
            return None
        if schema.get("const") is not None:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        for keyword in ("oneOf", "anyOf"):
            if schema.get(keyword) and "properties" not in schema:
                return self._sample(schema[keyword][0], depth)
        if schema.get("allOf"):
            return self._merged(schema, depth)
        return self._of_type(schema, depth)

    def _merged(self, schema: dict[str, Any], depth: int) -> Any:
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        parts = [self._sample(one, depth) for one in schema["allOf"]]
        if "properties" in rest:
            parts.append(self._of_type(rest, depth))
        if all(isinstance(part, dict) for part in parts):
            return {key: value for part in parts for key, value in part.items()}
        return parts[0]

    def _of_type(self, schema: dict[str, Any], depth: int) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else None)
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            properties = {} if depth > 3 else schema.get("properties", {})
            return {name: self._sample(one, depth + 1) for name, one in properties.items()}
        if kind == "array":
            return [] if depth > 3 else [self._sample(schema.get("items", {}), depth + 1)]
        simple: dict[Any, Any] = {"integer": 7, "number": 1.5, "boolean": True, "string": "text"}
        return simple.get(kind)


def _forget_discriminators(value: Any) -> None:
    """Take out what openapi-core follows to schemas that are not there; the alternatives stay."""
    if isinstance(value, dict):
        if isinstance(value.get("discriminator"), dict) and "propertyName" in value["discriminator"]:
            del value["discriminator"]
        value = [*value.values()]
    for one in value if isinstance(value, list) else ():
        _forget_discriminators(one)


def nested(pairs: Any) -> dict[str, Any]:
    """Read ``a[b][]=1&a[b][]=2`` as ``{"a": {"b": ["1", "2"]}}``, the way of PHP, Rails and qs."""
    read: dict[str, Any] = {}
    for name, value in pairs.items(multi=True):
        first, *rest = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        place, key = read, first
        for step in rest:
            place = place.setdefault(key, {})
            key = step or str(len(place))
        if key in place:  # a name that is repeated is a list
            place[key] = {"0": place[key]} if not isinstance(place[key], dict) else place[key]
            place, key = place[key], str(len(place[key]))
        place[key] = value
    return {name: _listed(one) for name, one in read.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    members = [_listed(one) for one in value.values()]
    numbered = list(value) == [str(number) for number in range(len(value))]
    return members if numbered else dict(zip(value, members, strict=True))


def _status(text: str) -> int:
    return int(text) if text.isdigit() else 200


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _yaml(raw: bytes) -> Any:
    # Dates and the like are text in JSON; and keys are text.
    return json.loads(json.dumps(yaml.load(raw, Loader=yaml.CSafeLoader), default=str))


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any, **__: Any) -> None:
        """Say nothing: standard error is for what goes wrong."""


def main() -> None:
    path = Path(sys.argv[1])
    description = json.loads(path.read_bytes()) if path.suffix == ".json" else _yaml(path.read_bytes())
    server = make_server("127.0.0.1", 0, Judge(description), request_handler=_Quiet)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
