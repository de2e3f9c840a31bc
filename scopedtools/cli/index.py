"""``scopedtools index``: build, describe and check saved indexes."""

from __future__ import annotations

import typer

index = typer.Typer(help="Build, describe and check saved indexes.", no_args_is_help=True)


@index.command()
def info() -> None:
    """Describe."""
