"""An application that cannot start says why in its termination message, ends with 78 and shows no secret."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import pytest

from tests.integration.runtime.conftest import PASSWORD, PodMaker
from tests.integration.runtime.test_configuration import assert_no_secret
from tests.integration.servers import RedisServer

BROKEN = {
    "missing_dependency": ("import no_such_package\n", "AppImportFailed", "ModuleNotFoundError"),
    "raises": (
        "import os\nraise RuntimeError('cannot use ' + os.environ['CELERY_BROKER_URL'])\n",
        "AppImportFailed",
        "RuntimeError",
    ),
    "exits": ("import sys\nsys.exit(0)\n", "AppImportFailed", "SystemExit"),
    "no_app": ("x = 1\n", "AppNotFound", "AttributeError"),
    "wrong_attribute": ("app = 3\n", "AppNotFound", None),
    "bad_attribute_access": ("import os\nos.no_such_thing\n", "AppImportFailed", "AttributeError"),
    "bad_settings": (
        "from celery import Celery\napp = Celery('a')\napp.config_from_object('no_such_settings')\n",
        "ConfigInvalid",
        "ModuleNotFoundError",
    ),
    "bad_tasks": (
        "from celery import Celery\napp = Celery('a', include=['no_such_tasks'])\n",
        "AppImportFailed",
        "ModuleNotFoundError",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_application_is_named(case: str, make_pod: PodMaker, broker: RedisServer, tmp_path: Path) -> None:
    source, reason, exception = BROKEN[case]
    (tmp_path / f"{case}.py").write_text(source)
    pod = make_pod(broker=broker.url(), app=case, applications=tmp_path).start()

    assert pod.ended() == 78

    message = pod.termination_message()
    assert message["celeryOperator"] == 1
    assert message["reason"] == reason
    assert message["exception"] == exception
    assert message["module"] == case
    assert message["message"]
    assert len(message["message"]) <= 300
    assert "\n" not in message["message"]
    assert f"celery-operator: {reason}: " in pod.output()
    assert_no_secret(pod.output() + pod.termination_log.read_text())
    assert "redis://" not in pod.output() + pod.termination_log.read_text()


@pytest.mark.parametrize("code", [0, 2])
def test_a_module_that_exits_while_celery_imports_it(
    code: int, make_pod: PodMaker, broker: RedisServer, tmp_path: Path
) -> None:
    """2 is what argparse ends with, and what Celery's own command line does."""
    (tmp_path / "including.py").write_text("from celery import Celery\napp = Celery('a', include=['leaving'])\n")
    (tmp_path / "leaving.py").write_text(f"import sys\nsys.exit({code})\n")
    pod = make_pod(broker=broker.url(), app="including", applications=tmp_path).start()
    assert pod.ended() == 78
    message = pod.termination_message()
    assert (message["reason"], message["exception"]) == ("AppImportFailed", "SystemExit")


def test_celerys_own_exit_is_no_failure_of_the_application(make_pod: PodMaker, broker: RedisServer) -> None:
    pod = make_pod(broker=broker.url()).start("--help")
    assert pod.ended() == 0
    assert not pod.termination_log.exists()


def test_a_module_that_is_not_there(make_pod: PodMaker, broker: RedisServer) -> None:
    pod = make_pod(broker=broker.url(), app="nowhere.celery").start()
    assert pod.ended() == 78
    assert pod.termination_message()["reason"] == "AppNotFound"
    assert pod.termination_message()["module"] == "nowhere.celery"


@pytest.mark.parametrize("component", ["worker", "beat"])
def test_a_taken_probe_port(component: str, make_pod: PodMaker, broker: RedisServer) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        pod = make_pod(broker=broker.url(), component=component)
        pod.port = squatter.getsockname()[1]
        pod.start()
        assert pod.ended() == 78
    assert pod.termination_message()["reason"] == "PortTaken"
    assert str(pod.port) in pod.termination_message()["message"]


def test_an_image_without_celery(make_pod: PodMaker, broker: RedisServer) -> None:
    pod = make_pod(broker=broker.url(), celery="empty").start()
    assert pod.ended() == 78
    assert pod.termination_message()["reason"] == "CeleryMissing"


def test_kombu_and_redis_py_of_different_times(make_pod: PodMaker, broker: RedisServer) -> None:
    """What `pip install celery[redis]==5.3.6` brings today."""
    pod = make_pod(broker=broker.url(), celery="mismatch").start()
    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "UnsupportedVersion"
    assert "kombu 5.7.0" in message["message"]
    assert "redis 5.3.1" in message["message"]


def test_settings_that_are_not_for_this_container(make_pod: PodMaker, broker: RedisServer) -> None:
    pod = make_pod(broker=broker.url(), settings={"component": "beat"}).start()
    assert pod.ended() == 78
    assert pod.termination_message()["reason"] == "ConfigInvalid"


def test_a_pool_whose_package_is_missing(make_pod: PodMaker, broker: RedisServer) -> None:
    pod = make_pod(broker=broker.url(), celery="django", settings={"pool": "gevent"}).start()
    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "StartFailed"
    assert "gevent" in message["message"]
    assert PASSWORD not in pod.output()


@pytest.mark.parametrize("component", ["worker", "beat"])
def test_an_option_that_celery_does_not_know(component: str, make_pod: PodMaker, broker: RedisServer) -> None:
    pod = make_pod(broker=broker.url(), component=component).start("--no-such-option")
    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "ConfigInvalid"
    assert "--no-such-option" in message["message"]
    assert "extraArgs" in message["message"]


def test_an_image_with_celery_4(make_pod: PodMaker, broker: RedisServer, tmp_path: Path) -> None:
    """Told from its metadata: Celery 4 itself may not even import on this Python."""
    metadata = tmp_path / "packages" / "celery-4.4.7.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: celery\nVersion: 4.4.7\n")
    pod = make_pod(broker=broker.url(), env={"PYTHONPATH": str(metadata.parents[1])}).start()
    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "UnsupportedVersion"
    assert "celery 4.4.7 is installed" in message["message"]


@pytest.mark.parametrize("seconds", [3, pytest.param(90, marks=pytest.mark.verify)])
def test_an_application_whose_import_takes_long(
    seconds: int, make_pod: PodMaker, broker: RedisServer, tmp_path: Path
) -> None:
    """Nothing answers until it is imported, then everything works."""
    (tmp_path / "slow.py").write_text(
        f"import time\ntime.sleep({seconds})\nfrom celery import Celery\napp = Celery('slow')\n"
    )
    started = time.monotonic()
    pod = make_pod(broker=broker.url(), app="slow", applications=tmp_path).start()
    pod.wait_for("/startupz", timeout=seconds + 60.0)
    assert time.monotonic() - started > seconds
    pod.wait_for("/readyz")
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0
