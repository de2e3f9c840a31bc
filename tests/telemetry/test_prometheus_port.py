"""Metrics as Prometheus fetches them."""

from __future__ import annotations

import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scopedtools.telemetry import Telemetry
from scopedtools.telemetry.prometheus import MetricsServer, serve_metrics
from scopedtools.testing import Client
from tests.telemetry.seen import Shop

pytestmark = pytest.mark.anyio

LIMIT_S = 20


def fetch(server: MetricsServer) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=LIMIT_S) as answer:
        text: str = answer.read().decode()
        return text


def calls(text: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "mcp_server_operation_duration_seconds_count"
    )


async def test_names_and_labels_are_those_that_prometheus_expects() -> None:
    with serve_metrics(0) as metrics:
        async with Client(Shop(observers=[Telemetry(meter_provider=metrics.meter_provider)])) as client:
            await client.call_tool("sell", item="tea")
            await client.call_tool("refuse")
            await client.list_tools()
        text = fetch(metrics)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    duration = families["mcp_server_operation_duration_seconds"]
    assert duration.type == "histogram"
    counts = {
        (one.labels["gen_ai_tool_name"], one.labels["error_type"]): one.value
        for one in duration.samples
        if one.name.endswith("_count") and one.labels["mcp_method_name"] == "tools/call"
    }
    assert counts == {("sell", ""): 1, ("refuse", "tool_error"): 1}
    (page,) = families["scopedtools_list_pages"].samples
    assert (page.name, page.labels["scopedtools_list_page"], page.value) == (
        "scopedtools_list_pages_total",
        "full",
        1,
    )
    assert "process_resident_memory_bytes" in families


async def test_two_in_one_process_keep_their_metrics_apart() -> None:
    with serve_metrics(0) as one, serve_metrics(0) as other:
        for metrics, count in ((one, 1), (other, 2)):
            async with Client(Shop(observers=[Telemetry(meter_provider=metrics.meter_provider)])) as client:
                for _ in range(count):
                    await client.call_tool("sell", item="tea")
        assert (calls(fetch(one)), calls(fetch(other))) == (1, 2)


async def test_fetching_side_by_side_gives_everybody_the_same() -> None:
    with serve_metrics(0) as metrics:
        async with Client(Shop(observers=[Telemetry(meter_provider=metrics.meter_provider)])) as client:
            await client.call_tool("sell", item="tea")
        with ThreadPoolExecutor(8) as threads:
            texts = list(threads.map(lambda _: fetch(metrics), range(80)))
    assert {calls(text) for text in texts} == {1}


def test_closing_frees_the_port_and_ends_the_thread() -> None:
    before = threading.active_count()
    metrics = serve_metrics(0)
    metrics.close()
    metrics.close()
    with serve_metrics(metrics.port) as again:
        assert again.port == metrics.port
    assert threading.active_count() == before


def test_a_port_that_is_taken_is_an_error_and_leaves_no_thread() -> None:
    with serve_metrics(0) as metrics:
        before = threading.active_count()
        with pytest.raises(OSError, match="in use"):
            serve_metrics(metrics.port)
        assert threading.active_count() == before


def test_only_this_machine_reaches_the_port() -> None:
    with serve_metrics(0) as metrics:
        assert metrics._http.server_address[0] == "127.0.0.1"
