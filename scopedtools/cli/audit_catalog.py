"""``scopedtools audit-catalog``: what to look at before trusting the servers behind a gateway."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from scopedtools.catalog.primitives import KINDS
from scopedtools.cli.output import cells, plain_table

if TYPE_CHECKING:  # needs an extra
    from scopedtools.gateway import Gateway
    from scopedtools.gateway.findings import Finding

_WIDTH: Final = 200
_FOUND: Final = 2
"""Exit status where there is something to look at."""


def audit_catalog(
    config: Annotated[Path, typer.Option(help="The file with mcpServers.")],
    *,
    approve: Annotated[
        bool, typer.Option("--approve", help="Approve all definitions as they are now.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each finding.")] = False,
) -> None:
    """Report near-duplicate names, suspicious instructions, large definitions and changed ones.

    Exit status 2 says that something was found.
    """
    found, gateway = asyncio.run(_audited(config, approve=approve))
    for one in gateway.status:
        if one.state != "up":
            sys.stderr.write(f"{one.name} is {one.state}: {one.problem or 'no answer yet'}\n")
    _print(found, as_json=as_json)
    if found:
        raise typer.Exit(_FOUND)


async def _audited(path: Path, *, approve: bool) -> tuple[list[Finding], Gateway]:
    from scopedtools.gateway import Gateway, GatewayConfig  # noqa: PLC0415 - needs an extra
    from scopedtools.gateway.approval import Approvals  # noqa: PLC0415 - likewise
    from scopedtools.gateway.findings import findings  # noqa: PLC0415 - likewise

    config = GatewayConfig.read(path)
    # Whoever only looks approves nothing by that.
    looking = replace(config, approval=replace(config.approval, new="flag", changed="flag"))
    async with Gateway(looking).running() as gateway:
        known = gateway.definitions
    approvals = Approvals(config.approval)
    if approve:
        for server, definitions in known.items():
            for kind in KINDS:
                approvals.approve(server, kind, list(definitions[kind]))
    return findings(known, approvals), gateway


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
