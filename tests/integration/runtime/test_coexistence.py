"""The runtime beside what applications bring themselves: signals, bootsteps, classes, logging, Django, factories."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import cast

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.servers import RedisServer, wait_until

OWN = {
    "own.py": """
import json, logging, os, sys
from celery import Celery, bootsteps, signals
from celery.apps.worker import Worker
from celery.worker.consumer import Consumer
from redis import Redis

def note(what):
    Redis.from_url(os.environ["LEDGER_URL"]).rpush("notes", what)

class OwnWorker(Worker):
    def on_before_init(self, **kwargs):
        note("worker class")
        super().on_before_init(**kwargs)

class OwnConsumer(Consumer):
    def on_unknown_task(self, body, message, exc):
        note("consumer class")
        super().on_unknown_task(body, message, exc)

class OwnApp(Celery):
    @property
    def Worker(self):
        return self.subclass_with_self(OwnWorker)

class WorkerStep(bootsteps.StartStopStep):
    requires = ("celery.worker.components:Pool",)
    def start(self, worker): note("worker step starts")
    def stop(self, worker): note("worker step stops")

class ConsumerStep(bootsteps.StartStopStep):
    requires = ("celery.worker.consumer.tasks:Tasks",)
    def start(self, consumer): note("consumer step starts")
    def stop(self, consumer): note("consumer step stops")

class Lines(logging.Formatter):
    def format(self, record):
        return json.dumps({"level": record.levelname, "logger": record.name, "text": record.getMessage()})

@signals.setup_logging.connect
def own_logging(**_):
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Lines())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)

for name in ("celeryd_init", "worker_init", "worker_ready", "worker_shutting_down", "task_prerun", "task_received"):
    getattr(signals, name).connect(lambda name=name, **_: note(name), weak=False)

def create_app(name):
    app = OwnApp(name, include=["included"])
    app.conf.update(imports=("imported",), worker_consumer="own:OwnConsumer", task_default_queue="celery")
    app.steps["worker"].add(WorkerStep)
    app.steps["consumer"].add(ConsumerStep)
    return app

another = create_app("another")
app = create_app("own")
""",
    "included.py": """
from celery import shared_task
from own import note

@shared_task(name="included.work")
def work(): note("included ran")
""",
    "imported.py": """
from own import app, note

@app.task(name="imported.work")
def work(): note("imported ran")
""",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    """An application's files."""
    for name, source in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)
    return folder


def notes(ledger: Redis) -> list[str]:
    """What the application saw, in order."""
    return [entry.decode() for entry in cast("list[bytes]", ledger.lrange("notes", 0, -1))]


