"""Configures a producer as the workers are: ``runpy.run_path("/celery-client/client.py")["configure"](app)``.

The file lies with its companions and ``settings.json`` in the ConfigMap <cluster>-client; wherever that is mounted,
it needs nothing but Celery. Secrets are no part of it: they come from the variables that ``pod.yaml`` lists.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import Any, Dict

PACKAGE = "celery_operator_client"
"""What the companions are imported as: a package whose folder this file lies in."""

SETTINGS_FILE = "settings.json"

BROKER_VARIABLES = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")
BACKEND_VARIABLES = ("CELERY_RESULT_BACKEND",)
"""Celery's own."""


def configure(app: Any) -> Any:
    """Give ``app`` the broker, result backend, queues and settings of the CeleryCluster; returns ``app``.

    To be called once, right after the application was made: a task that was used before keeps its old settings. What
    the CeleryCluster says wins over the application's code. Raises RuntimeError where that cannot be read, or where
    the broker's address is missing.
    """
    folder = os.path.dirname(os.path.abspath(__file__))
    package = _package(folder)
    with open(os.path.join(folder, SETTINGS_FILE), encoding="utf-8") as file:
        document = json.load(file)
    try:
        _configure(app, package, document)
    except package("failures").StartError as error:
        raise RuntimeError("%s: %s" % (error.reason, error.message)) from error
    return app


def _configure(app: Any, package: Any, document: Dict[str, Any]) -> None:
    environment = package("environment")
    variables = {**document["environment"], **os.environ}
    variables[environment.SETTINGS] = json.dumps(document["settings"])
    settings = environment.read(document["settings"]["component"], variables)
    if not settings.broker_url:
        raise RuntimeError(
            "the broker's address is missing; set the variables that pod.yaml of the ConfigMap %s-client lists"
            % settings.cluster
        )
    found = package("versions").installed()
    package("declared_queues").check(found, settings.broker_url, settings.queues)
    # As in a worker: Celery prefers these variables to any setting, and applications look at them, too.
    os.environ.update(dict.fromkeys(BROKER_VARIABLES, settings.broker_url))
    if settings.result_backend:
        os.environ.update(dict.fromkeys(BACKEND_VARIABLES, settings.result_backend))
    choice = package("table").choose(found, settings)
    layers = package("layering").layers(settings, choice)
    app.conf.finalize()
    package("configuration").apply(app.conf, layers)


def _package(folder: str) -> Any:
    """A function that imports a companion by its name."""
    if PACKAGE not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[PACKAGE] = module
        spec.loader.exec_module(module)
    return lambda name: importlib.import_module("%s.%s" % (PACKAGE, name))
