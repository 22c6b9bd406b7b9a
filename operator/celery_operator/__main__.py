"""The command line: `celery-operator` (or `python -m celery_operator`) runs the operator, or does what a verb says."""

from __future__ import annotations

import argparse
import sys


def main() -> None:
    """Do what the verb says. The imports stand in its branch, because the operator's take a second."""
    options = _parser().parse_args()
    if options.verb == "lint":
        from celery_operator.commands.lint import lint

        sys.exit(lint(options.files, output=options.output, fail_on=options.fail_on))
    from celery_operator.kube import asynchronous_only

    asynchronous_only.enforce()
    from celery_operator.commands.run import run

    sys.exit(run())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="celery-operator", description="Runs Celery applications on Kubernetes.")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", description="without one: run")
    verbs.add_parser("run", help="run the operator until SIGTERM; its settings are environment variables")
    text = "look for mistakes in CeleryClusters before they are applied; needs no cluster"
    lint = verbs.add_parser(
        "lint",
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog="Exit code: 0 nothing found that counts, 1 something found, 2 a file cannot be read or is no valid "
        "CeleryCluster. What the rules mean: docs/linter.md.",
    )
    lint.add_argument("files", nargs="+", metavar="FILE", help="YAML with any number of documents; - is standard input")
    lint.add_argument("--output", choices=("text", "json"), default="text", help="how to tell (default: text)")
    lint.add_argument(
        "--fail-on",
        choices=("error", "warning", "hint"),
        default="warning",
        help="what makes the exit code 1: this and what is worse (default: warning)",
    )
    return parser


if __name__ == "__main__":
    main()
