"""The page of the documentation that says what the rules mean; docs/generate.py writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator import __version__
from celery_operator.lint.registry import RULES
from celery_operator.lint.rule import Rule
from celery_operator.lint.silenced import ANNOTATION

_HEAD: Final = f"""<!-- Generated from operator/celery_operator/lint. Do not edit. -->
# The linter

A spec can be valid and still hurt: a queue that nobody consumes, a visibility timeout that ends before the longest
task. The operator looks for such mistakes in each pass, in the spec and in what workers and broker say. It tells them

- in the condition `NoWarnings`: False while there is a warning, with the rules that found one;
- in `status.warnings`: one line each, ending in the rule's id (`kubectl get celerycluster shop -o yaml`);
- in the metric `celery_operator_warnings`, by namespace, cluster, rule and severity.

Nothing of it stops anything: `Ready` does not depend on it. A **warning** is about tasks, results or secrets; a
**hint** is what an expert would do otherwise, and leaves `NoWarnings` True. What a rule would need to know and nobody
has said, it does not guess.

## Before anything is applied

    celery-operator lint deploy/*.yaml
    helm template shop | celery-operator lint -

reads CeleryClusters from files, passes over everything else, and needs no cluster. It checks them against the CRD's
schema, finds what the operator would refuse, and runs the rules below. The CRD's CEL rules are the API server's
alone: `kubectl apply --dry-run=server` asks it. A key that stands twice in an object, of which kubectl drops one
without a word, is bad input here.

The command comes with the operator: `pip install .` in a checkout of its repository puts it on the PATH, and its image
has it, too: `docker run --rm -i celery-operator/operator:{__version__} lint - < shop.yaml`.

| exit code | |
|---|---|
| 0 | nothing was found that counts |
| 1 | something was found: errors and warnings (`--fail-on hint`: hints as well; `--fail-on error`: errors alone) |
| 2 | a file cannot be read, is no YAML or no valid CeleryCluster, or there is none in all of them |

`--output json` gives `{{"clusters": 1, "badInput": [], "findings": [{{"file": ..., "document": 1, "cluster": "shop",
"severity": "warning", "rule": "shared-queues", "message": ...}}]}}`. A problem for which the operator would refuse
the spec has the severity `error` and the rule `invalid-spec`.

## Silencing a rule

Where you know better, name the rule in an annotation of the CeleryCluster, several between commas. Pods do not
notice.

```yaml
metadata:
  annotations:
    {ANNOTATION}: consumer-timeout,shared-queues
```

## The rules

| rule | severity | finds |
|---|---|---|
"""


def page() -> str:
    """The page in Markdown. Deterministic: `docs/linter.md` is checked against it."""
    table = "\n".join(f"| [{rule.id}](#{rule.id}) | {rule.severity} | {rule.title} |" for rule in RULES)
    return f"{_HEAD}{table}\n\nThe examples show the fields of `spec` that matter.\n\n" + "\n".join(
        line for rule in RULES for line in _section(rule)
    )


def _section(rule: Rule) -> Iterator[str]:
    yield f"### {rule.id}\n"
    yield f"**{rule.title}** ({rule.severity})\n"
    yield f"{rule.why}\n"
    yield "Wrong:\n"
    yield f"```yaml\n{rule.wrong}\n```\n"
    yield "Right:\n"
    yield f"```yaml\n{rule.right}\n```\n"
