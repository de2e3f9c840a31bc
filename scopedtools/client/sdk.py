"""The official client, whose ``cache_mode`` reaches our cache."""

from __future__ import annotations

from mcp import Client
from mcp.client import CacheMode
from mcp_types import (
    InputResponses,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    ReadResourceResult,
    RequestParamsMeta,
)

from scopedtools.client.traffic import asking


class ContextClient(Client):
    """An `mcp.Client` that asks our cache, below it, instead of its own.

    Its own is switched off: it would keep one unit's list for all. Nothing else is different.
    """

    async def list_tools(
        self,
        *,
        cursor: str | None = None,
        meta: RequestParamsMeta | None = None,
        cache_mode: CacheMode = "use",
    ) -> ListToolsResult:
        with asking(cache_mode):
            return await super().list_tools(cursor=cursor, meta=meta)

    async def list_prompts(
        self,
        *,
        cursor: str | None = None,
        meta: RequestParamsMeta | None = None,
        cache_mode: CacheMode = "use",
    ) -> ListPromptsResult:
        with asking(cache_mode):
            return await super().list_prompts(cursor=cursor, meta=meta)

    async def list_resources(
        self,
        *,
        cursor: str | None = None,
        meta: RequestParamsMeta | None = None,
        cache_mode: CacheMode = "use",
    ) -> ListResourcesResult:
        with asking(cache_mode):
            return await super().list_resources(cursor=cursor, meta=meta)

    async def list_resource_templates(
        self,
        *,
        cursor: str | None = None,
        meta: RequestParamsMeta | None = None,
        cache_mode: CacheMode = "use",
    ) -> ListResourceTemplatesResult:
        with asking(cache_mode):
            return await super().list_resource_templates(cursor=cursor, meta=meta)

    async def read_resource(
        self,
        uri: str,
        *,
        input_responses: InputResponses | None = None,
        request_state: str | None = None,
        meta: RequestParamsMeta | None = None,
        cache_mode: CacheMode = "use",
    ) -> ReadResourceResult:
        with asking(cache_mode):
            return await super().read_resource(
                uri, input_responses=input_responses, request_state=request_state, meta=meta
            )
