"""The fuzzer itself: it finds what is wrong, keeps the input, and says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.target import Target, awaited, require

ROOT = Path(__file__).parents[2]


def test_an_input_that_takes_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.target.MOST_CPU_S", 0.001)

    def check(_: bytes) -> None:
        sum(number * number for number in range(100_000))

    with pytest.raises(AssertionError, match="s of CPU for 1 bytes"):
        Target("slow", check, ()).run(b"x")


def test_what_does_not_hold_is_found() -> None:
    with pytest.raises(AssertionError, match="one is two"):
        Target("wrong", lambda _: require(False, "one is two"), ()).run(b"x")  # noqa: FBT003


def test_a_decoder_that_fails_is_found_and_its_input_kept(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    planted = tmp_path / "planted.py"
    planted.write_text(
        "import sys, tests.fuzz.names as names\n"
        "import scopedtools.protocol.cursor as cursor\n"
        "known = cursor.decode_cursor\n"
        "def decode(text, revision):\n"
        "    if len(text) > 3 and text[3] == 'x':\n"
        "        raise KeyError(text)\n"
        "    return known(text, revision)\n"
        "names.decode_cursor = decode\n"
        "from tests.fuzz import guided\n"
        "guided.main('cursor', sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, planted, "-runs=100000", "-seed=1", f"-artifact_prefix={tmp_path}/"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "KeyError" in done.stdout + done.stderr
    [kept] = tmp_path.glob("crash-*")
    assert kept.read_bytes()[3:4] == b"x"


def test_who_waits_for_what_never_comes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr("tests.fuzz.target.HANG_S", 0.01)
    with pytest.raises(AssertionError, match="not done after"):
        awaited(asyncio.Event().wait())
