"""What a server says of itself, from what its author wrote."""

from __future__ import annotations

import inspect

from scopedtools.assembly import completes
from scopedtools.catalog.catalog import Catalog
from scopedtools.context.carriers import CarrierTable
from scopedtools.context.offer import offer
from scopedtools.context.settings import ViewSettings
from scopedtools.handlers.connections import About
from scopedtools.handlers.pages import Cache
from scopedtools.protocol.meta import EXTENSION, TASKS


def describe(
    own: type,
    *,
    base: type,
    name: str,
    version: str,
    catalog: Catalog,
    settings: ViewSettings,
    carriers: CarrierTable,
    authorized: bool,
    tasks: bool,
) -> About:
    """Say what a server is and can.

    Args:
        own: Its class.
        base: The class whose hooks it may override.
        name: What it calls itself.
        version: Of the author's server.
        catalog: What there is.
        settings: Of its views.
        carriers: Where it looks for context IDs.
        authorized: Whether it tells callers apart.
        tasks: Whether calls may become tasks.
    """
    # A list that hooks, or scopes, may narrow for this request alone must not be kept for another.
    chosen = _overrides(own, base, "permitted") or _overrides(own, base, "listed") or catalog.has_scopes
    # Not `inspect.getdoc`: where an author's class has no docstring, it gives that of the base.
    documented = own.__doc__ if own is not base else None
    return About(
        info={"name": name, "version": version},
        instructions=inspect.cleandoc(documented) if documented else None,
        extensions={EXTENSION: offer(carriers, settings)} | ({TASKS: {}} if tasks else {}),
        completes=_overrides(own, base, "complete") or completes(catalog),
        cache=Cache(0 if chosen else settings.list_ttl_ms, "private" if authorized or chosen else "public"),
    )


def _overrides(own: type, base: type, hook: str) -> bool:
    return getattr(own, hook) is not getattr(base, hook)
