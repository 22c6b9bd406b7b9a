"""One pass: observe, plan (pure), apply, status. Only `apply` writes children, only `reconciler` knows the order."""
