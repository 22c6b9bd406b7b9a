"""etcd, the API server, the controllers, the scheduler and the cluster's DNS, as processes on the machine itself."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.audit import AUDIT_POLICY
from tests.cluster.errors import ClusterError
from tests.cluster.local.api import Api, wait_for
from tests.cluster.local.layout import (
    AUDIT_LOG,
    DATA,
    DNS_DOMAIN,
    ETCD_URL,
    HOST_ADDRESS,
    KUBECONFIG,
    PKI,
    SERVICE_NETWORK,
    STATE,
    VOLUMES,
)
from tests.cluster.local.pki import (
    API_SERVER_ADDRESSES,
    API_SERVER_NAMES,
    Authority,
    KeyPair,
    service_account_pair,
)
from tests.cluster.local.processes import is_alive, log_tail, start
from tests.cluster.local.state import State
from tests.cluster.toolchain import tool

STORAGE_CLASS = "local-path"
PROVISIONER = "celery-operator.dev/local-path"
_CLIENT_LIMITS = ("--kube-api-qps=500", "--kube-api-burst=1000")
_COREDNS = """.:53 {{
    bind {address}
    errors
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        ttl 1
    }}
    forward . /etc/resolv.conf
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """What later steps need of a control plane that runs."""

    authority: Authority
    api: Api


def start_control_plane(state: State) -> ControlPlane:
    """Start everything but nodes and DNS; returns when the API server is ready."""
    authority = Authority.create(PKI)
    _start_etcd(state)
    _start_api_server(state, authority)
    admin = authority.issue("admin", "celery-operator-admin", organization="system:masters")
    authority.kubeconfig(KUBECONFIG, admin)
    api = Api(KUBECONFIG)
    _wait_ready(state, "kube-apiserver", api.ready, 60)
    # Only now: controllers that find their roles missing end at once.
    _start_controllers(state, authority)
    _create_defaults(api)
    return ControlPlane(authority=authority, api=api)


def start_dns_and_storage(state: State, authority: Authority, api: Api) -> None:
    """Start CoreDNS and the volume provisioner; returns when a Service's name resolves and pods may be made."""
    dns = authority.issue("coredns", "celery-operator-dns", organization="system:masters")
    corefile = STATE / "Corefile"
    kubeconfig = authority.kubeconfig(STATE / "coredns.kubeconfig", dns)
    corefile.write_text(_COREDNS.format(address=HOST_ADDRESS, domain=DNS_DOMAIN, kubeconfig=kubeconfig))
    start(state, "coredns", [tool("coredns"), "-conf", corefile])
    storage = authority.issue("provisioner", "celery-operator-volumes", organization="system:masters")
    kubeconfig = authority.kubeconfig(STATE / "provisioner.kubeconfig", storage)
    script = Path(__file__).with_name("provisioner.py")
    start(state, "provisioner", [sys.executable, script, kubeconfig, STORAGE_CLASS, PROVISIONER, VOLUMES])
    _wait_ready(state, "coredns", dns_answers, 20)
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    _wait_ready(state, "kube-controller-manager", lambda: api.request("GET", account)[0] == 200, 30)


def _start_etcd(state: State) -> None:
    folder = DATA / "etcd"
    folder.mkdir(parents=True, mode=0o700)
    peers = f"http://{HOST_ADDRESS}:2380"
    flags = {
        "name": "local",
        "data-dir": folder,
        "listen-client-urls": ETCD_URL,
        "advertise-client-urls": ETCD_URL,
        "listen-peer-urls": peers,
        "initial-advertise-peer-urls": peers,
        "initial-cluster": f"local={peers}",
        # The database dies with the cluster, so nothing is gained by waiting for the disk.
        "unsafe-no-fsync": "true",
        "quota-backend-bytes": 4 * 1024**3,
        "log-level": "warn",
    }
    start(state, "etcd", [tool("etcd"), *_flags(flags)])


