"""docs/metrics.md: every metric is asked for by an alert or a query, and these ask for what there is."""

from __future__ import annotations

import re

import pytest
import yaml

from celery_operator.telemetry.metrics import PREFIX, Metrics
from docs import metrics_page
from tests.unit.docs.markdown import DOCS, read

METRICS = {metric.name: metric for metric in Metrics().descriptions}
_SAMPLE = re.compile(rf"({PREFIX}\w+)(?:\{{([^}}]*)\}})?")
_OF_TARGETS = {"namespace", "job"}
"""Labels that Prometheus itself gives to what it scrapes."""
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


def _expressions() -> list[str]:
    """Every expression of the two pages: in blocks of PromQL between empty lines, and in the rules."""
    found = [alert.expression for alert in metrics_page.ALERTS]
    for name in ("metrics.md", "monitoring.md"):
        for block in read(DOCS / name).blocks:
            if block.language == "promql":
                found += [re.sub(r"^#.*\n", "", one, flags=re.MULTILINE) for one in block.text.split("\n\n")]
    return found


def _asked() -> list[tuple[str, str, str]]:
    """(expression, name of a sample, its matchers) of the operator's metrics."""
    return [(one, name, matchers) for one in _expressions() for name, matchers in _SAMPLE.findall(one)]


def _metric(sample: str) -> str | None:
    for name, metric in METRICS.items():
        if sample in {name + suffix for suffix in _SUFFIXES.get(metric.kind, ("",))}:
            return name
    return None


def test_every_metric_is_asked_for() -> None:
    asked = {_metric(sample) for _, sample, _ in _asked()}
    assert METRICS.keys() - asked == set()


def test_nothing_is_asked_for_that_is_not_there() -> None:
    assert [(one, sample) for one, sample, _ in _asked() if _metric(sample) is None] == []


def test_labels_are_those_of_the_metric() -> None:
    wrong = []
    for expression, sample, matchers in _asked():
        labels = {*METRICS[_metric(sample) or sample].labels, "le", *_OF_TARGETS} if _metric(sample) else set()
        asked = set(re.findall(r"(\w+)\s*[=!]", matchers))
        for grouped in re.findall(rf"by \(([^)]*)\) \(*(?:\w+\()*{sample}\b", expression):
            asked |= {label.strip() for label in grouped.split(",")}
        wrong += [f"{sample} has no {label}: {expression}" for label in sorted(asked - labels)]
    assert wrong == []


@pytest.mark.parametrize("alert", metrics_page.ALERTS, ids=lambda alert: alert.name)
def test_an_alert_says_where_to_look(alert: metrics_page.Alert) -> None:
    assert "look at" in alert.summary or "see " in alert.summary
    assert re.fullmatch(r"\d+[mh]", alert.lasts)


def test_the_page_has_the_rule_that_is_meant() -> None:
    (block,) = [block for block in read(DOCS / "metrics.md").blocks if block.language == "yaml"]
    assert yaml.safe_load(block.text) == metrics_page.rule()
