"""Options of ``scopedtools serve`` from a file, the environment and flags, through the real command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scopedtools.cli import main
from tests.cli.commanded import COMMAND, LIMIT_S

SERVER = """
import os
import sys

from scopedtools import ScopedServer

app = ScopedServer()
sys.exit(f"{os.environ.get('SCOPEDTOOLS_SECRET')} {os.environ.get('NAME')}")
"""


def run(folder: Path, *options: str, **variables: str) -> str:
    """Run the command, which fails, and return what it says."""
    environment = {**os.environ, **variables, "COLUMNS": "200"}
    done = subprocess.run(
        [COMMAND, *options], cwd=folder, capture_output=True, env=environment, timeout=LIMIT_S, check=False
    )
    return (done.stderr + done.stdout).decode()


@pytest.mark.slow
def test_flags_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "scopedtools.toml"
    file.write_text('target = "by_file:app"\nport = 0\nlog-format = "json"\n')
    by_file = ("serve", "--settings", file.name)

    assert "'by_file'" in run(tmp_path, *by_file)
    assert "'by_file'" in run(tmp_path, "serve", SCOPEDTOOLS_SETTINGS=file.name)
    assert "'by_environment'" in run(tmp_path, *by_file, SCOPEDTOOLS_TARGET="by_environment:app")
    assert "'by_flag'" in run(tmp_path, *by_file, "by_flag:app", SCOPEDTOOLS_TARGET="by_environment:app")


@pytest.mark.slow
def test_a_secret_is_taken_from_the_environment_or_a_file_and_never_from_a_flag(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SERVER)
    (tmp_path / "s.toml").write_text('target = "shop:app"\nsecret = "from the file"\nport = 0\n')

    assert (
        run(tmp_path, "serve", "--settings", "s.toml", SCOPEDTOOLS_SECRET="").strip() == "from the file None"
    )
    told = run(tmp_path, "serve", "--settings", "s.toml", SCOPEDTOOLS_SECRET="from the environment")
    assert told.strip() == "from the environment None"
    assert "No such option" in run(tmp_path, "serve", "--secret", "from a flag")


@pytest.mark.slow
def test_the_help_names_the_variable_of_each_option(tmp_path: Path) -> None:
    told = run(tmp_path, "serve", "--help")
    for name in ("TARGET", "PORT", "LOG_FORMAT", "METRICS_PORT", "AUDIT", "DRAIN_S", "SETTINGS", "CATALOG"):
        assert f"SCOPEDTOOLS_{name}]" in told


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("prot = 1", "there is no setting 'prot'; did you mean 'port'?"),
        ("drain_s = 1", "there is no setting 'drain_s'; did you mean 'drain-s'?"),
        ("zzz = 1", "there is no setting 'zzz'; there are allowed-hosts, audit, auth,"),
        ('settings = "more.toml"', "there is no setting 'settings'"),
        ('port = "80"', "port must be a whole number, got '80'"),
        ("port = true", "port must be a whole number, got True"),
        ("port = 70000", "port: Input should be less than or equal to 65535, got 70000"),
        ("drain-s = -1", "drain-s: Input should be greater than or equal to 0, got -1"),
        ("drain-s = inf", "drain-s: must be a number of seconds that ends, got inf"),
        ("grace-s = nan", "grace-s: Input should be greater than or equal to 0, got nan"),
        ("stdio = 1", "stdio must be true or false, got 1"),
        ('log-format = "xml"', "log-format must be one of 'text', 'json', got 'xml'"),
        ('config = "mcp.json"', "config must be a list of texts, got 'mcp.json'"),
        ("[port]\nsecret = 1", "port must be a whole number, got a table"),
        ("secret = 5", "secret must be a text, got int"),
        ("port 80", "s.toml is not TOML: "),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    written: str,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(written)
    monkeypatch.setattr(sys, "argv", ["scopedtools", "serve", "--settings", "s.toml"])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 1
    said = capsys.readouterr().err
    assert told in said
    assert "s.toml" in said


def test_a_file_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["scopedtools", "serve", "--settings", "nowhere.toml"])
    with pytest.raises(SystemExit):
        main()
    assert "cannot read 'nowhere.toml': No such file or directory" in capsys.readouterr().err
