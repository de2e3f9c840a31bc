"""Metrics for Prometheus to fetch. Needs the extra ``telemetry``."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Final, Self

from scopedtools.exceptions import MissingDependencyError

try:
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
except ImportError as error:
    raise MissingDependencyError(
        'The Prometheus exporter is not installed; run pip install "scopedtools[telemetry]"'
    ) from error

_log: Final = logging.getLogger(__name__)


class MetricsServer:
    """Serves ``/metrics`` over HTTP until it is closed; made by `serve_metrics`.

    Attributes:
        meter_provider: What is measured through it, is served.
        port: That it listens on.
    """

    def __init__(self, host: str, port: int, service: str | None) -> None:
        registry = CollectorRegistry()
        self._http, self._thread = start_http_server(port, host, registry)
        self.port = self._http.server_port
        ProcessCollector(registry=registry)
        readers = [PrometheusMetricReader(registry=registry)]
        known = Resource.create({} if service is None else {SERVICE_NAME: service})
        self.meter_provider = MeterProvider(readers, resource=known)

    def close(self) -> None:
        """Stop serving and free the port; later calls do nothing."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
            self._http.server_close()
            self.meter_provider.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve_metrics(port: int, *, host: str = "127.0.0.1", service: str | None = None) -> MetricsServer:
    """Serve metrics to Prometheus, from a thread of its own.

    Give its ``meter_provider`` to `Telemetry`, or make it that of the process with
    ``opentelemetry.metrics.set_meter_provider``. Servers keep their metrics apart, so that several fit in one
    process. Whoever reaches the port may read them; there is no authentication.

    Args:
        port: To listen on; 0 for any that is free.
        host: Address to listen on.
        service: Name under which the metrics stand; by default that of ``OTEL_SERVICE_NAME``.

    Raises:
        OSError: The port is taken.
    """
    server = MetricsServer(host, port, service)
    _log.info("metrics at http://%s:%d/metrics", host, server.port)
    return server
