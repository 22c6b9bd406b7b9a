"""What Helm prints after an installation: every command in it works, and names what was installed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from celery_operator.api.cluster import CeleryCluster
from tests.cluster import tool
from tests.integration.install.helm import CHART, Helm
from tests.integration.kubectl import Kubectl
from tests.unit.install.files import ROOT

RELEASE, NAMESPACE = "mine", "ops"
FIRST_CLUSTER = re.compile(r"kubectl (?:-n \S+ )?apply -f - <<END\n(.*?)\n *END\n", re.DOTALL)
TO_READ = [
    "kubectl -n ops rollout status deployment/mine-celery-operator",
    "kubectl apply -f - <<END",
    "kubectl get celeryclusters --all-namespaces --watch",
    "kubectl describe celerycluster quickstart",
    "kubectl explain celerycluster.spec",
    "kubectl -n ops get lease mine-celery-operator",
    "kubectl -n ops logs -l app.kubernetes.io/name=celery-operator,app.kubernetes.io/instance=mine --prefix --tail=100",
]
REMOVE_ALL = "kubectl delete crd celeryclusters.celery-operator.dev"
APPLY_THE_CRD = "kubectl apply --server-side --force-conflicts -f crds/celery-operator.dev_celeryclusters.yaml"
IN_SHOP = [
    TO_READ[0],
    "kubectl -n shop apply -f - <<END",
    "kubectl -n shop get celeryclusters --watch",
    "kubectl -n shop describe celerycluster quickstart",
    *TO_READ[4:],
]


def notes(helm: Helm, values: dict[str, Any]) -> str:
    return helm.notes(values, release=RELEASE, namespace=NAMESPACE)


def commands(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("kubectl ")]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [*TO_READ, REMOVE_ALL]),
        ({"crds": {"keep": False}}, TO_READ),
        ({"crds": {"install": False}}, [APPLY_THE_CRD, *TO_READ]),
        ({"watchNamespaces": ["shop", "mail"]}, [*IN_SHOP, REMOVE_ALL]),
        ({"fullnameOverride": "cel"}, [one.replace("mine-celery-operator", "cel") for one in (*TO_READ, REMOVE_ALL)]),
        ({"nameOverride": "x"}, [re.sub(r"celery-operator\b(?!\.)", "x", one) for one in (*TO_READ, REMOVE_ALL)]),
    ],
    ids=["defaults", "CRD not kept", "no CRD", "named namespaces", "fullnameOverride", "nameOverride"],
)
def test_the_commands_name_release_and_namespaces(helm: Helm, values: dict[str, Any], expected: list[str]) -> None:
    assert commands(notes(helm, values)) == expected


@pytest.mark.parametrize(
    ("values", "said", "unsaid"),
    [
        ({}, "CeleryClusters in every namespace", "Careful"),
        ({"watchNamespaces": ["shop", "mail"]}, "in: shop, mail, and in no other namespace", "every namespace.\n\n1."),
        ({}, "The CRD and all CeleryClusters stay when this release is uninstalled", "crds.install=false"),
        ({"crds": {"keep": False}}, "with it every CeleryCluster in every namespace and all workers", "stay when"),
        ({"crds": {"install": False}}, "The CRD is not part of this release", "stay when"),
        ({"crds": {"install": False, "keep": False}}, "The CRD is not part of this release", "Careful"),
        ({"replicas": 0}, "Nothing runs it (replicas=0)", "Careful"),
        ({}, "port 8080 of the Service mine-celery-operator-metrics", "Nothing runs it"),
        ({"serviceMonitor": {"enabled": True}}, "every namespace", "port 8080"),
    ],
)
def test_what_the_values_mean_is_said(helm: Helm, values: dict[str, Any], said: str, unsaid: str) -> None:
    text = notes(helm, values)
    assert said in text
    assert unsaid not in text


@pytest.mark.parametrize("values", [{}, {"nameOverride": "x"}, {"fullnameOverride": "cel"}])
def test_what_the_commands_name_is_part_of_the_chart(helm: Helm, values: dict[str, Any]) -> None:
    text = notes(helm, values)
    objects = helm.render(values, release=RELEASE, namespace=NAMESPACE)
    (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
    (service,) = [one for one in objects if one["kind"] == "Service"]
    pod = deployment["spec"]["template"]
    environment = {one["name"]: one.get("value") for one in pod["spec"]["containers"][0]["env"]}
    (selector,) = re.findall(r" -l (\S+)", text)
    assert f"deployment/{deployment['metadata']['name']}\n" in text
    assert f"get lease {environment['CELERY_OPERATOR_LEASE_NAME']}\n" in text
    assert dict(one.split("=") for one in selector.split(",")).items() <= pod["metadata"]["labels"].items()
    assert f"port {service['spec']['ports'][0]['port']} of the Service {service['metadata']['name']}," in text
    assert NAMESPACE == deployment["metadata"]["namespace"] == environment["CELERY_OPERATOR_LEASE_NAMESPACE"]


def test_the_first_cluster_is_one_that_runs(helm: Helm) -> None:
    (text,) = FIRST_CLUSTER.findall(notes(helm, {}))
    cluster = CeleryCluster.model_validate(
        {**yaml.safe_load(text), "metadata": {"name": "quickstart", "namespace": "a"}}
    )
    assert [group.replicas for group in cluster.spec.workers] == [2]


@pytest.fixture
def installed(helm: Helm, kubeconfig: Path, namespace: str) -> Iterator[str]:
    """What an installation without a pod in the test's namespace has printed; it serves nothing."""
    release = f"notes-{uuid.uuid4().hex[:6]}"
    where = (f"--namespace={namespace}", f"--kubeconfig={kubeconfig}")
    values = {"watchNamespaces": [namespace], "replicas": 0, "crds": {"install": False}, "fullnameOverride": "cel"}
    done = helm.run("install", release, str(CHART), *where, values=values)
    assert done.returncode == 0, done.stderr
    rendered = helm.notes(values, release=release, namespace=namespace)
    assert rendered.strip() == done.stdout.partition("NOTES:\n")[2].strip()
    yield rendered
    done = helm.run("uninstall", release, *where)
    assert done.returncode == 0, done.stderr


def test_the_commands_work_as_they_stand(installed: str, kubectl: Kubectl, kubeconfig: Path, namespace: str) -> None:
    """In a shell, from top to bottom, as a user copies them; only that nobody watches for ever or applies a CRD."""
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "cel"}}
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(lease))  # as a running operator does
    lines = [line.removeprefix("     ") for line in installed.splitlines() if line.startswith("     ")]
    script = (
        "\n".join(lines).replace(" --watch", "").replace("apply --server-side", "apply --dry-run=server --server-side")
    )
    path = f"{tool('kubectl').parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euxc", script],
        env={**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    started = [shlex.split(line.lstrip("+ "))[0] for line in done.stderr.splitlines() if line.startswith("+ ")]
    assert started.count("kubectl") == len(commands(installed)) == 8
    assert "celerycluster.celery-operator.dev/quickstart created" in done.stdout
    assert kubectl("get", "celerycluster", "quickstart", "-o", "jsonpath={.spec.workers[0].replicas}") == "2"
