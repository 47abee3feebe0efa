"""The page about metrics and the dashboard name exactly what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from camcount.monitoring import prometheus
from camcount.monitoring.process import GpuUse
from camcount.monitoring.prometheus import PrometheusRecorder
from camcount.monitoring.traces import TraceRecorder
from camcount.stats import ModelGauges, ReplicaState
from camcount.storage.measurements import METRICS
from tests.requests_made import ended

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "metrics.md").read_text()


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> str:
    """What Prometheus can be told at most."""
    monkeypatch.setattr(prometheus, "gpus", lambda: [GpuUse(0, 0.5, 1, 2)])
    state = ModelGauges(
        model="people", version="1.0.0", queued=0, in_flight=0, replicas=(ReplicaState(name="r0", remote="r"),)
    )
    recorder = PrometheusRecorder(lambda: [state], triton_names=True)
    recorder.record(ended(fallback="crowd", attempts=2))
    recorder.record(ended(outcome="INF_004"))
    return recorder.render().decode()


def test_the_page_lists_every_metric_and_no_other(exported: str) -> None:
    """Names as Prometheus knows them."""
    there = set(re.findall(r"^# TYPE (\S+)", exported, re.MULTILINE))
    listed = set(re.findall(r"`((?:camcount|process|nv)_\w+)`", PAGE))
    assert listed == there


def test_the_page_names_every_label(exported: str) -> None:
    """In the row of its metric, but for model and version, which nearly all have."""
    for family in text_string_to_metric_families(exported):
        labels = {label for sample in family.samples for label in sample.labels} - {"model", "version", "le"}
        [row] = [line for line in PAGE.splitlines() if re.match(rf"\| `{family.name}(_total)?` ", line)] or [""]
        assert all(f"`{label}`" in row for label in labels), family.name


def test_the_page_lists_every_time_series() -> None:
    """With the words that the code has for it."""
    section = PAGE[PAGE.index("## Time series") : PAGE.index("## Traces")]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))
    assert list(rows) == list(METRICS)
    assert all(rows[name].startswith(words) for name, (words, _) in METRICS.items())


def test_the_page_lists_every_attribute_of_a_span() -> None:
    """And every stage."""
    exporter = InMemorySpanExporter()
    recorder = TraceRecorder(exporter)
    recorder.record(ended(fallback="crowd", reason="alias"))
    recorder.close()
    spans = exporter.get_finished_spans()
    section = PAGE[PAGE.index("## Traces") :]
    attributes = {name for span in spans for name in span.attributes or {}}
    assert set(re.findall(r"`(camcount\.\w+)`", section)) == attributes
    assert all(f"`{span.name}`" in section for span in spans if not span.name.startswith("detect"))


def test_the_dashboard_asks_for_metrics_that_there_are(exported: str) -> None:
    """Each by a name that Prometheus has samples of."""
    there = set(re.findall(r"^(\w+)[{ ]", exported, re.MULTILINE))
    dashboard = json.loads((DOCS / "grafana.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            asked = set(re.findall(r"\b(?:camcount|process)_\w+", target["expr"].replace('"camcount', "")))
            assert asked, target["expr"]
            assert asked <= there, panel["title"]
