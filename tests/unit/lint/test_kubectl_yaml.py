"""Plain words are what kubectl takes them for (1.34, `kubectl annotate --local -f FILE a=b -o json`)."""

from __future__ import annotations

import json

import pytest

from celery_operator.commands.kubectl_yaml import documents


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("22:00", "22:00"), ("190:20:30.15", "190:20:30.15"), ("2001-01-01", "2001-01-01"), ("=", "="),
        ("1.2.3", "1.2.3"),
        ("1e3", 1000), ("1.5e3", 1500), ("09", 9), ("0777", 511), ("0o17", 15), ("0x1F", 31), ("0b11", 3), ("+12", 12),
        ("1_000", 1000), (".5", 0.5), ("1.", 1), ("-7", -7), ("y", True), ("off", False), ("n", False), ("~", None),
        ("null", None), ("", None), ("'1e3'", "1e3"), ("1e", "1e"), ("e3", "e3"), ("-", [None]),
        ("12e4567", "12e4567"), ("-1e400", "-1e400"), ("._", "._"),
    ],
)  # fmt: skip
def test_a_plain_word_is_what_kubectl_takes_it_for(word: str, value: object) -> None:
    ((document, twice),) = documents(f"a: {word}\n" if word != "-" else "a:\n- \n")
    assert json.dumps(document["a"]) == json.dumps(value)
    assert twice == ()


def test_keys_that_stand_twice_are_told_and_merged_ones_are_not() -> None:
    text = "a: {b: 1, b: 2}\n---\nx: &x {a: 1}\ny: {z: &z {<<: *x, a: 2}}\nw: {<<: *z, a: 3}\n"
    (first, told), (second, nothing) = documents(text)
    assert first == {"a": {"b": 2}}
    assert [each.partition(",")[0] for each in told] == ["line 1: b stands there for the second time"]
    assert (second["w"], nothing) == ({"a": 3}, ())
