"""The commands, and how their errors are shown."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.text import Text

from scopedtools.cli.audit import audit
from scopedtools.cli.audit_catalog import audit_catalog
from scopedtools.cli.evaluate import evaluate
from scopedtools.cli.index import index
from scopedtools.cli.inspect import inspect
from scopedtools.cli.output import visible
from scopedtools.cli.search import search
from scopedtools.cli.serve import serve
from scopedtools.exceptions import ScopedToolsError

app = typer.Typer(
    name="scopedtools",
    help="Host MCP servers with large catalogs, and see what each context is shown.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command(context_settings={"auto_envvar_prefix": "SCOPEDTOOLS"})(serve)
app.add_typer(index, name="index")
app.command()(search)
app.command()(inspect)
app.command()(evaluate)
app.command()(audit)
app.command()(audit_catalog)


def main() -> None:
    """Run the command line; a foreseen error is one line on standard error and exit status 1."""
    try:
        app()
    except ScopedToolsError as error:
        said = Text.assemble(("error: ", "red"), visible(str(error)))
        Console(stderr=True, highlight=False).print(said, soft_wrap=True)
        sys.exit(1)
