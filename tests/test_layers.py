"""Imports point one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import scopedtools

ROOT = Path(scopedtools.__file__).parent

BASE = {"deadline", "exceptions", "limits", "memo", "storage", "types"}
PARTS = {
    "admission",
    "protocol",
    "catalog",
    "context",
    "transports",
    "selection",
    "sharing",
    "stores",
    "listeners",
    "tasks",
    "handlers",
    "auth",
    "assembly",
    "running",
    "edition",
    "updates",
    "tenure",
    "about",
    "hooks",
    "mounts",
    "searchable",
    "ranking",
    "health",
    "operated",
    *BASE,
}

MAY_IMPORT: dict[str, set[str]] = {
    "exceptions": set(),
    "types": {"exceptions"},
    "storage": {"types"},
    "memo": set(),
    "limits": {"exceptions"},
    "deadline": set(),
    "admission": {"catalog", "context", "protocol", *BASE},
    "protocol": BASE,
    "transports": {"auth", "protocol", *BASE},
    "catalog": {"protocol", *BASE},
    "context": {"catalog", "protocol", *BASE},
    "retrieval": BASE,
    "auth": BASE,
    "selection": {"tenure", *BASE},
    "tenure": BASE,
    "edition": {"assembly", "catalog", "context", "handlers", "listeners", "protocol", "selection", *BASE},
    "updates": {"catalog", "edition", "health", "mounts"},
    "health": BASE,
    "operated": {"health", "searchable"},
    "mounts": {"catalog", *BASE},
    "searchable": {"assembly", "catalog", "context", "edition", "hooks", "protocol", "updates", *BASE},
    "running": set(),
    "ranking": {"retrieval", *BASE},
    "sharing": {"context", "listeners", "stores", *BASE},
    "stores": {"context", "running", *BASE},
    "hooks": {"catalog", "context", *BASE},
    "about": {"assembly", "catalog", "context", "handlers", "protocol", *BASE},
    "assembly": {"auth", "catalog", "protocol", *BASE},
    "listeners": {"admission", "catalog", "context", "protocol", *BASE},
    "tasks": {"protocol", *BASE},
    "handlers": {"catalog", "context", "listeners", "protocol", "tasks", *BASE},
    "server": PARTS,
    "__init__": {"server", *PARTS},
    "testing": {"server", "retrieval", *PARTS},
    "evaluation": {"catalog", "context", *BASE},
    "telemetry": {"context", "protocol", *BASE},
    "audit": {"context", "protocol", *BASE},
    "client": {"context", "protocol", *BASE},
    "adapters": {"retrieval", "server", *PARTS},
    "gateway": {"client", "server", *PARTS},
    "openapi": {"assembly", "catalog", "mounts", "protocol", "running", *BASE},
    "cli": {
        "openapi",
        "audit",
        "evaluation",
        "gateway",
        "server",
        "retrieval",
        "telemetry",
        "testing",
        *PARTS,
    },
}

MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def layer(module: Path) -> str:
    return module.parts[0].removesuffix(".py")


def imported(module: Path) -> Iterator[str]:
    """Yield the full name of every module or name that is imported anywhere in a module."""
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: import by full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_its_own_layer_and_those_below(module: Path) -> None:
    own = layer(module)
    ours = [name.split(".")[1] for name in imported(module) if name.startswith("scopedtools.")]
    assert set(ours) <= MAY_IMPORT[own] | {own}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_nothing_imports_the_package_itself(module: Path) -> None:
    assert "scopedtools" not in set(imported(module))


@pytest.mark.parametrize("module", [path for path in MODULES if layer(path) == "protocol"], ids=str)
def test_the_protocol_knows_no_sockets_and_no_loop(module: Path) -> None:
    tops = {name.split(".")[0] for name in imported(module)}
    assert not tops & {"starlette", "uvicorn", "httpx2", "anyio", "asyncio", "socket", "threading"}


# The official client has no argument that reaches its transport, so there the unit of a task is ambient.
@pytest.mark.parametrize("module", [path for path in MODULES if layer(path) != "client"], ids=str)
def test_what_a_function_needs_is_an_argument(module: Path) -> None:
    assert not any(name.startswith("contextvars") for name in imported(module))


def test_every_layer_is_named_here() -> None:
    assert {layer(module) for module in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_has_400_lines_at_most(module: Path) -> None:
    assert len((ROOT / module).read_text().splitlines()) <= 400
