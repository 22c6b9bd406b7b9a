"""The command tells what the operator finds only when it builds the pods, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from celery_operator.commands.lint import CLEAN, FOUND, INVALID, lint
from tests.unit.desired.clusters import manifest

Json = dict[str, Any]
HOOK: Json = {"hooks": {"beforeRollout": {"command": ["migrate"]}}}


def template(name: str, **fields: Any) -> Json:
    return {"podTemplate": {"spec": {"containers": [{"name": name, **fields}]}}}


def told(folder: Path, spec: Json, output: pytest.CaptureFixture[str]) -> tuple[int, list[Json]]:
    file = folder / "shop.yaml"
    file.write_text(yaml.safe_dump(manifest({"podSecurity": "Restricted", **spec})))
    code = lint([str(file)], output="json", fail_on="error")
    found: list[Json] = json.loads(output.readouterr().out)["findings"]
    return code, found


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (template("worker", args=[]), "spec.podTemplate.spec.containers[worker].args"),
        (
            {"workers": [{"name": "web", **template("worker", command=["sh"])}]},
            "spec.workers[web].podTemplate.spec.containers[worker].command",
        ),
        ({**HOOK, **template("hook", command=["sh"])}, "spec.podTemplate.spec.containers[hook].command"),
    ],
    ids=["cluster", "group", "hook"],
)
def test_a_pod_template_that_cannot_be_merged_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spec: Json, says: str
) -> None:
    code, (finding,) = told(tmp_path, spec, capsys)
    assert (code, finding["severity"], finding["rule"]) == (FOUND, "error", INVALID)
    assert says in finding["message"]


@pytest.mark.parametrize(
    "spec", [template("worker", resources={}), {**HOOK, **template("hook", resources={})}], ids=["worker", "hook"]
)
def test_one_that_can_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], spec: Json) -> None:
    assert told(tmp_path, spec, capsys) == (CLEAN, [])
