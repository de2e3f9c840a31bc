"""Tools that check, format, compare and reshape JSON documents, which are passed as text."""

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, JsonValue

JsonText = Annotated[str, Field(min_length=1, max_length=200_000)]
Pointer = Annotated[str, Field(pattern="^(/.*)?$", max_length=1_000)]
Separator = Annotated[str, Field(min_length=1, max_length=5)]
Values = Annotated[list[JsonValue], Field(max_length=10_000)]

_MAX_DEPTH = 64
_MAX_RESULT = 1_000_000


@dataclass(frozen=True)
class Validity:
    valid: bool
    kind: str | None = None
    error: str | None = None
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True)
class Change:
    path: str
    change: Literal["added", "removed", "changed"]
    before: JsonValue = None
    after: JsonValue = None


@dataclass(frozen=True)
class Measure:
    characters: int
    minified_characters: int
    depth: int
    objects: int
    arrays: int
    keys: int
    scalars: int


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"a JSON number must be finite, got {text}")
    return number


def _depth(value: JsonValue, level: int = 0) -> int:
    """Return how deep a value nests, and refuse what would exhaust the stack elsewhere."""
    if level > _MAX_DEPTH:
        raise ValueError(f"JSON must nest at most {_MAX_DEPTH} levels")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((_depth(child, level + 1) for child in children), default=level)


