"""A server that has too much of everything to list it: tools, resources, templates and prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from scopedtools import ScopedServer, ViewSettings, prompt, resource, tool
from scopedtools.retrieval.hashing import HashingEncoder
from scopedtools.retrieval.selector import HybridSelector
from tests.clients.server import CALENDAR, FILES, INVOICES, MAIL, STAFF, TRAVEL

KINDS: Final = ("tools", "resources", "resources/templates", "prompts")

ROWS: Final = (*INVOICES, *CALENDAR, *TRAVEL, *MAIL, *FILES, *STAFF)
"""Name and description of what there is of each kind."""

VIEWS: Final = ViewSettings(rows={"tool": 16, "resource": 15, "template": 15, "prompt": 15}, page_rows=6)
"""Lists of all take many pages, and those of a context several."""


def _method(name: str, description: str) -> Callable[..., Any]:
    async def run(self: ScopedServer) -> str:
        return name

    run.__name__, run.__doc__ = name, description
    return run


def _of_template(name: str, description: str) -> Callable[..., Any]:
    async def run(self: ScopedServer, part: str) -> str:
        return f"{name} {part}"

    run.__name__, run.__doc__ = name, description
    return run


def _members() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, description in ROWS:
        yield f"do_{name}", tool(name=name)(_method(name, description))
        yield f"read_{name}", resource(f"depot://{name}", name=name)(_method(name, description))
        template = resource(f"depot://{name}/{{part}}", name=name)
        yield f"open_{name}", template(_of_template(name, description))
        yield f"ask_{name}", prompt(name=name)(_method(name, description))


Depot: Any = type("Depot", (ScopedServer,), {"__doc__": "Keeps everything.", **dict(_members())})


def depot(views: ViewSettings = VIEWS) -> ScopedServer:
    """Return a server of its own."""
    server: ScopedServer = Depot(name="depot", selector=HybridSelector(HashingEncoder()), views=views)
    return server
