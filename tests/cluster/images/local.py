"""The images that the local cluster brings along: the base of all builds, `pause`, Redis and RabbitMQ, from Debian."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.cluster.cache import cache_folder, locked, make_once, remove, step
from tests.cluster.commands import run_logged
from tests.cluster.images.build import archive_of, build, buildah, has_image, push, qualified
from tests.cluster.packages import program
from tests.cluster.versions import DEBIAN_SUITE

BASE_IMAGE = f"localhost/celery-operator-base:{DEBIAN_SUITE}"
PAUSE_IMAGE = "localhost/celery-operator-pause:1"
MIRROR_VARIABLE = "CELERY_OPERATOR_DEBIAN_MIRROR"
"""Names a Debian mirror for debootstrap and for the images; unset, debootstrap's own default is used."""

_HERE = Path(__file__).parent
_FROM_DEBIAN = {"docker.io/library/redis:7": "redis", "docker.io/library/rabbitmq:3-management": "rabbitmq"}
_BASE_PACKAGES = "python3,python3-venv,ca-certificates"
_NOT_NEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/cache/apt",
    "var/lib/apt/lists",
)
# `python` and `pip` where images of Python have them: an environment over Debian's Python, so that the same
# Dockerfiles build here and on the usual base.
_PYTHON_PLACE = "/usr/local"


def base_archive() -> Path:
    """The base image's archive, made when missing; afterwards buildah's storage has the image too."""
    with locked(cache_folder() / "locks" / "image-base.lock", "base image"):
        archive = archive_of(BASE_IMAGE)
        key = hashlib.sha256(f"{DEBIAN_SUITE} {_BASE_PACKAGES} {_NOT_NEEDED} 1".encode()).hexdigest()[:12]
        root = make_once(
            cache_folder() / "debian" / f"{DEBIAN_SUITE}-{key}",
            f"Debian {DEBIAN_SUITE} base",
            _debootstrap,
            about_seconds=60,
        )
        if not archive.exists() or not has_image(BASE_IMAGE):
            with step("base image", "importing", 15):
                _commit(root)
                push(BASE_IMAGE)
    return archive


def local_archives() -> list[Path]:
    """Archives of every image that each node of the local cluster gets at its start, built when missing."""
    base = base_archive()
    archives = [_pause(), base]
    for tag, folder in _FROM_DEBIAN.items():
        archives.append(build(_HERE / folder, tag, build_args={"BASE_IMAGE": BASE_IMAGE}))
    return archives


def _debootstrap(temporary: Path) -> None:
    log = cache_folder() / "logs" / "debootstrap.log"
    mirror = os.environ.get(MIRROR_VARIABLE)
    words = [program("debootstrap"), "--variant=minbase", f"--include={_BASE_PACKAGES}", DEBIAN_SUITE, temporary]
    run_logged([*words, mirror] if mirror else words, log)
    # The venv's links must be made inside: they lead to the image's own Python.
    inside = [program("chroot"), temporary, "/usr/bin/env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
    run_logged([*inside, "python3", "-m", "venv", _PYTHON_PLACE], log)
    for folder in _NOT_NEEDED:
        remove(temporary / folder)
        (temporary / folder).mkdir(parents=True)
    (temporary / "var/cache/apt/archives/partial").mkdir(parents=True)
    for file in (temporary / "var/log").rglob("*.log"):
        file.unlink()
    for link in ("etc/resolv.conf", "etc/hostname"):
        # Copied from this machine by debootstrap; every container gets its own.
        remove(temporary / link)


def _commit(root: Path) -> None:
    log = cache_folder() / "logs" / "base-image.log"
    container = "celery-operator-base"
    run_logged(["sh", "-c", '"$@" >/dev/null 2>&1 || true', "sh", *buildah("rm", container)], log)
    path = f"{_PYTHON_PLACE}/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("from", "--pull=false", "--name", container, "scratch"),
        ("add", "-q", container, root, "/"),
        ("config", "--env", f"PATH={path}", "--env", "LANG=C.UTF-8", "--cmd", "python3", container),
        ("commit", "-q", "--rm", container, qualified(BASE_IMAGE)),
    )
    for words in commands:
        run_logged(buildah(*words), log)


def _pause() -> Path:
    source = _HERE / "pause"
    binary = make_once(cache_folder() / "bin" / "pause-1" / "pause", "pause 1", _compiler(source / "pause.c"))
    context = cache_folder() / "bin" / "pause-1" / "context"

    def fill(folder: Path) -> None:
        folder.mkdir()
        shutil.copy2(source / "Dockerfile", folder)
        shutil.copy2(binary, folder / "pause")

    return build(make_once(context, "pause context", fill), PAUSE_IMAGE)


def _compiler(source: Path) -> Callable[[Path], None]:
    def compile_to(temporary: Path) -> None:
        words = [program("gcc"), "-Os", "-static", "-s", "-o", temporary, source]
        run_logged(words, cache_folder() / "logs" / "pause.log")

    return compile_to
