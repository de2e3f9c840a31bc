"""The proxies of ``examples/deploy``, started with the files that are shipped; only addresses differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, get_args

from benchmarks.hosting import HOST, free_port, listening

Kind = Literal["haproxy", "nginx", "envoy"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
DEPLOY: Final = Path(__file__).parents[2] / "examples" / "deploy"

_FILES: Final[Mapping[Kind, str]] = MappingProxyType(
    {"haproxy": "haproxy.cfg", "nginx": "nginx.conf", "envoy": "envoy.yaml"}
)
_PORT: Final = "8080"
_ADMIN: Final = "9901"
_FIRST: Final = "9101"
_OTHERS: Final = re.compile(r"\b91(0[2-9]|[1-9][0-9])\b")

# What stands around the shipped file: where nginx may write without being root.
_NGINX: Final = """
daemon off; pid {folder}/nginx.pid; error_log stderr warn; worker_processes 2;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {shipped};
}}
"""


class Program(NamedTuple):
    """What runs a proxy.

    Attributes:
        path: Of the program.
        variables: Of its environment.
    """

    path: Path
    variables: Mapping[str, str] = MappingProxyType({})


def shipped(kind: Kind, port: int, backends: Sequence[int]) -> str:
    """Return the file of a proxy as it is shipped, with other addresses.

    Args:
        kind: Of the proxy.
        port: Where it listens.
        backends: Ports of the processes behind it. The one that comes first is always the same server.
    """
    text = (DEPLOY / _FILES[kind]).read_text(encoding="utf-8")
    text = re.sub(rf"\b{_PORT}\b", str(port), text)
    text = re.sub(rf"\b{_ADMIN}\b", str(free_port()), text)
    return "\n".join(_addressed(text.splitlines(), backends)) + "\n"


def _addressed(lines: Sequence[str], backends: Sequence[int]) -> Iterator[str]:
    for line in lines:
        if _OTHERS.search(line):
            continue
        if _FIRST not in line:
            yield line
            continue
        for number, backend in enumerate(backends, 1):
            own = line.replace(_FIRST, str(backend))
            yield re.sub(r"\bid 1\b", f"id {number}", re.sub(r"\bs1\b", f"s{number}", own))


def command(kind: Kind, program: Path, config: Path, *, check: bool = False) -> list[str | Path]:
    """Return the command that starts a proxy in the foreground, or checks its file.

    Args:
        kind: Of the proxy.
        program: Its path.
        config: Its file, as `write` wrote it.
        check: Only check it.
    """
    if kind == "haproxy":
        return [program, "-c" if check else "-db", "-f", config]
    if kind == "nginx":
        mode = ["-t"] if check else []
        return [program, *mode, "-e", "stderr", "-p", config.parent, "-c", config]
    mode = ["--mode", "validate"] if check else ["--concurrency", "2"]
    return [program, *mode, "--use-dynamic-base-id", "--log-level", "warning", "-c", config]


def write(kind: Kind, port: int, backends: Sequence[int], folder: Path) -> Path:
    """Write the file of a proxy, and what has to stand around it; returns the one to start with."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / _FILES[kind]
    config.write_text(shipped(kind, port, backends), encoding="utf-8")
    if kind != "nginx":
        return config
    around = folder / "main.conf"
    around.write_text(_NGINX.format(folder=folder, shipped=config), encoding="utf-8")
    return around


@contextmanager
def proxied(kind: Kind, program: Program, backends: Sequence[int], folder: Path) -> Iterator[int]:
    """Start a proxy before processes on these ports of this machine; yield where it listens."""
    port = free_port()
    config = write(kind, port, backends, folder)
    started = command(kind, program.path, config)
    with listening(started, port, folder / f"{kind}.log", cwd=folder, variables=program.variables):
        yield port


__all__ = ["DEPLOY", "HOST", "KINDS", "Kind", "Program", "command", "proxied", "shipped", "write"]
