"""The arguments of a tool: what its schema says, and where each goes on a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import jsonschema_rs
import msgspec

from scopedtools.exceptions import CatalogError, ToolError
from scopedtools.openapi.bodies import BodyPlan, flat_members, plan_body, write_body
from scopedtools.openapi.definitions import assembled, budget_of, size_of
from scopedtools.openapi.document import Dialect, Node
from scopedtools.openapi.keywords import Schema, described
from scopedtools.openapi.operations import Operation, Parameter
from scopedtools.openapi.schemas import Detail, SchemaWriter, TooLargeError
from scopedtools.openapi.sending import Outgoing
from scopedtools.openapi.styles import cookie_pairs, header_value, path_text, query_pairs, text_of
from scopedtools.openapi.urls import leads_elsewhere
from scopedtools.openapi.words import argument_name, is_argument_name, plain

MAX_INPUT_SCHEMA_BYTES: Final = 16 * 1024

_DETAILS: Final = (
    Detail(),
    Detail(described=3),
    Detail(described=1),
    *(Detail(levels, 1) for levels in (6, 4, 3, 2, 1, 0)),
)
_LENIENCE: Final = 8
_SHOWN_ERRORS: Final = 5
_BACKTRACKS: Final = 100_000
"""Steps that matching a pattern of the description may take, over a text of the client's."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a tool takes.

    Attributes:
        schema: Of all arguments, an object.
        parameters: The parameter that each argument is for, by its name.
        body: How the body is written, or ``None``.
        body_argument: The argument that is the whole body, or ``None`` where its members are arguments.
        members: Those arguments that are members of the body.
    """

    schema: Schema
    parameters: Mapping[str, Parameter]
    body: BodyPlan | None
    body_argument: str | None
    members: frozenset[str]
    _validator: list[Any] = field(default_factory=list)

    def read(self, raw: bytes) -> dict[str, Any]:
        """Read what a client sent.

        Raises:
            ToolError: It does not fit the schema; the message says each thing that does not.
        """
        try:
            values: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ToolError(f"the arguments cannot be read: {error}") from error
        for name, parameter in self.parameters.items():
            # Models send null for what they leave out.
            if not parameter.required and values.get(name, name) is None:
                del values[name]
        if not self._validator:
            self._validator.append(_validator(self.schema))
        wrong = list(_explained(self._validator[0], values))
        if wrong:
            raise ToolError("; ".join(wrong))
        return values

    def outgoing(self, operation: Operation, base_url: str, values: Mapping[str, Any]) -> Outgoing:
        """Make the request for arguments that fit the schema.

        Raises:
            ToolError: One of them cannot be sent.
        """
        given = [(one, values[name]) for name, one in self.parameters.items() if name in values]
        path = _path(operation.path, {one.name: (one, value) for one, value in given if one.place == "path"})
        query = "&".join(
            f"{name}={value}"
            for one, value in given
            if one.place == "query"
            for name, value in _query(one, value)
        )
        url = f"{base_url}{path}"
        if query:
            url += ("&" if "?" in path else "?") + query
        return Outgoing(
            method=operation.method,
            url=url,
            headers={one.name: _header(one, value) for one, value in given if one.place == "header"},
            cookies=tuple(
                pair for one, value in given if one.place == "cookie" for pair in _cookies(one, value)
            ),
            body=None if self.body is None else self._written(self.body, values),
        )

    def _written(self, plan: BodyPlan, values: Mapping[str, Any]) -> Any:
        if self.body_argument is not None:
            return write_body(plan, values[self.body_argument]) if self.body_argument in values else None
        members = {name: value for name, value in values.items() if name in self.members}
        return write_body(plan, members) if members or plan.required else None


def read_arguments(operation: Operation, dialect: Dialect) -> Arguments:
    """Read what an operation takes.

    Raises:
        CatalogError: A reference cannot be followed, a body cannot be sent, or what it takes is no schema.
    """
    body = None if operation.body is None else plan_body(operation.body)
    for detail in _DETAILS:
        # An operation of hundreds of arguments is long even where it says nothing below them.
        most = MAX_INPUT_SCHEMA_BYTES * (_LENIENCE if detail.levels == 0 else 1)
        writer = SchemaWriter(dialect, "request", detail=detail, budget=budget_of(most))
        try:
            arguments = _arguments(operation, body, writer)
        except TooLargeError:
            continue
        if size_of(arguments.schema) <= most:
            if not jsonschema_rs.meta.is_valid(arguments.schema):
                raise CatalogError("its arguments have no valid JSON Schema")
            return arguments
    raise CatalogError(f"its arguments take more than {most} bytes to describe")


def _arguments(operation: Operation, body: BodyPlan | None, writer: SchemaWriter) -> Arguments:
    parameters: dict[str, Parameter] = {}
    properties: dict[str, Schema] = {}
    for one in operation.parameters:
        name = argument_name(one.name, one.place, parameters)
        parameters[name] = one
        properties[name] = _parameter_schema(one, name, writer)
    needed = [name for name, one in parameters.items() if one.required]
    flat, whole = _body_arguments(body, parameters)
    if body is not None:
        writer.files = body.form == "multipart"
        for name, node in flat.items():
            properties[name] = writer.write(node, 1)
        if whole is not None:
            properties[whole] = _body_schema(body, writer)
            needed += [whole] if body.required else []
        else:
            needed += _needed_members(body)
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if needed:
        schema["required"] = needed
    return Arguments(assembled(schema, writer.definitions), parameters, body, whole, frozenset(flat))


def _body_arguments(
    body: BodyPlan | None, parameters: Mapping[str, Parameter]
) -> tuple[dict[str, Node], str | None]:
    """Decide whether the members of a body are arguments, or the body is one.

    They are where the body is a plain object, none of them has the name of a parameter or one that hosts
    refuse, and leaving all of them out means what leaving out the body means.
    """
    if body is None:
        return {}, None
    flat = flat_members(body.schema) if body.form in ("json", "form", "multipart") else None
    if flat is not None:
        members, needed = flat
        clear = not members.keys() & parameters.keys() and all(map(is_argument_name, members))
        if members and clear and (body.required or not needed):
            return members, None
    whole = "body" if "body" not in parameters else argument_name("request_body", "body", parameters)
    return {}, whole


def _needed_members(body: BodyPlan) -> list[str]:
    members, needed = flat_members(body.schema) or ({}, frozenset())
    return [name for name in members if name in needed]


def _body_schema(body: BodyPlan, writer: SchemaWriter) -> Schema:
    if body.form == "binary":
        schema = writer.file()
    elif body.form == "text":
        written = writer.write(body.schema) if body.schema.mapping.get("type") == "string" else {}
        schema = {"type": "string"} | written
    else:
        schema = writer.write(body.schema)
    about = body.description or ("" if "description" in schema else f"What is sent, {body.media_type}.")
    return schema | described(about)


def _parameter_schema(one: Parameter, name: str, writer: SchemaWriter) -> Schema:
    schema = writer.write(one.schema, 1)
    about = one.about.text("description")
    if name != one.name and one.name not in about:
        # The model reads of it under the name that the API gives it.
        about = f"{plain(one.name, 80)}: {about}" if about else plain(one.name, 80)
    schema = schema | described(about)
    if "example" in one.about.mapping and not schema.keys() & {"examples", "enum", "$ref"}:
        example = writer.write(Node({"example": one.about.mapping["example"]}, one.about.links))
        schema |= example
    return schema | ({"deprecated": True} if one.about.mapping.get("deprecated") is True else {})


def _validator(schema: Schema) -> Any:
    options = jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS)
    return jsonschema_rs.Draft202012Validator(schema, offline=True, pattern_options=options)


def _explained(validator: Any, values: Mapping[str, Any]) -> Iterator[str]:
    shown = 0
    for error in validator.iter_errors(values):
        # Alternatives of descriptions in the wild overlap; a value that fits two of them the API may take.
        if (
            type(error.kind).__name__.endswith("OneOfMultipleValid")
            or error.kind.name == "OneOfMultipleValid"
        ):
            continue
        path = ".".join(map(str, error.instance_path))
        yield plain(f"{path}: {error.message}" if path else error.message, 300)
        shown += 1
        if shown == _SHOWN_ERRORS:
            return


def _path(template: str, values: Mapping[str, tuple[Parameter, Any]]) -> str:
    pieces: list[str] = []
    rest = template
    while rest:
        before, brace, after = rest.partition("{")
        name, closing, rest = after.partition("}")
        pieces.append(quote(before, safe="/:?=&@!$'()*+,;%~"))
        if not brace:
            break
        if not closing or name not in values:
            raise ToolError(f"the path needs {name[:80]!r}")
        one, value = values[name]
        if one.style == "content":
            pieces.append(path_text(one.name, text_of(value), style="simple", explode=False))
        else:
            pieces.append(path_text(one.name, value, style=one.style, explode=one.explode))
    path = "".join(pieces)
    if leads_elsewhere(path.partition("?")[0]):  # as ``{a}{b}`` may, where neither does
        raise ToolError(f"the arguments must not lead to another path, got {path[:200]!r}")
    return path


def _query(one: Parameter, value: Any) -> Iterator[tuple[str, str]]:
    if one.style == "content":
        value = msgspec.json.encode(value).decode()
    return query_pairs(
        one.name, value, style=one.style, explode=one.explode, allow_reserved=one.allow_reserved
    )


def _header(one: Parameter, value: Any) -> str:
    if one.style == "content":
        value = msgspec.json.encode(value).decode()
    return header_value(one.name, value, explode=one.explode)


def _cookies(one: Parameter, value: Any) -> Iterator[str]:
    if one.style == "content":
        value = msgspec.json.encode(value).decode()
    return cookie_pairs(one.name, value, explode=one.explode)
