"""The recipes of ``examples/clients``, run as a reader does, each where only its client is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.clients.installing import environment, node_modules
from tests.clients.recording import Request, recording

if TYPE_CHECKING:
    from tests.clients.conftest import Servers

pytestmark = pytest.mark.slow

EXAMPLES: Final = Path(__file__).parent.parent.parent / "examples" / "clients"
RUN_S: Final = 60

CONNECTING: Final = {"server/discover", "initialize", "notifications/initialized", ""}
"""What a client that is shared sends for no unit of work in particular."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A file that a reader runs.

    Attributes:
        file: Its name.
        folder: Where its client is installed, once for all runs.
        requirement: What pip or npm installs there.
        shared: Whether one connection serves several units of work.
        arguments: What it takes besides the URL.
        needs_node: Whether it starts node.
    """

    file: str
    folder: str
    requirement: str
    shared: bool = False
    arguments: tuple[str, ...] = ()
    needs_node: bool = False

    def __str__(self) -> str:
        return "-".join((Path(self.file).stem, *self.arguments))

    @property
    def lists(self) -> tuple[str, ...]:
        """How the lines that hold the lists begin: of the work with bills, and of that with a trip."""
        return self.arguments or (BILLS, TRIP)


@dataclass(frozen=True, slots=True)
class Run:
    """What a recipe printed, and what it sent."""

    lines: list[str]
    requests: list[Request]

    def listed(self, beginning: str) -> list[str]:
        """Return the names of tools in the lines that begin like this."""
        lines = [line.removeprefix(beginning) for line in self.lines if line.startswith(beginning)]
        return " ".join(lines).split()

    def contexts(self, method: str) -> set[str]:
        """Return the contexts in which a method was asked for."""
        return set[str]().union(*(asked.context_ids for asked in self.requests if asked.method == method))


BILLS: Final = "Send invoices to customers and record their payments."
TRIP: Final = "Book a flight and a hotel for a trip."

FASTMCP: Final = ("fastmcp-4.1.6", "fastmcp-slim[client]==4.1.6")
RECIPES: Final = (
    Recipe("fastmcp_client.py", *FASTMCP),
    Recipe("fastmcp_per_task.py", *FASTMCP, shared=True),
    Recipe("openai_agents.py", "openai-agents-0.24.0", "openai-agents==0.24.0", shared=True),
    Recipe("pydantic_ai_toolset.py", "pydantic-ai-2.68.0", "pydantic-ai-slim[mcp]==2.68.0"),
    Recipe("langchain_adapters.py", "langchain-0.3.2", "langchain-mcp-adapters==0.3.2"),
    Recipe("typescript.mjs", "npm-2.4.0", "@modelcontextprotocol/client@2.4.0", needs_node=True),
    Recipe("static_hosts.py", *FASTMCP, arguments=("by-header", "by-url")),
    Recipe("static_hosts.py", *FASTMCP, arguments=("by-header", "by-mcp-remote"), needs_node=True),
)
GROWING: Final = ("fastmcp_client.py", "fastmcp_per_task.py", "typescript.mjs")
FORKING: Final = ("typescript.mjs",)


def marked(files: Container[str]) -> list[Any]:
    """Return recipes as parameters, marked with what they need."""
    return [
        pytest.param(recipe, marks=[pytest.mark.node] if recipe.needs_node else [], id=str(recipe))
        for recipe in RECIPES
        if recipe.file in files
    ]


@pytest.fixture(scope="module", params=marked([recipe.file for recipe in RECIPES]))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    chosen: Recipe = request.param
    return chosen


@pytest.fixture(scope="module")
def run(recipe: Recipe, servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a recipe once, for all that is to be said of it."""
    folder = tmp_path_factory.mktemp("recipe")
    command = (_node if recipe.file.endswith(".mjs") else _python)(recipe, folder)
    if "by-mcp-remote" in recipe.arguments:
        # Where npx looks for what is installed.
        _link(node_modules("mcp-remote-0.15.1", "mcp-remote@0.15.1"), folder)
    with recording(servers.url("app")) as (url, requests):
        done = subprocess.run(
            [*command, url, *recipe.arguments],
            cwd=folder,
            # mcp-remote keeps files at home.
            env=os.environ | {"HOME": str(folder), "NPM_CONFIG_UPDATE_NOTIFIER": "false"},
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.stdout.splitlines(), [request for request in requests if request.is_mcp])


def _python(recipe: Recipe, _: Path) -> list[str | Path]:
    return [environment(recipe.folder, recipe.requirement), "-W", "error", EXAMPLES / recipe.file]


def _node(recipe: Recipe, folder: Path) -> list[str | Path]:
    # A module finds packages beside itself, not where it is run.
    _link(node_modules(recipe.folder, recipe.requirement), folder)
    return ["node", shutil.copy(EXAMPLES / recipe.file, folder)]


def _link(installed: Path, folder: Path) -> None:
    (folder / "node_modules").symlink_to(installed / "node_modules")


def test_two_units_of_work_are_shown_two_short_lists_that_fit_them(recipe: Recipe, run: Run) -> None:
    bills, trip = (run.listed(beginning) for beginning in recipe.lists)

    for names in (bills, trip):
        assert names[:2] == ["search_tools", "call_tool"]
        assert len(names) == len(set(names)) <= 18
    assert {"send_invoice", "record_payment"} <= set(bills) - set(trip)
    assert {"book_flight", "book_hotel"} <= set(trip) - set(bills)
    assert run.lines[-1].endswith("all checks passed")


def test_every_request_of_a_unit_of_work_names_it(recipe: Recipe, run: Run) -> None:
    unnamed = {request.method for request in run.requests if len(request.context_ids) != 1}
    assert unnamed <= (CONNECTING if recipe.shared else set())

    assert len(run.contexts("tools/call")) >= 2
    assert run.contexts("tools/call") <= run.contexts("tools/list")


@pytest.mark.parametrize("recipe", marked(GROWING), indirect=True)
def test_a_client_that_listens_sees_its_list_grow_by_what_it_searched(run: Run) -> None:
    assert "send_invoice" in run.listed("Grew by:")


@pytest.mark.parametrize("recipe", marked(FORKING), indirect=True)
def test_a_forked_context_is_shown_what_its_parent_was_shown(run: Run) -> None:
    parent = run.listed(TRIP) + run.listed("Grew by:")
    assert run.listed("Forked:")[: len(parent)] == parent
