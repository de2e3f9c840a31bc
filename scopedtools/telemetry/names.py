"""Names of spans and of their attributes.

Source: semantic conventions for generative AI of OpenTelemetry, MCP (status: development); what they have no
name for begins with ``scopedtools.``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from scopedtools.context.context import Context
from scopedtools.protocol.request import Request
from scopedtools.types import ANONYMOUS, Outcome

SCOPE: Final = "scopedtools"
METHOD: Final = "mcp.method.name"
OUTCOME: Final = "scopedtools.outcome"
PAGE: Final = "scopedtools.list.page"
VIEW: Final = "scopedtools.view.revision"

OPERATION: Final[Mapping[str, str]] = MappingProxyType({"gen_ai.operation.name": "execute_tool"})

_MAX_CHARACTERS: Final = 512
"""Of what a client sent: a backend is no place for megabytes."""


class Named(NamedTuple):
    """What the target of a request is.

    Attributes:
        attribute: That holds it.
        is_name: One of not many, so that it can stand in the name of a span.
    """

    attribute: str
    is_name: bool


# Not all methods that have a target: where nobody is authenticated, whoever knows a task's ID has the task.
NAMED_BY: Final[Mapping[str, Named]] = MappingProxyType(
    {
        "tools/call": Named("gen_ai.tool.name", is_name=True),
        "prompts/get": Named("gen_ai.prompt.name", is_name=True),
        "resources/read": Named("mcp.resource.uri", is_name=False),
    }
)


def target_of(request: Request) -> str | None:
    """Return the tool, prompt or URI that a request names, clipped; ``None`` for other requests."""
    if request.method.name not in NAMED_BY:
        return None
    target = request.target
    return target if target is None else target[:_MAX_CHARACTERS]


def span_name(request: Request, target: str | None) -> str:
    """Return the name of the span of a request."""
    method = request.method.name
    return f"{method} {target}" if target and NAMED_BY[method].is_name else method


def span_attributes(request: Request, ctx: Context, target: str | None) -> dict[str, Any]:
    """Return what is known of a request when it begins."""
    method = request.method.name
    attributes: dict[str, Any] = {METHOD: method, "mcp.protocol.version": request.revision.name}
    if request.id is not None:
        attributes["jsonrpc.request.id"] = str(request.id)[:_MAX_CHARACTERS]
    if target is not None:
        attributes[NAMED_BY[method].attribute] = target
    if method == "tools/call":
        attributes |= OPERATION
        if (called := request.tool) is not None and called != request.target:
            attributes["scopedtools.tool.name"] = called[:_MAX_CHARACTERS]
    if (digest := ctx.digest) is not None:
        attributes["gen_ai.conversation.id"] = digest
    if ctx.principal != ANONYMOUS:
        attributes["enduser.id"] = ctx.principal.name
    if request.ingress.headers:
        attributes["network.transport"] = "tcp"
    elif request.ingress.unscoped:
        attributes["network.transport"] = "pipe"
    return attributes


def failed(outcome: Outcome) -> Mapping[str, str]:
    """Return what describes a failure; empty for requests that did not fail, such as cancelled ones."""
    if outcome.status == "tool_error":
        return _TOOL_ERROR
    if outcome.status != "error":
        return _NOTHING
    code = str(outcome.code)
    return {"error.type": code, "rpc.response.status_code": code}


_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_TOOL_ERROR: Final[Mapping[str, str]] = MappingProxyType({"error.type": "tool_error"})
