"""The local provider: brings the cluster up, takes it down, and does the rest of the Provider protocol to it."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.cache import cache_folder, locked, remove, say, step
from tests.cluster.errors import ClusterError
from tests.cluster.images import BASE_IMAGE, archive_of, base_archive, build, local_archives, qualified
from tests.cluster.images.build import has_image, push
from tests.cluster.local import cleanup, network, node
from tests.cluster.local.api import Api, wait_for
from tests.cluster.local.control_plane import dns_answers, start_control_plane, start_dns_and_storage
from tests.cluster.local.image_store import prepared_store
from tests.cluster.local.layout import AUDIT_LOG, DATA, KUBECONFIG, LOCK, LOGS, PKI, STATE, NodePlace
from tests.cluster.local.pki import Authority
from tests.cluster.local.processes import is_alive
from tests.cluster.local.state import State, boot_id, load_state
from tests.cluster.packages import install_missing, require_root
from tests.cluster.toolchain import tool

_PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubectl",
    "coredns",
)


class LocalProvider:
    """One cluster for the whole machine, made of plain processes; every verb may be repeated."""

    name = "local"

    @property
    def audit_log(self) -> Path | None:
        """The API server's audit log of writes, one JSON event a line."""
        return AUDIT_LOG

    def up(self, nodes: int = 1) -> None:
        """Return when `nodes` nodes are Ready, DNS answers and the local images are loaded. Cleans remains first."""
        require_root()
        with locked(LOCK, "local cluster"):
            state = load_state()
            if state is not None and state.complete:
                trouble = _trouble(state)
                if trouble is None:
                    say(f"local cluster: already up, kubeconfig {KUBECONFIG}")
                    while len(_live(state)) < nodes:
                        self._add_node(state)
                    return
                say(f"local cluster: not healthy ({trouble}); starting anew")
            _clean()
            image_store = _prepare()
            with step("local cluster", f"starting with {nodes} node{'s' if nodes > 1 else ''}", 12):
                _start(nodes, image_store)
            say(f"local cluster: up, kubeconfig {KUBECONFIG}")

    def down(self) -> None:
        """Return when nothing of the cluster is left on this machine but the cache."""
        require_root()
        with locked(LOCK, "local cluster"):
            if not _clean():
                say("local cluster: not up, nothing to do")

    def status(self) -> list[str]:
        """A few lines for people. Raises ClusterError when the cluster is not up."""
        state = _running()
        lines = [f"local cluster, kubeconfig {KUBECONFIG}, audit log {AUDIT_LOG}, logs {LOGS}"]
        trouble = _trouble(state, patience_seconds=2)
        lines.append("healthy" if trouble is None else f"not healthy: {trouble}")
        for number in state.nodes:
            gone = " (stopped)" if number in state.stopped_nodes else ""
            lines.append(f"{NodePlace(number=number).name}{gone}")
        return lines

    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig. Raises ClusterError when the cluster is not up."""
        _running()
        return KUBECONFIG

    def build_image(
        self, context: Path, tag: str, dockerfile: Path | None = None, build_args: Mapping[str, str] | None = None
    ) -> Path:
        """Build an image on the local base; returns its OCI archive in the cache."""
        require_root()
        install_missing()
        base_archive()
        return build(context, tag, dockerfile=dockerfile, build_args={"BASE_IMAGE": BASE_IMAGE, **(build_args or {})})

    def load_image(self, image: str) -> None:
        """Load an OCI or Docker archive, or an image by its name as it was built, into every node."""
        require_root()
        archive = _archive(image)
        with locked(LOCK, "local cluster"):
            state = _running()
            changed = archive.stat().st_mtime_ns
            if state.images.get(str(archive)) == changed:
                say(f"image {image}: already loaded")
                return
            with step(f"image {image}", "loading"):
                for place in _live(state):
                    _load(place, archive)
            state.images[str(archive)] = changed
            state.save()

    def add_node(self) -> str:
        """Add one node and return its name when it is Ready."""
        require_root()
        with locked(LOCK, "local cluster"):
            return self._add_node(_running())

    def stop_node(self, name: str) -> None:
        """Lose a node as by a power failure; it does not come back. Its Node object stays until someone deletes it."""
        require_root()
        with locked(LOCK, "local cluster"):
            state = _running()
            found = [place for place in _live(state) if place.name == name]
            if not found:
                names = ", ".join(place.name for place in _live(state)) or "none"
                raise ClusterError(f"no running node is called {name!r}; running are: {names}")
            with step(name, "stopping as by a power failure"):
                node.lose_node(state, found[0])

    def _add_node(self, state: State) -> str:
        place = NodePlace(number=max(state.nodes) + 1)
        with step(place.name, "starting", 6):
            node.start_containerd(state, place)
            node.start_kubelet(state, place, Authority.load(PKI))
            for archive in state.images:
                _load(place, Path(archive))
            node.wait_for_node(state, place, Api(KUBECONFIG))
        return place.name


def _prepare() -> Path:
    install_missing()
    network.check_no_other_cluster()
    for name in _PROGRAMS:
        tool(name)
    return prepared_store(local_archives())


def _clean() -> bool:
    if cleanup.nothing_is_left():
        return False
    with step("local cluster", "ending its processes and removing what it made"):
        cleanup.clean_up()
    return True


def _start(nodes: int, image_store: Path) -> None:
    places = [NodePlace(number=number) for number in range(1, nodes + 1)]
    state = State(boot_id=boot_id(), image_store=str(image_store))
    STATE.mkdir(parents=True)
    STATE.chmod(0o755)
    DATA.mkdir(parents=True)
    state.save()
    try:
        network.make_node_network(state)
        for place in places:
            node.start_containerd(state, place)
        control_plane = start_control_plane(state)
        for place in places:
            node.start_kubelet(state, place, control_plane.authority)
        start_dns_and_storage(state, control_plane.authority, control_plane.api)
        for place in places:
            node.wait_for_node(state, place, control_plane.api)
        if trouble := _trouble(state):
            raise ClusterError(f"the cluster came up and is not healthy: {trouble}")
        state.complete = True
        state.save()
    except BaseException:
        # Also for an interrupt at the keyboard: what ran is ended, what it said is kept.
        kept = cache_folder() / "logs" / "failed-up"
        remove(kept)
        if LOGS.exists():
            shutil.copytree(LOGS, kept)
        say(f"local cluster: the start failed, the logs are kept in {kept}; cleaning up")
        cleanup.clean_up()
        raise


def _running() -> State:
    state = load_state()
    if state is None or not state.complete:
        raise ClusterError("the local cluster is not up; start it with `make cluster-up`")
    return state


def _live(state: State) -> list[NodePlace]:
    return [NodePlace(number=number) for number in state.nodes if number not in state.stopped_nodes]


def _trouble(state: State, patience_seconds: float = 30) -> str | None:
    """What is wrong with a cluster that should run; None when nothing is. Dead processes are told at once.

    An API server that is slow to answer on a busy machine is waited for: a cluster in use is not thrown away lightly.
    """
    stopped = tuple(f"{NodePlace(number=number).name}/" for number in state.stopped_nodes)
    dead = [one.name for one in state.processes if not one.name.startswith(stopped) and not is_alive(one)]
    if dead or not state.processes:
        return f"ended: {', '.join(dead) or 'everything'}"
    api = Api(KUBECONFIG)
    wanted = {place.name for place in _live(state)}
    try:
        wait_for("an answer of the API server", patience_seconds, api.ready)
        wait_for("nodes Ready", patience_seconds, lambda: wanted <= api.ready_nodes())
        wait_for("an answer of the cluster's DNS", patience_seconds, dns_answers)
    except (ClusterError, OSError) as trouble:
        return str(trouble)
    return None


def _archive(image: str) -> Path:
    given = Path(image)
    if given.is_file():
        return given.absolute()
    kept = archive_of(image)
    if kept.exists():
        return kept
    if has_image(image):
        return push(image)
    raise ClusterError(
        f"there is no archive {image!r} and no image of that name has been built; build it with "
        f"`python -m tests.cluster build CONTEXT --tag {image}`, or give an archive's path"
    )


def _load(place: NodePlace, archive: Path) -> None:
    node.import_image(place, archive)
    present = node.image_names(place)
    for name in _names_in(archive):
        # Kubelets ask for the complete name; archives of other tools may carry the short one.
        if qualified(name) not in present and name in present:
            node.tag_image(place, name, qualified(name))


def _names_in(archive: Path) -> list[str]:
    """Image names that an OCI archive's index carries."""
    with tarfile.open(archive) as content:
        try:
            member = content.extractfile("index.json")
        except KeyError:
            return []
        index = json.loads(member.read()) if member else {}
    annotations = [one.get("annotations", {}) for one in index.get("manifests", [])]
    keys = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
    return [found[key] for found in annotations for key in keys if key in found]