@pytest.mark.parametrize("app", ["own:app", "own"])
def test_an_application_with_everything_of_its_own(
    app: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    pod = make_pod(broker=empty_broker.url(), app=app, applications=write(tmp_path / "own", OWN)).start()
    pod.wait_for("/readyz")
    for task in ("included.work", "imported.work", "nobody.knows"):
        send(empty_broker.url(), task)
    wait_until(lambda: {"included ran", "imported ran"} <= set(notes(ledger)), timeout=30.0, what="both tasks ran")
    wait_until(lambda: "nobody.knows" in pod.output(), timeout=30.0, what="the unknown task is held")
    # A child tells what it runs while it runs it.
    wait_until(lambda: pod.status()["processed"] == 2, timeout=30.0, what="two tasks are counted")
    assert "runtime hook failed" not in str(pod.status()["warnings"])
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0
    seen = notes(ledger)
    for what in ("worker class", "worker step", "consumer step"):
        assert sum(entry.startswith(what) for entry in seen) == (1 if what == "worker class" else 2), seen
    assert {"celeryd_init", "worker_init", "worker_ready", "worker_shutting_down", "task_prerun"} <= set(seen)
    assert seen.count("task_received") == 2
    assert "consumer class" not in seen, "an unknown task within its window is not the application's yet"
    assert_json_lines(pod)


def assert_json_lines(pod: Pod) -> None:
    """Every log line has the application's form, ours too."""
    lines = [json.loads(line) for line in pod.output().splitlines() if line.startswith("{")]
    assert any(line["logger"] == "celery.operator" and "nobody.knows" in line["text"] for line in lines)
    assert "/MainProcess]" not in pod.output(), "a line in Celery's own form"


def test_an_own_consumer_class_gets_the_task_after_the_window(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    from tests.integration.runtime.test_unknown_tasks import send_unknown

    make_pod(broker=empty_broker.url(), app="own", applications=write(tmp_path / "own", OWN)).start()
    send_unknown(empty_broker.url(), since=1.0)
    wait_until(lambda: "consumer class" in notes(ledger), timeout=60.0, what="the application's own handling")


DJANGO = {
    "storefront/__init__.py": "from .celery import app as celery_app\n",
    "storefront/settings.py": """
import os
SECRET_KEY = "test"
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "storefront.orders"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
LOGGING = {"version": 1, "disable_existing_loggers": True,
           "formatters": {"json": {"class": "pythonjsonlogger.json.JsonFormatter"}},
           "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "json"}},
           "root": {"handlers": ["out"], "level": "INFO"}}
CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
""",
    "storefront/celery.py": """
import os
from celery import Celery
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "storefront.settings")
app = Celery("storefront")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
""",
    "storefront/orders/__init__.py": "",
    "storefront/orders/models.py": """
from django.db import models
class Order(models.Model):
    number = models.IntegerField(unique=True)
""",
    "storefront/orders/tasks.py": """
import json, os
from celery import shared_task
from django.db import connection
from redis import Redis
from .models import Order

@shared_task(name="orders.store", bind=True)
def store(self, number):
    tables = connection.introspection.table_names()
    if Order._meta.db_table not in tables:
        with connection.schema_editor() as editor:
            editor.create_model(Order)
    Order.objects.create(number=number)
    said = {"stored": Order.objects.count(), "acks_late": self.acks_late, "zone": str(self.app.timezone)}
    Redis.from_url(os.environ["LEDGER_URL"]).rpush("stored", json.dumps(said))
""",
}


@pytest.mark.parametrize("app", ["storefront", pytest.param("storefront.celery:app", marks=pytest.mark.verify)])
def test_a_django_project(
    app: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    pod = make_pod(
        celery="django",
        broker=empty_broker.url(),
        app=app,
        applications=write(tmp_path / "project", DJANGO),
        env={"DATABASE": str(tmp_path / "database"), "DJANGO_SETTINGS_MODULE": "storefront.settings"},
    )
    pod.start().wait_for("/readyz")
    send(empty_broker.url(), "orders.store", 7)
    wait_until(lambda: ledger.llen("stored") == 1, timeout=60.0, what="the task ran")
    said = json.loads(ledger.lrange("stored", 0, 0)[0])
    assert said == {"stored": 1, "acks_late": True, "zone": "Europe/Berlin"}
    assert pod.status()["warnings"] == []
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0


def test_a_django_project_whose_settings_are_missing(
    make_pod: PodMaker, empty_broker: RedisServer, tmp_path: Path
) -> None:
    files = {**DJANGO, "storefront/settings.py": "import no_such_package\n"}
    pod = make_pod(
        celery="django",
        broker=empty_broker.url(),
        app="storefront",
        applications=write(tmp_path / "project", files),
        env={"DJANGO_SETTINGS_MODULE": "storefront.settings"},
    ).start()
    assert pod.ended() == 78
    assert pod.termination_message()["exception"] == "ModuleNotFoundError"
    assert "no_such_package" in pod.termination_message()["message"]


FACTORY = """
from celery import Celery

def make_celery():
    app = Celery("made")
    @app.task(name="made.work")
    def work(key):
        import os
        from redis import Redis
        Redis.from_url(os.environ["LEDGER_URL"]).rpush(key, 1)
    return app

class Flask:
    extensions = {"celery": make_celery()}

flask_app = Flask()
celery_app = flask_app.extensions["celery"]
"""


def test_an_application_made_by_a_factory(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    folder = write(tmp_path / "made", {"made.py": FACTORY})
    make_pod(broker=empty_broker.url(), app="made:celery_app", applications=folder).start().wait_for("/readyz")
    send(empty_broker.url(), "made.work", "made")
    wait_for_entries(ledger, "made", 1)


def test_a_factory_that_nobody_calls_is_told_what_to_do(
    make_pod: PodMaker, empty_broker: RedisServer, tmp_path: Path
) -> None:
    folder = write(tmp_path / "made", {"made.py": FACTORY})
    pod = make_pod(broker=empty_broker.url(), app="made:make_celery", applications=folder).start()
    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "AppNotFound"
    assert "app = make_celery()" in message["message"]
