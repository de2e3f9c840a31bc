import re
from pathlib import Path

import pytest
from mypy import api

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

ERROR = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$", re.MULTILINE)
EXPECTED = re.compile(r"# expect: ([a-z-]+)")


@pytest.fixture(scope="module")
def errors() -> dict[str, dict[int, set[str]]]:
    """Error codes of each line, by file; both files are checked in one run."""
    files = [str(HERE / name) for name in ("author_ok.py", "author_bad.py")]
    cache = str(ROOT / ".mypy_cache")
    out, problems, _ = api.run(
        ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", cache, "--no-error-summary", *files]
    )
    assert problems == ""
    found: dict[str, dict[int, set[str]]] = {}
    for error in ERROR.finditer(out):
        lines = found.setdefault(Path(error["file"]).name, {})
        lines.setdefault(int(error["line"]), set()).add(error["code"])
    return found


def test_what_an_author_may_write_type_checks(errors: dict[str, dict[int, set[str]]]) -> None:
    assert errors.get("author_ok.py", {}) == {}


def test_what_an_author_may_get_wrong_does_not(errors: dict[str, dict[int, set[str]]]) -> None:
    lines = (HERE / "author_bad.py").read_text().splitlines()
    expected = {
        number: found[1]
        for number, line in enumerate(lines, start=1)
        if (found := EXPECTED.search(line)) is not None
    }
    assert len(expected) > 10
    assert {number: codes - {"untyped-decorator"} for number, codes in errors["author_bad.py"].items()} == {
        number: {code} for number, code in expected.items()
    }


def test_what_an_author_may_write_is_a_server_that_is_defined_without_a_complaint() -> None:
    source = (HERE / "author_ok.py").read_text()
    made: dict[str, object] = {"__name__": "author_ok"}
    exec(compile(source, "author_ok.py", "exec"), made)  # noqa: S102 - our own file
    assert made["names"] == ["order_book"]
