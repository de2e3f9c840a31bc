"""How large views are, and when lists are narrowed at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from scopedtools.catalog.primitives import KINDS, Kind
from scopedtools.exceptions import DefinitionError

_ROWS: Final[Mapping[Kind, int]] = MappingProxyType({"tool": 16, "resource": 8, "template": 8, "prompt": 8})


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSettings:
    """How large views are, and when lists are narrowed at all.

    A view begins with pins and what the first intent needs. From then on its lists only get longer at their
    ends: no row moves, and none goes unless permission or the catalog takes it away; a row that is permitted
    again returns to its place. A view that is full stays as it is, and search leads to the rest. A fork
    begins with the view of its parent, and has room for half of each limit more; no view holds more than
    twice the limits.

    Attributes:
        rows: Most catalog rows of each kind in a narrowed list, pins included; kinds that are left out keep
            their default. ``search_tools`` and ``call_tool`` come on top.
        budget_tokens: Most tokens, estimated, that the chosen rows of a kind take in a list.
        growth: Whether new intents and searches add rows to the view of a context, of which half of the rows
            and tokens are left free at first: for clients that ``negotiated`` it (``"growth": true`` in the
            settings of our extension), ``always`` or ``never``. Each adds at most a third of the rows that
            are left. Of a context that several clients share, those that did not negotiate are shown the
            view without what was added.
        whole_rows: A kind with at most this many permitted rows is listed whole.
        without_context: What a request without an ID is shown: the ``full`` list, or pins and ``search``.
        enforce: Whether a tool that is not in the view is unknown; otherwise hidden tools stay callable.
        page_rows: Rows in one page of a list.
        list_ttl_ms: Milliseconds for which clients may keep a full list.
    """

    rows: Mapping[Kind, int] = field(default_factory=lambda: _ROWS)
    budget_tokens: int = 4000
    growth: Literal["negotiated", "always", "never"] = "negotiated"
    whole_rows: int = 20
    without_context: Literal["full", "search"] = "full"
    enforce: bool = False
    page_rows: int = 100
    list_ttl_ms: int = 60_000

    def __post_init__(self) -> None:
        for name, least in (("budget_tokens", 1), ("whole_rows", 0), ("page_rows", 1), ("list_ttl_ms", 0)):
            if (value := getattr(self, name)) < least:
                raise DefinitionError(f"{name} must be >= {least}, got {value}")
        if self.without_context not in ("full", "search"):
            raise DefinitionError(f"without_context must be 'full' or 'search', got {self.without_context!r}")
        if self.growth not in ("negotiated", "always", "never"):
            raise DefinitionError(f"growth must be 'negotiated', 'always' or 'never', got {self.growth!r}")
        if unknown := set(self.rows) - set(KINDS):
            raise DefinitionError(f"rows must name some of {', '.join(KINDS)}, got {sorted(unknown)}")
        if (least := min(self.rows.values(), default=0)) < 0:
            raise DefinitionError(f"rows must be >= 0, got {least}")
        object.__setattr__(self, "rows", MappingProxyType({**_ROWS, **self.rows}))
