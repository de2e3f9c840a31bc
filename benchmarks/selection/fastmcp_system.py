"""FastMCP's BM25 search transform as a system side by side, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.selection.names import MCP, valid_names

VERSION: Final = "4.1.6"
ENVIRONMENT: Final = Path(__file__).parent / ".cache" / "fastmcp"

_WORKER: Final = Path(__file__).with_name("fastmcp_worker.py")
_INSTALL_S: Final = 600
_OVERRIDE: Final = "certifi\n"
"""4.1.6 asks for a release of certifi that not every registry has; any will do, since nothing is fetched."""

_SYNTHETIC: Final = ("search_tools", "call_tool")
"""Names that the transform gives to tools of its own."""


_Command = Sequence[str | Path]


class FastMCPUnavailableError(Exception):
    """The environment of FastMCP cannot be made, or what runs in it failed."""


class Cost(NamedTuple):
    """What one search took, in milliseconds, on the side of the server and its client in one process."""

    cpu_ms: float
    wall_ms: float


class _Found(msgspec.Struct):
    names: list[str]
    cpu_ms: float
    wall_ms: float


_found: Final = msgspec.json.Decoder(_Found)


class FastMCPSearch:
    """Ranks tools with the search tool that FastMCP's BM25 transform adds to a server.

    A tool is registered under its ID, as far as that is a valid name: server and name, as where servers are
    mounted under their names.

    Args:
        folder: The environment; made where it is missing, which needs a package registry.
        timeout_s: Seconds for one call of `rank_all`.

    Attributes:
        costs: What each search of the last `rank_all` took.

    Raises:
        FastMCPUnavailableError: The environment cannot be made.
    """

    def __init__(self, *, folder: Path = ENVIRONMENT, timeout_s: float = 3600) -> None:
        self._python = make_environment(folder)
        self._timeout_s = timeout_s
        self._tools: list[dict[str, Any]] = []
        self._ids: dict[str, str] = {}
        self.costs: tuple[Cost, ...] = ()

    def prepare(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take a catalog.

        Args:
            rows: As in ``tools.jsonl``: ``{"name", "description", "id"?, "input_schema"?}``.
        """
        by_id = {row.get("id") or row["name"]: row for row in rows}
        names = valid_names(by_id, foreign=MCP, longest=128, taken=_SYNTHETIC)
        self._tools = [_registered(names[one], row) for one, row in by_id.items()]
        self._ids = {name: one for one, name in names.items()}

    def rank_all(self, texts: Sequence[str], k: int) -> list[list[str]]:
        """Search for each text; IDs of at most ``k`` tools each, best first.

        Raises:
            FastMCPUnavailableError: The worker failed; the message ends with what it said.
        """
        lines: list[Mapping[str, Any]] = [
            {"tools": self._tools, "limit": k},
            *({"query": text} for text in texts),
        ]
        answers = [_found.decode(line) for line in self._ask(lines).splitlines()]
        if len(answers) != len(texts):
            raise FastMCPUnavailableError(f"FastMCP answered {len(answers)} of {len(texts)} searches")
        self.costs = tuple(Cost(answer.cpu_ms, answer.wall_ms) for answer in answers)
        return [[self._ids[name] for name in answer.names] for answer in answers]

    def _ask(self, lines: Sequence[Mapping[str, Any]]) -> bytes:
        said = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        return _run([self._python, _WORKER], said=said, timeout_s=self._timeout_s, to="search with FastMCP")


def make_environment(folder: Path = ENVIRONMENT, *requirements: str) -> Path:
    """Return the Python of an environment that has FastMCP, making it where it is missing.

    Args:
        folder: The environment.
        requirements: What else is installed when it is made.

    Raises:
        FastMCPUnavailableError: It cannot be made.
    """
    python, made = folder / "bin" / "python", folder / "fastmcp.version"
    if made.is_file() and made.read_text() == VERSION:
        return python
    override = folder / "override.txt"
    pip: _Command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"]
    # pip cannot override what a package asks for; uv, which pip installs, can.
    uv: _Command = [
        python,
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--override",
        override,
    ]
    _make([sys.executable, "-m", "venv", "--clear", folder])
    override.write_text(_OVERRIDE)
    _make(pip)
    _make([*uv, f"fastmcp=={VERSION}", *requirements])
    made.write_text(VERSION)
    return python


def _make(command: _Command) -> None:
    _run(command, timeout_s=_INSTALL_S, to=f"make the environment of fastmcp {VERSION}")


def _run(command: _Command, *, to: str, timeout_s: float, said: bytes = b"") -> bytes:
    try:
        done = subprocess.run(command, input=said, capture_output=True, timeout=timeout_s, check=True)  # noqa: S603 - ours
    except subprocess.CalledProcessError as error:
        last = " ".join(error.stderr.decode(errors="replace").split())[-400:]
        raise FastMCPUnavailableError(f"cannot {to}: {last or f'exit status {error.returncode}'}") from error
    except subprocess.TimeoutExpired as error:
        raise FastMCPUnavailableError(f"cannot {to}: not done after {timeout_s:g} s") from error
    except OSError as error:
        raise FastMCPUnavailableError(f"cannot {to}: {error}") from error
    return done.stdout


def _registered(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "description": row.get("description", ""),
        "parameters": {"type": "object"} | (row.get("input_schema") or {}),
    }
