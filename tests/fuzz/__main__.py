"""Coverage-guided fuzzing of all decoders: ``python -m tests.fuzz [--runs 200000] [TARGET ...]``.

Each target runs in a process of its own, with what earlier runs reached as its beginning. An input that finds
something is kept in ``tests/fuzz/found``, where `test_fuzz_found.py` runs it for ever.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from tests.fuzz.target import FOUND, HANG_S, Target
from tests.fuzz.targets import TARGETS

_ROOT: Final = Path(__file__).parents[2]
_CORPUS: Final = _ROOT / ".hypothesis" / "fuzz"
"""What was reached so far; beside that of hypothesis, not kept in the repository."""

_SLOW: Final = {"stdio": 50, "upstream": 20, "request": 20, "batch": 10, "definition": 5}
"""How many times fewer runs a target gets whose inputs take a millisecond and more."""

_RUNS: Final = re.compile(r"^#(\d+)\s", re.MULTILINE)
_COVERED: Final = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


class Run(NamedTuple):
    """What came of fuzzing one target."""

    target: str
    runs: int
    seconds: float
    branches: int
    inputs: int
    found: tuple[Path, ...]
    status: int
    output: str

    def line(self) -> str:
        """Return a line of the table."""
        verdict = ", ".join(str(path.relative_to(_ROOT)) for path in self.found) or "nothing"
        if self.status and not self.found:
            verdict = f"ended with status {self.status}, and kept no input"
        figures = f"{self.runs:>10,}{self.seconds:>8.0f} s{self.branches:>10,}{self.inputs:>8,}"
        return f"{self.target:14}{figures}  {verdict}"


def fuzz(target: Target, runs: int, *, seed: int) -> Run:
    """Fuzz one target.

    Args:
        target: Which.
        runs: Inputs to try.
        seed: Of whatever is drawn; the same leads to the same inputs, as long as the corpus is the same.
    """
    corpus, artefacts = _CORPUS / target.name, _CORPUS / "found" / target.name
    artefacts.mkdir(parents=True, exist_ok=True)
    corpus.mkdir(parents=True, exist_ok=True)
    for data in (*target.seeds, *(path.read_bytes() for path in target.found)):
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    command = [
        *(sys.executable, "-m", "tests.fuzz.guided", target.name, f"-runs={runs}", f"-seed={seed}"),
        *(f"-max_len={target.max_bytes}", f"-timeout={int(2 * HANG_S)}", "-rss_limit_mb=3000"),
        *(f"-artifact_prefix={artefacts}/", "-print_final_stats=1", str(corpus)),
    ]
    start = time.monotonic()
    done = subprocess.run(
        command, cwd=_ROOT, env=os.environ | {"PYTHONPATH": str(_ROOT)}, capture_output=True, check=False
    )
    output = done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
    found = tuple(_keep(target, path) for path in sorted(artefacts.iterdir()) if path.is_file())
    counted = [int(count) for count in _RUNS.findall(output)]
    covered = _COVERED.findall(output)
    branches, inputs = (int(covered[-1][0]), int(covered[-1][2])) if covered else (0, 0)
    ran = max(counted, default=0)
    return Run(target.name, ran, time.monotonic() - start, branches, inputs, found, done.returncode, output)


def _keep(target: Target, path: Path) -> Path:
    kept = FOUND / target.name / hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, kept)
    return kept


def main() -> int:
    """Fuzz, print what came of it; the exit status tells whether anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument(
        "--runs", type=int, default=200_000, help="inputs for each target; slow ones get fewer"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="targets at a time")
    chosen = parser.parse_args()
    if unknown := set(chosen.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    names = chosen.targets or list(TARGETS)
    print(f"{'target':14}{'runs':>10}{'time':>10}{'branches':>10}{'inputs':>8}  found", flush=True)  # noqa: T201
    with ThreadPoolExecutor(chosen.workers) as workers:
        futures = [
            workers.submit(fuzz, TARGETS[name], max(1, chosen.runs // _SLOW.get(name, 1)), seed=chosen.seed)
            for name in names
        ]
        runs = []
        for future in futures:
            runs.append(future.result())
            print(runs[-1].line(), flush=True)  # noqa: T201
    print(f"{'all':14}{sum(run.runs for run in runs):>10,}")  # noqa: T201
    for run in runs:
        if run.status:
            _, _, why = run.output.partition("=== Uncaught")
            print(f"\n{run.target}:\n{why or run.output[-3000:]}")  # noqa: T201
    return 1 if any(run.status for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
