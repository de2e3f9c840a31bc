"""Spans, metrics and correlated logs through OpenTelemetry.

Needs the extra ``telemetry``; the API of OpenTelemetry alone is enough, except for
`scopedtools.telemetry.prometheus`, which whoever uses it imports.
"""

from scopedtools.telemetry.correlation import Correlation, CorrelationFilter, current_correlation
from scopedtools.telemetry.logs import JsonFormatter, TextFormatter, configure_logging, logging_config
from scopedtools.telemetry.observer import Telemetry

__all__ = [
    "Correlation",
    "CorrelationFilter",
    "JsonFormatter",
    "Telemetry",
    "TextFormatter",
    "configure_logging",
    "current_correlation",
    "logging_config",
]
