"""Requests that say everything of the extension where a client may say it, and what their answers say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from scopedtools.protocol import meta
from tests.wire.exchange import ENVELOPE, MODERN, Answer, http, judged, message, mirrored

KNOWN: Final = {"cacheScopes": ["context"]}
LISTS: Final = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
"""Where the rows are in the result of each list."""


def declared(settings: Any) -> dict[str, Any]:
    """Return the capabilities of a client that declares these settings."""
    return {"extensions": {meta.EXTENSION: settings}}


async def ask(
    app: ASGIApp,
    method: str = "tools/list",
    *,
    settings: Any = None,
    said: Mapping[str, Any] | None = None,
    headers: Iterable[tuple[str, str]] = (),
    query: str = "",
    **params: Any,
) -> Answer:
    """Send a request of the stateless revision.

    Args:
        app: The server.
        method: What is asked.
        settings: What the client declares under the extension, or ``None`` where it does not know it.
        said: Goes into ``_meta``.
        headers: Lines besides those that every request has.
        query: Of the URL.
        params: Of the request.
    """
    can = {} if settings is None else declared(settings)
    own = {**ENVELOPE, meta.CLIENT_CAPABILITIES: can, **(said or {})}
    request = message(method, {**params, "_meta": own})
    lines = [*mirrored(request).items(), *headers]

    async def located(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "query_string": query.encode()}, receive, send)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in lines]
    answer = await http(located, msgspec.json.encode(request), raw)
    # The official types know two scopes: an answer with the third is for clients that know it.
    knows_more = answer.status == 200 and answer.reply.get("result", {}).get("cacheScope") == "context"
    return answer if knows_more else judged(answer, method, MODERN)


def view_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a list says that it is; nothing where it does not."""
    view: dict[str, Any] = result.get("_meta", {}).get(meta.VIEW, {})
    return view


def names_of(result: Mapping[str, Any]) -> list[str]:
    """Return the names of the rows of a list, of any kind."""
    return [row["name"] for field in LISTS.values() for row in result.get(field, ())]


async def listed(app: ASGIApp, method: str = "tools/list", **told: Any) -> list[str]:
    """Return the names on the first page of a list."""
    return names_of((await ask(app, method, **told)).result)
