"""Have the official conformance suite judge the fixture server, alone and behind a gateway.

Every count of the server alone is compared with ``EXPECTED``. Behind a gateway each check has to end as it
does there, but for those in `tests.conformance.exempt`, which have to end otherwise.

The exit code of the suite says too little: with nothing listening, 29 checks pass at 2025-11-25.

Run: python -m tests.conformance.run
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.hosting import end, free_port
from tests.conformance.exempt import EXEMPT
from tests.conformance.proxy import HOST, HeaderProxy

SUITE: Final = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE: Final = "node@22"  # the suite does not start on 20


class Tally(NamedTuple):
    """Scenarios without a failure, and checks by their outcome."""

    scenarios: int
    passed: int
    failed: int = 0
    warned: int = 0
    skipped: int = 0


class Row(NamedTuple):
    """Scenarios of one run: a pattern of their names, or those that its requirements score."""

    run: str
    which: str = "*"


EXPECTED: Final = {
    Row("--requirements 2025-11-25", "scored"): Tally(30, 70),
    Row("--requirements 2025-11-25"): Tally(33, 84),
    Row("--requirements 2026-07-28", "scored"): Tally(37, 120),
    # Skipped: tasks-status-notifications, which this release of the suite always skips.
    Row("--requirements 2026-07-28"): Tally(50, 196, skipped=1),
    Row("--suite all --spec-version 2025-06-18"): Tally(27, 56),
    Row("--suite all --spec-version 2025-11-25"): Tally(33, 84),
    Row("--suite all --spec-version 2026-07-28"): Tally(40, 152),
    # Skipped: that one, and 42 of the skills extension, which the server does not declare.
    Row("--suite all"): Tally(65, 234, skipped=43),
    Row("--suite all", "tasks-*"): Tally(10, 44, skipped=1),
}

RUNS: Final = tuple(dict.fromkeys(row.run for row in EXPECTED))

FOLDER: Final = Path(sys.prefix) / "conformance"
RESULTS: Final = FOLDER / "results"
MODULES: Final = FOLDER / "node_modules"
COMMAND: Final = (
    str(MODULES / ".bin" / "node"),
    str(MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"),
)
FIXTURE: Final = Path(__file__).with_name("server.py")
GATEWAY: Final = Path(__file__).with_name("gateway.py")

INSTALL_S: Final = 300
START_S: Final = 60
RUN_S: Final = 120

OUTCOMES: Final = {"SUCCESS": "passed", "FAILURE": "failed", "WARNING": "warned", "SKIPPED": "skipped"}


class Check(NamedTuple):
    """What the suite found at one point; ``outcome`` is empty for what it only reports."""

    scenario: str
    name: str
    outcome: str
    message: str


class Verdict(NamedTuple):
    """How a run went: its checks, the scenarios that count, and what was wrong with the run itself."""

    checks: list[Check]
    scored: frozenset[str]
    problem: str


class Lane(NamedTuple):
    """All runs against one server, one after the other: scenarios change its lists."""

    name: str
    header: tuple[str, str] | None = None
    is_fronted: bool = False
    runs: tuple[str, ...] = RUNS


PLAIN: Final = Lane("plain")
LANES: Final = (
    PLAIN,
    Lane("context", ("Mcp-Client-Session-Id", str(uuid.uuid4()))),
    # Two, since what cannot be had behind a gateway is waited for.
    Lane("gateway", is_fronted=True, runs=tuple(run for run in RUNS if run != "--suite all")),
    Lane("gateway-all", is_fronted=True, runs=("--suite all",)),
)


class ConformanceError(Exception):
    """The suite cannot be run at all."""


def install() -> None:
    """Fill the folder once; a mark tells later runs what is in it."""
    mark = FOLDER / "installed"
    packages = f"{SUITE} {NODE}"
    if mark.exists() and mark.read_text() == packages:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise ConformanceError("npm is not on PATH, the conformance suite is installed with it")
    mark.unlink(missing_ok=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    quiet = ("--no-save", "--no-audit", "--no-fund", "--loglevel=error")
    _capture(npm, "install", *quiet, "--prefix", str(FOLDER), *packages.split())
    version = _capture(COMMAND[0], "--version").strip()
    if int(version.removeprefix("v").partition(".")[0]) < 22:
        raise ConformanceError(f"The suite needs node 22 or later, got {version}")
    mark.write_text(packages)


def _capture(*command: str) -> str:
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.CalledProcessError as error:
        raise ConformanceError(f"{' '.join(command)} failed:\n{error.stderr}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConformanceError(f"{' '.join(command)} failed: {error}") from error
    return done.stdout


def scored(run: str) -> frozenset[str]:
    """Return the server scenarios that a set of requirements scores; of other runs, none."""
    if not run.startswith("--requirements"):
        return frozenset()
    listed = _capture(*COMMAND, "list", *run.split())
    servers = listed.partition("Server scenarios")[2].partition("Client scenarios")[0]
    return frozenset(re.findall(r"^\s+- (\S+)", servers, re.MULTILINE))


@asynccontextmanager
async def served(log: Path, script: Path, *arguments: str) -> AsyncIterator[int]:
    """Run a server on a free port, which is yielded once it answers."""
    port = free_port()
    process = await _start(log, sys.executable, str(script), str(port), *arguments)
    try:
        async with asyncio.timeout(START_S):
            while not await _answers(port):
                if process.returncode is not None:
                    raise ConformanceError(f"The server ended, see {log}")
                await asyncio.sleep(0.1)
        yield port
    except TimeoutError as error:
        raise ConformanceError(f"The server is not ready after {START_S} s, see {log}") from error
    finally:
        await end(process)


async def _answers(port: int) -> bool:
    opening = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "ready", "version": "1"},
        },
    }
    accept = {"Accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(trust_env=False) as client:
        try:
            answer = await client.post(f"http://{HOST}:{port}/mcp", json=opening, headers=accept)
        except httpx2.TransportError:
            return False
    return answer.status_code == 200 and "scopedtools-conformance" in answer.text


async def _start(log: Path, *command: str) -> asyncio.subprocess.Process:
    with log.open("wb") as output:
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )


async def judge(lane: Lane) -> dict[str, Verdict]:
    """Run everything in one lane."""
    folder = RESULTS / lane.name
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(served(folder / "server.log", FIXTURE))
        if lane.is_fronted:
            url = f"http://{HOST}:{port}/mcp"
            port = await stack.enter_async_context(served(folder / "gateway.log", GATEWAY, url))
        proxy = None
        if lane.header is not None:
            proxy = await stack.enter_async_context(HeaderProxy(port, *lane.header))
        url = f"http://{HOST}:{port if proxy is None else proxy.port}/mcp"
        verdicts = {run: await _judge(run, url, folder) for run in lane.runs}
        if proxy is not None and not proxy.requests:
            raise ConformanceError("No request went through the proxy")
        return verdicts


async def _judge(run: str, url: str, folder: Path) -> Verdict:
    name = run.replace("--", "").replace(" ", "-")
    output = folder / name
    process = await _start(
        folder / f"{name}.log", *COMMAND, "server", "--url", url, *run.split(), "-o", str(output)
    )
    problem = ""
    try:
        code = await asyncio.wait_for(process.wait(), RUN_S)
        if code not in (0, 1):  # 1 where something failed, which the counts say
            problem = f"exit code {code}, see {output}.log"
    except TimeoutError:
        problem = f"not done after {RUN_S} s, see {output}.log"
    finally:
        await end(process)
    return Verdict(checks_in(output), await asyncio.to_thread(scored, run), problem)


def checks_in(folder: Path) -> list[Check]:
    """Read what a run left: ``server-SCENARIO-TIME/checks.json`` for each scenario."""
    found = []
    for path in sorted(folder.glob("server-*/checks.json")):
        scenario = re.sub(r"-\d{4}-\d\d-\d\dT[\d-]+Z$", "", path.parent.name).removeprefix("server-")
        checks: list[dict[str, Any]] = json.loads(path.read_text())
        for check in checks:
            outcome = "" if check["status"] == "INFO" else OUTCOMES.get(check["status"], "failed")
            message = check.get("errorMessage") or check.get("description", "")
            found.append(Check(scenario, check["id"], outcome, message))
    return found


def tally(row: Row, verdict: Verdict) -> Tally:
    """Count what a row is about."""
    checks = [check for check in verdict.checks if _belongs(check.scenario, row, verdict)]
    counts = Counter(check.outcome for check in checks)
    broken = {check.scenario for check in checks if check.outcome == "failed"}
    scenarios = {check.scenario for check in checks} - broken
    return Tally(len(scenarios), counts["passed"], counts["failed"], counts["warned"], counts["skipped"])


def _belongs(scenario: str, row: Row, verdict: Verdict) -> bool:
    return scenario in verdict.scored if row.which == "scored" else fnmatch(scenario, row.which)


def differing(verdict: Verdict, plain: Verdict) -> frozenset[tuple[str, str]]:
    """Return the checks, as scenario and name, that ended in another way than with the server alone."""
    here, there = (
        Counter((check.scenario, check.name, check.outcome) for check in one.checks if check.outcome)
        for one in (verdict, plain)
    )
    return frozenset((scenario, name) for scenario, name, _ in (here - there) + (there - here))


def surprises(verdict: Verdict, plain: Verdict) -> list[str]:
    """Return what differs behind a gateway and should not, and what should and does not."""
    judged = {check.scenario for check in plain.checks}
    expected = {(one.scenario, name) for one in EXEMPT if one.scenario in judged for name in one.checks}
    found = differing(verdict, plain)
    ends = {(check.scenario, check.name): f"{check.outcome}: {check.message}" for check in verdict.checks}
    return [
        *(f"{key[0]} {key[1]} {ends.get(key, 'is missing')}" for key in sorted(found - expected)),
        *(f"{key[0]} {key[1]} is exempt, and ends as it should" for key in sorted(expected - found)),
    ]


def report(results: Mapping[Lane, Mapping[str, Verdict]], seconds: float) -> bool:
    """Print the table and what is behind it; tell whether all is as expected."""
    console = Console(width=130, highlight=False)
    table = Table("lane", "run", "scenarios of", *Tally._fields, "", box=box.SIMPLE_HEAD)
    notes: list[str] = []
    for lane, verdicts in results.items():
        wrong = {
            run: list(_problems(lane, run, verdict, results[PLAIN])) for run, verdict in verdicts.items()
        }
        notes += (f"{lane.name} {run}: {problem}" for run, problems in wrong.items() for problem in problems)
        for row, expected in EXPECTED.items():
            if row.run not in verdicts:
                continue
            got = tally(row, verdicts[row.run])
            good = not wrong[row.run] if lane.is_fronted else got == expected
            if not good:
                notes.append(f"{lane.name} {row.run}: not as expected")
            said = "{}, {} alone" if lane.is_fronted else "{}, not {}"
            cells = [str(a) if a == b else said.format(a, b) for a, b in zip(got, expected, strict=True)]
            table.add_row(lane.name, row.run, row.which, *cells, "ok" if good else "DIFFERS")
    console.print(table)
    for one in EXEMPT:
        console.print(f"exempt behind a gateway: {one.scenario}: {one.why}", markup=False, soft_wrap=True)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
    end = f"not as expected; what each check said is in {RESULTS}" if notes else "as expected"
    console.print(f"{seconds:.0f} s, {end}", soft_wrap=True)
    return not notes


def _problems(lane: Lane, run: str, verdict: Verdict, plain: Mapping[str, Verdict]) -> Iterator[str]:
    if verdict.problem:
        yield verdict.problem
    if lane.is_fronted:
        yield from surprises(verdict, plain[run])
        return
    for check in verdict.checks:
        if check.outcome in ("failed", "warned"):
            yield f"{check.scenario} {check.name} {check.outcome}: {check.message}"


async def judge_all() -> dict[Lane, dict[str, Verdict]]:
    """Run the lanes side by side."""
    this = asyncio.current_task()
    if this is not None:  # so that a terminated run takes its servers along
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    async with asyncio.TaskGroup() as group:
        judging = [(lane, group.create_task(judge(lane))) for lane in LANES]
    return {lane: task.result() for lane, task in judging}


def main() -> int:
    """Install, run, compare."""
    began = time.monotonic()
    results: dict[Lane, dict[str, Verdict]] = {}
    try:
        install()
        shutil.rmtree(RESULTS, ignore_errors=True)
        for lane in LANES:
            (RESULTS / lane.name).mkdir(parents=True)
        results = asyncio.run(judge_all())
    except* ConformanceError as errors:
        sys.stderr.writelines(f"{error}\n" for error in errors.exceptions)
    return 0 if results and report(results, time.monotonic() - began) else 1


if __name__ == "__main__":
    sys.exit(main())
