"""Tools for configuration text: TOML, INI and .env."""

import configparser
import datetime as dt
import io
import math
import re
import tomllib
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, JsonValue

ConfigText = Annotated[str, Field(max_length=50_000)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Value = Annotated[str, Field(max_length=1_000)]

_ENV_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_ENV_ESCAPE = re.compile(r"\\(.)")
_ENV_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True)
class SettingChange:
    key: str
    before: JsonValue
    after: JsonValue


class _Ini(configparser.RawConfigParser):
    """Reads what is written: no interpolation, no magic section, names in their own case."""

    def __init__(self) -> None:
        super().__init__(allow_no_value=True, default_section="")

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def _plain(value: Any) -> JsonValue:
    """Return a TOML value as JSON: dates and times as ISO 8601 text."""
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a number must be finite to become JSON, got {value}")
    plain: str | int | float | bool = value
    return plain


def _load(text: str) -> dict[str, JsonValue]:
    try:
        return {key: _plain(value) for key, value in tomllib.loads(text).items()}
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"text must be TOML: {error}") from error
    except RecursionError as error:
        raise ValueError("TOML must nest less deeply") from error


def _leaves(value: JsonValue, key: str = "") -> dict[str, JsonValue]:
    if not isinstance(value, dict) or not value:
        return {key: value}
    if key.count(".") > 50:
        raise ValueError("TOML must nest at most 50 levels")
    return {
        name: leaf
        for part, child in value.items()
        for name, leaf in _leaves(child, f"{key}.{part}" if key else part).items()
    }


def _read_ini(text: str) -> dict[str, dict[str, str | None]]:
    if any(len(line) > 2_000 for line in text.splitlines()):
        raise ValueError("a line of INI text must have at most 2,000 characters")
    parser = _Ini()
    try:
        parser.read_string(text)
    except (
        configparser.Error,
        AttributeError,
    ) as error:  # the latter: indented text under a key without a value
        raise ValueError(f"text must be INI: {' '.join(str(error).split())}") from error
    return {section: dict(parser.items(section)) for section in parser.sections()}


def toml_parse(text: ConfigText) -> dict[str, JsonValue]:
    """Parse TOML, such as a pyproject.toml, into JSON.

    Args:
        text: The TOML text; dates and times become ISO 8601 text.
    """
    return _load(text)


def toml_get(text: ConfigText, key: Annotated[str, Field(min_length=1, max_length=500)]) -> JsonValue:
    """Get one value from TOML by its dotted key, such as `project.dependencies.0`.

    Args:
        text: The TOML text.
        key: The names of the tables and the key, with dots between; a number picks an item of an array.
    """
    value: JsonValue = _load(text)
    for part in key.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and re.fullmatch("[0-9]{1,6}", part) and int(part) < len(value):
            value = value[int(part)]
        else:
            raise ValueError(f"key must lead to a value, got {key!r}: there is no {part!r}")
    return value


def toml_compare(before: ConfigText, after: ConfigText) -> list[SettingChange]:
    """Compare two TOML texts and list the settings whose value differs.

    Args:
        before: The old text.
        after: The new text; a setting that one of them lacks has the value null there.
    """
    old, new = _leaves(dict(_load(before))), _leaves(dict(_load(after)))
    keys = dict.fromkeys([*old, *new])
    return [SettingChange(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


def ini_parse(text: ConfigText) -> dict[str, dict[str, str | None]]:
    """Parse INI configuration text into sections with their keys and values.

    Args:
        text: The INI text; a key without `=` has the value null.
    """
    return _read_ini(text)


def ini_build(
    sections: Annotated[
        dict[Name, Annotated[dict[Name, Value], Field(max_length=500)]], Field(max_length=100)
    ],
) -> str:
    """Write sections with keys and values as INI configuration text.

    Args:
        sections: For each section its keys and values.
    """
    parser = _Ini()
    out = io.StringIO()
    try:
        parser.read_dict(sections)
        parser.write(out)
        same = _read_ini(out.getvalue()) == sections
    except (configparser.Error, ValueError, TypeError) as error:
        raise ValueError(f"sections must be such as INI can hold: {error}") from error
    if not same:
        raise ValueError(
            "sections must read back as they are: avoid `=`, `:`, `#`, brackets and spaces at the ends"
        )
    return out.getvalue()


def dotenv_parse(text: ConfigText) -> dict[str, str]:
    """Parse the text of a .env file into environment variables and their values.

    Args:
        text: Lines such as `NAME=value` or `export NAME="value"`; `#` begins a comment.
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _ENV_LINE.fullmatch(stripped)
        if not match:
            raise ValueError(f"line {number} must be NAME=value, got {stripped[:80]!r}")
        variables[match[1]] = _unquoted(match[2], number)
    return variables


def _unquoted(value: str, number: int) -> str:
    quote = value[:1]
    if quote not in {"'", '"'}:
        return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()
    body = re.fullmatch(
        r"'([^']*)'(?:\s*#.*|\s*)" if quote == "'" else r'"((?:[^"\\]|\\.)*)"(?:\s*#.*|\s*)', value
    )
    if not body:
        raise ValueError(f"line {number} must close its quotation mark")
    if quote == "'":
        return body[1]
    return _ENV_ESCAPE.sub(lambda match: _ENV_ESCAPES.get(match[1], match[1]), body[1])
