"""How log records are written: as lines of text or of JSON, with the request that they belong to."""

from __future__ import annotations

import json
import logging
import logging.config
import re
from datetime import UTC, datetime
from typing import Any, Final, Literal

from scopedtools.exceptions import DefinitionError

FIELDS: Final = ("mcp_context", "mcp_principal", "mcp_method", "trace_id", "span_id")
"""What `CorrelationFilter` puts on records."""

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {
    "asctime",
    "color_message",  # of uvicorn: its message once more, in colours
    "message",
    "taskName",
}

# Besides what `str.isprintable` refuses, nothing that some reader of lines takes for the end of one.
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

_PLAIN: Final = re.compile(r"[^\s\"=\[\]]+")


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object on one line, in ASCII.

    Keys: ``ts`` (ISO 8601, UTC), ``level``, ``logger``, ``message``; then those of `CorrelationFilter`, as
    far as they are known; ``exception`` and ``stack`` where there is one; and whatever was passed as
    ``extra``, behind ``extra_`` where it has the name of one of the first four.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": _timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        own = {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        extra = {
            f"extra_{name}" if name in line else name: value
            for name, value in record.__dict__.items()
            if name not in _STANDARD and name not in own
        }
        if record.exc_info:
            extra["exception"] = record.exc_text or self.formatException(record.exc_info)
        if record.stack_info:
            extra["stack"] = record.stack_info
        return _encode(line | own | extra)


class TextFormatter(logging.Formatter):
    """Writes a record as a line of text that ends with the request; an exception follows, indented.

    Control characters of the message are escaped, so that what a client sent cannot look like another record.
    """

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_timestamp(record)} {record.levelname} {record.name}: {_escaped(record.getMessage())}"
        fields = [
            f"{name}={_quoted(value)}"
            for name in FIELDS
            if (value := getattr(record, name, None)) is not None
        ]
        lines = [f"{head} [{' '.join(fields)}]" if fields else head]
        if record.exc_info:
            lines += _indented(record.exc_text or self.formatException(record.exc_info))
        if record.stack_info:
            lines += _indented(record.stack_info)
        return "\n".join(lines)


def logging_config(
    format: Literal["text", "json"] = "text",  # noqa: A002 - what every logging API calls it
    *,
    level: int | str = "INFO",
) -> dict[str, Any]:
    """Return a configuration that writes all records to standard error, with the request that they belong to.

    For `logging.config.dictConfig`, and for servers that configure their processes themselves, such as
    ``uvicorn.run(..., log_config=...)``.

    Args:
        format: ``text``, for people, or ``json``, one object a line.
        level: Of the root logger.

    Raises:
        DefinitionError: The format is another.
    """
    formatters = {"text": TextFormatter, "json": JsonFormatter}
    if format not in formatters:
        raise DefinitionError(f"format must be 'text' or 'json', got {format!r}")
    formatter = formatters[format]
    handler = {
        "class": "logging.StreamHandler",
        "stream": "ext://sys.stderr",  # on stdio, standard output belongs to the protocol
        "formatter": "lines",
        "filters": ["correlation"],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        # By name: the configuration may travel to another process.
        "filters": {"correlation": {"()": "scopedtools.telemetry.correlation.CorrelationFilter"}},
        "formatters": {"lines": {"()": f"{formatter.__module__}.{formatter.__qualname__}"}},
        "handlers": {"stderr": handler},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {"faiss": {"level": "WARNING"}},  # it tells of every library that it tries to load
    }


def configure_logging(
    format: Literal["text", "json"] = "text",  # noqa: A002 - likewise
    *,
    level: int | str = "INFO",
) -> None:
    """Write all records of this process as `logging_config` says, in place of what was configured."""
    logging.config.dictConfig(logging_config(format, level=level))


def _timestamp(record: logging.LogRecord) -> str:
    written = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")


def _encode(line: dict[str, Any]) -> str:
    try:
        return json.dumps(line, default=str, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        # A key that is no string, a number that is none, or an object that holds itself.
        return json.dumps({name: value if _is_plain(value) else str(value) for name, value in line.items()})


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, bool, int))


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _quoted(value: Any) -> str:
    text = str(value)
    plain = _PLAIN.fullmatch(text) and text.isprintable()
    return text if plain else json.dumps(text)


def _indented(block: str) -> list[str]:
    return [f"    {_escaped(line)}" for line in block.splitlines()]
