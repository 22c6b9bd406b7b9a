"""``python -m celery_tasks.ledger report|events|clear``: the ledger on the command line."""

from __future__ import annotations

import argparse
import json
import os
import sys

from celery_tasks.ledger.events import STREAM
from celery_tasks.ledger.report import judge, read_events
from celery_tasks.stores import STORE_ERRORS, connect


def main(arguments: list[str] | None = None) -> int:
    """0 when nothing is lost, open or ran twice; 1 when something is; 2 when the ledger cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m celery_tasks.ledger", description=__doc__)
    parser.add_argument(
        "verb",
        choices=("report", "events", "clear"),
        help="report: the verdict as JSON; events: every event, one JSON a line; clear: forget everything",
    )
    parser.add_argument("--url", default=os.environ.get("LEDGER_URL"), help="default: $LEDGER_URL")
    chosen = parser.parse_args(arguments)
    if not chosen.url:
        parser.error("no ledger: set LEDGER_URL or give --url")
    try:
        return _run(chosen.verb, chosen.url)
    except STORE_ERRORS as error:
        sys.stderr.write(f"the ledger cannot be read: {error}\n")
        return 2


def _run(verb: str, url: str) -> int:
    ledger = connect(url)
    if verb == "clear":
        ledger.delete(STREAM)
        return 0
    if verb == "events":
        for event in read_events(ledger):
            sys.stdout.write(json.dumps(event.fields()) + "\n")
        return 0
    report = judge(read_events(ledger))
    sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n")
    return 1 if report.lost or report.open or report.ran_twice else 0


if __name__ == "__main__":
    sys.exit(main())
