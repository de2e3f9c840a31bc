"""Tools from OpenAPI descriptions of HTTP APIs. Needs the extra ``openapi``.

::

    from scopedtools.openapi import OpenApi

    api = OpenApi.load("petstore.yaml", base_url="https://petstore.example/v1")


    class Petstore(ScopedServer):
        @asynccontextmanager
        async def lifespan(self) -> AsyncIterator[None]:
            async with api:  # holds the HTTP client
                yield


    app = Petstore(catalog=api.catalog)
"""

from __future__ import annotations

from scopedtools.openapi.api import OpenApi
from scopedtools.openapi.security import Pair

__all__ = ["OpenApi", "Pair"]
