"""Images without a registry: built by buildah, kept as OCI archives in the cache, imported into each node."""

from tests.cluster.images.build import archive_of, build, qualified
from tests.cluster.images.local import BASE_IMAGE, PAUSE_IMAGE, base_archive, local_archives

__all__ = ["BASE_IMAGE", "PAUSE_IMAGE", "archive_of", "base_archive", "build", "local_archives", "qualified"]
