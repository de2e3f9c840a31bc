"""The options of ``scopedtools serve``: how each is written, and what people are told of it.

Each is a flag, a variable of the environment, and a key of a settings file; see `scopedtools.cli.settings`.
"""

from __future__ import annotations

import math
from typing import Annotated

import typer

from scopedtools.cli.audit import STORE_VARIABLE
from scopedtools.cli.hosting import LogFormat
from scopedtools.cli.settings import use_settings
from scopedtools.sharing import STORE_VARIABLE as CONTEXTS_VARIABLE
from scopedtools.transports.hosts import HOSTS_VARIABLE


def _finite(seconds: float) -> float:
    """Refuse a time to wait that never ends."""
    if not math.isfinite(seconds):
        raise typer.BadParameter(f"must be a number of seconds that ends, got {seconds}")
    return seconds


# What is served

Target = Annotated[
    str | None, typer.Argument(envvar="SCOPEDTOOLS_TARGET", help="The server, as module:attribute.")
]
Config = Annotated[
    list[str] | None,
    typer.Option(help="Front the mcpServers of a file, alone or beside your own. May be repeated."),
]
IndexDir = Annotated[
    str | None, typer.Option(help="Keep the index here between starts, without a server of your own.")
]

CatalogFile = Annotated[
    str | None,
    typer.Option(
        "--catalog", help="Serve the tools that a JSON-lines file describes: found and listed, not called."
    ),
]

# An API that is served

Openapi = Annotated[
    str | None,
    typer.Option(help="Serve an API, alone or beside the rest: file or URL of its OpenAPI description."),
]
BaseUrl = Annotated[str | None, typer.Option(help="Where that API is.")]
Auth = Annotated[
    list[str] | None,
    typer.Option(
        help="Credential of the API, SCHEME=VARIABLE of the environment; SCHEME=USER:PASSWORD for two, "
        "of basic authentication or of an OAuth client. May be repeated."
    ),
]
TokenUrl = Annotated[list[str] | None, typer.Option(help="Where tokens of the API are fetched, SCHEME=URL.")]
Header = Annotated[list[str] | None, typer.Option(help="Header of each request to the API, NAME=VARIABLE.")]
ForwardContext = Annotated[bool, typer.Option("--forward-context", help="Tell the API the context ID.")]

# Where, and by how many processes

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)]
PortList = Annotated[
    str | None,
    typer.Option(
        help="Ports of as many processes, such as 9101-9104 or 9101,9103; each is a backend of its own for a "
        "proxy that hashes on the context."
    ),
]
WorkerCount = Annotated[int, typer.Option(help="Processes that share the port.", min=1)]
AllowedHosts = Annotated[
    str | None,
    typer.Option(
        envvar=HOSTS_VARIABLE,
        help="Names under which the server is reached, separated by commas, where a proxy that passes them "
        "on reaches it on a loopback address.",
    ),
]
Store = Annotated[
    str | None,
    typer.Option(
        envvar=CONTEXTS_VARIABLE,
        help="Keep contexts where all processes and machines find them: redis://, rediss://, "
        "redis+cluster:// or postgresql://. A password belongs into the variable, not into the flag.",
    ),
]
VectorsUrl = Annotated[
    str | None,
    typer.Option(
        "--vectors",
        help="Keep vectors in a database in place of the index: postgresql:// with pgvector, or milvus://. A "
        "password belongs into the variable, not into the flag.",
    ),
]
Stdio = Annotated[bool, typer.Option("--stdio", help="Serve one client over standard input and output.")]

# How it is watched

Audit = Annotated[
    str | None,
    typer.Option(
        envvar=STORE_VARIABLE, help="Keep an audit trail in a database, such as sqlite:///audit.db."
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        help="Serve /metrics to Prometheus on this port of 127.0.0.1; with --ports the next process on the "
        "next one.",
        min=0,
        max=65535,
    ),
]
LogLines = Annotated[LogFormat, typer.Option(help="How lines on standard error look.")]

# How much callers may take; more in `scopedtools.limits.Limits`

RatePerPrincipal = Annotated[
    str | None, typer.Option(help="Most requests of one principal in a window, such as 600/minute.")
]
RatePerContext = Annotated[str | None, typer.Option(help="The same for one context.")]
ConcurrentCalls = Annotated[
    int | None, typer.Option(help="Most requests that run at the same time in one process.", min=1)
]
CallTimeoutS = Annotated[float | None, typer.Option(help="Seconds after which a call is cancelled.")]

# How it stops

DrainS = Annotated[
    float,
    typer.Option(
        min=0,
        callback=_finite,
        help="Seconds for which requests are served as before after SIGTERM, while /readyz says 503 and "
        "load balancers notice.",
    ),
]
GraceS = Annotated[
    float,
    typer.Option(min=0, callback=_finite, help="Seconds that calls under way have to finish after that."),
]

# Where all of them may stand

SettingsFile = Annotated[
    str | None,
    typer.Option(
        is_eager=True,
        callback=use_settings,
        help="TOML file of options, named as here without the dashes, and of the secret. Variables of the "
        "environment go before it, and flags before those.",
    ),
]
