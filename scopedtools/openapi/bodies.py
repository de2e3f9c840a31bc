"""Bodies of requests: which media type is sent, which arguments that takes, and how they are written."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from scopedtools.exceptions import CatalogError, ToolError
from scopedtools.openapi.document import Node
from scopedtools.openapi.operations import Body
from scopedtools.openapi.schemas import is_file, marked
from scopedtools.openapi.styles import query_pairs, text_of

Form = Literal["json", "multipart", "form", "text", "binary"]

_COMBINED: Final = frozenset(
    {"oneOf", "anyOf", "not", "if", "discriminator", "patternProperties", "propertyNames"}
    | {"minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "unevaluatedProperties"}
)
"""What a schema says about an object as a whole: such a body stays in one piece."""

_DEFAULT_TYPE: Final[Mapping[Form, str]] = {
    "json": "application/json",
    "text": "text/plain",
    "binary": "application/octet-stream",
}

Part = tuple[str, tuple[str | None, bytes, str | None]]
"""Name, then file name, content and media type: what the HTTP client takes for a part of multipart."""


@dataclass(frozen=True, slots=True)
class BodyPlan:
    """How the body of an operation is sent.

    Attributes:
        form: How it is written.
        media_type: What it says that it is.
        schema: Of its value.
        encoding: How members of a form are written, by name.
        files: Members that are files.
        required: Whether a request needs it.
        description: What it is.
    """

    form: Form
    media_type: str
    schema: Node
    encoding: Mapping[str, Node]
    files: frozenset[str]
    required: bool
    description: str


def plan_body(body: Body) -> BodyPlan | None:
    """Choose one of the media types that an operation takes: the one that says most of its arguments.

    JSON is first, then multipart where it has files, forms, multipart without files, text, and bytes.

    Returns:
        ``None`` where the body need not be sent and has nothing in it.

    Raises:
        CatalogError: None of them can be sent.
    """
    best = min(((_rank(name, node), name) for name, node in body.content.items()), key=lambda one: one[0])
    (_, form), name = best
    if form is None:
        raise CatalogError(f"a body of {', '.join(body.content)} cannot be sent")
    node = body.content[name]
    schema = node.child("schema")
    closed = schema.followed().mapping.get("additionalProperties") is False
    if closed and not body.required and flat_members(schema) == ({}, frozenset()):
        return None
    encoding = dict(node.child("encoding").items()) if form in ("form", "multipart") else {}
    files = frozenset(_file_members(schema)) if form == "multipart" else frozenset()
    sent = _DEFAULT_TYPE[form] if "*" in name else name
    return BodyPlan(form, sent, schema, encoding, files, body.required, body.description)


def _rank(name: str, node: Node) -> tuple[int, Form | None]:
    if name.endswith(("/json", "+json")) or name in ("*/*", "application/*"):
        # Of the patches only this one is a list of steps, which an object cannot be.
        steps = (
            name == "application/json-patch+json" and node.child("schema").followed().text("type") != "array"
        )
        return (0 if name == "application/json" else 2 if steps else 1), "json"
    if name == "multipart/form-data":
        return (3 if any(_file_members(node.child("schema"))) else 5), "multipart"
    if name == "application/x-www-form-urlencoded":
        return 4, "form"
    if name.startswith("multipart/"):
        return 9, None
    textual = name.startswith("text/") or name.endswith(("xml", "json", "yaml", "graphql"))
    return (6, "text") if textual else (7, "binary")


def members(schema: Node) -> Iterator[tuple[str, Node]]:
    """Yield the properties of an object, those of every alternative included.

    Raises:
        CatalogError: A reference cannot be followed.
    """
    yield from _members(schema, set())


def _members(schema: Node, seen: set[int]) -> Iterator[tuple[str, Node]]:
    whole = schema.followed()
    if id(whole.value) in seen:
        return
    seen.add(id(whole.value))
    for name, value in whole.child("properties").mapping.items():
        yield str(name), Node(value, whole.links)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for element in whole.child(keyword).elements():
            yield from _members(element, seen)


def _file_members(schema: Node) -> Iterator[str]:
    for name, member in members(schema):
        items = member.followed().child("items")
        if is_file(member) or (isinstance(items.value, dict) and is_file(items)):
            yield name


def flat_members(schema: Node) -> tuple[dict[str, Node], frozenset[str]] | None:
    """Return the properties of an object that can be arguments of their own, and those that it needs.

    Returns:
        ``None`` where the object is more than its properties, so that it has to stay in one piece.
    """
    return _flat_members(schema, set())


def _flat_members(schema: Node, seen: set[int]) -> tuple[dict[str, Node], frozenset[str]] | None:
    whole = schema.followed()
    value = whole.mapping
    if id(whole.value) in seen:  # twice in one object, or in itself
        return None
    seen.add(id(whole.value))
    if value.keys() & _COMBINED or value.get("additionalProperties") not in (None, False):
        return None
    if value.get("type", "object") != "object" or value.get("nullable") is True:
        return None
    found: dict[str, Node] = {}
    needed: set[str] = set()
    for element in whole.child("allOf").elements():
        inner = _flat_members(element, seen)
        if inner is None or found.keys() & inner[0].keys():
            return None
        found |= inner[0]
        needed |= inner[1]
    own = {str(name): Node(one, whole.links) for name, one in whole.child("properties").mapping.items()}
    if found.keys() & own.keys():
        return None
    found |= own
    required = value.get("required")
    needed |= {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
    sent = {name: one for name, one in found.items() if not marked(one, "readOnly")}
    hidden = found.keys() - sent.keys()
    # A needed member that is not described would be an argument of no known kind.
    return (sent, frozenset(needed - hidden)) if needed <= found.keys() else None


@dataclass(frozen=True, slots=True)
class Written:
    """A body, ready for the HTTP client.

    Attributes:
        media_type: Of ``content``; ``None`` for parts, which the client puts together.
        content: The bytes.
        parts: Of a multipart body, instead of ``content``.
    """

    media_type: str | None
    content: bytes = b""
    parts: tuple[Part, ...] = ()


def write_body(plan: BodyPlan, value: Any) -> Written:
    """Write a body.

    Args:
        plan: How.
        value: Fits its schema; files are objects with ``text`` or ``base64``.

    Raises:
        ToolError: A file is not base64.
    """
    if plan.form == "json":
        return Written(plan.media_type, msgspec.json.encode(value))
    if plan.form == "text":
        return Written(plan.media_type, text_of(value).encode("utf-8", "replace"))
    if plan.form == "binary":
        return Written(_checked(value.get("media_type") or plan.media_type), file_bytes(value))
    pairs = value.items() if isinstance(value, dict) else ()
    given = [(name, one) for name, one in pairs if one is not None]
    if plan.form == "form":
        text = "&".join(f"{name}={one}" for key, member in given for name, one in _form(plan, key, member))
        return Written(plan.media_type, text.encode())
    parts = [part for key, member in given for part in _parts(plan, key, member)]
    return Written(None, parts=tuple(parts))


def _form(plan: BodyPlan, name: str, value: Any) -> Iterator[tuple[str, str]]:
    encoding = plan.encoding.get(name)
    said = encoding.mapping if encoding is not None else {}
    style = said.get("style", "form")
    if not said.keys() & {"style", "explode", "allowReserved"}:
        # An object is JSON then; a list repeats its name.
        value = _unstyled(value)
    explode = said.get("explode", style in ("form", "deepObject"))
    reserved = said.get("allowReserved") is True
    return query_pairs(name, value, style=style, explode=explode is True, allow_reserved=reserved)


def _unstyled(value: Any) -> Any:
    if isinstance(value, list):
        return [text_of(one) for one in value]
    return text_of(value)


def _parts(plan: BodyPlan, name: str, value: Any) -> Iterator[Part]:
    media_type = plan.encoding[name].text("contentType").partition(",")[0] if name in plan.encoding else ""
    media_type = "" if "*" in media_type else media_type.strip()
    for one in value if isinstance(value, list) else [value]:
        if name in plan.files and isinstance(one, dict):
            kind = one.get("media_type") or media_type or "application/octet-stream"
            yield name, (one.get("filename") or name, file_bytes(one), _checked(kind))
        else:
            kind = media_type or ("application/json" if isinstance(one, dict | list) else None)
            yield name, (None, text_of(one).encode("utf-8", "replace"), kind and _checked(kind))


def _checked(media_type: str) -> str:
    if not media_type.isprintable() or not media_type.isascii():
        raise ToolError(f"media_type must be one such as image/png, got {media_type[:80]!r}")
    return media_type


def file_bytes(value: Mapping[str, Any]) -> bytes:
    """Return the content of a file.

    Raises:
        ToolError: It is not base64.
    """
    if "base64" not in value:
        return text_of(value.get("text", "")).encode("utf-8", "replace")
    try:
        return b64decode(value["base64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ToolError(f"'base64' of a file cannot be decoded: {error}") from error
