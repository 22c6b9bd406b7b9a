"""The operator's TLS to a broker: from memory, never weaker than the pods', and told when it cannot be."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from celery_operator.observe.broker.certificates import Certificates, context, context_for_https, failure
from celery_operator.observe.broker.depth import Unreadable
from tests.cluster.local.pki import Authority


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A real authority and a client's certificate."""
    return _made(tmp_path_factory.mktemp("certificates"))


def _made(folder: Path) -> Certificates:
    authority = Authority.create(folder)
    pair = authority.issue("client", "client")
    return Certificates(
        ca=authority.certificate.read_text(), certificate=pair.certificate.read_text(), key=pair.key.read_text()
    )


def test_without_certificates_the_url_says_all() -> None:
    assert context("redis://r", None) is None


@pytest.mark.parametrize("url", ["rediss://r/0", "amqps://r", "sentinel://a;sentinel://b"])
def test_servers_are_always_checked_against_that_authority_alone(url: str, certificates: Certificates) -> None:
    made = context(url, certificates)
    assert made is not None
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.check_hostname
    assert len(made.get_ca_certs()) == 1


def test_pages_over_https_may_have_a_public_certificate_too(certificates: Certificates) -> None:
    made = context_for_https(certificates)
    assert made is not None
    public = ssl.create_default_context().cert_store_stats()["x509_ca"]
    assert made.cert_store_stats()["x509_ca"] == public + 1
    assert made.check_hostname
    assert context_for_https(None) is None


def test_a_client_certificate_leaves_no_file_behind(certificates: Certificates) -> None:
    before = set(os.listdir("/proc/self/fd"))
    assert context("rediss://r", certificates) is not None
    assert set(os.listdir("/proc/self/fd")) == before


def test_words_around_a_certificate_do_not_matter(certificates: Certificates) -> None:
    assert context("rediss://r", Certificates(ca=f"# Größe\n{certificates.ca}")) is not None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://r", "begins with redis, which asks for no TLS"),
        ("amqp://r", "begins with amqp, which asks for no TLS"),
        ("rediss://r/0?ssl_cert_reqs=none", "options of its own for TLS"),
    ],
)
def test_certificates_that_would_not_be_used_are_told(url: str, says: str, certificates: Certificates) -> None:
    with pytest.raises(Unreadable) as refusal:
        context(url, certificates)
    assert says in refusal.value.problem.message


def test_what_is_no_certificate_is_told_without_its_text(certificates: Certificates, tmp_path: Path) -> None:
    other = _made(tmp_path)
    for wrong in (
        Certificates(ca="hunter22"),
        Certificates(certificate="hunter22", key="hunter22"),
        Certificates(certificate=certificates.certificate, key=other.key),
    ):
        with pytest.raises(Unreadable) as refusal:
            context("rediss://r", wrong)
        assert refusal.value.problem.reason == "TlsInvalid"
        assert "hunter22" not in refusal.value.problem.message


def test_an_error_of_tls_is_found_beneath_that_of_a_client() -> None:
    outer = ConnectionError("x")
    outer.__cause__ = ssl.SSLCertVerificationError("y")
    found = failure(outer)
    assert found is not None
    assert (found.reason, "not trusted" in found.message) == ("TlsFailed", True)
    assert failure(ConnectionError("x")) is None
