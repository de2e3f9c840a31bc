"""What a visit to a server is, and how a client in a process of its own is told to pay some.

The scripts beside this one import it in environments that hold nothing but their client, so it imports
nothing but Python.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias, TypedDict

REQUEST_S = 20

Params: TypeAlias = dict[str, Any]
Step: TypeAlias = tuple[str, Params]

CALL_IN_VAIN = "call in vain"
"""Instead of a method: call a tool, and cancel the call when it reports its first progress."""

AWAIT_CHANGE = "await change"
"""Instead of a method: wait until the server says that the list of tools is another."""


class Visit(TypedDict):
    """What a client is to do.

    Attributes:
        mode: ``auto`` speaks 2026-07-28 with a server that does, ``legacy`` opens with ``initialize``.
        url: Of the server; ``None`` to start one and speak over stdio.
        command: Starts a server for stdio.
        cwd: Where.
        headers: Sent with every HTTP request.
        extensions: Settings that the client declares, by extension.
        replies: For each method that the server may ask for, what the client answers, one after the other.
        log_level: Least level of the log messages that the client asks for.
        listens: Whether the client wants to hear of changes in the list of tools.
        steps: Methods and their parameters.
    """

    mode: Literal["auto", "legacy"]
    url: str | None
    command: list[str]
    cwd: str
    headers: dict[str, str]
    extensions: dict[str, Any]
    replies: dict[str, list[Params]]
    log_level: Literal["debug", "info", "warning", "error"] | None
    listens: bool
    steps: list[Step]


class Sight(TypedDict):
    """What a client saw.

    Attributes:
        protocolVersion: The revision that client and server agreed on.
        serverInfo: Name and version of the server.
        instructions: Of the server.
        answers: For each step a result, or ``{"error": {"code", "message"}}``.
        heard: What the server sent on its own, as method and parameters.
    """

    protocolVersion: str
    serverInfo: Params
    instructions: str | None
    answers: list[Params]
    heard: list[Step]


class Failure(TypedDict):
    """A visit that broke off.

    Attributes:
        failure: Where and why.
    """

    failure: str


def drive(pay: Callable[[Visit], Awaitable[Sight]]) -> None:
    """Pay the visits that stand in each line of standard input at once; print what was seen as a line."""
    for line in sys.stdin:
        print(json.dumps(asyncio.run(_pay_all(pay, json.loads(line)))), flush=True)  # noqa: T201 - the answer


async def _pay_all(pay: Callable[[Visit], Awaitable[Sight]], visits: list[Visit]) -> list[Sight | Failure]:
    return await asyncio.gather(*(_pay(pay, visit) for visit in visits))


async def _pay(pay: Callable[[Visit], Awaitable[Sight]], visit: Visit) -> Sight | Failure:
    try:
        return await pay(visit)
    except Exception:  # noqa: BLE001 - told in the test
        return {"failure": traceback.format_exc()}


async def all_pages(list_page: Callable[[str | None], Awaitable[Any]], rows_in: str) -> Params:
    """Return the last page with the rows of all.

    Args:
        list_page: Fetches the page of a cursor.
        rows_in: The field that holds the rows.
    """
    page = wire(await list_page(None))
    rows = page[rows_in]
    while (cursor := page.get("nextCursor")) is not None:
        page = wire(await list_page(cursor))
        rows += page[rows_in]
    return page | {rows_in: rows}


async def cancelled_at_progress(call: Callable[[Any], Awaitable[Any]]) -> Params:
    """Begin a call, and cancel it when it reports progress.

    Args:
        call: Takes what is to be called with progress.
    """
    progressed = asyncio.Event()

    async def on_progress(*_: object) -> None:
        progressed.set()

    calling = asyncio.ensure_future(call(on_progress))
    await asyncio.wait_for(progressed.wait(), REQUEST_S)
    calling.cancel()
    await asyncio.wait([calling])
    return {}


def wire(model: Any) -> Params:
    """Return a model as it stands on the wire."""
    fields: Params = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return fields
