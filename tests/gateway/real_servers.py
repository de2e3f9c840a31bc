"""Servers that others wrote, each in an environment of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tests.clients.installing import environment, node_modules

PYTHON: Final = {"time": "2026.10.19", "git": "2026.10.19", "fetch": "2026.10.24", "sqlite": "2025.4.25"}
SDK: Final = {"sqlite": ("mcp==1.30.0",)}
"""What was written for an earlier SDK and does not say so."""

NODE: Final = dict.fromkeys(("everything", "filesystem", "memory", "sequential-thinking"), "2026.8.31")


def python_server(name: str, *arguments: str) -> dict[str, Any]:
    """Install a reference server from PyPI and return its configuration."""
    package = f"mcp-server-{name}"
    sdk = SDK.get(name, ())
    python = environment("-".join((package, PYTHON[name], *sdk)), f"{package}=={PYTHON[name]}", *sdk)
    return {"command": str(python.with_name(package)), "args": list(arguments)}


def node_server(name: str, *arguments: str) -> dict[str, Any]:
    """Install a reference server from npm and return its configuration."""
    packages = [f"@modelcontextprotocol/server-{one}@{version}" for one, version in NODE.items()]
    folder = node_modules("npm-reference-servers-2026.8.31", *packages)
    script = folder / "node_modules" / ".bin" / f"mcp-server-{name}"
    return {"command": str(script), "args": list(arguments)}


def all_servers(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the configuration of eight servers, which work in a folder with a repository."""
    memory = node_server("memory") | {"env": {"MEMORY_FILE_PATH": str(folder / "memory.json")}}
    return {
        "time": python_server("time"),
        "git": python_server("git", "--repository", str(folder)),
        "fetch": python_server("fetch"),
        "sqlite": python_server("sqlite", "--db-path", str(folder / "test.db")),
        "everything": node_server("everything"),
        "filesystem": node_server("filesystem", str(folder)),
        "memory": memory,
        "sequential-thinking": node_server("sequential-thinking"),
    }
