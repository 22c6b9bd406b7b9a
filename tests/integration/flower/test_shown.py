"""What people see of workers and tasks: Flower in a real browser, every documented query in a real Prometheus."""

from __future__ import annotations

import asyncio
import copy
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.integration.flower.browser import Browser
from tests.integration.flower.child import FlowerChild
from tests.integration.flower.conftest import NODES, PASSWORD, USER, Fleet, Manifest, deployment, rendered
from tests.integration.flower.hours import Hours
from tests.integration.flower.monitors import scrape_job
from tests.integration.flower.prometheus import Prometheus
from tests.integration.install.helm import Helm
from tests.integration.runtime.conftest import python_of
from tests.integration.servers import wait_until
from tests.integration.waiting import eventually

DOCS = Path(__file__).parents[3] / "docs"
SCREENSHOT = DOCS / "images" / "flower.png"
WRITE_SCREENSHOT = "CELERY_OPERATOR_WRITE_SCREENSHOT"
"""An environment variable: when it is set, the picture of the docs is taken anew."""
WITHIN = 90.0
"""Seconds for what takes a few on an idle machine."""


def test_a_browser_sees_the_workers_and_a_finished_task(fleet: Fleet, browser: Browser) -> None:
    assert httpx.get(f"{fleet.flower.url}/tasks", timeout=60.0, trust_env=False).status_code == 401
    address = fleet.flower.url.removeprefix("http://")

    fleet.run_tasks()
    # The page of tasks shows what there was when it was opened.
    ended = ("SUCCESS", "FAILURE")
    wait_until(
        lambda: all(state in fleet.ask("/api/tasks") for state in ended), timeout=WITHIN, what="both tasks in Flower"
    )
    browser.open(f"http://{USER}:{PASSWORD}@{address}/")
    wait_until(lambda: all(_row(browser, node, "Online") for node in NODES), timeout=WITHIN, what="both workers")

    browser.click("Tasks")
    wait_until(lambda: _row(browser, "shop.record", "SUCCESS", "default@"), timeout=WITHIN, what="the finished task")
    wait_until(lambda: _row(browser, "shop.record", "FAILURE", "default@"), timeout=WITHIN, what="the failed task")

    if WRITE_SCREENSHOT in os.environ:
        SCREENSHOT.write_bytes(browser.screenshot())


def test_oauth_sends_people_to_their_provider_with_what_the_secrets_hold(fleet: Fleet, tmp_path: Path) -> None:
    login = {
        "provider": "GitHub",
        "emails": ".*@example.com",
        "clientIdFrom": {"secretKeyRef": {"name": "shop-login", "key": "id"}},
        "clientSecretFrom": {"secretKeyRef": {"name": "shop-login", "key": "secret"}},
        "redirectUri": "https://flower.example.com/flower/login",
    }
    cluster = copy.deepcopy(fleet.cluster)
    cluster["spec"]["flower"] = {
        "auth": {"oauth": login},
        "urlPrefix": "flower",
        "ingress": {"host": "flower.example.com"},
    }
    secrets = {"shop-broker": {"url": fleet.broker.url()}, "shop-login": {"id": "shop's id\n", "secret": "s3cret\n"}}
    template = deployment(cluster)["spec"]["template"]
    with FlowerChild(folder=tmp_path, python=python_of("flower"), template=template, secrets=secrets) as flower:
        closed = httpx.get(f"{flower.url}/flower/workers", timeout=60.0, trust_env=False)
        assert (closed.status_code, closed.headers["location"].partition("?")[0]) == (302, "/flower/login")
        login_page = httpx.get(f"{flower.url}/flower/login", timeout=60.0, trust_env=False)
        provider = httpx.URL(login_page.headers["location"])
        assert (provider.host, provider.params["client_id"]) == ("github.com", "shop's id")
        assert provider.params["redirect_uri"] == login["redirectUri"]


@pytest.fixture
async def hours() -> AsyncIterator[Hours]:
    """The operator's metrics, served."""
    one = Hours()
    await one.server.start()
    yield one
    await one.server.stop()


