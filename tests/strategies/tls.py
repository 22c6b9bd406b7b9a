"""Certificates of encrypted connections."""

from __future__ import annotations

from hypothesis import strategies as st

from celery_operator.api import tls
from tests.strategies.model import Objects, of
from tests.strategies.pod import secret_sources

_PAIR = ("certificateFrom", "keyFrom")


def _objects() -> Objects:
    authority = of(tls.Tls, {"caFrom": secret_sources}, {}, elsewhere=_PAIR)
    pair = st.fixed_dictionaries(dict.fromkeys(_PAIR, secret_sources))
    both = st.tuples(authority, pair).map(lambda halves: {**halves[0], **halves[1]})
    return authority | pair | both


certificates = _objects()
