"""Certificates: the names that clients will check, and a chain that verifies."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.cluster.local.pki import API_SERVER_ADDRESSES, API_SERVER_NAMES, Authority


def _load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_api_server_is_valid_for_every_name_that_pods_and_people_use(tmp_path: Path) -> None:
    pair = Authority.create(tmp_path).issue("apiserver", "x", server_for=(*API_SERVER_NAMES, *API_SERVER_ADDRESSES))
    names = _load(pair.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    }
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "10.99.0.1", "10.96.0.1"}


def test_the_organization_is_the_group_of_the_user(tmp_path: Path) -> None:
    pair = Authority.create(tmp_path).issue("node-1", "system:node:node-1", organization="system:nodes")
    subject = _load(pair.certificate).subject
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:node-1"


def test_what_a_reloaded_authority_issues_verifies_against_the_first_certificate(tmp_path: Path) -> None:
    first = Authority.create(tmp_path)
    pair = Authority.load(tmp_path).issue("node-2", "system:node:node-2")
    authority = _load(first.certificate)
    _load(pair.certificate).verify_directly_issued_by(authority)
    assert isinstance(authority.public_key(), ec.EllipticCurvePublicKey)


def test_keys_and_kubeconfigs_are_for_their_owner_only(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    pair = authority.issue("admin", "admin", organization="system:masters")
    path = authority.kubeconfig(tmp_path / "kubeconfig", pair)
    assert {one.stat().st_mode & 0o077 for one in (authority.key, pair.key, path)} == {0}
    assert json.loads(path.read_text())["clusters"][0]["cluster"]["server"] == "https://10.99.0.1:6443"
