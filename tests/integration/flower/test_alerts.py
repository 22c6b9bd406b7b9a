"""When the documented alerts are raised and when not, by the judgement of Prometheus' own promtool."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from docs import metrics_page
from tests.cluster.packages import install_missing, program

Series = dict[str, str]

LED = {
    'celery_operator_leader_election_master_status{name="celerycluster",namespace="one",job="a",pod="x"}': "1x40",
    'celery_operator_leader_election_master_status{name="celerycluster",namespace="one",job="a",pod="y"}': "0x40",
    'celery_operator_leader_election_master_status{name="celerycluster",namespace="two",job="a",pod="z"}': "1x40",
}
GROUP = 'namespace="team",cluster="shop",group="web"'
AGE = f"celery_operator_reading_age_seconds{{{GROUP}}}"
ERRORS, SQS = (
    {f'celery_operator_reading_errors_total{{{GROUP},reason="{reason}"}}': "1+30x40"}
    for reason in ("AuthenticationFailed", "CredentialsMissing")
)

BUSY, TOTAL = (f'celery_operator_slots{{{GROUP},state="{state}"}}' for state in ("busy", "total"))
DUE = f'celery_operator_backlog{{{GROUP},state="due"}}'
CONDITION = 'celery_operator_condition{namespace="team",cluster="shop",type="%s"}'
CASES = {
    "all is well": ("CeleryClusterInTrouble", {CONDITION % "BeatRunning": "1x40", CONDITION % "Paused": "0x40"}, 0),
    "beat does not run": ("CeleryClusterInTrouble", {CONDITION % "BeatRunning": "1 0x40"}, 1),
    "a rollout that waits for tasks": ("CeleryClusterInTrouble", {CONDITION % "Ready": "0x40"}, 0),
    "all slots are busy and nothing waits": ("CeleryGroupIsFull", {BUSY: "8x40", TOTAL: "8x40", DUE: "0x40"}, 0),
    "all slots are busy and tasks wait": ("CeleryGroupIsFull", {BUSY: "8x40", TOTAL: "8x40", DUE: "3x40"}, 1),
    "tasks wait and a slot is free": ("CeleryGroupIsFull", {BUSY: "7x40", TOTAL: "8x40", DUE: "3x40"}, 0),
    "tasks wait for a first pod": ("CeleryGroupIsFull", {BUSY: "0x40", TOTAL: "0x40", DUE: "3x40"}, 0),
    "one leader for each of two releases": ("CeleryOperatorWithoutLeader", LED, 0),
    "one of two releases has none": ("CeleryOperatorWithoutLeader", {**LED, list(LED)[2]: "0x40"}, 1),
    "queues read all the time": ("CeleryQueuesUnreadable", {AGE: "2x40"}, 0),
    "queues once read": ("CeleryQueuesUnreadable", {AGE: "0+60x40"}, 1),
    "queues never read": ("CeleryQueuesUnreadable", ERRORS, 1),
    "queues that only the workers may read": ("CeleryQueuesUnreadable", SQS, 0),
    "readings that fail between others": ("CeleryQueuesUnreadable", {**ERRORS, AGE: "2x40"}, 0),
}
"""Name of the alert, series by minutes, and how many of it fire in the end."""


@pytest.mark.parametrize(("name", "series", "firing"), CASES.values(), ids=CASES)
def test_an_alert_is_raised_when_somebody_should_look(name: str, series: Series, firing: int, tmp_path: Path) -> None:
    install_missing({"promtool": "prometheus"})
    wanted = {"labels": "{}", "value": firing}
    expression = f'sum(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)'
    test = {
        "interval": "1m",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": "35m", "exp_samples": [wanted]}],
    }
    asked = {"rule_files": ["rules.yml"], "evaluation_interval": "30s", "tests": [test]}
    (tmp_path / "rules.yml").write_text(json.dumps(metrics_page.rule()["spec"]))
    (tmp_path / "test.yml").write_text(json.dumps(asked))
    words = [program("promtool"), "test", "rules", "test.yml"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
