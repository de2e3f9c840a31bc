"""Tools from OpenAPI descriptions of HTTP APIs. Needs the extra ``openapi``.

::

    api = OpenApi.load("petstore.yaml", base_url="https://petstore.example/v1")
    server.mount(api, prefix="pets")
"""

from __future__ import annotations

from scopedtools.exceptions import MissingDependencyError

try:
    from scopedtools.openapi.api import OpenApi
    from scopedtools.openapi.security import Pair
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("jsonschema_rs", "referencing", "yaml"):
        raise
    raise MissingDependencyError(
        f'{error.name} is not installed; run pip install "scopedtools[openapi]"'
    ) from error

__all__ = ["OpenApi", "Pair"]
