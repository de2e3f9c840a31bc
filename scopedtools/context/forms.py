"""Forms: the part of JSON Schema in which a client's user can be asked, flat and of plain fields.

Source: the elicitation pages of the specification, 2025-06-18 to 2026-07-28.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from scopedtools.catalog.signature import CompactJsonSchema
from scopedtools.exceptions import DefinitionError

_ABOUT: Final = frozenset({"type", "title", "description", "default"})
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "string": _ABOUT | {"enum", "enumNames", "oneOf", "format", "minLength", "maxLength"},
    "number": _ABOUT | {"minimum", "maximum"},
    "integer": _ABOUT | {"minimum", "maximum"},
    "boolean": _ABOUT,
    "array": _ABOUT | {"items", "minItems", "maxItems"},
}
"""What may be said of each type of field; whatever else an annotation asks for, the answer is held to."""

_FORMATS: Final = frozenset({"date", "date-time", "email", "uri"})


def form(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """Return the form that asks for a value of a type.

    Raises:
        DefinitionError: A field of the type is more than text, a number, a choice or several choices.
    """
    schema = adapter.json_schema(schema_generator=CompactJsonSchema)
    definitions = schema.get("$defs", {})
    schema = _found(schema, definitions)
    fields = {name: _field(name, one, definitions) for name, one in schema.get("properties", {}).items()}
    made: dict[str, Any] = {"type": "object", "properties": fields}
    return made | ({"required": schema["required"]} if schema.get("required") else {})


def _field(name: str, schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    schema = _found(schema, definitions)
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(options) == 1:  # what is optional may be left out
        schema = _found(options[0], definitions) | {key: schema[key] for key in schema if key != "anyOf"}
    if "const" in schema:
        schema["enum"] = [schema["const"]]
    if schema.get("format") not in _FORMATS:
        schema.pop("format", None)
    if schema.get("default") is None:
        schema.pop("default", None)
    if "items" in schema:
        schema["items"] = _choices(name, _found(schema["items"], definitions))
    kind = str(schema.get("type"))
    if kind not in _KEYWORDS or (kind == "array" and "items" not in schema):
        raise DefinitionError(f"a form has fields of text, numbers and choices alone, {name!r} is {schema!r}")
    return {key: value for key, value in schema.items() if key in _KEYWORDS[kind]}


def _choices(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    if schema.get("type") == "string" and ("enum" in schema or "const" in schema):
        return {"type": "string", "enum": schema.get("enum") or [schema["const"]]}
    if "anyOf" in schema:
        return {"anyOf": schema["anyOf"]}
    raise DefinitionError(f"a form can have a list of choices, {name!r} is one of {schema!r}")


def _found(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Put the definition that a schema points to in its place."""
    reference = schema.get("$ref")
    if reference is None:
        return dict(schema)
    named = definitions[reference.rpartition("/")[2]]
    found = {key: value for key, value in named.items() if key != "title"}  # which is the name of the class
    return found | {key: value for key, value in schema.items() if key != "$ref"}
