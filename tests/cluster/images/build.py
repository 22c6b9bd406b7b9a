"""Build a Dockerfile into an OCI archive in the cache, and skip that quickly when nothing it depends on has changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.cluster.cache import cache_folder, locked, remove, say, step
from tests.cluster.commands import run_logged, succeeds
from tests.cluster.errors import ClusterError
from tests.cluster.packages import program

_SKIPPED_FOLDERS = {".git", ".venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"}
_BUNDLE_IN_IMAGE = "/etc/ssl/certs/ca-certificates.crt"
_USUAL_BUNDLES = (_BUNDLE_IN_IMAGE, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def qualified(name: str) -> str:
    """The image name as a kubelet completes it: `redis:7` -> `docker.io/library/redis:7`."""
    last = name.rpartition("/")[2]
    if ":" not in last and "@" not in last:
        name += ":latest"
    first, slash, _ = name.partition("/")
    if not slash:
        return f"docker.io/library/{name}"
    return name if "." in first or ":" in first or first == "localhost" else f"docker.io/{name}"


def archive_of(name: str) -> Path:
    """Where the cache keeps the archive of an image; the file may not exist."""
    return cache_folder() / "images" / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', qualified(name))}.oci.tar"


def buildah(*words: str | Path) -> list[str | Path]:
    """A buildah command on storage of our own: the machine's own images are neither used nor touched."""
    storage = cache_folder() / "buildah"
    runroot = Path("/run/celery-operator-buildah")
    return [program("buildah"), "--root", storage, "--runroot", runroot, "--storage-driver", "overlay", *words]


def has_image(name: str) -> bool:
    """Whether buildah's storage in the cache has the image."""
    return succeeds(*buildah("inspect", "--type", "image", qualified(name)))


def push(name: str) -> Path:
    """Write an image of buildah's storage to its archive, which appears whole. Waits for a build of that name."""
    with _being_written(name):
        return _push(name)


def _being_written(name: str) -> contextlib.AbstractContextManager[None]:
    return locked(cache_folder() / "locks" / f"image-{archive_of(name).name}.lock", f"image {name}")


def _push(name: str) -> Path:
    archive = archive_of(name)
    archive.parent.mkdir(parents=True, exist_ok=True)
    temporary = archive.with_name(f".{archive.name}.tmp")
    remove(temporary)
    # Layers stay uncompressed: reading them is what costs time.
    destination = f"oci-archive:{temporary}:{qualified(name)}"
    run_logged(buildah("push", "-q", "-D", qualified(name), destination), _log(name))
    temporary.rename(archive)
    return archive


def build(
    context: Path, tag: str, *, dockerfile: Path | None = None, build_args: Mapping[str, str] | None = None
) -> Path:
    """Build `tag` from a context folder and return its OCI archive.

    The Dockerfile is `context/Dockerfile` unless named. Nothing is done when the context, the Dockerfile, the arguments
    and the base archive are those of the archive that exists. A build that fails or is killed leaves no archive: an old
    one is never loaded in its place. Raises ClusterError with the end of the build's log.
    """
    dockerfile = dockerfile or context / "Dockerfile"
    if not dockerfile.is_file():
        raise ClusterError(f"there is no Dockerfile {dockerfile}; name it with --file")
    archive = archive_of(tag)
    key_file = archive.with_suffix(".key")
    key = _key(context, dockerfile, build_args or {})
    with _being_written(tag):
        if archive.exists() and key_file.exists() and key_file.read_text() == key:
            say(f"image {tag}: cached")
            return archive
        with step(f"image {tag}", "building"):
            # The key first: what is there without one is built again.
            key_file.unlink(missing_ok=True)
            archive.unlink(missing_ok=True)
            run_logged(_bud(context, tag, dockerfile, build_args or {}), _log(tag))
            _push(tag)
            key_file.write_text(key)
    return archive


def _bud(context: Path, tag: str, dockerfile: Path, build_args: Mapping[str, str]) -> list[str | Path]:
    words: list[str | Path] = ["bud", "--layers", "--pull=false", "--isolation", "chroot", "--network", "host"]
    if bundle := _certificate_bundle():
        # pip inside the build must trust what this machine trusts, for networks with an authority of their own.
        words += ["-v", f"{bundle}:{_BUNDLE_IN_IMAGE}:ro"]
    if configuration := _pip_configuration():
        words += ["-v", f"{configuration}:/etc/pip.conf:ro"]
    for name, value in build_args.items():
        words += ["--build-arg", f"{name}={value}"]
    return buildah(*words, "-f", dockerfile, "-t", qualified(tag), context)


def _certificate_bundle() -> Path | None:
    named = (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *_USUAL_BUNDLES)
    return next((Path(one).resolve() for one in named if one and Path(one).is_file()), None)


def _pip_configuration() -> Path | None:
    # The settings of this machine's pip that decide whether it reaches an index at all.
    settings = {"cert": _BUNDLE_IN_IMAGE} if _certificate_bundle() else {}
    for name in ("index_url", "extra_index_url", "timeout"):
        if value := os.environ.get(f"PIP_{name.upper()}"):
            settings[name.replace("_", "-")] = value
    if not settings:
        return None
    path = cache_folder() / "pip.conf"
    temporary = path.with_name(f".pip.conf.{os.getpid()}.tmp")
    temporary.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    temporary.rename(path)
    return path


def _key(context: Path, dockerfile: Path, build_args: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    digest.update(dockerfile.read_bytes())
    for name, value in sorted(build_args.items()):
        digest.update(f"{name}={value}\0".encode())
        with contextlib.suppress(OSError):
            # An argument that names an image of ours: its archive's age and size stand for its content.
            status = archive_of(value).stat()
            digest.update(f"{status.st_mtime_ns} {status.st_size}\0".encode())
    for path in sorted(_context_files(context)):
        digest.update(f"{path.relative_to(context)}\0{path.lstat().st_mode:o}\0".encode())
        digest.update(os.readlink(path).encode() if path.is_symlink() else path.read_bytes())
    return digest.hexdigest()


def _context_files(context: Path) -> Iterator[Path]:
    """Every file of the context, without folders that no build wants. A .dockerignore is not interpreted here.

    Files it excludes can therefore cause a rebuild that was not needed (and is quick, by cached layers), never a
    rebuild that is missed; whole top-level folders that it names are left out.
    """
    ignore_file = context / ".dockerignore"
    ignored = set()
    if ignore_file.is_file():
        ignored = {line.strip().strip("/") for line in ignore_file.read_text().splitlines() if line.strip()}
    only = {line.removeprefix("!").strip("/").split("/")[0] for line in ignored if line.startswith("!")}
    for folder, folders, files in os.walk(context):
        top = Path(folder) == context
        folders[:] = [
            name
            for name in folders
            if name not in _SKIPPED_FOLDERS and not (top and (name in ignored or ("*" in ignored and name not in only)))
        ]
        yield from (Path(folder) / name for name in files)


def _log(name: str) -> Path:
    return cache_folder() / "logs" / f"image-{archive_of(name).stem}.log"
