"""Makes the pages that come from the code: `python -m docs.generate --write`, or `--check` that they are current."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.policy import __main__ as policy
from celery_operator.lint import page as linter
from docs import delivery_guarantees, metrics_page, reference_page

FOLDER: Final = Path(__file__).parent
PAGES: Final[dict[str, Callable[[], str]]] = {
    "linter.md": linter.page,
    "reference.md": reference_page.page,
    "metrics.md": metrics_page.page,
    "autoscaling-policy.md": policy.page,
    "delivery-guarantees.md": delivery_guarantees.page,
}
"""How each generated page is made."""


def main() -> int:
    """Write or check; 1 when a page is stale."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="write the generated pages")
    mode.add_argument("--check", action="store_true", help="fail when a generated page is stale")
    write = parser.parse_args().write
    stale = 0
    for name, make in PAGES.items():
        path, wanted = FOLDER / name, make()
        if write:
            path.write_text(wanted, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != wanted:
            sys.stderr.write(f"docs/{name} is stale; run: make generate\n")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
