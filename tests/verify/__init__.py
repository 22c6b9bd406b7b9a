"""`make verify`: the full matrices and the long runs, in parts that can be resumed, with their results kept."""
