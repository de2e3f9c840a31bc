"""The threat model names tests that there are, and audits do not pass where nothing was audited."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.security.audit import judge

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", (ROOT / "SECURITY.md").read_text())
THREATS = [
    "an ID is guessed",
    "fixed beforehand",
    "caches",
    "search results",
    "through errors",
    "existence of another",
    "very many IDs",
    "log injection",
    "smuggling",
    "duplicate headers",
    "forged cursor",
    "`requestState`",
    "URIs and paths",
    "schemas",
    "decompression",
    "slow clients",
    "DNS rebinding",
    "poisoned descriptions",
]


@cache
def named_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    functions = (one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(one.name for one in functions if one.name.startswith("test_"))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_test_that_the_threat_model_names_is_there(path: str, name: str) -> None:
    assert named_in(path)
    assert not name or name in named_in(path)


@pytest.mark.parametrize("threat", THREATS)
def test_every_threat_has_a_row_with_a_test(threat: str) -> None:
    rows = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line.startswith("| ")]
    found = [row for row in rows if threat in row.split("|")[1]]
    assert found
    assert all("`tests/" in row for row in found)


SAFE = {"name": "safe", "version": "1", "vulns": []}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found on PyPI and could not be audited"}
OWN = {"name": "scopedtools", "skip_reason": "distribution marked as editable"}
WEAK = {"name": "weak", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}


@pytest.mark.parametrize(
    ("dependencies", "status", "said"),
    [
        ([SAFE, OWN], 0, "audited 1 packages"),
        ([SAFE, WEAK], 1, "weak 1: CVE-1, mended in 2"),
        ([SAFE, UNKNOWN], 1, "not audited: unknown"),
        ([UNKNOWN, OWN], 2, "NOT AUDITED"),
        ([UNKNOWN, WEAK], 1, "weak"),
    ],
)
def test_an_audit_that_could_not_be_made_does_not_pass(
    dependencies: list[dict[str, object]], status: int, said: str
) -> None:
    report = judge({"dependencies": dependencies})
    assert report.status == status
    assert said in "".join(report.lines)
