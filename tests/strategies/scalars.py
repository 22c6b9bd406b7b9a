"""Names, durations, quantities, images, labels: values that the CRD and Kubernetes both accept."""

from __future__ import annotations

from hypothesis import strategies as st

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def names(longest: int = 12) -> st.SearchStrategy[str]:
    """DNS labels that begin with a letter."""
    middle = st.text(f"{_LETTERS}0123456789-", max_size=longest - 2)
    label = st.tuples(st.sampled_from(_LETTERS), middle, st.sampled_from(f"{_LETTERS}0123456789")).map("".join)
    return st.sampled_from(_LETTERS) | label


names_of_objects = st.sampled_from(["registry", "shop-env", "shop.example.com", "a", "x" * 253])
keys = st.sampled_from(["url", "password", "ca.crt", "tls.key", "KEY_1", "a.b-c_d"])
images = st.sampled_from(["shop:1", "registry.example.com:5000/team/shop@sha256:" + "0a" * 32, "ghcr.io/a/b:v1.2.3"])
label_keys = st.sampled_from(["team", "example.com/tier", "a.b_c-d", "k8s.example.com/" + "x" * 63])
label_values = st.sampled_from(["", "shop", "1", "A.b_c-9", "x" * 63])
labels = st.dictionaries(label_keys, label_values, max_size=2)
annotation_maps = st.dictionaries(label_keys, st.text(max_size=20), max_size=2)
variables = st.sampled_from(["A", "DJANGO_SETTINGS_MODULE", "_x1", "PATH", "SHOP_TOKEN"])
plain_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def spelled(milliseconds: int) -> st.SearchStrategy[str]:
    """A duration in one of its spellings: 90000 is 90s, 1m30s or 90000ms."""
    whole = [f"{milliseconds // size}{unit}" for unit, size in _UNITS.items() if milliseconds % size == 0]
    minutes, rest = divmod(milliseconds, _UNITS["m"])
    compound = [f"{minutes}m{rest}ms"] if minutes and rest else []
    return st.sampled_from([*whole, *compound, f"{milliseconds / 1000:.3f}s"])


_LONGEST = "2562047h"
"""What Go's durations can hold, and with them CEL: 292 years."""


def durations(least: int = 1) -> st.SearchStrategy[str]:
    """Go-style durations from so many milliseconds on, mostly up to ten hours."""
    usual = st.integers(least, 36_000_000).flatmap(spelled)
    return st.one_of(usual, usual, usual, st.just(_LONGEST))


memory = st.sampled_from(["64Mi", "0.5Gi", "1Gi", 2**30, "2G", "1500M", "1000000000"])
cpu = st.sampled_from(["250m", "0.5", 1, "2", "1500m"])
disk = st.sampled_from(["1Gi", "100Mi", 10 * 2**30, "0.5Ti"])
counts_or_percents = st.integers(1, 5) | st.just(100000) | st.integers(1, 100).map(lambda number: f"{number}%")
ports = st.integers(1, 65535)
identifiers = st.sampled_from(["shop.reports.daily", "a", "shop.tasks:add"])
free_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, -2.25]) | plain_texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b.c", "queue"]), inner),
    max_leaves=4,
)
