"""How an object of the API is drawn: all that is required and a few optional fields, so that specs stay readable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from celery_operator.api.model import ApiModel

Json = dict[str, Any]
Objects = st.SearchStrategy[Json]
Strategies = Mapping[str, st.SearchStrategy[Any]]
RUN: dict[str, Any] = {
    "database": None,
    "phases": (Phase.explicit, Phase.generate),
    "suppress_health_check": (HealthCheck.too_slow, HealthCheck.data_too_large),
}
"""Settings of tests that draw whole specs. A failing one is printed as it is: to make it smaller takes minutes."""
_FEW = 3
"""Optional fields that an object has at most: enough to meet each other."""


def of(
    model: type[ApiModel],
    required: Strategies,
    optional: Strategies,
    *,
    elsewhere: tuple[str, ...] = (),
    most: int = _FEW,
) -> Objects:
    """Objects of the model with all of `required` and at most `most` of `optional`.

    Fields in `elsewhere` are added by the caller. Raises AssertionError when a field of the model is in none of them.
    """
    fields = {str(field.alias) for field in model.model_fields.values()}
    said = {*required, *optional, *elsewhere}
    assert fields == said, f"{model.__name__}: {sorted(fields ^ said)} has no strategy, or is no field"
    names = sorted(optional)
    few = st.lists(st.sampled_from(names), max_size=most, unique=True) if names else st.just([])

    def fill(chosen: list[str]) -> Objects:
        return st.fixed_dictionaries({**required, **{name: optional[name] for name in sorted(chosen)}})

    return few.flatmap(fill)


def one_of(**choices: st.SearchStrategy[Any]) -> Objects:
    """Objects with exactly one of the fields."""
    return st.one_of(*(st.fixed_dictionaries({name: value}) for name, value in choices.items()))


def without(value: Json, *names: str) -> Json:
    """The object without these fields."""
    return {name: inner for name, inner in value.items() if name not in names}


def named(items: Objects, *, least: int = 0, most: int = 2, key: str = "name") -> st.SearchStrategy[list[Json]]:
    """A list of things that are known by a key."""
    return st.lists(items, min_size=least, max_size=most, unique_by=lambda item: str(item[key]))
