"""The local images, unpacked once: a containerd store in the cache that each node starts with a copy of.

Unpacking takes most of a start; a copy is hard links, which is safe because layers and blobs are never written to.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.cache import cache_folder, make_once, remove
from tests.cluster.commands import output_of, run_logged
from tests.cluster.errors import ClusterError
from tests.cluster.local.api import wait_for
from tests.cluster.local.layout import PROCESS_MARK
from tests.cluster.packages import program

_CONFIGURATION = """version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
  address = "{state}/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "{state}/opt"
"""
_DATABASES = "*/*.db"


def prepared_store(archives: Sequence[Path]) -> Path:
    """A containerd root folder that has the images of these archives; made once for each content of theirs."""
    digest = hashlib.sha256()
    for archive in archives:
        status = archive.stat()
        digest.update(f"{archive.name} {status.st_size} {status.st_mtime_ns}\0".encode())
    target = cache_folder() / "containerd" / digest.hexdigest()[:16]
    if not target.exists():
        for outdated in target.parent.glob("[0-9a-f]*"):
            # Nodes hold links of their own, so nobody needs it any more.
            remove(outdated)
    return make_once(target, "local images", lambda folder: _unpack(archives, folder), about_seconds=10)


def copy_store(store: Path, target: Path) -> None:
    """Make `target` a containerd root folder with the store's images."""
    target.parent.mkdir(parents=True, exist_ok=True)
    linked = store.stat().st_dev == target.parent.stat().st_dev
    output_of("cp", "-al" if linked else "-a", store, target, timeout=300)
    for database in store.glob(_DATABASES):
        # Databases are written in place: these must be real copies.
        output_of("cp", "-a", "--remove-destination", database, target / database.relative_to(store))


def _unpack(archives: Sequence[Path], folder: Path) -> None:
    log = cache_folder() / "logs" / "image-store.log"
    with tempfile.TemporaryDirectory(dir="/run", prefix="celery-operator-images-") as state:
        configuration = Path(state) / "containerd.toml"
        configuration.write_text(_CONFIGURATION.format(root=folder, state=state))
        # The mark lets the next clean-up find this process should this command be killed.
        env = {**os.environ, PROCESS_MARK: "image-store"}
        words = [program("containerd"), "-c", str(configuration)]
        with log.open("ab") as sink, subprocess.Popen(words, stdout=sink, stderr=sink, env=env) as containerd:
            try:
                socket = Path(state) / "containerd.sock"

                def answers() -> bool:
                    if containerd.poll() is not None:
                        raise ClusterError(f"containerd ended; see {log}")
                    return socket.exists()

                wait_for("containerd answering", 30, answers, lambda: f"see {log}")
                ctr = [program("ctr"), "-a", socket, "-n", "k8s.io", "images", "import", "--snapshotter", "overlayfs"]
                for archive in archives:
                    run_logged([*ctr, archive], log)
            finally:
                containerd.terminate()
