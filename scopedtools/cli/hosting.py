"""What a hosted server is watched with: logs, metrics, the audit trail."""

from __future__ import annotations

import contextlib
import gc
import logging
import logging.config
import os
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any, Final, Literal, NamedTuple

import msgspec

from scopedtools.cli.allocator import return_large_arrays
from scopedtools.cli.lifecycle import Patience
from scopedtools.cli.origin import Origin
from scopedtools.cli.output import visible
from scopedtools.exceptions import MissingDependencyError
from scopedtools.server import ScopedServer

_VARIABLE: Final = "SCOPEDTOOLS_HOSTED"
"""Environment variable that tells a worker process what to host."""

LogFormat = Literal["text", "json"]


class Hosted(NamedTuple):
    """A server, and what it is watched with.

    Attributes:
        origin: What it is made of.
        audit: URL of the database of the audit trail, or ``None`` for none.
        metrics_port: Where Prometheus fetches metrics, or ``None`` for nowhere.
        log_format: Of lines on standard error. With the extra ``telemetry`` they tell the context; without
            it there is ``text`` alone, which does not.
        patience: How long it takes to stop.
    """

    origin: Origin
    audit: str | None = None
    metrics_port: int | None = None
    log_format: LogFormat = "text"
    patience: Patience = Patience()

    def log_config(self) -> dict[str, Any] | None:
        """Return the configuration of logs, or ``None`` where lines cannot tell the context.

        Raises:
            MissingDependencyError: Lines are to be JSON, and the extra ``telemetry`` is not installed.
        """
        if self.log_format == "text" and not has_telemetry():
            return None
        from scopedtools.telemetry import logging_config  # noqa: PLC0415 - needs an extra

        return logging_config(self.log_format)

    def configure_logs(self) -> None:
        """Write the logs of this process as `log_config` says, until an author's module says otherwise."""
        for name in ("httpx2", "mcp"):  # they write down URLs and session IDs, which may be credentials
            logging.getLogger(name).setLevel(logging.WARNING)
        for name in ("mcp.client", "psycopg.pool"):  # we tell what they warn of
            logging.getLogger(name).setLevel(logging.ERROR)
        config = self.log_config()
        if config is not None:
            logging.config.dictConfig(config)
            return
        # Standard output belongs to the protocol on stdio, so logs never go there.
        lines = logging.StreamHandler(sys.stderr)
        lines.setFormatter(_Plain("%(levelname)s %(name)s: %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[lines])
        # It tells of every library that it tries to load.
        logging.getLogger("faiss").setLevel(logging.WARNING)

    def load(self) -> ScopedServer:
        """Import or make the server; what is printed meanwhile goes to standard error."""
        # Hundreds of thousands of new objects set off one search for garbage after the other, which takes
        # longer than to make them, and there is none.
        collects = gc.isenabled()
        gc.disable()
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return self.origin.load()
        finally:
            if collects:
                gc.enable()

    def watch(self, server: ScopedServer, held: ExitStack) -> None:
        """Add observers to a server.

        Args:
            server: Not yet running.
            held: Closes what serves metrics.
        """
        if has_telemetry():
            self._watch_by_telemetry(server, held)
        elif self.metrics_port is not None:
            raise MissingDependencyError('metrics need the extra: pip install "scopedtools[telemetry]"')
        if self.audit is not None:
            from scopedtools.audit import AuditTrail  # noqa: PLC0415 - needs an extra

            server.observe(AuditTrail(self.audit, server=server.name))

    def _watch_by_telemetry(self, server: ScopedServer, held: ExitStack) -> None:
        from opentelemetry.metrics import set_meter_provider  # noqa: PLC0415 - needs an extra

        from scopedtools.telemetry import Telemetry  # noqa: PLC0415 - likewise

        if self.metrics_port is not None:
            from scopedtools.telemetry.prometheus import serve_metrics  # noqa: PLC0415 - likewise

            metrics = held.enter_context(serve_metrics(self.metrics_port, service=server.name))
            set_meter_provider(metrics.meter_provider)
        # An author's own has the providers of its choice, and two would make two spans of each request.
        if not any(isinstance(observer, Telemetry) for observer in server.observers):
            server.observe(Telemetry())

    def hand_over(self) -> None:
        """Leave this to the worker processes that are started from here."""
        os.environ[_VARIABLE] = msgspec.json.encode(self).decode()


class _Plain(logging.Formatter):
    """Writes out what a terminal would obey, so that what a client sent cannot look like another line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - its name in the base class
        return visible(super().formatMessage(record))


def handed_over() -> Hosted:
    """Return what `Hosted.hand_over` left."""
    return msgspec.json.decode(os.environ[_VARIABLE], type=Hosted)


def worker() -> ScopedServer:
    """Make the server of a worker process, from what `Hosted.hand_over` left."""
    return_large_arrays()
    hosted = handed_over()
    server = hosted.load()
    hosted.watch(server, ExitStack())
    return server


def has_telemetry() -> bool:
    """Tell whether the extra ``telemetry`` is installed, its API at least."""
    return find_spec("opentelemetry") is not None
