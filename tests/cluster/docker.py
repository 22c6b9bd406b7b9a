"""What is asked of Docker: whether it answers, whether it can have an image, and a build."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.cache import cache_folder, say, step
from tests.cluster.commands import run_logged, succeeds
from tests.cluster.errors import ClusterError

_PULL_SECONDS = 300


def docker_answers() -> bool:
    """Whether there is a Docker client whose server answers."""
    if shutil.which("docker") is None:
        return False
    try:
        return succeeds("docker", "version", timeout=15)
    except subprocess.TimeoutExpired:
        return False


def docker_can_have(image: str) -> bool:
    """Whether Docker has the image or can pull it."""
    if succeeds("docker", "image", "inspect", image):
        return True
    say(f"docker: pulling {image} ...")
    try:
        return succeeds("docker", "pull", "--quiet", image, timeout=_PULL_SECONDS)
    except subprocess.TimeoutExpired:
        return False


def docker_build(context: Path, tag: str, dockerfile: Path | None, build_args: Mapping[str, str]) -> None:
    """Build an image with Docker, whose layer cache makes an unchanged build quick."""
    if not docker_answers():
        raise ClusterError(f"image {tag} is built with Docker for this cluster, and no Docker answers on this machine")
    words: list[str | Path] = ["docker", "build", "-t", tag, "-f", dockerfile or context / "Dockerfile"]
    for name, value in build_args.items():
        words += ["--build-arg", f"{name}={value}"]
    with step(f"image {tag}", "building"):
        run_logged([*words, context], cache_folder() / "logs" / "docker-build.log")
