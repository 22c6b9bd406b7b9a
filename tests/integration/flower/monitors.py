"""What the Prometheus operator makes of a PodMonitor or ServiceMonitor, as far as ours use it, for one target.

Rules and labels are those of its configuration generator (prometheus-operator, pkg/prometheus/promcfg.go): the
selector keeps or drops the target, then come namespace, container, pod, service, job and endpoint, then the monitor's
own `relabelings`. Prometheus itself carries them out; service discovery alone is replaced, by a static target that has
the labels which discovery would find.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.integration.flower.prometheus import ScrapeJob

Manifest = Mapping[str, Any]
Rule = dict[str, Any]


def scrape_job(monitor: Manifest, target: str, *, pod: Manifest, service: Manifest | None = None) -> ScrapeJob:
    """How `monitor` is scraped at `target` (host:port), which stands for the one container of `pod`.

    `service`: the Service in front of it, for a ServiceMonitor.
    """
    kind = "service" if service is not None else "pod"
    (endpoint,) = monitor["spec"]["endpoints" if service is not None else "podMetricsEndpoints"]
    selected = service or pod
    rules = [_keeps(kind, name, value) for name, value in monitor["spec"]["selector"]["matchLabels"].items()]
    rules += [_keep_port(endpoint["port"], of_service=service is not None), *_identity(monitor, service, endpoint)]
    rules += [{_snake(word): value for word, value in rule.items()} for rule in endpoint.get("relabelings", [])]
    discovered = {**_of_pod(pod), **(_of_service(service) if service is not None else {})}
    assert selected["metadata"]["labels"], "nothing could select it"
    return {
        "job_name": f"{monitor['kind']}/{monitor['metadata']['namespace']}/{monitor['metadata']['name']}/0",
        "metrics_path": endpoint["path"],
        "honor_labels": endpoint.get("honorLabels", False),
        "relabel_configs": rules,
        "static_configs": [{"targets": [target], "labels": discovered}],
    }


def _keeps(kind: str, label: str, value: str) -> Rule:
    known = _known(label)
    sources = [f"__meta_kubernetes_{kind}_label_{known}", f"__meta_kubernetes_{kind}_labelpresent_{known}"]
    return {"action": "keep", "source_labels": sources, "regex": f"({re.escape(value)});true"}


def _keep_port(port: str, *, of_service: bool) -> Rule:
    source = "endpoint_port_name" if of_service else "pod_container_port_name"
    return {"action": "keep", "source_labels": [f"__meta_kubernetes_{source}"], "regex": port}


def _identity(monitor: Manifest, service: Manifest | None, endpoint: Manifest) -> list[Rule]:
    """The labels that say whose samples they are."""
    found = {
        "namespace": "__meta_kubernetes_namespace",
        "container": "__meta_kubernetes_pod_container_name",
        "pod": "__meta_kubernetes_pod_name",
    }
    if service is not None:
        found |= {"service": "__meta_kubernetes_service_name", "job": "__meta_kubernetes_service_name"}
    rules: list[Rule] = [{"source_labels": [source], "target_label": label} for label, source in found.items()]
    if service is None:
        name = f"{monitor['metadata']['namespace']}/{monitor['metadata']['name']}"
        rules.append({"target_label": "job", "replacement": name})
    return [*rules, {"target_label": "endpoint", "replacement": endpoint["port"]}]


def _of_pod(pod: Manifest) -> dict[str, str]:
    (container,) = pod["spec"]["containers"]
    (port,) = container["ports"]
    return {
        "__meta_kubernetes_namespace": pod["metadata"]["namespace"],
        "__meta_kubernetes_pod_name": pod["metadata"]["name"],
        "__meta_kubernetes_pod_container_name": container["name"],
        "__meta_kubernetes_pod_container_port_name": port["name"],
        **_labels("pod", pod),
    }


def _of_service(service: Manifest) -> dict[str, str]:
    (port,) = service["spec"]["ports"]
    return {
        "__meta_kubernetes_service_name": service["metadata"]["name"],
        "__meta_kubernetes_endpoint_port_name": port["name"],
        **_labels("service", service),
    }


def _labels(kind: str, manifest: Manifest) -> dict[str, str]:
    labels = {_known(label): value for label, value in manifest["metadata"]["labels"].items()}
    values = {f"__meta_kubernetes_{kind}_label_{label}": value for label, value in labels.items()}
    return values | {f"__meta_kubernetes_{kind}_labelpresent_{label}": "true" for label in labels}


def _known(label: str) -> str:
    """A label's name as Prometheus can have it."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", label)


def _snake(word: str) -> str:
    """`sourceLabels` of the Prometheus operator is `source_labels` of Prometheus."""
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", word)
