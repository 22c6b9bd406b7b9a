"""What a worker does not do at its start, since every pod would pay for it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import APPLICATIONS, Pod, send
from tests.integration.servers import RedisServer, wait_until

OF_AN_APPLICATION = 10_000
"""Objects that Celery and Redis alone have made by then, at the least."""

PLUGIN = """
import click
import click_repl

@click.command()
def plugin():
    click_repl.repl(click.get_current_context())

with open({path!r}, "w") as file:
    file.write(" ".join(sorted(vars(click_repl))))
"""


def imported(pod: Pod) -> set[str]:
    """Every module that the pod's processes have imported, as ``python -X importtime`` prints them."""
    return set(re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)$", pod.output(), re.MULTILINE))


@pytest.mark.parametrize("celery", ["celery-5.3", "celery-5.4", "celery-5.5", "celery-5.6", "celery-5.7"])
def test_a_worker_imports_nothing_of_beat_nor_of_a_terminal(
    make_pod: PodMaker, empty_broker: RedisServer, celery: str
) -> None:
    pod = make_pod(celery=celery, broker=empty_broker.url(), env={"PYTHONPROFILEIMPORTTIME": "1"})
    modules = imported(pod.start().wait_for("/readyz"))
    assert {"celery.bin.worker", "celery_operator_runtime.probe_server"} <= modules, "the list is whole"
    ours = {name.partition(".")[2] for name in modules if name.startswith("celery_operator_runtime.")}
    assert [
        name for name in sorted(ours) if name.startswith(("beat", "claim", "amqp_claims", "redis_claims", "ticks"))
    ] == []
    assert not modules & {"click_repl", "prompt_toolkit"}


@pytest.mark.parametrize("celery", ["celery-5.3", "celery-5.5", "celery-5.7"])
def test_a_worker_waits_for_the_neighbours_that_there_are_and_no_longer(
    make_pod: PodMaker, empty_broker: RedisServer, celery: str
) -> None:
    on = {"CELERY_OPERATOR_MINGLE": "on"}
    first, second = (make_pod(celery=celery, broker=empty_broker.url(), app="patient", env=on) for _ in range(2))
    first.start().wait_for("/readyz")
    assert "mingle: all alone" in first.output()
    second.start().wait_for("/readyz")
    assert "mingle: sync with 1 nodes" in second.output()
    # By itself, Celery listens for a second in either case, and with this application for a minute.
    assert max(seconds_of_mingle(first), seconds_of_mingle(second)) < 30.0


def seconds_of_mingle(pod: Pod) -> float:
    """Between the two lines that Celery logs."""
    stamps = re.findall(
        r"^\[(\S+ [\d:]+),(\d+): \w+/\w+\] mingle: (?:searching|all alone|sync complete)", pod.output(), re.MULTILINE
    )
    begun, over = (datetime.fromisoformat(f"{second}.{millisecond}") for second, millisecond in stamps)
    return (over - begun).total_seconds()


def test_an_application_and_a_plugin_that_use_the_terminals_package_get_it(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    folder = tmp_path / "plugin"
    (folder / "plugin-1.0.dist-info").mkdir(parents=True)
    (folder / "plugin-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (folder / "plugin-1.0.dist-info" / "entry_points.txt").write_text("[celery.commands]\nplugin = plugin:plugin\n")
    (folder / "plugin.py").write_text(PLUGIN.format(path=str(seen)))
    pod = make_pod(app="insider", broker=empty_broker.url(), env={"PYTHONPATH": str(folder)})
    pod.start().wait_for("/readyz")
    assert "ClickCompleter" in seen.read_text().split(), "the plugin of the command line has the real one"
    assert told(empty_broker, ledger)["shell"], "and so has the application"


@pytest.mark.parametrize("celery", ["celery-5.3", "celery-5.7"])
def test_children_do_not_walk_over_what_the_application_imported(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, celery: str
) -> None:
    pod = make_pod(celery=celery, app="insider", broker=empty_broker.url())
    pod.start("-c", "1", "--max-tasks-per-child", "1").wait_for("/readyz")
    first, second = told(empty_broker, ledger), told(empty_broker, ledger)
    assert first["pid"] != second["pid"], "the second child has replaced the first"
    assert first["frozen"] > OF_AN_APPLICATION
    assert OF_AN_APPLICATION < second["frozen"] <= first["frozen"], "frozen once, not again for each child"


def test_an_application_may_have_the_terminals_package_already(
    make_pod: PodMaker, empty_broker: RedisServer, tmp_path: Path
) -> None:
    applications = tmp_path / "applications"
    applications.mkdir()
    text = (APPLICATIONS / "insider.py").read_text()
    (applications / "insider.py").write_text(text.replace("import gc\n", "import gc\nimport click_repl\n"))
    pod = make_pod(app="insider", broker=empty_broker.url(), applications=applications,
                   env={"PYTHONPROFILEIMPORTTIME": "1"})  # fmt: skip
    assert "prompt_toolkit" in imported(pod.start().wait_for("/readyz"))


def told(broker: RedisServer, ledger: Redis) -> dict[str, int]:
    """What one task finds."""
    ledger.delete("told")
    send(broker.url(), "insider.tell", "told")
    wait_until(lambda: ledger.llen("told") == 1, timeout=60.0, what="the task has told")
    found: dict[str, int] = json.loads(ledger.lrange("told", 0, 0)[0])
    return found
