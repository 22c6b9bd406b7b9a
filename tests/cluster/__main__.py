"""The command line of the cluster tooling: `python -m tests.cluster VERB`. Progress is on stderr, answers on stdout."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.cluster import ClusterError, provider, tool
from tests.cluster.cache import say


def _up(words: argparse.Namespace) -> None:
    provider().up(words.nodes)


def _down(_: argparse.Namespace) -> None:
    provider().down()


def _status(_: argparse.Namespace) -> None:
    print("\n".join(provider().status()))


def _kubeconfig(_: argparse.Namespace) -> None:
    print(provider().kubeconfig())


def _load(words: argparse.Namespace) -> None:
    provider().load_image(words.image)


def _build(words: argparse.Namespace) -> None:
    arguments = dict(one.partition("=")[::2] for one in words.build_arg)
    archive = provider().build_image(words.context, words.tag, words.file, arguments)
    if archive is not None:
        print(archive)


def _add_node(_: argparse.Namespace) -> None:
    print(provider().add_node())


def _stop_node(words: argparse.Namespace) -> None:
    provider().stop_node(words.name)


def _tool(words: argparse.Namespace) -> None:
    print(tool(words.name))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, act: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(act=act)
        return added

    up = verb("up", _up, "make the cluster, or check that it is up")
    up.add_argument("--nodes", type=int, default=1, choices=range(1, 10), metavar="N", help="number of nodes (1)")
    verb("down", _down, "remove the cluster and everything it made, except the cache")
    verb("status", _status, "say what runs")
    verb("kubeconfig", _kubeconfig, "print the path of the kubeconfig and nothing else")
    load = verb("load", _load, "load an image into every node")
    load.add_argument("image", metavar="NAME_OR_ARCHIVE")
    build = verb("build", _build, "build an image; prints the path of its OCI archive where there is one")
    build.add_argument("context", type=Path)
    build.add_argument("--tag", required=True)
    build.add_argument("--file", type=Path, help="the Dockerfile (CONTEXT/Dockerfile)")
    build.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    verb("add-node", _add_node, "add a node; prints its name")
    stop = verb("stop-node", _stop_node, "lose a node as by a power failure")
    stop.add_argument("name")
    one_tool = verb("tool", _tool, "print the path of helm, kubectl, kwok, ..., building it when missing")
    one_tool.add_argument("name")
    return parser


def main() -> int:
    """Run one verb; 1 with a message on stderr when it cannot be done."""
    words = _parser().parse_args()
    try:
        words.act(words)
    except ClusterError as trouble:
        say(str(trouble))
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
