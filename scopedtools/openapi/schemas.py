"""Schemas of a description, written as JSON Schema 2020-12 that stands alone."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

from scopedtools.openapi.document import Dialect, Node
from scopedtools.openapi.keywords import KEYWORDS, MANY, NAMED, ONE, Schema, described, is_pattern, typed

Direction = Literal["request", "response"]

FILE: Final = "File"
"""Name of the definition of a file."""

FILE_SCHEMA: Final[Schema] = {
    "type": "object",
    "description": "A file: its content as text, or as base64.",
    "properties": {
        "text": {"type": "string"},
        "base64": {"type": "string", "contentEncoding": "base64"},
        "filename": {"type": "string"},
        "media_type": {"type": "string"},
    },
    "oneOf": [{"required": ["text"]}, {"required": ["base64"]}],
    "additionalProperties": False,
}

_SAID_OF_RESPONSES: Final = frozenset(
    {"type", "items", "prefixItems", "properties", "allOf", "anyOf", "oneOf", "format", "description"}
    | {"additionalProperties", "deprecated", "contentEncoding", "contentMediaType"}
)
"""What the schema of a response keeps. APIs add values, leave out members and send ``null`` where their
description does not say so, and official clients refuse a result that does not fit its schema."""


_FEW_VALUES: Final = 12

_PARTS: Final = 3
"""Levels of ``allOf`` in which the value of a discriminator is looked for."""


class Detail(NamedTuple):
    """How much of its schemas a tool shows.

    Attributes:
        levels: Below so many, a schema says its type and what it needs alone; ``None`` for all.
        described: Below so many levels there are no descriptions, which take most of the room.
    """

    levels: int | None = None
    described: int = 1000


ALL: Final = Detail()
"""Everything."""


class TooLargeError(Exception):
    """There are more schemas than a tool may have."""


class SchemaWriter:
    """Writes the schemas of one tool, and the definitions that they share.

    Args:
        dialect: How the description writes schemas.
        direction: What is read-only has no place in a request, what is write-only none in a response.
            The schema of a response says shapes and types alone, any of which may be ``null``.
        detail: How much is shown.
        budget: Schemas that may be written; a response of one API may reach every schema that there is.

    Attributes:
        files: Whether binary strings are files, as in multipart bodies.
        definitions: What the schemas refer to, by name.
    """

    def __init__(
        self, dialect: Dialect, direction: Direction, *, detail: Detail = ALL, budget: int = 10_000
    ) -> None:
        self.definitions: dict[str, Schema] = {}
        self._dialect = dialect
        self._direction = direction
        self._mark = "readOnly" if direction == "request" else "writeOnly"
        self._detail = detail
        self.files = False
        self._budget = budget
        self._names: dict[int, str] = {}
        self._waiting: deque[tuple[str, Node, int]] = deque()

    def write(self, node: Node, depth: int = 0) -> Schema:
        """Write a schema, and the definitions that it refers to.

        Raises:
            CatalogError: A reference in it cannot be followed.
            TooLargeError: The budget is used up.
        """
        schema = self._schema(node, depth)
        # Breadth first, so that what is near the root is written whole.
        while self._waiting:
            name, target, below = self._waiting.popleft()
            self.definitions[name] = self._schema(target, below)
        return schema

    def file(self) -> Schema:
        """Refer to the definition of a file."""
        self.definitions[FILE] = FILE_SCHEMA
        return {"$ref": f"#/$defs/{FILE}"}

    def _schema(self, node: Node, depth: int) -> Schema:
        self._budget -= 1
        if self._budget < 0:
            raise TooLargeError
        if isinstance(node.value, bool):
            return {} if node.value else {"not": {}}
        if self.files and is_file(node):
            return self.file() | self._description(node, depth)
        if isinstance(node.mapping.get("$ref"), str):
            return self._reference(node, depth)
        cut = self._detail.levels is not None and depth > self._detail.levels
        schema = self._cut(node, depth) if cut else self._own(node, depth)
        if self._direction == "response":
            return _relaxed(schema)
        return _nullable(schema) if node.mapping.get("nullable") is True else schema

    def _reference(self, node: Node, depth: int) -> Schema:
        target = node.lookup()
        node.followed()  # which tells a reference that leads back to itself alone
        name = self._names.get(id(target.value))
        if name is None:
            name = self._named(str(node.mapping["$ref"]))
            self._names[id(target.value)] = name
            self.definitions[name] = {}
            self._waiting.append((name, target, depth))
        schema: Schema = {"$ref": f"#/$defs/{name}"}
        if self._dialect == "3.0":
            schema |= self._description(node, depth)
        else:
            beside = {key: value for key, value in node.mapping.items() if key != "$ref"}
            schema |= self._own(Node(beside, node.links), depth)
        if node.mapping.get("nullable") is True and self._direction == "request":
            return _nullable(schema)
        return schema

    def _named(self, ref: str) -> str:
        wanted = re.sub(r"[^a-zA-Z0-9_.-]", "_", ref.rpartition("/")[2])[:64] or "Schema"
        name, number = wanted, 1
        while name in self.definitions or name == FILE:
            number += 1
            name = f"{wanted}_{number}"
        return name

    def _own(self, node: Node, depth: int) -> Schema:
        schema: Schema = {}
        hidden = self._hidden(node)
        for keyword, value in node.items():
            if self._direction == "response" and keyword not in _SAID_OF_RESPONSES:
                continue
            if keyword == "description" and depth > self._detail.described:
                continue
            if keyword in KEYWORDS:
                schema |= KEYWORDS[keyword](value.value)
            elif keyword in _APPLIED:
                schema |= _APPLIED[keyword](self, keyword, value, depth)
        if hidden:
            schema["required"] = [name for name in schema.get("required", ()) if name not in hidden]
        if not schema.get("required", True):
            del schema["required"]
        if self._direction == "request":
            _convert_exclusive(schema, node)
            self._discriminate(schema, node)
        return schema

    def _cut(self, node: Node, depth: int) -> Schema:
        schema = _types(node) | self._description(node, depth)
        if self._direction == "response":
            return schema
        values = KEYWORDS["enum"](node.mapping.get("enum"))
        if len(values.get("enum", ())) <= _FEW_VALUES:
            schema |= values
        if "required" in node.mapping:
            hidden = self._hidden(node)
            needed = KEYWORDS["required"](node.mapping["required"])["required"]
            schema["required"] = [name for name in needed if name not in hidden]
        return schema

    def _description(self, node: Node, depth: int) -> Schema:
        return described(node.mapping.get("description")) if depth <= self._detail.described else {}

    def _hidden(self, node: Node) -> frozenset[str]:
        members = _members(node.child("properties"))
        return frozenset(name for name, member in members if marked(member, self._mark))

    def _properties(self, keyword: str, node: Node, depth: int) -> Schema:
        members = {
            name: self._schema(member, depth + 1)
            for name, member in _members(node)
            if not (keyword == "properties" and marked(member, self._mark))
            and not (keyword == "patternProperties" and not is_pattern(name))
        }
        return {keyword: members}

    def _one(self, keyword: str, node: Node, depth: int) -> Schema:
        if not isinstance(node.value, dict | bool):
            return {}
        return {keyword: node.value if isinstance(node.value, bool) else self._schema(node, depth + 1)}

    def _many(self, keyword: str, node: Node, depth: int) -> Schema:
        schemas = [self._schema(element, depth) for element in node.elements()]
        return {keyword: schemas} if schemas else {}

    def _discriminate(self, schema: Schema, node: Node) -> None:
        """Say in each alternative which value of the discriminator it is for, as JSON Schema has none."""
        name = node.child("discriminator").text("propertyName")
        for keyword in ("oneOf", "anyOf"):
            alternatives = list(node.child(keyword).elements())
            if not (name and alternatives) or len(schema.get(keyword, ())) != len(alternatives):
                continue
            for written, alternative in zip(schema[keyword], alternatives, strict=True):
                values = _discriminated(node, alternative)
                # One that says its value itself is told apart by that, whatever it is called here.
                if values and not _says_value(alternative, name):
                    written["properties"] = {name: {"enum": values}} | written.get("properties", {})
                    written["required"] = [*dict.fromkeys([*written.get("required", ()), name])]


def _members(node: Node) -> Iterator[tuple[str, Node]]:
    # Not `items`: a member may well be called ``x-something``.
    for name, value in node.mapping.items():
        yield str(name), Node(value, node.links)


def marked(node: Node, mark: str) -> bool:
    """Tell whether a schema, or what it refers to, is ``readOnly`` or ``writeOnly``."""
    return node.mapping.get(mark) is True or node.followed().mapping.get(mark) is True


def is_file(node: Node) -> bool:
    """Tell whether a schema is of bytes as they are, which JSON cannot say."""
    schema = node.followed().mapping
    media_type = schema.get("contentMediaType")
    binary = isinstance(media_type, str) and "contentEncoding" not in schema
    return schema.get("format") == "binary" or (binary and schema.get("type", "string") == "string")


def _discriminated(node: Node, alternative: Node) -> list[str]:
    ref = alternative.mapping.get("$ref")
    if not isinstance(ref, str):
        return []
    name = ref.rpartition("/")[2]
    mapping = node.child("discriminator").child("mapping").mapping
    values = [str(value) for value, target in mapping.items() if target in (ref, name)]
    return values or [name]


def _types(node: Node) -> Schema:
    """Return the types of a schema, or of its alternatives, as those that may be null are written."""
    own = typed(node.mapping.get("type"))
    alternatives = [*node.child("anyOf").elements(), *node.child("oneOf").elements()]
    if own or not alternatives:
        return own
    listed = [typed(one.followed().mapping.get("type")).get("type") for one in alternatives]
    if None in listed:
        return {}
    flat = [kind for kinds in listed for kind in (kinds if isinstance(kinds, list) else [kinds])]
    return {"type": [*dict.fromkeys(flat)]}


def _says_value(schema: Node, name: str, depth: int = 0) -> bool:
    whole = schema.followed()
    member = whole.child("properties").child(name).followed().mapping
    if member.keys() & {"const", "enum"}:
        return True
    parts = whole.child("allOf").elements() if depth < _PARTS else ()
    return any(_says_value(part, name, depth + 1) for part in parts)


def _nullable(schema: Schema) -> Schema:
    """Add ``null`` to what a schema allows."""
    types = schema.get("type")
    simple = not schema.keys() & {"$ref", "allOf", "anyOf", "oneOf", "const", "not"}
    if not simple or types is None:
        about: Schema = {key: schema.pop(key) for key in ("description", "default") if key in schema}
        return {"anyOf": [schema, {"type": "null"}]} | about if schema else about
    listed = types if isinstance(types, list) else [types]
    allowed = schema | {"type": [*dict.fromkeys([*listed, "null"])]}
    if "enum" in schema and None not in schema["enum"]:
        allowed["enum"] = [*schema["enum"], None]
    return allowed


def _relaxed(schema: Schema) -> Schema:
    if "oneOf" in schema:
        schema["anyOf"] = schema.get("anyOf", []) + schema.pop("oneOf")
    if isinstance(schema.get("additionalProperties"), bool):
        del schema["additionalProperties"]
    return (
        _nullable(schema) if "type" in schema and "anyOf" not in schema and "allOf" not in schema else schema
    )


def _convert_exclusive(schema: Schema, node: Node) -> None:
    """Turn the truth values of OpenAPI 3.0 into bounds."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if node.mapping.get(exclusive) is True and bound in schema:
            schema[exclusive] = schema.pop(bound)


_APPLIED: Final[Mapping[str, Callable[[SchemaWriter, str, Node, int], Schema]]] = {
    **dict.fromkeys(ONE, SchemaWriter._one),  # noqa: SLF001 - a table of this module's own
    **dict.fromkeys(MANY, SchemaWriter._many),  # noqa: SLF001 - likewise
    **dict.fromkeys(NAMED, SchemaWriter._properties),  # noqa: SLF001 - likewise
}
"""How a keyword whose value is a schema, or several, is written."""
