"""Formats of log lines: nothing that a client sends can break a line or forge one."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedtools.exceptions import DefinitionError
from scopedtools.telemetry import JsonFormatter, TextFormatter, logging_config

LIMIT_S = 60


def record(message: str = "hello", *args: Any, **attributes: Any) -> logging.LogRecord:
    made = logging.LogRecord("a.library", logging.INFO, "file.py", 1, message, args, None)
    made.__dict__.update(attributes)
    return made


def failure(said: str) -> logging.LogRecord:
    return record(exc_info=(ValueError, ValueError(said), None))


def test_a_json_line_says_when_what_and_whose() -> None:
    line = json.loads(JsonFormatter().format(record("%d sold", 3, mcp_context="ab", mcp_method="m", till=7)))
    assert datetime.fromisoformat(line.pop("ts")).tzinfo is not None
    assert line == {
        "level": "INFO",
        "logger": "a.library",
        "message": "3 sold",
        "mcp_context": "ab",
        "mcp_method": "m",
        "till": 7,
    }


def test_a_json_line_carries_the_exception_and_the_stack() -> None:
    broken = failure("first\nsecond")
    broken.stack_info = "Stack:\n  there"
    line = json.loads(JsonFormatter().format(broken))
    assert line["exception"].endswith("ValueError: first\nsecond")
    assert line["stack"] == "Stack:\n  there"


class Loud:
    def __str__(self) -> str:
        return "loud"


itself: dict[str, Any] = {}
itself["again"] = itself


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Loud(), "loud"),
        (float("nan"), "nan"),
        ({"a": [1, None]}, {"a": [1, None]}),
        ({("a", 1): 2}, "{('a', 1): 2}"),
        (itself, "{'again': {...}}"),
        (b"\xff", "b'\\xff'"),
    ],
)
def test_whatever_is_logged_besides_becomes_json(value: Any, written: Any) -> None:
    assert json.loads(JsonFormatter().format(record(besides=value)))["besides"] == written


def test_what_is_logged_besides_does_not_take_the_place_of_the_level() -> None:
    line = json.loads(JsonFormatter().format(record(level="mine")))
    assert (line["level"], line["extra_level"]) == ("INFO", "mine")


@given(st.text(), st.text())
def test_a_json_record_is_one_line_of_ascii_whatever_is_in_it(said: str, name: str) -> None:
    written = JsonFormatter().format(record("%s", said, mcp_principal=name))
    assert written.isascii()
    assert len(written.splitlines()) == 1
    line = json.loads(written)
    assert (line["message"], line["mcp_principal"]) == (said, name)


@given(st.text(), st.text())
def test_a_text_record_is_one_line_whatever_is_in_it(said: str, name: str) -> None:
    written = TextFormatter().format(record("%s", said, mcp_principal=name))
    assert len(written.splitlines()) <= 1


def test_a_text_line_ends_with_the_request() -> None:
    written = TextFormatter().format(
        record("sold", mcp_context="ab12", mcp_principal='a "b"] x', mcp_method="tools/call")
    )
    assert written.split(" ", 1)[1] == (
        'INFO a.library: sold [mcp_context=ab12 mcp_principal="a \\"b\\"] x" mcp_method=tools/call]'
    )
    assert TextFormatter().format(record("sold")).endswith("INFO a.library: sold")


def test_the_text_of_an_exception_cannot_look_like_another_record() -> None:
    forged = "2026-01-01T00:00:00.000Z INFO a.library: all is well"
    head, *rest = TextFormatter().format(failure(f"oh\n{forged}")).splitlines()
    assert head.endswith("hello")
    assert any(forged in line for line in rest)
    assert all(line.startswith("    ") for line in rest)


def test_a_format_that_there_is_not_is_refused() -> None:
    with pytest.raises(DefinitionError, match="must be 'text' or 'json', got 'xml'"):
        logging_config("xml")  # type: ignore[arg-type]  # what is tested


PROGRAM = """
import logging, sys
from scopedtools.telemetry import configure_logging
logging.getLogger("before").addHandler(logging.NullHandler())
configure_logging(sys.argv[1], level="WARNING")
logging.getLogger("before").warning("heard")
logging.getLogger("before").info("not heard")
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_process_that_is_configured_writes_to_standard_error_alone(form: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert "heard" in line
    assert line.startswith("{") is (form == "json")


BARE = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == sys.argv[1] or name.startswith(sys.argv[1] + "."):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
from scopedtools.exceptions import MissingDependencyError
import scopedtools
try:
    __import__(sys.argv[2])
except MissingDependencyError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("missing", "module", "said"),
    [
        ("opentelemetry", "scopedtools.telemetry", "OpenTelemetry is not installed"),
        ("opentelemetry.sdk", "scopedtools.telemetry", ""),
        ("opentelemetry.sdk", "scopedtools.telemetry.prometheus", "The Prometheus exporter is not installed"),
        ("prometheus_client", "scopedtools.telemetry.prometheus", "The Prometheus exporter is not installed"),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(missing: str, module: str, said: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", BARE, missing, module],
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    assert run.stdout.strip() == (f'{said}; run pip install "scopedtools[telemetry]"' if said else "")


def test_a_filter_and_a_formatter_that_people_combine_themselves_work_together() -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(message)s %(mcp_context)s", defaults={"mcp_context": "-"}))
    handler.handle(record("sold"))
    handler.handle(record("sold", mcp_context="ab"))
    assert written.getvalue().splitlines() == ["sold -", "sold ab"]
