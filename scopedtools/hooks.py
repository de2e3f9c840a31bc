"""What an author may decide by overriding a method of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Prompt, ResourceTemplate
from scopedtools.catalog.view import View
from scopedtools.context.context import Context


class Hooks:
    """The hooks of a `ScopedServer` that need nothing but its catalog, with what they do by default.

    Attributes:
        catalog: What there is. It may be replaced while a request runs (`ScopedServer.update`): hooks that
            take rows from it take them from the views that they are given, ``rows.catalog``.
    """

    catalog: Catalog

    async def permitted(self, ctx: Context, rows: View) -> View:  # noqa: ARG002 - for those who override it
        """Return the rows that this caller may use. Runs on every list, search, call, read and get.

        Args:
            ctx: Who asks.
            rows: Every row.
        """
        return rows

    async def intent(self, ctx: Context) -> str | None:
        """Return what the unit of work is about, or ``None`` where that is not known.

        By default what the client declared. Asked until the context has a view, and after that where the
        view grows.
        """
        return ctx.intent

    async def complete(
        self,
        ctx: Context,
        ref: str,
        argument: str,
        value: str,
        filled: Mapping[str, str],
    ) -> Sequence[str]:
        """Return what an argument may be, best first.

        By default what the row itself says: the choices that a prompt's annotation names, as far as they
        begin with what was typed; for mounted rows what their server says.

        Args:
            ctx: Who asks.
            ref: Name of a prompt, or URI template of resources.
            argument: Argument of the prompt, or variable of the template.
            value: What was typed so far.
            filled: Arguments that are filled in already.
        """
        catalog = (ctx.edition or self).catalog
        ordinals = (catalog.find("prompt", ref), catalog.find("template", ref))
        row = next((catalog.rows[ordinal] for ordinal in ordinals if ordinal is not None), None)
        if isinstance(row, Prompt | ResourceTemplate) and row.complete is not None:
            return await row.complete(ctx, argument, value, filled)
        arguments = row.arguments if isinstance(row, Prompt) else ()
        choices = [choice for one in arguments if one.name == argument for choice in one.choices]
        return [choice for choice in choices if choice.lower().startswith(value.lower())]

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Hold what the server needs while it runs, such as a connection."""
        yield
