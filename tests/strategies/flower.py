"""Flower with somebody who asks who comes, where it can be reached from outside."""

from __future__ import annotations

from hypothesis import strategies as st

from celery_operator.api import flower
from tests.strategies.extras import security_contexts
from tests.strategies.model import Json, Objects, of, one_of, without
from tests.strategies.pod import (
    environments,
    image_pull_secrets,
    pod_security,
    pull_policies,
    resources,
    secret_sources,
    storages,
    templates,
)
from tests.strategies.scalars import annotation_maps, images, labels, names_of_objects, ports

_hosts = st.sampled_from(["flower.example.com", "*.example.com", "f"])
_oauth = of(
    flower.OAuth,
    {
        "provider": st.sampled_from(["Google", "GitHub", "GitLab", "Okta"]),
        "emails": st.sampled_from(["a@example.com", "a@b.com|c@d.com", ".*@example.com", "a.*@b.c"]),
        "clientIdFrom": secret_sources,
        "clientSecretFrom": secret_sources,
        "redirectUri": st.sampled_from(["https://f.example.com/login", "http://$(A)/login"]),
    },
    {},
)
_FLOWER_AUTH = of(flower.FlowerAuth, {}, {}, elsewhere=("basicFrom", "oauth", "external"))
_auth = _FLOWER_AUTH.flatmap(lambda _: one_of(basicFrom=secret_sources, oauth=_oauth, external=st.just(True)))
_service = of(
    flower.FlowerService,
    {},
    {
        "type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]),
        "port": ports,
        "annotations": annotation_maps,
    },
)
_ingress = of(
    flower.FlowerIngress,
    {"host": _hosts},
    {"className": st.just("nginx"), "tlsSecretName": names_of_objects, "annotations": annotation_maps},
)
_parent = of(
    flower.ParentReference,
    {"name": names_of_objects},
    {"namespace": st.just("gateways"), "sectionName": st.just("https")},
)
_route = of(
    flower.FlowerRoute,
    {"parentRefs": st.lists(_parent, min_size=1, max_size=2)},
    {"hostnames": st.lists(_hosts, max_size=2, unique=True), "annotations": annotation_maps},
)
_arguments = st.lists(st.sampled_from(["--max_tasks=10000", "--natural-time", "--auto_refresh=False"]), max_size=2)


def _agree(value: Json) -> Json:
    service_type = value.get("service", {}).get("type", "ClusterIP")
    outside = "ingress" in value or "httpRoute" in value or service_type != "ClusterIP"
    if outside and "auth" not in value:
        value = {**value, "auth": {"external": True}}
    several = value.get("replicas", 1) > 1
    if several:
        value = without(value, "persistence")
    if several and "oauth" in value.get("auth", {}) and "cookieSecretFrom" not in value:
        value = {**value, "replicas": 1}
    return value


def flowers(*, may_be_root: bool) -> Objects:
    """Flower."""
    base = of(
        flower.Flower,
        {},
        {
            "image": images,
            "imagePullPolicy": pull_policies,
            "imagePullSecrets": image_pull_secrets,
            "loadApplication": st.booleans(),
            "replicas": st.integers(0, 10),
            "auth": _auth,
            "cookieSecretFrom": secret_sources,
            "urlPrefix": st.sampled_from(["flower", "/a/b", "a.b-c~d"]),
            "service": _service,
            "ingress": _ingress,
            "httpRoute": _route,
            "persistence": storages,
            "env": environments,
            "serviceAccountName": names_of_objects,
            "podSecurity": pod_security,
            "securityContext": security_contexts(may_be_root=may_be_root),
            "podLabels": labels,
            "podAnnotations": annotation_maps,
            "extraArgs": _arguments,
            "resources": resources(),
            "podTemplate": templates("flower"),
        },
        most=4,
    )
    return base.map(_agree)