def _load(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except RecursionError as error:
        raise ValueError(f"JSON must nest at most {_MAX_DEPTH} levels") from error
    _depth(value)
    if "\\ud" in text.lower():
        try:
            _dump(value).encode()
        except UnicodeEncodeError as error:
            raise ValueError("JSON text must hold no half of a surrogate pair, such as \\ud800") from error
    return value


def _dump(value: JsonValue, indent: int | None = None, *, sort_keys: bool = False) -> str:
    separators = (",", ":") if indent is None else None
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _kind(value: JsonValue) -> str:
    """Return the name that JSON Schema gives to a value's type."""
    names = {
        "bool": "boolean",
        "int": "integer",
        "float": "number",
        "str": "string",
        "list": "array",
        "dict": "object",
    }
    return names.get(type(value).__name__, "null")


def _token(key: str | int) -> str:
    return "/" + str(key).replace("~", "~0").replace("/", "~1")


def _children(value: JsonValue) -> Iterator[tuple[str | int, JsonValue]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _walk(value: JsonValue, pointer: str = "") -> Iterator[tuple[str, JsonValue]]:
    yield pointer, value
    for key, child in _children(value):
        yield from _walk(child, pointer + _token(key))


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _index(container: list[JsonValue], step: str, pointer: str) -> int:
    if not re.fullmatch("0|[1-9][0-9]{0,6}", step) or int(step) >= len(container):
        raise ValueError(
            f"pointer must lead to an existing value, got {pointer!r}: no item {step!r} in the array"
        )
    return int(step)


def _step(container: JsonValue, step: str, pointer: str) -> JsonValue:
    if isinstance(container, dict) and step in container:
        return container[step]
    if isinstance(container, list):
        return container[_index(container, step, pointer)]
    raise ValueError(f"pointer must lead to an existing value, got {pointer!r}: there is no {step!r}")


def _differences(before: JsonValue, after: JsonValue, pointer: str = "") -> Iterator[Change]:
    if type(before) is not type(after) or not isinstance(before, dict | list):
        if before != after or type(before) is not type(after):
            yield Change(pointer, "changed", before, after)
        return
    old, new = dict(_children(before)), dict(_children(after))
    for key in dict.fromkeys([*old, *new]):
        path = pointer + _token(key)
        if key not in new:
            yield Change(path, "removed", before=old[key])
        elif key not in old:
            yield Change(path, "added", after=new[key])
        else:
            yield from _differences(old[key], new[key], path)


def _merged(target: JsonValue, patch: JsonValue) -> JsonValue:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def _lists(value: JsonValue) -> JsonValue:
    """Turn objects whose keys are exactly 0 … n-1 into arrays, from the inside out."""
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(child) for key, child in value.items()}
    indices = [str(index) for index in range(len(inner))]
    return [inner[index] for index in indices] if inner and set(inner) == set(indices) else inner


def _schema(samples: list[JsonValue]) -> dict[str, JsonValue]:
    kinds = {_kind(sample) for sample in samples}
    kinds -= {"integer"} if "number" in kinds else set()
    schema: dict[str, JsonValue] = (
        {"type": next(iter(kinds)) if len(kinds) == 1 else [*sorted(kinds)]} if kinds else {}
    )
    objects = [sample for sample in samples if isinstance(sample, dict)]
    if objects:
        found: dict[str, list[JsonValue]] = {}
        for one in objects:
            for key, value in one.items():
                found.setdefault(key, []).append(value)
        schema["properties"] = {key: _schema(values) for key, values in found.items()}
        schema["required"] = [key for key, values in found.items() if len(values) == len(objects)]
    if "array" in kinds:
        schema["items"] = _schema([item for sample in samples if isinstance(sample, list) for item in sample])
    return schema


def json_validate(text: Annotated[str, Field(max_length=200_000)]) -> Validity:
    """Check whether a text is valid JSON, and where it is broken if it is not.

    Args:
        text: The text to check.
    """
    try:
        return Validity(valid=True, kind=_kind(_load(text)))
    except ValueError as error:
        cause = error.__cause__
        place = (cause.lineno, cause.colno) if isinstance(cause, json.JSONDecodeError) else (None, None)
        return Validity(valid=False, error=str(error), line=place[0], column=place[1])


def json_format(text: JsonText, indent: Annotated[int, Field(ge=1, le=8)] = 2) -> str:
    """Format (pretty print) JSON with line breaks and indentation.

    Args:
        text: The JSON document.
        indent: How many spaces to indent each level.
    """
    return _dump(_load(text), indent)


def json_minify(text: JsonText) -> str:
    """Shrink JSON by removing all spaces and line breaks between its parts.

    Args:
        text: The JSON document.
    """
    return _dump(_load(text))


def json_sort_keys(text: JsonText, indent: Annotated[int, Field(ge=1, le=8)] = 2) -> str:
    """Sort the keys of all objects in a JSON document alphabetically.

    Args:
        text: The JSON document.
        indent: How many spaces to indent each level.
    """
    return _dump(_load(text), indent, sort_keys=True)


def json_compare(before: JsonText, after: JsonText) -> list[Change]:
    """Compare two JSON documents and list the values that were added, removed or changed.

    Args:
        before: The old document.
        after: The new document; array items are compared by position.
    """
    changes, size = [], 0
    for change in _differences(_load(before), _load(after)):
        changes.append(change)
        size += len(change.path)
        if len(changes) > 1_000 or size > _MAX_RESULT:
            raise ValueError("documents must differ in at most 1,000 places: compare smaller parts of them")
    return changes


def json_get(text: JsonText, pointer: Pointer) -> JsonValue:
    """Get one value out of a JSON document by its JSON Pointer.

    Args:
        text: The JSON document.
        pointer: Where the value is, such as `/users/0/name`; empty for the whole document.
    """
    value = _load(text)
    for step in _steps(pointer):
        value = _step(value, step, pointer)
    return value


def json_set(text: JsonText, pointer: Pointer, value: JsonValue) -> str:
    """Set or add one value in a JSON document by its JSON Pointer, and return the new document.

    Args:
        text: The JSON document.
        pointer: Where to put the value, such as `/users/0/name`; `/users/-` appends to an array.
        value: The new value.
    """
    document = _load(text)
    _depth(value)
    if not pointer:
        return _dump(value)
    *path, last = _steps(pointer)
    container = document
    for step in path:
        container = _step(container, step, pointer)
    if isinstance(container, dict):
        container[last] = value
    elif isinstance(container, list) and last in {"-", str(len(container))}:
        container.append(value)
    elif isinstance(container, list):
        container[_index(container, last, pointer)] = value
    else:
        raise ValueError(
            f"pointer must lead into an object or array, got {pointer!r} into {_kind(container)}"
        )
    return _dump(document)


def json_remove(text: JsonText, pointer: Annotated[str, Field(pattern="^/.*$", max_length=1_000)]) -> str:
    """Remove one value from a JSON document by its JSON Pointer, and return the new document.

    Args:
        text: The JSON document.
        pointer: Where the value is, such as `/users/0/name`.
    """
    document = _load(text)
    container = document
    *path, last = _steps(pointer)
    for step in path:
        container = _step(container, step, pointer)
    _step(container, last, pointer)
    if isinstance(container, dict):
        del container[last]
    elif isinstance(container, list):
        del container[int(last)]
    return _dump(document)


def json_merge(target: JsonText, patch: JsonText) -> str:
    """Merge one JSON document into another as a JSON Merge Patch (RFC 7396).

    Args:
        target: The document to change.
        patch: What to change: its members replace those of the target, and null removes them.
    """
    return _dump(_merged(_load(target), _load(patch)))


def json_flatten(text: JsonText, separator: Separator = ".") -> dict[str, JsonValue]:
    """Flatten nested JSON into one level of keys, such as `user.emails.0`.

    Args:
        text: The JSON document.
        separator: What to put between the parts of a key.
    """
    flat: dict[str, JsonValue] = {}
    size = 0
    for pointer, value in _walk(_load(text)):
        if isinstance(value, dict | list) and value:
            continue
        key = separator.join(_steps(pointer))
        if key in flat:
            raise ValueError(f"flattened keys must differ, got {key!r} twice: use another separator")
        flat[key] = value
        size += len(key)
        if size > _MAX_RESULT:
            raise ValueError(f"the result must be at most {_MAX_RESULT:,} characters: flatten a smaller part")
    return flat


def json_unflatten(
    values: Annotated[dict[Annotated[str, Field(max_length=1_000)], JsonValue], Field(max_length=5_000)],
    separator: Separator = ".",
) -> JsonValue:
    """Build nested JSON from one level of keys such as `user.emails.0`.

    Args:
        values: The flat keys and their values; parts numbered 0, 1, 2 … become arrays.
        separator: What stands between the parts of a key.
    """
    _depth(dict(values))
    nested: dict[str, JsonValue] = {}
    for key, value in values.items():
        *path, last = key.split(separator)
        if len(path) > _MAX_DEPTH:
            raise ValueError(f"a key must have at most {_MAX_DEPTH} parts, got {len(path)}")
        inner: JsonValue = nested
        for part in path:
            inner = inner.setdefault(part, {}) if isinstance(inner, dict) else None
        if not isinstance(inner, dict) or last in inner:
            raise ValueError(f"a key must not lie inside the value of another, got {key!r}")
        inner[last] = value
    return _lists(nested)


def json_paths(text: JsonText, limit: Annotated[int, Field(ge=1, le=1_000)] = 200) -> list[str]:
    """List the paths of all values in a JSON document as JSON Pointers.

    Args:
        text: The JSON document.
        limit: The most paths to return.
    """
    paths = (pointer for pointer, _ in _walk(_load(text)) if pointer)
    return [path for path, _ in zip(paths, range(limit), strict=False)]


def json_lines_parse(
    text: JsonText, limit: Annotated[int, Field(ge=1, le=10_000)] = 1_000
) -> list[JsonValue]:
    """Parse JSON Lines (NDJSON), one JSON document on each line, into a list.

    Args:
        text: The lines; empty ones are skipped.
        limit: The most documents to return.
    """
    values: list[JsonValue] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and len(values) < limit:
            try:
                values.append(_load(line))
            except ValueError as error:
                raise ValueError(f"line {number} of the text: {error}") from error
    return values


def json_lines_build(values: Values) -> str:
    """Write a list of values as JSON Lines (NDJSON), one JSON document on each line.

    Args:
        values: The values in order.
    """
    _depth(values)
    return "".join(_dump(value) + "\n" for value in values)


def json_to_csv(text: JsonText) -> str:
    """Convert a JSON array of objects to CSV, with a column for each key.

    Args:
        text: A JSON array of objects; values that nest are written as JSON, null as an empty cell.
    """
    records = _load(text)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"text must be a JSON array of objects, got {_kind(records)}")
    objects = [record for record in records if isinstance(record, dict)]
    columns = list(dict.fromkeys(key for record in objects for key in record))
    if len(columns) * len(objects) > 200_000:
        raise ValueError(f"the table must have at most 200,000 cells, got {len(columns) * len(objects):,}")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for record in objects:
        cells = (record.get(column) for column in columns)
        writer.writerow([c if isinstance(c, str) else "" if c is None else _dump(c) for c in cells])
    return out.getvalue()


def json_infer_schema(text: JsonText) -> dict[str, JsonValue]:
    """Infer a simple JSON Schema from an example document: types, properties and required keys.

    Args:
        text: The example; the items of an array are taken together.
    """
    return _schema([_load(text)])


def json_measure(text: JsonText) -> Measure:
    """Measure a JSON document: its size, nesting depth and number of objects, arrays and values.

    Args:
        text: The JSON document.
    """
    document = _load(text)
    values = [value for _, value in _walk(document)]
    objects = [value for value in values if isinstance(value, dict)]
    arrays = sum(isinstance(value, list) for value in values)
    return Measure(
        characters=len(text),
        minified_characters=len(_dump(document)),
        depth=_depth(document),
        objects=len(objects),
        arrays=arrays,
        keys=sum(map(len, objects)),
        scalars=len(values) - len(objects) - arrays,
    )