async def test_prometheus_answers_every_documented_query_and_raises_every_documented_alert(
    fleet: Fleet, hours: Hours, tmp_path: Path
) -> None:
    queries, groups = documented_queries(), documented_alerts()
    jobs = [*_jobs_of_flower(fleet), _job_of_the_operator(hours.server.port)]
    with Prometheus(folder=tmp_path / "prometheus", jobs=jobs, rule_groups=groups) as prometheus:

        async def states() -> set[str]:
            hours.good()
            return set((await asyncio.to_thread(prometheus.alerts)).values())

        await eventually(states, lambda found: found == {"inactive"}, within=WITHIN, every=0.5)

        async def unanswered() -> dict[str, Any]:
            await asyncio.to_thread(fleet.run_tasks)
            hours.bad()
            # In threads: the operator's metrics are served by this loop, and a scrape has a second.
            answers = {query: await asyncio.to_thread(prometheus.query, query) for query in queries}
            alerts = await asyncio.to_thread(prometheus.alerts)
            quiet = {alert: state for alert, state in alerts.items() if state not in ("pending", "firing")}
            return quiet | {query: answer for query, answer in answers.items() if not _is_answer(query, answer)}

        await eventually(unanswered, lambda left: not left, within=WITHIN, every=0.5)

        async def scraped() -> tuple[Any, ...]:
            targets = await asyncio.to_thread(prometheus.targets)
            online = await asyncio.to_thread(prometheus.query, "flower_worker_online")
            buckets = await asyncio.to_thread(prometheus.query, "flower_task_runtime_seconds_bucket")
            return (
                {(target["scrapePool"], target["lastError"]) for target in targets},
                {(each["job"], each["namespace"], each["cluster"], each["worker"]) for each, _ in online},
                {labels["le"] for labels, _ in buckets},
            )

        expected = (
            {(job["job_name"], "") for job in jobs},
            {(job, "team", "shop", node) for job in ("team/shop-flower", "shop-flower") for node in NODES},
            {"0.1", "60.0", "+Inf"},
        )
        await eventually(scraped, lambda found: found == expected, within=WITHIN, every=0.5)


def documented_queries() -> list[str]:
    """Every PromQL expression in the docs: blocks of `promql`, expressions apart by empty lines."""
    blocks = [
        block
        for page in sorted(DOCS.rglob("*.md"))
        for block in re.findall(r"^```promql\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    ]
    found = [query.strip() for block in blocks for query in block.split("\n\n")]
    assert len(found) >= 15, "docs/monitoring.md has more"
    return found


def documented_alerts() -> list[dict[str, Any]]:
    """The groups of every PrometheusRule in the docs."""
    found = [
        manifest
        for page in sorted(DOCS.rglob("*.md"))
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        if "kind: PrometheusRule\n" in block
        for manifest in yaml.safe_load_all(block)
    ]
    assert found, "docs/metrics.md has one"
    return [group for rule in found for group in rule["spec"]["groups"]]


def _row(browser: Browser, *words: str) -> bool:
    """Whether the page shows a table's row with all of these words."""
    return any(all(word in row for word in words) for row in browser.rows())


def _is_answer(query: str, samples: list[tuple[dict[str, str], float]]) -> bool:
    """Whether there are samples, all of them numbers, and whose they are where the query asks for that."""
    if "by (namespace, cluster" in query and not all(
        (labels.get("namespace"), labels.get("cluster")) == ("team", "shop") for labels, _ in samples
    ):
        return False
    return bool(samples) and all(value == value for _, value in samples)  # NaN is not equal to itself


def _jobs_of_flower(fleet: Fleet) -> list[dict[str, Any]]:
    """How the PodMonitor, and the ServiceMonitor in its place, let Flower be scraped."""
    target, jobs = f"127.0.0.1:{fleet.flower.port}", []
    for field, kind in (("podMonitor", "PodMonitor"), ("serviceMonitor", "ServiceMonitor")):
        cluster = copy.deepcopy(fleet.cluster)
        cluster["spec"]["monitoring"] = {field: {}}
        children = rendered(cluster)
        flower = {child["kind"]: child for child in children if child["metadata"]["name"] == "shop-flower"}
        pod = _pod(flower["Deployment"])
        service = flower["Service"] if field == "serviceMonitor" else None
        jobs.append(scrape_job(flower[kind], target, pod=pod, service=service))
    return jobs


def _job_of_the_operator(port: int) -> dict[str, Any]:
    """How the chart's ServiceMonitor lets the operator be scraped."""
    made = {one["kind"]: one for one in Helm().render({"serviceMonitor": {"enabled": True}})}
    pod = _pod(made["Deployment"])
    return scrape_job(made["ServiceMonitor"], f"127.0.0.1:{port}", pod=pod, service=made["Service"])


def _pod(owner: Manifest) -> Manifest:
    """A pod of a Deployment."""
    template, own = owner["spec"]["template"], owner["metadata"]
    metadata = {"name": f"{own['name']}-6d5c9b7f4-abcde", "namespace": own["namespace"]}
    return {"metadata": {**template["metadata"], **metadata}, "spec": template["spec"]}
