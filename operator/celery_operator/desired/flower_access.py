"""How one gets to Flower: its Service, and the Ingress and HTTPRoute that lead to it from outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.flower import Flower, FlowerIngress, FlowerRoute, FlowerService
from celery_operator.desired import flower, names
from celery_operator.desired.metadata import child_metadata, selector


def build(cluster: CeleryCluster, settings: Flower) -> Iterator[dict[str, Any]]:
    """The Service, and what was asked for besides."""
    yield _service(cluster, settings.service or FlowerService())
    if settings.ingress is not None:
        yield _ingress(cluster, settings, settings.ingress)
    if settings.http_route is not None:
        yield _route(cluster, settings, settings.http_route)


def _metadata(cluster: CeleryCluster, annotations: dict[str, str] | None) -> dict[str, Any]:
    own = cluster.metadata.name
    return child_metadata(
        cluster,
        names.flower(own),
        component=flower.COMPONENT,
        full_name=f"{own}-flower",
        annotations=dict(annotations or {}),
    )


def _service(cluster: CeleryCluster, settings: FlowerService) -> dict[str, Any]:
    port = {"name": flower.PORT_NAME, "port": _port(settings), "targetPort": flower.PORT_NAME, "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(cluster, settings.annotations),
        "spec": {
            "type": settings.type or "ClusterIP",
            "selector": selector(cluster, flower.COMPONENT),
            "ports": [port],
        },
    }


def _port(settings: FlowerService | None) -> int:
    return flower.PORT if settings is None or settings.port is None else settings.port


def _ingress(cluster: CeleryCluster, settings: Flower, ingress: FlowerIngress) -> dict[str, Any]:
    backend = {"service": {"name": names.flower(cluster.metadata.name), "port": {"name": flower.PORT_NAME}}}
    paths = [{"path": _root(settings), "pathType": "Prefix", "backend": backend}]
    spec: dict[str, Any] = {"rules": [{"host": ingress.host, "http": {"paths": paths}}]}
    if ingress.class_name is not None:
        spec["ingressClassName"] = ingress.class_name
    if ingress.tls_secret_name is not None:
        spec["tls"] = [{"hosts": [ingress.host], "secretName": ingress.tls_secret_name}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": _metadata(cluster, ingress.annotations),
        "spec": spec,
    }


def _route(cluster: CeleryCluster, settings: Flower, route: FlowerRoute) -> dict[str, Any]:
    """The fields that the Gateway API would default are written out, so that nothing about them is left open."""
    spec: dict[str, Any] = {
        "parentRefs": [
            _parent(reference.model_dump(by_alias=True, exclude_none=True)) for reference in route.parent_refs
        ],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": _root(settings)}}],
                "backendRefs": [{"name": names.flower(cluster.metadata.name), "port": _port(settings.service)}],
            }
        ],
    }
    if route.hostnames:
        spec["hostnames"] = list(route.hostnames)
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": _metadata(cluster, route.annotations),
        "spec": spec,
    }


def _parent(reference: dict[str, Any]) -> dict[str, Any]:
    return {"group": "gateway.networking.k8s.io", "kind": "Gateway", **reference}


def _root(settings: Flower) -> str:
    """The path below which everything is Flower's."""
    return flower.path(settings, "").rstrip("/") or "/"
