"""The chart as two releases of a kind of its own: this checkout's, and an older one whose CRD knows less.

The kind has another name and group, because a cluster has but one CRD of a name, and other tests need that.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster.versions import KUBERNETES
from tests.integration.install.helm import CHART, Helm

Json = dict[str, Any]

UNKNOWN_FIELDS: Final = ("suspend", "flower")
"""Of the spec; besides, the older release has groups without `autoscaling`."""
UNKNOWN_COLUMN: Final = "Backlog"

_TEMPLATE: Final = Path("templates", "crd-celeryclusters.yaml")
_NAMES: Final = """\
    kind: CeleryCluster
    listKind: CeleryClusterList
    plural: celeryclusters
    singular: celerycluster
    shortNames: [cc]
    categories: [all, celery]
"""
_OTHER_NAMES: Final = """\
    kind: Upgraded
    listKind: UpgradedList
    plural: upgradeds
    singular: upgraded
"""


class Releases:
    """The two charts in a folder, and one Helm release of them in a namespace; no pod of it runs."""

    def __init__(self, helm: Helm, folder: Path, *, kubeconfig: Path, namespace: str) -> None:
        self._helm = helm
        self._where = (f"--namespace={namespace}", f"--kubeconfig={kubeconfig}")
        self._values = {"watchNamespaces": [namespace], "replicas": 0}
        unique = uuid.uuid4().hex[:8]
        self._name = f"upgrade-{unique}"
        self.group = f"u{unique}.upgrade-tests.celery-operator.dev"
        self.resource = f"upgradeds.{self.group}"
        self.current, self.older = folder / "current", folder / "older"
        for chart in (self.current, self.older):
            shutil.copytree(CHART, chart)
            (chart / _TEMPLATE).write_text(self._renamed((chart / _TEMPLATE).read_text()))
        (self.older / _TEMPLATE).write_text(yaml.safe_dump(self._older()).replace("{{", '{{ "{{" }}'))

    def install(self, chart: Path) -> None:
        self._run("install", self._name, str(chart))

    def upgrade(self, chart: Path) -> None:
        self._run("upgrade", self._name, str(chart))

    def rollback(self) -> None:
        """To the release before."""
        self._run("rollback", self._name, given=False)

    def uninstall(self) -> None:
        self._run("uninstall", self._name, "--ignore-not-found", given=False)

    def cluster(self, name: str, spec: Json) -> Json:
        """An object of the kind."""
        return {"apiVersion": f"{self.group}/v1alpha1", "kind": "Upgraded", "metadata": {"name": name}, "spec": spec}

    def _run(self, *words: str, given: bool = True) -> str:
        done = self._helm.run(*words, *self._where, values=self._values if given else None)
        assert done.returncode == 0, f"helm {words[0]}: {done.stderr}"
        return done.stdout

    def _renamed(self, template: str) -> str:
        for former, other in (
            (_NAMES, _OTHER_NAMES),
            ("  name: celeryclusters.celery-operator.dev\n", f"  name: {self.resource}\n"),
            ("  group: celery-operator.dev\n", f"  group: {self.group}\n"),
        ):
            assert template.count(former) == 1, f"the CRD's template has no {former!r} any more"
            template = template.replace(former, other)
        return template

    def _older(self) -> Json:
        """The CRD as an older release may have had it: fewer fields and columns, and no rules between fields."""
        rendered = self._run(
            "template", self._name, str(self.current), f"--show-only={_TEMPLATE}", f"--kube-version={KUBERNETES}"
        )
        crd: Json = _without_rules(yaml.safe_load(rendered))
        (version,) = crd["spec"]["versions"]
        columns = version["additionalPrinterColumns"]
        version["additionalPrinterColumns"] = [one for one in columns if one["name"] != UNKNOWN_COLUMN]
        assert len(version["additionalPrinterColumns"]) == len(columns) - 1
        fields = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        for name in UNKNOWN_FIELDS:
            del fields[name]
        del fields["workers"]["items"]["properties"]["autoscaling"]
        return crd


def _without_rules(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_rules(one) for key, one in value.items() if key != "x-kubernetes-validations"}
    return [_without_rules(one) for one in value] if isinstance(value, list) else value
