"""Variables in a configuration, ``${NAME}``, as hosts fill them in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from scopedtools.gateway.errors import ConfigError

_VARIABLE: Final = re.compile(r"\$\{(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def expand(value: Any, variables: Mapping[str, str], *, where: str) -> Any:
    """Fill in ``${NAME}``, ``${env:NAME}`` and ``${NAME:-default}`` in every text of a JSON value.

    Args:
        value: What to fill in; lists and the values of objects are followed.
        variables: By name, such as the environment.
        where: Place in the configuration, for messages.

    Raises:
        ConfigError: A variable is not set and has no default. The message has its name and no values.
    """
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _filled(found, variables, where), value)
    if isinstance(value, list):
        return [expand(one, variables, where=f"{where}[{place}]") for place, one in enumerate(value)]
    if isinstance(value, dict):
        return {key: expand(one, variables, where=f"{where}.{key}") for key, one in value.items()}
    return value


def _filled(found: re.Match[str], variables: Mapping[str, str], where: str) -> str:
    name, default = found["name"], found["default"]
    if name in variables:
        return variables[name]
    if default is None:
        raise ConfigError(
            f"{where} needs the environment variable {name}, which is not set; "
            f"set it, or write ${{{name}:-default}}"
        )
    return default