def _start_api_server(state: State, authority: Authority) -> None:
    names = (*API_SERVER_NAMES, *API_SERVER_ADDRESSES)
    serving = authority.issue("apiserver", "kube-apiserver", server_for=names)
    kubelet = authority.issue("apiserver-kubelet-client", "kube-apiserver", organization="system:masters")
    front_proxy = authority.issue("front-proxy-client", "front-proxy-client")
    tokens = service_account_pair(PKI)
    AUDIT_LOG.parent.mkdir(parents=True)
    policy = STATE / "audit" / "policy.json"
    policy.write_text(json.dumps(AUDIT_POLICY))
    flags = {
        "etcd-servers": ETCD_URL,
        "bind-address": HOST_ADDRESS,
        "secure-port": 6443,
        "advertise-address": HOST_ADDRESS,
        "tls-cert-file": serving.certificate,
        "tls-private-key-file": serving.key,
        "client-ca-file": authority.certificate,
        "service-cluster-ip-range": SERVICE_NETWORK,
        "service-account-issuer": f"https://kubernetes.default.svc.{DNS_DOMAIN}",
        "service-account-key-file": tokens.certificate,
        "service-account-signing-key-file": tokens.key,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "kubelet-client-certificate": kubelet.certificate,
        "kubelet-client-key": kubelet.key,
        # Otherwise `kubectl exec` would look the node's name up in DNS.
        "kubelet-preferred-address-types": "InternalIP",
        "requestheader-client-ca-file": authority.certificate,
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": front_proxy.certificate,
        "proxy-client-key-file": front_proxy.key,
        "enable-aggregator-routing": "true",
        "audit-policy-file": policy,
        "audit-log-path": AUDIT_LOG,
        "audit-log-mode": "blocking",
    }
    start(state, "kube-apiserver", [tool("kube-apiserver"), *_flags(flags)])


def _start_controllers(state: State, authority: Authority) -> None:
    controllers = _own_kubeconfig(authority, "kube-controller-manager")
    flags = {
        "kubeconfig": controllers,
        "authentication-kubeconfig": controllers,
        "authorization-kubeconfig": controllers,
        "bind-address": HOST_ADDRESS,
        "root-ca-file": authority.certificate,
        "cluster-signing-cert-file": authority.certificate,
        "cluster-signing-key-file": authority.key,
        "service-account-private-key-file": PKI / "service-account.key",
        "use-service-account-credentials": "true",
        "allocate-node-cidrs": "false",
        "leader-elect": "false",
        "concurrent-deployment-syncs": 10,
        "concurrent-replicaset-syncs": 10,
    }
    start(state, "kube-controller-manager", [tool("kube-controller-manager"), *_flags(flags), *_CLIENT_LIMITS])
    scheduler = _own_kubeconfig(authority, "kube-scheduler")
    flags = {
        "kubeconfig": scheduler,
        "authentication-kubeconfig": scheduler,
        "authorization-kubeconfig": scheduler,
        "bind-address": HOST_ADDRESS,
        "leader-elect": "false",
    }
    start(state, "kube-scheduler", [tool("kube-scheduler"), *_flags(flags), *_CLIENT_LIMITS])


def _own_kubeconfig(authority: Authority, component: str) -> Path:
    pair: KeyPair = authority.issue(component, f"system:{component}")
    return authority.kubeconfig(STATE / f"{component}.kubeconfig", pair)


def _flags(flags: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in flags.items()]


def _wait_ready(state: State, name: str, ready: Callable[[], bool], seconds: float) -> None:
    def check() -> bool:
        record = state.record(name)
        if record is None or not is_alive(record):
            raise ClusterError(f"{name} ended; {log_tail(name)}")
        return ready()

    wait_for(f"{name} ready", seconds, check, lambda: log_tail(name))


def _create_defaults(api: Api) -> None:
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    api.create("/apis/storage.k8s.io/v1/storageclasses", storage_class)


def dns_answers() -> bool:
    """Whether the cluster's DNS resolves the API server's Service."""
    name = b"".join(bytes([len(part)]) + part.encode() for part in f"kubernetes.default.svc.{DNS_DOMAIN}".split("."))
    query = struct.pack(">HHHHHH", os.getpid() & 0xFFFF, 0x0100, 1, 0, 0, 0) + name + b"\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        try:
            asking.sendto(query, (HOST_ADDRESS, 53))
            answer = asking.recv(512)
        except OSError:
            return False
    # Answer count: more than none; the low four bits of the flags: no error.
    return len(answer) > 12 and answer[3] & 0x0F == 0 and struct.unpack(">H", answer[6:8])[0] > 0
