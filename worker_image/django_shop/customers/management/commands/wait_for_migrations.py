"""``wait_for_migrations``: for processes that start beside the migration, such as a web process or a producer."""

from __future__ import annotations

import time
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

_LOOK_EVERY_SECONDS: Final = 1.0


class Command(BaseCommand):
    """Ends when the database has every migration of this image."""

    help = "Wait until all migrations are applied."

    def add_arguments(self, parser: CommandParser) -> None:
        """How long to wait."""
        parser.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError when they are not there in time."""
        deadline = time.monotonic() + options["timeout"]
        while missing := _missing():
            if time.monotonic() > deadline:
                raise CommandError(f"not applied within {options['timeout']:g} s: {missing}")
            time.sleep(_LOOK_EVERY_SECONDS)
        self.stdout.write("all migrations are applied")


def _missing() -> str:
    """The migrations that are not applied, in words; empty when all are."""
    try:
        executor = MigrationExecutor(connection)
    except OperationalError as error:
        return f"the database does not answer: {error}"
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return ", ".join(str(migration) for migration, _ in plan)
