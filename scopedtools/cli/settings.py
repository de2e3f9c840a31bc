"""Options of a command from a file: flags go before the environment, that goes before the file.

```toml
target = "shop:app"
port = 9101
log-format = "json"
secret = "..."          # or SCOPEDTOOLS_SECRET; never a flag, which every user of a machine can read
```
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec
import typer

from scopedtools.exceptions import ScopedToolsError
from scopedtools.sharing import SECRET_VARIABLE

_SECRET: Final = "secret"  # noqa: S105 - how it is named

_PROSE: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list of texts",
    str: "a text",
}


class SettingsError(ScopedToolsError, ValueError):
    """A settings file cannot be read, or something in it is wrong."""


def use_settings(ctx: typer.Context, path: str | None) -> str | None:
    """Make what a file says the defaults of the options of a command; a typer callback.

    Raises:
        SettingsError: It cannot be read, or something in it is wrong.
    """
    if path is None or ctx.resilient_parsing:
        return path
    hints = get_type_hints(ctx.command.callback)
    given = _decoded(Path(path))
    params = {param.name.replace("_", "-"): param for param in ctx.command.params if param.name}
    known = {name for name, param in params.items() if param.name in hints} - {"settings"}
    for name, value in given.items():
        _require_known(path, name, known)
        if name == _SECRET:
            _keep_secret(path, value)
            continue
        param = params[name]
        checked = _checked(path, name, value, hints[str(param.name)])
        try:
            param.process_value(ctx, checked)
        except typer.BadParameter as error:
            raise SettingsError(f"{path}: {name}: {error.message}, got {_shown(value)}") from error
        ctx.default_map = {**(ctx.default_map or {}), str(param.name): checked}
    return path


def _decoded(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {str(path)!r}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error


def _require_known(path: str, name: str, known: Iterable[str]) -> None:
    names = sorted({*known, _SECRET})
    if name in names:
        return
    near = get_close_matches(name.replace("_", "-").lower(), names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
    raise SettingsError(f"{path}: there is no setting {name!r}; {hint}")


def _checked(path: str, name: str, value: Any, expected: Any) -> Any:
    try:
        return msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        kinds = getattr(expected, "__args__", (expected,))
        said = next((_PROSE[kind] for kind in map(_kind, kinds) if kind in _PROSE), None)
        said = said or "one of " + ", ".join(map(repr, kinds))
        raise SettingsError(f"{path}: {name} must be {said}, got {_shown(value)}") from error


def _kind(hint: Any) -> Any:
    return getattr(hint, "__origin__", hint)


def _shown(value: Any) -> str:
    # Of a table, which may hold more than was meant to be told, its kind alone.
    return "a table" if isinstance(value, dict) else repr(value)[:80]


def _keep_secret(path: str, value: Any) -> None:
    if not isinstance(value, str):
        raise SettingsError(f"{path}: {_SECRET} must be a text, got {type(value).__name__}")
    if not os.environ.get(SECRET_VARIABLE):
        os.environ[SECRET_VARIABLE] = value
