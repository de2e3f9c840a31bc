"""The keywords of JSON Schema, by what their values are.

One whose value is no schema is kept where that value is what JSON Schema asks for: descriptions in the wild
hold all sorts of things, and a schema that is none makes the whole tool useless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import msgspec

from scopedtools.openapi.words import MEMBER_CHARACTERS, plain

Schema = dict[str, Any]

ONE: Final = frozenset(
    {"items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
"""Keywords whose value is a schema."""

MANY: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
"""Keywords whose value is a list of schemas."""

NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
"""Keywords whose value has a schema under each name."""

_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})

_EXAMPLE_CHARACTERS: Final = 80
_MOST: Final = 2**63


def described(value: Any) -> Schema:
    """Return the keyword ``description``, bounded, where there is one."""
    text = plain(value, MEMBER_CHARACTERS) if isinstance(value, str) else ""
    return {"description": text} if text else {}


def typed(value: Any) -> Schema:
    """Return the keyword ``type`` with the types that there are."""
    listed = value if isinstance(value, list) else [value]
    types = [one for one in listed if isinstance(one, str) and one in _TYPES]
    if not types:
        return {}
    return {"type": types if isinstance(value, list) else types[0]}


@lru_cache(4096)
def is_pattern(text: str) -> bool:
    """Tell whether a text is a regular expression that can be checked."""
    try:
        jsonschema_rs.Draft202012Validator({"pattern": text}, offline=True)
    except ValueError:
        return False
    return True


def is_number(value: Any) -> bool:
    """Tell whether a value is a number, which to JSON a truth value is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _if(keyword: str, allowed: Callable[[Any], bool]) -> Callable[[Any], Schema]:
    return lambda value: {keyword: value} if allowed(value) else {}


def _enum(value: Any) -> Schema:
    listed = value if isinstance(value, list) else []
    distinct = {msgspec.json.encode(one): one for one in listed}  # to Python 1, 1.0 and True are one key
    return {"enum": [*distinct.values()]} if distinct else {}


def _required(value: Any) -> Schema:
    names = value if isinstance(value, list) else ()
    return {"required": [*dict.fromkeys(name for name in names if isinstance(name, str))]}


def _example(value: Any) -> Schema:
    short = isinstance(value, str | int | float) and len(str(value)) <= _EXAMPLE_CHARACTERS
    return {"examples": [value]} if short else {}


def _examples(value: Any) -> Schema:
    return _example(value[0]) if isinstance(value, list) and value else {}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return is_number(value) and 0 <= value < _MOST and value == int(value)


def _is_dependency(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(names, list) and all(map(_is_text, names)) for names in value.values()
    )


def _is_anything(_: Any) -> bool:
    return True


_CHECKED: Final[Mapping[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("format", "contentEncoding", "contentMediaType"), _is_text),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), is_number),
    "multipleOf": lambda value: is_number(value) and value > 0,
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_count),
    **dict.fromkeys(("minProperties", "maxProperties", "minContains", "maxContains"), _is_count),
    **dict.fromkeys(("uniqueItems", "deprecated"), lambda value: value is True),
    **dict.fromkeys(("const", "default"), _is_anything),
    "dependentRequired": _is_dependency,
    "pattern": lambda value: isinstance(value, str) and is_pattern(value),
}

KEYWORDS: Final[Mapping[str, Callable[[Any], Schema]]] = {
    **{keyword: _if(keyword, allowed) for keyword, allowed in _CHECKED.items()},
    "description": described,
    "enum": _enum,
    "example": _example,
    "examples": _examples,
    "required": _required,
    "type": typed,
}
"""What is written of a keyword's value: the keyword, another that says the same, or nothing."""
