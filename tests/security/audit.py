"""Audits what is installed: python -m tests.security.audit [--where-reachable]

Exit status 0: every package was looked up, and nothing is known against it. 1: something is wrong. 2: nothing
could be looked up, since the advisory service cannot be reached. With ``--where-reachable``, for machines
without a way out, that is 0 too; it says all the same that nothing was audited.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

OWN: Final = "scopedtools"
TIMEOUT_S: Final = 600


class Report(NamedTuple):
    """What an audit came to.

    Attributes:
        status: Exit status.
        lines: What to tell people.
    """

    status: int
    lines: tuple[str, ...]


def judge(said: dict[str, Any]) -> Report:
    """Judge what ``pip-audit --format json`` said."""
    others = [one for one in said["dependencies"] if one["name"] != OWN]
    skipped = [one for one in others if "skip_reason" in one]
    known = [(one, weakness) for one in others for weakness in one.get("vulns", ())]
    if known:
        return Report(1, tuple(_told(one, weakness) for one, weakness in known))
    if skipped and len(skipped) == len(others):
        return Report(
            2, (f"NOT AUDITED: the advisory service knows none of {len(others)} packages from here",)
        )
    if skipped:
        return Report(1, tuple(f"not audited: {one['name']}: {one['skip_reason']}" for one in skipped))
    return Report(0, (f"audited {len(others)} packages, nothing is known against them",))


def _told(package: dict[str, Any], weakness: dict[str, Any]) -> str:
    mended = ", ".join(weakness["fix_versions"]) or "no release yet"
    return f"{package['name']} {package['version']}: {weakness['id']}, mended in {mended}"


def unindexed() -> list[str]:
    """Return the packages that came from elsewhere than an index, which no service can know."""
    return sorted(
        one.name for one in metadata.distributions() if one.name != OWN and one.read_text("direct_url.json")
    )


def _tell(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Audit, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=str(Path(sys.executable).parent / "pip-audit"))
    parser.add_argument("--where-reachable", action="store_true")
    options = parser.parse_args(arguments)
    fitting = subprocess.run([sys.executable, "-m", "pip", "check"], timeout=TIMEOUT_S, check=False)
    if elsewhere := unindexed():
        _tell(f"not from an index: {', '.join(elsewhere)}")
    command = [options.program, "--local", "--format", "json", "--progress-spinner", "off", "--timeout", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    try:
        report = judge(json.loads(done.stdout))
    except (ValueError, LookupError, TypeError):
        report = Report(2, ("NOT AUDITED: pip-audit said:", done.stderr.strip()[-2000:]))
    _tell(*report.lines)
    if fitting.returncode or elsewhere:
        return 1
    return 0 if report.status == 2 and options.where_reachable else report.status


if __name__ == "__main__":
    sys.exit(main())
