"""The linter on the command line: what it says, in which form, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]
ROOT = Path(__file__).parents[3]
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
MISTAKES = Path(__file__).with_name("mistakes.yaml")
GOOD = """
apiVersion: celery-operator.dev/v1alpha1
kind: CeleryCluster
metadata: {name: shop}
spec:
  image: shop:1
  app: shop.celery
  podSecurity: Restricted
  broker: {url: "redis://redis"}
  workers: [{name: web}]
"""


def lint(*arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Without a kubeconfig, and without any setting of the operator's."""
    return subprocess.run(
        [sys.executable, "-m", "celery_operator", "lint", *map(str, arguments)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "operator"), "HOME": "/nonexistent"},
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def told(*arguments: str | Path, given: str = "") -> tuple[int, Json]:
    done = lint("--output", "json", *arguments, given=given)
    assert done.stderr == ""
    answer: Json = json.loads(done.stdout)
    return done.returncode, answer


def test_the_samples_are_clean() -> None:
    code, answer = told(*SAMPLES)
    assert answer["clusters"] == 12
    assert answer["badInput"] == []
    assert (code, answer["findings"]) == (0, [])


def test_a_good_file_is_clean() -> None:
    assert (done := lint("-", given=GOOD)).returncode == 0
    assert done.stdout == "nothing found in 1 CeleryCluster\n"


def test_every_mistake_is_found_where_it_stands() -> None:
    code, answer = told(MISTAKES)
    assert code == 1
    assert answer["clusters"] == 4
    assert answer["badInput"] == []
    assert {each["file"] for each in answer["findings"]} == {str(MISTAKES)}
    assert [(each["document"], each["cluster"], each["severity"], each["rule"]) for each in answer["findings"]] == [
        (2, "warned", "warning", "password-in-spec"),
        (2, "warned", "warning", "shared-queues"),
        (2, "warned", "warning", "beat-queue-without-consumer"),
        (3, "refused", "error", "invalid-spec"),
        (4, "hinted", "hint", "pod-security-unset"),
        (5, "neighbour", "warning", "shared-queues"),
    ]
    assert "hunter2" not in json.dumps(answer)


def test_the_text_has_a_line_for_each() -> None:
    done = lint(MISTAKES)
    *lines, last = done.stdout.splitlines()
    assert len(lines) == 6
    assert last == "1 error, 4 warnings, 1 hint in 4 CeleryClusters"
    assert lines[3] == (
        f"{MISTAKES}: CeleryCluster refused: error: spec.config[worker_concurrency]: use spec.workers[].concurrency "
        "instead; the operator sets this Celery setting [invalid-spec]"
    )
    assert "hunter2" not in done.stdout


@pytest.mark.parametrize(
    ("severity", "code"), [("hint", {"hint": 1, "error": 0}), ("error", {"hint": 1, "warning": 1, "error": 1})]
)
def test_what_counts_may_be_chosen(severity: str, code: dict[str, int]) -> None:
    wrong = {"hint": "  podSecurity: Restricted\n", "error": "  app: shop.celery\n"}[severity]
    right = {"hint": "", "error": "  app: shop.celery\n  config: {broker_url: x}\n"}[severity]
    for counts, wanted in code.items():
        assert lint("--fail-on", counts, "-", given=GOOD.replace(wrong, right)).returncode == wanted


BAD = [
    ("a: [", "-: is no YAML: "),
    (GOOD.replace("shop:1", "{{ .Values.image }}"), "if it is a Helm template, render it first: helm template"),
    (
        f"{GOOD}  workers: [{{name: mail}}]\n",
        "-: CeleryCluster shop: line 11: workers stands there for the second time, and kubectl drops the first one",
    ),
    (GOOD.replace("image: shop:1", "imagee: shop:1"), "-: CeleryCluster shop: spec.image: is missing"),
    (
        GOOD.replace("name: web", "name: web, replica: 2"),
        "spec.workers[web].replica: there is no such field; did you mean",
    ),
    (GOOD.replace("{name: shop}", "{}"), "-: document 1: a CeleryCluster needs metadata.name"),
    (GOOD.replace("v1alpha1", "v9"), "apiVersion: must be celery-operator.dev/v1alpha1, and is celery-operator.dev/v9"),
    (GOOD.replace("podSecurity: Restricted", "config: {a: .nan}"), "-: holds a value that JSON has not"),
    (GOOD.replace("spec:", "sepc:"), "-: CeleryCluster shop: spec: is missing"),
]


@pytest.mark.parametrize(("text", "says"), BAD)
def test_bad_input_is_named(text: str, says: str) -> None:
    done = lint("-", given=text)
    assert done.returncode == 2
    assert says in done.stdout


def test_bad_input_in_one_file_hides_no_finding_in_another(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [")
    code, answer = told(tmp_path / "bad.yaml", tmp_path / "missing.yaml", MISTAKES)
    assert code == 2
    assert [each["file"].rpartition("/")[2] for each in answer["badInput"]] == ["bad.yaml", "missing.yaml"]
    assert answer["badInput"][1]["message"] == "cannot be read: No such file or directory"
    assert len(answer["findings"]) == 6


def test_a_key_that_stands_twice_elsewhere_is_not_the_linters_business() -> None:
    """Charts often repeat a label; and YAML's merge keys repeat what they stand for."""
    other = "kind: ConfigMap\ndata: {a: b, a: c}\n---\n"
    merged = GOOD.replace("[{name: web}]", "[{<<: &a {concurrency: 2}, concurrency: 4, name: web}]")
    assert lint("-", given=f"{other}{GOOD}").returncode == 0
    assert lint("-", given=merged).returncode == 0


def test_nothing_to_look_at_is_no_success() -> None:
    done = lint("-", given="kind: Secret\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "celery-operator lint: there is no CeleryCluster in -\n"


def test_the_same_cluster_for_two_environments_shares_nothing_with_itself(tmp_path: Path) -> None:
    for environment in ("staging", "production"):
        (tmp_path / f"{environment}.yaml").write_text(GOOD)
    assert lint(*sorted(tmp_path.iterdir())).returncode == 0


def test_the_linter_needs_no_cluster_client() -> None:
    """Its start is quick, and a CI job needs no rights."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "celery_operator", "lint", "-"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "operator")},
        input=GOOD,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "celery_operator.lint.registry" in imported
    assert imported.isdisjoint({"kopf", "kubernetes", "aiohttp", "asyncio", "redis", "aio_pika", "prometheus_client"})
