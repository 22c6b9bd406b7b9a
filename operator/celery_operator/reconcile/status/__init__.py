"""The status as pure functions: one module a condition, each from the same view to a verdict."""
