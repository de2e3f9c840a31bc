"""The search tools of a server that has none: defined as in `ScopedServer`, over what a caller is listed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, cast

from scopedtools.adapters.shelf import Generation
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.bind import read_declarations
from scopedtools.catalog.convert import text_result
from scopedtools.catalog.primitives import Primitive, Tool
from scopedtools.catalog.view import View
from scopedtools.context.context import Context
from scopedtools.edition import find_tools
from scopedtools.exceptions import ToolError
from scopedtools.protocol.results import CallResult
from scopedtools.server import ScopedServer

_DECLARED: Final = {one.name: one for one in read_declarations(ScopedServer, inject=Context)}


def search_rows() -> tuple[Primitive, ...]:
    """Return the rows of the search tools, which cannot be called by themselves."""
    return tuple(replace(cast("Tool", _DECLARED[name].bind(None)), call=None) for name in SEARCH_TOOLS)


async def searched(generation: Generation, ctx: Context, permitted: View, arguments: bytes) -> CallResult:
    """Answer a call of ``search_tools``; arguments that are wrong are an error that the model reads.

    Args:
        generation: What there is.
        ctx: Who asks.
        permitted: The tools that the caller may use.
        arguments: Of the call, a JSON object.
    """
    try:
        return await find_tools(
            ctx,
            **_DECLARED[SEARCH_TOOLS[0]].signature.arguments(arguments),
            permitted=permitted,
            policy=generation.policy,
            selection=generation.selection,
        )
    except ToolError as error:
        return text_result(str(error), is_error=True)


def called_through(arguments: Any) -> tuple[str, dict[str, Any]]:
    """Return name and arguments of the tool that a call of ``call_tool`` is for.

    Raises:
        ToolError: There is none; the message says what to do.
    """
    asked = arguments if isinstance(arguments, dict) else {}
    name, inner = asked.get("name"), asked.get("arguments")
    if not isinstance(name, str) or not isinstance(inner, dict | None):
        raise ToolError("call_tool takes the name of a tool, a text, and its arguments, an object")
    if name in SEARCH_TOOLS:
        raise ToolError(f"call {name} directly")
    return name, inner or {}
