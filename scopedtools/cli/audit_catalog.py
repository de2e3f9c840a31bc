"""``scopedtools audit-catalog``: what to look at before trusting the servers behind a gateway."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from scopedtools.catalog.primitives import KINDS
from scopedtools.cli.output import cells, plain_table, visible

if TYPE_CHECKING:  # needs an extra
    from scopedtools.gateway.findings import Finding
    from scopedtools.gateway.gateway import Status

_WIDTH: Final = 200
_FOUND: Final = 2
"""Exit status where there is something to look at."""

_LINES: Final = 10
"""How much is shown of what a server wrote that cannot be looked at."""

_INCOMPLETE: Final = 1
"""Exit status where a server was not there to be looked at."""


def audit_catalog(
    config: Annotated[Path, typer.Option(help="The file with mcpServers.")],
    *,
    approve: Annotated[
        bool, typer.Option("--approve", help="Approve all definitions as they are now.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each finding.")] = False,
) -> None:
    """Report near-duplicate names, suspicious instructions, large definitions and changed ones.

    Exit status 2 says that something was found, 1 that a server could not be looked at.
    """
    said = _listen()
    found, missing = asyncio.run(_audited(config, approve=approve))
    for one in missing:
        problem = visible(one.problem or "it did not answer in time")
        sys.stderr.write(f"{one.name} was not looked at: {problem}\n")
        sys.stderr.writelines(f"  {visible(line)}\n" for line in said.lines.get(one.name, ()))
    if found or not missing:
        _print(found, as_json=as_json)
    if found or missing:
        raise typer.Exit(_INCOMPLETE if missing else _FOUND)


class _Said(logging.Handler):
    """Keeps the last lines that each server wrote to its standard error."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, deque[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.args, tuple) and len(record.args) == 2:
            name, line = map(str, record.args)
            self.lines.setdefault(name, deque(maxlen=_LINES)).append(line)


def _listen() -> _Said:
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    for name in ("mcp", "scopedtools.gateway.upstream"):  # what they say is in the status of each server
        logging.getLogger(name).setLevel(logging.CRITICAL)
    written = logging.getLogger("scopedtools.gateway.process")
    written.setLevel(logging.INFO)
    written.propagate = False
    said = _Said()
    written.addHandler(said)
    return said


async def _audited(path: Path, *, approve: bool) -> tuple[list[Finding], list[Status]]:
    """Return what was found, and how the servers are that could not be looked at."""
    from scopedtools.gateway import Gateway, GatewayConfig  # noqa: PLC0415 - needs an extra
    from scopedtools.gateway.approval import Approvals  # noqa: PLC0415 - likewise
    from scopedtools.gateway.findings import findings  # noqa: PLC0415 - likewise

    config = GatewayConfig.read(path)
    # Whoever only looks approves nothing by that.
    looking = replace(config, approval=replace(config.approval, new="flag", changed="flag"))
    async with Gateway(looking).running() as gateway:
        known = gateway.definitions
        missing = [one for one in gateway.status if one.state != "up"]
    approvals = Approvals(config.approval)
    if approve:
        for server, definitions in known.items():
            for kind in KINDS:
                approvals.approve(server, kind, list(definitions[kind]))
    return findings(known, approvals), missing


def _print(found: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            # Escaped, since terminals obey more characters than JSON has to escape.
            sys.stdout.write(json.dumps(one._asdict()) + "\n")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    table = plain_table("problem", "server", "kind", "name", "detail")
    for one in found:
        table.add_row(*cells(one.problem, one.server, one.kind, one.name, one.detail))
    console.print(table if found else "nothing to look at")
